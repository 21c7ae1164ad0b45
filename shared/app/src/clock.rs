//! The process's own clock, for arrival, ticks and age alike (CONTRACT §4).

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use equilibrium_domain::time::Timestamp;

/// What time it is to everything in the process.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// A replay has no clock: memory never ages, and nothing is waited for.
    Replay,
    /// Runs from `start_ms` on.
    Live {
        /// What it showed at `started`, in milliseconds since the epoch.
        start_ms: i64,
        /// When that was.
        started: Instant,
        /// How much faster than the world's it runs.
        speed: NonZeroU32,
    },
}

impl Clock {
    /// A clock that shows the world's time now, or `not_before_ms` where that is later, and runs `speed`
    /// times as fast.
    #[must_use]
    pub fn live(speed: NonZeroU32, not_before_ms: i64) -> Self {
        Self::Live { start_ms: system_now_ms().max(not_before_ms), started: Instant::now(), speed }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let Self::Live { start_ms, started, speed } = self else { return 0 };
        let passed_ms = started.elapsed().as_millis() * u128::from(speed.get());
        start_ms.saturating_add(i64::try_from(passed_ms).unwrap_or(i64::MAX))
    }

    /// When a record that is put now arrives. A replayed one arrives so late that nothing is ever held
    /// back by it.
    #[must_use]
    pub fn arrival_ms(&self) -> i64 {
        match self {
            Self::Replay => Timestamp::END_OF_TIME.ms(),
            Self::Live { .. } => self.now_ms(),
        }
    }

    /// How long the world waits until the clock shows `at_ms`.
    #[must_use]
    pub fn until(&self, at_ms: i64) -> Duration {
        let Self::Live { speed, .. } = self else { return Duration::ZERO };
        let ms = u64::try_from(at_ms.saturating_sub(self.now_ms())).unwrap_or(0);
        Duration::from_millis(ms.div_ceil(u64::from(speed.get())))
    }
}

/// The system's clock, in milliseconds since the epoch; a clock before 1970 shows 1970.
#[must_use]
pub fn system_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_runs_as_many_times_as_fast_and_never_back() {
        let started = Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine runs longer");
        let clock = |speed| Clock::Live { start_ms: 5_000, started, speed: NonZeroU32::new(speed).unwrap() };
        for speed in [1, 60, 1000] {
            let before = i64::from(speed) * 10_000 + 5_000;
            let shown = clock(speed).now_ms();
            assert!((before..before + i64::from(speed) * 5_000).contains(&shown), "{shown} at {speed}");
        }
        assert_eq!(clock(60).until(0), Duration::ZERO);
        let minute = clock(60).until(clock(60).now_ms() + 60_000);
        assert!((Duration::from_millis(900)..=Duration::from_secs(1)).contains(&minute), "{minute:?}");
    }

    #[test]
    fn a_clock_goes_on_where_the_last_one_ended() {
        let far = system_now_ms() + 86_400_000;
        assert!(Clock::live(NonZeroU32::MIN, far).now_ms() >= far);
        assert!(Clock::live(NonZeroU32::MIN, 0).now_ms() < far);
    }
}
