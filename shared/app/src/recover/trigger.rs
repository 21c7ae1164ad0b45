//! Detection in band: an answer that sees a city overdue by two ticks has a recovery started beside it.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::timer::is_within;

/// The least time between two triggers of a process, in milliseconds.
pub const INTERVAL_MS: i64 = 1_000;

/// Lets one trigger a second through.
#[derive(Debug)]
pub struct TriggerPace(AtomicI64);

impl Default for TriggerPace {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl TriggerPace {
    /// Whether a trigger at `now_ms` is let through.
    pub fn admits(&self, now_ms: i64) -> bool {
        let last_ms = self.0.load(Ordering::Relaxed);
        let last = Some(last_ms).filter(|last_ms| *last_ms != i64::MIN);
        let is_due = !is_within(last, INTERVAL_MS, now_ms);
        is_due && self.0.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trigger_a_second_is_let_through() {
        let pace = TriggerPace::default();
        let admitted: Vec<bool> =
            [0, 1, 999, 1_000, 1_001, 500].iter().map(|now_ms| pace.admits(*now_ms)).collect();
        // A clock that was set back does not hold triggers up.
        assert_eq!(admitted, [true, false, false, true, false, true]);
    }
}
