//! The process clock, by which arrival, ticks and age are measured (CONTRACT §4).

use std::fmt::{self, Debug};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use equilibrium_domain::time::Timestamp;
use parking_lot::Mutex;

/// A difference between the machine's clocks below this is not a jump: reading them takes time.
const MIN_JUMP_MS: i64 = 100;

/// Longest time between two readings of the monotonic clock around one of the wall clock.
const MAX_READ_TIME: Duration = Duration::from_millis(10);

/// How far the clock may be ahead of the newest tick beyond its usual age, in milliseconds, while it is also ahead of
/// the machine.
const MAX_LEAD_MS: i64 = 10_000;

/// The clocks of the machine at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineTime {
    /// Time that was never set, and that rests while the machine is suspended.
    pub monotonic: Duration,
    /// The machine's time, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
}

/// The clocks of a machine.
pub trait MachineClock: Debug + Send + Sync {
    /// Reads both clocks at one moment.
    fn read(&self) -> MachineTime;
}

/// The time in this process; clones are the same clock.
#[derive(Clone, Debug)]
pub enum Clock {
    /// A replay has no clock: the time is always 0, so cached states never age and no wait takes time.
    Replay,
    /// A running clock.
    Live(Arc<LiveClock>),
}

/// A clock that follows the machine's: it runs `speed` times as fast, and jumps when the machine's clock is set or the
/// machine was suspended, by as much.
#[derive(Debug)]
pub struct LiveClock {
    machine: Box<dyn MachineClock>,
    speed: NonZeroU32,
    started: MachineTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_field_names)]
struct State {
    /// The sum of all jumps of the machine's clock.
    jumps_ms: i64,
    /// How far this clock is ahead of the machine's, because closed ticks cannot be taken back.
    ahead_ms: i64,
    /// The time that the newest tick of any city implies.
    reached_ms: Option<i64>,
    /// The jumps that [`Clock::take_jump`] has not returned yet.
    unreported_ms: i64,
}

/// A jump of the machine's clock, which the process clock has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// By how much the machine's clock jumped, in milliseconds; negative if it was set back.
    pub by_ms: i64,
    /// How far the process clock is ahead of the machine's now, in milliseconds.
    pub ahead_ms: i64,
}

/// A time span in milliseconds, as a person reads it.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit_ms, unit) = match self.0 {
            ..120_000 => (1_000, "s"),
            120_000..7_200_000 => (60_000, "min"),
            7_200_000.. => (3_600_000, "h"),
        };
        let tenths = (self.0.saturating_mul(10) + unit_ms / 2) / unit_ms;
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.by_ms < 0 { "back" } else { "forward" };
        write!(f, "this machine's clock jumped {direction} by {}; ", Span(self.by_ms.saturating_abs()))?;
        match self.ahead_ms {
            ..=0 => f.write_str("time follows it"),
            ahead_ms => write!(f, "time continues from the newest tick, {} ahead of it", Span(ahead_ms)),
        }
    }
}

impl Clock {
    /// A clock that starts at the system's time and runs `speed` times as fast.
    #[must_use]
    pub fn live(speed: NonZeroU32) -> Self {
        Self::of(Box::new(SystemClock(Instant::now())), speed)
    }

    /// A clock that follows the clock of `machine`.
    #[must_use]
    pub fn of(machine: Box<dyn MachineClock>, speed: NonZeroU32) -> Self {
        let started = machine.read();
        Self::Live(Arc::new(LiveClock { machine, speed, started, state: Mutex::default() }))
    }

