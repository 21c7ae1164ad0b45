//! The fault simulation: the functions over ports that fail, under pollers that repeat and bisect batches, on instances
//! that die and return with outdated state (docs/simulation.md).

#[cfg(feature = "aws")]
pub mod aws;
mod comparison;
mod deployment;
mod faults;
mod instances;
mod scenario;
mod schedule;
mod ticks;
mod trace;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use equilibrium_app::checkpoint::ports::{CheckpointKey, Loaded};
use equilibrium_app::clock::Clock;
use equilibrium_app::ingest::record_packer::{RecordPacker, RecordSink};
use equilibrium_domain::event::is_blank;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::pseudonym::{KEY_BYTES, PseudonymKey};
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, NeverDiscard, Target};
use equilibrium_event_source::settings::Settings;
use equilibrium_lambda::kinesis::encode::Stream;
use equilibrium_simulator::rng::SplitMix64;

pub use self::comparison::{Mismatch, compare};
pub use self::scenario::Scenario;
pub use self::schedule::{Fault, FaultSchedule};
pub use self::trace::Trace;

use self::deployment::{Deployment, Poller};
use self::faults::FaultInjector;
use self::instances::Instances;
use crate::markets::Market;

/// A fixed key: a seed gives the same trace.
const PSEUDONYM_KEY: [u8; KEY_BYTES] = *b"simulated market";

/// Whether the event source and the instances misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultLevel {
    /// Every batch is delivered once, in order, to one instance.
    None,
    /// Batches repeat, overlap and fail; instances come and go; shards split and merge.
    Random,
}

/// The inputs that determine a simulation.
pub struct Simulation<'a> {
    /// The events, and the policies; null policies accept any city.
    pub market: &'a Market,
    /// Lanes of the event stream.
    pub lanes: LaneCount,
    /// Whether the lanes double twice while events arrive.
    pub doubles_lanes: bool,
    /// Whether the event source and the instances misbehave.
    pub level: FaultLevel,
    /// The faults of ports.
    pub schedule: FaultSchedule,
    /// The seed of event source and instances.
    pub seed: u64,
    /// Where the trace goes.
    pub trace: Trace,
}

/// The result of a simulation.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every row of every tick as a replay writes them: by city, in the order of ticks.
    pub rows: Vec<String>,
    /// Late events, according to the lanes' checkpoints.
    pub late: u64,
    /// The rows of each city's stored map.
    pub maps: BTreeMap<CityId, Vec<String>>,
    /// What each checkpoint log holds.
    pub checkpoints: BTreeMap<CheckpointKey, Loaded>,
    /// Calls to ports.
    pub calls: u64,
}

impl Simulation<'_> {
    /// Runs the simulation to the end of the market.
    ///
    /// # Panics
    /// If the product contradicts itself: a tick with two different results, an unreadable map, a discarded batch.
    #[must_use]
    pub fn run(self) -> Outcome {
        let injector = FaultInjector::new(self.schedule, &self.trace);
        let deployment = Deployment::new(&self.market.policies, self.lanes, injector, self.trace.clone());
        let mut rng = SplitMix64::new(self.seed);
        let settings = self.settings(&mut rng);
        let events = Arc::new(StreamLog::new(4));
        let count = Instances::new(&deployment, self.level, rng.next_u64(), Deployment::start_count);
        let mut count = poller(settings, &events, count);
        let surge = Instances::new(&deployment, self.level, rng.next_u64(), Deployment::start_surge);
        let mut surge = poller(settings, &deployment.counts, surge);

        self.put_events(&events, &deployment, &mut rng, |deployment| deployment.poll(&mut count, &mut surge));
        events.close();
        while !count.is_finished() {
            deployment.poll(&mut count, &mut surge);
        }
        deployment.counts.close();
        while !surge.is_finished() {
            deployment.poll(&mut count, &mut surge);
        }
        deployment.outcome()
    }

    fn settings(&self, rng: &mut SplitMix64) -> Settings {
        Settings {
            batch_size: if self.level == FaultLevel::None { 100 } else { 1 + rng.below(30) },
            report_batch_item_failures: true,
            bisect_on_error: rng.percent(50),
            poll_ms: 0,
            ..Settings::default()
        }
    }

    /// Puts the market's events in six parts; after each it polls a few times, and may split or merge shards.
    fn put_events(
        &self,
        events: &Arc<StreamLog>,
        deployment: &Deployment,
        rng: &mut SplitMix64,
        mut poll: impl FnMut(&Deployment),
    ) {
        let log = EventLog { log: Arc::clone(events), lanes: self.lanes };
        let key = Arc::new(PseudonymKey::new(PSEUDONYM_KEY));
        let mut packer = RecordPacker::replay(log, self.lanes, Arc::clone(&deployment.policies), key);
        let lines: Vec<&[u8]> = self.market.events.split(|byte| *byte == b'\n').collect();
        let parts = lines.chunks(lines.len().div_ceil(6).max(1));
        for (number, part) in parts.enumerate() {
            // `count` is deployed with more lanes first. The feeder follows when no older instance is left.
            match number {
                1 | 4 if self.doubles_lanes => deployment.double_lanes(),
                2 | 5 => {
                    let lanes = deployment.retire_instances();
                    packer.set_lanes(lanes).lanes = lanes;
                }
                _ => {}
            }
            for line in part.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
                if !is_blank(line) {
                    // `tests/tests/replay.rs` compares refusals.
                    drop(packer.line(line));
                }
            }
            for _ in 0..rng.below(20) {
                poll(deployment);
            }
            if self.level == FaultLevel::Random {
                reshard(events, rng);
            }
        }
        packer.end();
    }
}

/// Splits or merges shards at random, where that is possible.
fn reshard(log: &StreamLog, rng: &mut SplitMix64) {
    let open = log.open_shards();
    let at = rng.below(open.len());
    if rng.percent(50) {
        let middle = (u128::MAX / 8) * (1 + rng.below(7) as u128);
        drop(log.split(&open[at], middle));
    } else if let Some(next) = open.get(at + 1) {
        drop(log.merge(&open[at], next));
    }
}

fn poller<T: Target>(settings: Settings, log: &Arc<StreamLog>, target: T) -> Poller<T> {
    let stream = Stream {
        arn: "arn:aws:kinesis:::stream/x".into(),
        region: "x".into(),
        role_arn: "arn:aws:iam::x".into(),
    };
    let poller = EventSourcePoller::new(settings, stream, Arc::clone(log), target, NeverDiscard);
    poller.expect("the settings are in range")
}

/// The event stream over the in-memory stream log.
struct EventLog {
    log: Arc<StreamLog>,
    lanes: LaneCount,
}

impl RecordSink for EventLog {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        let hash_key = lane.hash_key(self.lanes);
        let put = self.log.put(hash_key, lane.to_string(), record, Clock::Replay.arrival_ms());
        put.expect("the log is open until all events are put");
    }
}

/// The output of a future after one poll. In-memory ports never wait: a pending future is an instance that has died.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    poll_once(future).expect("in-memory ports never wait")
}
