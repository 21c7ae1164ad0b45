//! Which fault happens at which call to a port.

use std::fmt;

use equilibrium_domain::id::LaneCount;
use equilibrium_simulator::rng::SplitMix64;

/// A fault at a call to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The instance dies before the call has an effect.
    CrashBefore,
    /// The instance dies after the call has had its effect.
    CrashAfter,
    /// The call fails without an effect.
    LostBefore,
    /// The call has its effect and its response is lost.
    LostAfter,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::CrashBefore, Self::CrashAfter, Self::LostBefore, Self::LostAfter];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrashBefore => "crash_before",
            Self::CrashAfter => "crash_after",
            Self::LostBefore => "lost_before",
            Self::LostAfter => "lost_after",
        })
    }
}

/// When faults happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultSchedule {
    /// Never.
    None,
    /// At random, at one of `one_in` calls in the mean.
    Random {
        /// The seed of the random numbers.
        seed: u64,
        /// The inverse of the probability.
        one_in: usize,
    },
    /// This fault at the call with this number, counted from 0, and no other.
    At(u64, Fault),
}

impl FaultSchedule {
    /// Random faults, about one per batch: a batch calls the ports of each of its lanes.
    #[must_use]
    pub fn random(seed: u64, lanes: LaneCount) -> Self {
        Self::Random { seed, one_in: 25 * (lanes.get() as usize).div_ceil(4) }
    }
}

/// The progress of a schedule.
#[derive(Debug)]
pub(super) struct Faults {
    schedule: FaultSchedule,
    rng: SplitMix64,
    calls: u64,
}

impl Faults {
    pub(super) fn new(schedule: FaultSchedule) -> Self {
        let seed = if let FaultSchedule::Random { seed, .. } = schedule { seed } else { 0 };
        Self { schedule, rng: SplitMix64::new(seed), calls: 0 }
    }

    /// The number of calls so far.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    /// The number of the next call, and its fault.
    pub(super) fn next_call(&mut self) -> (u64, Option<Fault>) {
        let call = self.calls;
        self.calls += 1;
        let fault = match self.schedule {
            FaultSchedule::None => None,
            FaultSchedule::Random { one_in, .. } => {
                (self.rng.below(one_in) == 0).then(|| self.rng.one_of(&Fault::ALL))
            }
            FaultSchedule::At(number, fault) => (call == number).then_some(fault),
        };
        (call, fault)
    }
}