    /// The time in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let Self::Live(clock) = self else { return 0 };
        let state = &mut *clock.state.lock();
        clock.base_ms(state) + state.ahead_ms
    }

    /// The time of this clock that passes within `time` of the machine, in milliseconds.
    #[must_use]
    pub fn passes_within(&self, time: Duration) -> i64 {
        let speed = match self {
            Self::Replay => 1,
            Self::Live(clock) => i64::from(clock.speed.get()),
        };
        i64::try_from(time.as_millis()).unwrap_or(i64::MAX).saturating_mul(speed)
    }

    /// The arrival time of a record that is put now, in milliseconds since the epoch. A replayed record arrives at
    /// the end of time, so that no tick ever waits for its lane.
    #[must_use]
    pub fn arrival_ms(&self) -> i64 {
        match self {
            Self::Replay => Timestamp::END_OF_TIME.ms(),
            Self::Live(_) => self.now_ms(),
        }
    }

    /// The real time until the clock reaches `at_ms`, if it does not jump.
    #[must_use]
    pub fn until(&self, at_ms: i64) -> Duration {
        let Self::Live(clock) = self else { return Duration::ZERO };
        let ms = u64::try_from(at_ms.saturating_sub(self.now_ms())).unwrap_or(0);
        Duration::from_millis(ms.div_ceil(u64::from(clock.speed.get())))
    }

    /// Records that a tick has closed for which the time had to be `reached_ms`, and that the next one follows
    /// `tick_ms` later. The clock is never behind it: no tick would close until the clock reached it again. As long
    /// as the clock is ahead of the machine's for this reason, it is not far ahead of the newest tick either.
    pub fn tick_closed(&self, reached_ms: i64, tick_ms: i64) {
        let Self::Live(clock) = self else { return };
        let state = &mut *clock.state.lock();
        if state.reached_ms.is_some_and(|known_ms| known_ms >= reached_ms) {
            return;
        }
        state.reached_ms = Some(reached_ms);
        let least_ms = reached_ms.saturating_sub(clock.base_ms(state)).max(0);
        let most_ms = reached_ms.saturating_add(tick_ms + MAX_LEAD_MS).saturating_sub(clock.base_ms(state));
        state.ahead_ms = state.ahead_ms.clamp(least_ms, most_ms.max(least_ms));
    }

    /// How far the clock is ahead of the machine's, in milliseconds.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        let Self::Live(clock) = self else { return 0 };
        clock.state.lock().ahead_ms
    }

    /// The jumps of the machine's clock since the last call, as one.
    #[must_use]
    pub fn take_jump(&self) -> Option<ClockJump> {
        let Self::Live(clock) = self else { return None };
        let state = &mut *clock.state.lock();
        clock.base_ms(state);
        let by_ms = std::mem::take(&mut state.unreported_ms);
        (by_ms != 0).then_some(ClockJump { by_ms, ahead_ms: state.ahead_ms })
    }
}

impl LiveClock {
    /// The time if this clock were not ahead of the machine's; follows a jump.
    fn base_ms(&self, state: &mut State) -> i64 {
        let MachineTime { monotonic, wall_ms } = self.machine.read();
        let elapsed_ms = monotonic.saturating_sub(self.started.monotonic).as_millis();
        let elapsed_ms = i64::try_from(elapsed_ms).unwrap_or(i64::MAX);
        let started_ms = self.started.wall_ms;
        let jump_ms = wall_ms - started_ms - elapsed_ms - state.jumps_ms;
        let jumped = jump_ms.abs() >= MIN_JUMP_MS;
        if jumped {
            state.jumps_ms += jump_ms;
            state.unreported_ms += jump_ms;
        }
        let run_ms = elapsed_ms.saturating_mul(i64::from(self.speed.get()));
        let base_ms = started_ms.saturating_add(run_ms).saturating_add(state.jumps_ms);
        if jumped {
            state.ahead_ms =
                state.reached_ms.map_or(0, |reached_ms| reached_ms.saturating_sub(base_ms).max(0));
        }
        base_ms
    }
}

/// The clocks of the system, of which the monotonic one began at the given moment.
#[derive(Debug)]
struct SystemClock(Instant);

impl MachineClock for SystemClock {
    /// A thread that is suspended between the readings would see a jump: it reads again, but not for ever.
    fn read(&self) -> MachineTime {
        let mut monotonic = self.0.elapsed();
        let mut wall_ms = system_now_ms();
        for _ in 0..3 {
            let after = self.0.elapsed();
            if after.saturating_sub(monotonic) <= MAX_READ_TIME {
                break;
            }
            (monotonic, wall_ms) = (after, system_now_ms());
        }
        MachineTime { monotonic, wall_ms }
    }
}

