//! The time at which an event counts.

use equilibrium_domain::event::{MAX_FUTURE_MS, Refusal};
use equilibrium_domain::time::Timestamp;

/// The time at which an event counts (CONTRACT §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeRule {
    /// The event's own time.
    Replay,
    /// The event's own time or its arrival, whichever is earlier.
    Live {
        /// The receiver's clock, in milliseconds since the epoch.
        now_ms: i64,
    },
}

impl TimeRule {
    /// The time at which an event of `time` counts, in milliseconds since the epoch.
    pub(super) fn counted_ms(self, time: Timestamp) -> Result<i64, Refusal> {
        let Self::Live { now_ms } = self else { return Ok(time.ms()) };
        let ahead_ms = time.ms() - now_ms;
        if ahead_ms > MAX_FUTURE_MS {
            return Err(Refusal::TooFarInFuture { ahead_ms });
        }
        Ok(time.ms().min(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_event_counts_no_later_than_its_arrival() {
        let live = TimeRule::Live { now_ms: 1_000_000 };
        let at = |ms| Timestamp::from_ms(ms).unwrap();
        assert_eq!(live.counted_ms(at(999_999)), Ok(999_999));
        assert_eq!(live.counted_ms(at(1_000_001)), Ok(1_000_000));
        assert_eq!(live.counted_ms(at(1_060_000)), Ok(1_000_000));
        assert_eq!(live.counted_ms(at(1_060_001)), Err(Refusal::TooFarInFuture { ahead_ms: 60_001 }));
        assert_eq!(TimeRule::Replay.counted_ms(at(1_060_001)), Ok(1_060_001));
    }
}
