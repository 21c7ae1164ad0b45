//! The feed guard of CONTRACT §3.

use super::at_or_after;
use super::policy::Policy;

/// The guard of a city.
#[derive(Default)]
pub(super) struct Guard {
    /// The tick at which it went on, and the drivers in touch and lost then.
    on: Option<(i64, usize)>,
    /// The drivers lost at each tick that still counts.
    lost: Vec<(i64, usize)>,
}

impl Guard {
    /// Whether the guard is on at the end of `tick`.
    pub(super) fn decide(&mut self, tick: i64, lost: usize, in_touch: usize, policy: &Policy) -> bool {
        self.lost.push((tick, lost));
        let in_window = |at: i64| tick - policy.driver_ttl_ms < at && at <= tick;
        let lost: usize = self.lost.iter().filter(|(at, _)| in_window(*at)).map(|(_, lost)| lost).sum();
        match self.on {
            Some((since, base)) => {
                if 2 * in_touch >= base || tick - since >= policy.hold_ms {
                    self.on = None;
                    self.lost.clear();
                }
            }
            None => {
                if policy.hold_ms > 0 && lost >= policy.min_lost && lost > in_touch {
                    self.on = Some((tick, in_touch + lost));
                }
            }
        }
        self.on.is_some()
    }

    /// The ticks before `next`, at which no driver is in touch or lost: the guard may go off at one of them.
    pub(super) fn rest_before(&mut self, next: i64, policy: &Policy) {
        if let Some((since, _)) = self.on
            && at_or_after(since + policy.hold_ms, policy.tick_ms) < next
        {
            self.on = None;
            self.lost.clear();
        }
    }
}
