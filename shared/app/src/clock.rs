//! The process clock, by which arrival, ticks and age are measured (CONTRACT §4).

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use equilibrium_domain::time::Timestamp;

/// The time in this process.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// A replay has no clock: the time is always 0, so cached states never age and no wait takes time.
    Replay,
    /// A running clock.
    Live {
        /// The time at `started`, in milliseconds since the epoch.
        start_ms: i64,
        /// The real time of `start_ms`.
        started: Instant,
        /// How many times faster than real time it runs.
        speed: NonZeroU32,
    },
}

impl Clock {
    /// A clock that starts at the system's time, or at `not_before_ms` if that is later, and runs `speed` times as
    /// fast.
    #[must_use]
    pub fn live(speed: NonZeroU32, not_before_ms: i64) -> Self {
        Self::Live { start_ms: system_now_ms().max(not_before_ms), started: Instant::now(), speed }
    }

    /// The time in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let Self::Live { start_ms, started, speed } = self else { return 0 };
        let elapsed_ms = started.elapsed().as_millis() * u128::from(speed.get());
        start_ms.saturating_add(i64::try_from(elapsed_ms).unwrap_or(i64::MAX))
    }

    /// The arrival time of a record that is put now, in milliseconds since the epoch. A replayed record arrives at
    /// the end of time, so that no tick ever waits for its lane.
    #[must_use]
    pub fn arrival_ms(&self) -> i64 {
        match self {
            Self::Replay => Timestamp::END_OF_TIME.ms(),
            Self::Live { .. } => self.now_ms(),
        }
    }

    /// The real time until the clock reaches `at_ms`.
    #[must_use]
    pub fn until(&self, at_ms: i64) -> Duration {
        let Self::Live { speed, .. } = self else { return Duration::ZERO };
        let ms = u64::try_from(at_ms.saturating_sub(self.now_ms())).unwrap_or(0);
        Duration::from_millis(ms.div_ceil(u64::from(speed.get())))
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

    #[test]
    fn a_fast_clock_runs_at_its_speed() {
        let started =
            Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine has run for longer");
        let clock = |speed| Clock::Live { start_ms: 5_000, started, speed: NonZeroU32::new(speed).unwrap() };
        for speed in [1, 60, 1000] {
            let before = i64::from(speed) * 10_000 + 5_000;
            let now_ms = clock(speed).now_ms();
            assert!((before..before + i64::from(speed) * 5_000).contains(&now_ms), "{now_ms} at {speed}");
        }
        assert_eq!(clock(60).until(0), Duration::ZERO);
        let minute = clock(60).until(clock(60).now_ms() + 60_000);
        assert!((Duration::from_millis(900)..=Duration::from_secs(1)).contains(&minute), "{minute:?}");
    }

    #[test]
    fn a_clock_starts_no_earlier_than_the_last_one_ended() {
        let far = system_now_ms() + 86_400_000;
        assert!(Clock::live(NonZeroU32::MIN, far).now_ms() >= far);
        assert!(Clock::live(NonZeroU32::MIN, 0).now_ms() < far);
    }
}