/// The system's time in milliseconds since the epoch, at least 0.
#[must_use]
pub fn system_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: i64 = 1_772_816_400_000;
    const MINUTE_MS: i64 = 60_000;

    /// A machine whose clocks the test sets.
    #[derive(Clone, Debug)]
    struct Machine(Arc<Mutex<MachineTime>>);

    impl MachineClock for Machine {
        fn read(&self) -> MachineTime {
            *self.0.lock()
        }
    }

    impl Machine {
        fn clock(speed: u32) -> (Self, Clock) {
            let machine = Self(Arc::new(Mutex::new(MachineTime {
                monotonic: Duration::from_secs(7),
                wall_ms: START_MS,
            })));
            let clock = Clock::of(Box::new(machine.clone()), NonZeroU32::new(speed).unwrap());
            (machine, clock)
        }

        fn run(&self, ms: i64) {
            let mut time = self.0.lock();
            time.monotonic += Duration::from_millis(ms.unsigned_abs());
            time.wall_ms += ms;
        }

        /// Sets the wall clock, as an operator or the network does, or as the end of a suspension does.
        fn jump(&self, ms: i64) {
            self.0.lock().wall_ms += ms;
        }
    }

    #[test]
    fn a_clock_runs_at_its_speed_and_follows_every_jump_of_the_machines() {
        for speed in [1, 60, 1000] {
            let (machine, clock) = Machine::clock(speed);
            let mut expected_ms = START_MS;
            for jump_ms in [0, 10 * MINUTE_MS, -10 * MINUTE_MS, -25 * MINUTE_MS, 0, 480 * MINUTE_MS] {
                machine.run(5_000);
                machine.jump(jump_ms);
                expected_ms += 5_000 * i64::from(speed) + jump_ms;
                assert_eq!(clock.now_ms(), expected_ms, "at {speed} after {jump_ms}");
                let jump = clock.take_jump();
                assert_eq!(jump.map_or(0, |jump| jump.by_ms), jump_ms);
                assert_eq!(clock.take_jump(), None, "a jump is reported once");
            }
            assert_eq!(clock.ahead_ms(), 0);
        }
    }

    #[test]
    fn readings_at_different_moments_are_not_a_jump() {
        let (machine, clock) = Machine::clock(1);
        machine.jump(MIN_JUMP_MS - 1);
        assert_eq!(clock.now_ms(), START_MS);
        assert_eq!(clock.take_jump(), None);
    }

    #[test]
    fn a_clock_continues_from_a_tick_that_is_ahead_of_the_machine() {
        let (machine, clock) = Machine::clock(1);
        let reached_ms = START_MS + 1440 * MINUTE_MS;
        clock.tick_closed(reached_ms, 5_000);
        assert_eq!((clock.now_ms(), clock.ahead_ms()), (reached_ms, 1440 * MINUTE_MS));
        // Ticks that follow the clock keep it ahead.
        for tick in 1..=100 {
            machine.run(5_000);
            clock.tick_closed(reached_ms + tick * 5_000 - 1_000, 5_000);
            assert_eq!(clock.now_ms(), reached_ms + tick * 5_000);
        }
        // The machine's clock is set to a time that is later still.
        machine.jump(1500 * MINUTE_MS);
        assert_eq!((clock.now_ms(), clock.ahead_ms()), (START_MS + 500_000 + 1500 * MINUTE_MS, 0));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_pass_the_newest_tick() {
        let (machine, clock) = Machine::clock(1);
        machine.run(MINUTE_MS);
        clock.tick_closed(clock.now_ms() - 2_000, 5_000);
        machine.jump(-10 * MINUTE_MS);
        assert_eq!(clock.now_ms(), START_MS + MINUTE_MS - 2_000);
        let jump = ClockJump { by_ms: -10 * MINUTE_MS, ahead_ms: 10 * MINUTE_MS - 2_000 };
        assert_eq!(clock.take_jump(), Some(jump));
    }

    #[test]
    fn a_clock_that_was_fast_alone_follows_the_machines_back_at_once() {
        // Clients with the right time posted to a process whose clock was ten minutes fast.
        let (machine, clock) = Machine::clock(1);
        machine.run(MINUTE_MS);
        clock.tick_closed(START_MS - 9 * MINUTE_MS - 7_000, 5_000);
        machine.jump(-10 * MINUTE_MS);
        assert_eq!((clock.now_ms(), clock.ahead_ms()), (START_MS - 9 * MINUTE_MS, 0));
    }

    #[test]
    fn a_clock_comes_back_to_the_machines_once_ticks_of_the_right_time_close() {
        let (machine, clock) = Machine::clock(1);
        clock.tick_closed(START_MS + 10 * MINUTE_MS, 5_000);
        machine.run(10 * MINUTE_MS);
        assert_eq!(clock.now_ms(), START_MS + 20 * MINUTE_MS, "no tick has closed meanwhile");
        machine.run(5_000);
        clock.tick_closed(START_MS + 10 * MINUTE_MS + 5_000, 5_000);
        assert_eq!(clock.ahead_ms(), 5_000 + MAX_LEAD_MS);
    }

    #[test]
    fn a_span_has_a_unit_of_its_size() {
        for (ms, text) in
            [(949, "0.9 s"), (119_000, "119.0 s"), (599_980, "10.0 min"), (86_407_358, "24.0 h")]
        {
            assert_eq!(Span(ms).to_string(), text);
        }
    }

    #[test]
    fn a_jump_says_how_far_and_what_becomes_of_time() {
        let back = ClockJump { by_ms: -600_000, ahead_ms: 593_000 }.to_string();
        assert!(
            back.contains("jumped back by 10.0 min; time continues from the newest tick, 9.9 min"),
            "{back}"
        );
        let forward = ClockJump { by_ms: 3_000, ahead_ms: 0 }.to_string();
        assert!(forward.contains("jumped forward by 3.0 s; time follows it"), "{forward}");
    }

    #[test]
    fn the_clock_of_the_system_runs() {
        let clock = Clock::live(NonZeroU32::new(60).unwrap());
        let (before, system) = (clock.now_ms(), system_now_ms());
        assert!((before - system).abs() < 10_000, "{before} at {system}");
        let minute = clock.until(clock.now_ms() + MINUTE_MS);
        assert!((Duration::from_millis(900)..=Duration::from_secs(1)).contains(&minute), "{minute:?}");
        assert_eq!((clock.until(0), Clock::Replay.until(1)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(clock.take_jump(), None);
    }
}
