//! A simulation of an adversarial market that a few numbers determine, and the command that repeats it.

use std::thread;

use equilibrium_domain::id::LaneCount;

use super::{FaultLevel, FaultSchedule, Mismatch, Outcome, Simulation, Trace, compare};
use crate::markets::{self, Market};
use crate::oracle::{self, Replayed};

/// A simulation that its fields determine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed of market, event source and instances.
    pub seed: u64,
    /// Lanes of the event stream.
    pub lanes: LaneCount,
    /// Whether the lanes double twice while events arrive. Shards split and merge at the bounds of eight lanes.
    pub doubles_lanes: bool,
    /// Lines of the market.
    pub events: usize,
    /// The faults of ports. With random ones, event source and instances misbehave, too.
    pub schedule: FaultSchedule,
}

impl Scenario {
    /// Lines of the market unless a scenario has another number.
    pub const EVENTS: usize = 150;

    /// Random faults under the seed; 1, 4 or 64 lanes by the seed unless `lanes` is given.
    #[must_use]
    pub fn random(seed: u64, lanes: Option<LaneCount>) -> Self {
        let by_seed = LaneCount::new([1, 4, 64][(seed % 3) as usize]).expect("powers of two");
        let lanes = lanes.unwrap_or(by_seed);
        Self {
            seed,
            lanes,
            doubles_lanes: false,
            events: Self::EVENTS,
            schedule: FaultSchedule::random(seed, lanes),
        }
    }

    /// The market, and the oracle's result for it.
    #[must_use]
    pub fn market(&self) -> (Market, Replayed) {
        let market = markets::market(self.seed, self.events);
        let expected = oracle::replay(&market.events, Some(&market.policies));
        (market, expected)
    }

    /// Runs the simulation and compares it with the oracle.
    ///
    /// # Errors
    /// The first [`Mismatch`].
    ///
    /// # Panics
    /// If the product contradicts itself ([`Simulation::run`]); then [`Self::command`] is printed.
    pub fn run(&self, trace: Trace) -> Result<Outcome, Mismatch> {
        let (market, expected) = self.market();
        self.run_with(&market, &expected, trace)
    }

    /// As [`Self::run`], with the result of [`Self::market`].
    ///
    /// # Errors
    /// The first [`Mismatch`].
    ///
    /// # Panics
    /// As [`Self::run`].
    pub fn run_with(&self, market: &Market, expected: &Replayed, trace: Trace) -> Result<Outcome, Mismatch> {
        let _printer = PrintOnPanic(self);
        let level = match self.schedule {
            FaultSchedule::Random { .. } => FaultLevel::Random,
            FaultSchedule::None | FaultSchedule::At(..) => FaultLevel::None,
        };
        let Self { seed, lanes, doubles_lanes, schedule, .. } = *self;
        let outcome = Simulation { market, lanes, doubles_lanes, level, schedule, seed, trace }.run();
        compare(&outcome, expected).map(|()| outcome)
    }

    /// The command that repeats the scenario with a trace.
    #[must_use]
    pub fn command(&self) -> String {
        let (seed, lanes) = (self.seed, self.lanes.get());
        if *self == Self::random(seed, Some(self.lanes)) {
            return format!("make simulate SEED={seed} LANES={lanes} TRACE=1");
        }
        let faults = match self.schedule {
            FaultSchedule::Random { .. } => String::new(),
            FaultSchedule::None => " --fault none".to_owned(),
            FaultSchedule::At(call, fault) => format!(" --fault {fault} --call {call}"),
        };
        let doubles = if self.doubles_lanes { " --double-lanes" } else { "" };
        let events = self.events;
        format!(
            "cargo run -p equilibrium-tests --bin simulate -- --seed {seed} --lanes {lanes}{doubles} --events {events}{faults} --trace"
        )
    }
}

/// Prints the scenario's command if the thread panics.
struct PrintOnPanic<'a>(&'a Scenario);

impl Drop for PrintOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("to repeat: {}", self.0.command());
        }
    }
}
