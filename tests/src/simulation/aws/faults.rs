//! What requests to AWS and execution environments suffer beyond the limits.

use equilibrium_simulator::rng::SplitMix64;

/// How often something fails: one in so many, never where it is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AwsFaults {
    /// Requests that fail without an effect.
    pub lost_before_one_in: usize,
    /// Requests that have their effect and are never answered.
    pub lost_after_one_in: usize,
    /// Invocations that die at some time of their run.
    pub crash_one_in: usize,
    /// Batches after which the environment is replaced by one with nothing in memory.
    pub swap_one_in: usize,
    /// Invocations whose response is lost.
    pub response_lost_one_in: usize,
}

impl AwsFaults {
    /// Nothing fails.
    pub const NONE: Self = Self {
        lost_before_one_in: 0,
        lost_after_one_in: 0,
        crash_one_in: 0,
        swap_one_in: 0,
        response_lost_one_in: 0,
    };

    /// More than a bad day: a request in fifty, an invocation in ten.
    pub const MANY: Self = Self {
        lost_before_one_in: 100,
        lost_after_one_in: 100,
        crash_one_in: 20,
        swap_one_in: 10,
        response_lost_one_in: 20,
    };

    pub(super) fn draw(self, rng: &mut SplitMix64) -> Option<RequestFault> {
        if happens(self.lost_before_one_in, rng) {
            return Some(RequestFault::LostBefore);
        }
        happens(self.lost_after_one_in, rng).then_some(RequestFault::LostAfter)
    }
}

/// Draws whether something that happens one time in `one_in` happens now.
pub(super) fn happens(one_in: usize, rng: &mut SplitMix64) -> bool {
    one_in > 0 && rng.below(one_in) == 0
}

/// The fault of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestFault {
    LostBefore,
    LostAfter,
}
