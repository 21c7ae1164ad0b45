//! The part of a simulation that outlives instances: stores, streams, policies and the simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::clock::Clock;
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, NoOp};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::count::lane::LaneState;
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, NeverDiscard, Target};
use parking_lot::Mutex;
use serde_json::Value;

use super::faults::{FaultInjector, FaultyPort};
use super::ticks::{Ticks, map_rows, map_version};
use super::trace::Trace;
use super::{Outcome, ready};

/// City groups of the counts stream.
const GROUPS: GroupCount = GroupCount::new(4).expect("there is at least one");

/// A poller of one of the simulated streams.
pub(super) type Poller<T> = EventSourcePoller<Arc<StreamLog>, T, NeverDiscard>;

pub(super) type SimulatedLaneProcessor =
    LaneProcessor<FaultyPort<MemoryCheckpoints>, FaultyPort<CountsLog>, NoOp>;

pub(super) type SimulatedCityProcessor = CityProcessor<
    FaultyPort<MemoryCheckpoints>,
    FaultyPort<MemoryMaps>,
    FaultyPort<MemoryMaps>,
    FaultyPort<NoOp>,
    FaultyPort<Ticks>,
>;

/// The counts stream over the in-memory stream log.
#[derive(Clone)]
pub(super) struct CountsLog(Arc<StreamLog>);

impl CountsStream for CountsLog {
    async fn send(&self, _: LaneId, group: CityGroup, record: Vec<u8>) -> Result<(), SendError> {
        let (key, partition) = (group.hash_key(GROUPS), group.to_string());
        let put = self.0.put(key, partition, record, Clock::Replay.arrival_ms());
        Ok(put.map(drop).map_err(|_| Unavailable)?)
    }
}

pub(super) struct Deployment {
    first_lanes: LaneCount,
    lanes: Mutex<LaneCount>,
    /// Instances that were started before this many lanes were deployed are gone.
    retired_below: Mutex<LaneCount>,
    pub(super) policies: Arc<PolicySet>,
    pub(super) counts: Arc<StreamLog>,
    pub(super) trace: Trace,
    injector: FaultInjector,
    checkpoints: MemoryCheckpoints,
    maps: MemoryMaps,
    cache: MemoryMaps,
    ticks: Ticks,
}

impl Deployment {
    /// A deployment under `policies`; null accepts any city.
    pub(super) fn new(policies: &Value, lanes: LaneCount, injector: FaultInjector, trace: Trace) -> Self {
        let limits = ResourceLimits::default();
        let policies = if policies.is_null() {
            PolicySet::open(limits)
        } else {
            let policies = Policy::list_from_json(&policies.to_string());
            PolicySet::of(policies.expect("a market's policies are valid"), limits)
        };
        let policies = Arc::new(policies);
        trace.set_now_ms(0);
        Self {
            first_lanes: lanes,
            lanes: Mutex::new(lanes),
            retired_below: Mutex::new(lanes),
            ticks: Ticks::new(&policies, &trace),
            policies,
            counts: Arc::new(StreamLog::new(2)),
            injector,
            checkpoints: MemoryCheckpoints::default(),
            maps: MemoryMaps::default(),
            cache: MemoryMaps::default(),
            trace,
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.trace.now_ms()
    }

    pub(super) fn lanes(&self) -> LaneCount {
        *self.lanes.lock()
    }

    /// Deploys `count` with twice as many lanes: the instances that start from here on.
    pub(super) fn double_lanes(&self) {
        let mut lanes = self.lanes.lock();
        *lanes = LaneCount::new(lanes.get() * 2).expect("far below the greatest lane count");
    }

    /// Ends the instances of `count` that were started with fewer lanes than are deployed, and returns these: from here
    /// on the feeder may write to them.
    pub(super) fn retire_instances(&self) -> LaneCount {
        let lanes = self.lanes();
        *self.retired_below.lock() = lanes;
        lanes
    }

    pub(super) fn is_retired(&self, lanes: LaneCount) -> bool {
        lanes < *self.retired_below.lock()
    }

    pub(super) fn start_count(&self) -> SimulatedLaneProcessor {
        let settings = CountSettings { lanes: self.lanes(), groups: GROUPS };
        let checkpoints = self.faulty("count.checkpoints", self.checkpoints.clone());
        let counts = self.faulty("count.counts", CountsLog(Arc::clone(&self.counts)));
        LaneProcessor::new(settings, checkpoints, counts, NoOp)
    }

    pub(super) fn start_surge(&self) -> SimulatedCityProcessor {
        let sinks = SurgeSinks {
            maps: self.faulty("surge.maps", self.maps.clone()),
            cache: self.faulty("surge.cache", self.cache.clone()),
            changes: self.faulty("surge.changes", NoOp),
            ticks: self.faulty("surge.ticks", self.ticks.clone()),
        };
        let checkpoints = self.faulty("surge.checkpoints", self.checkpoints.clone());
        CityProcessor::new(checkpoints, sinks)
    }

    fn faulty<P>(&self, name: &'static str, port: P) -> FaultyPort<P> {
        FaultyPort::new(port, name, &self.injector)
    }

    /// Polls both streams, then advances the time by at least four seconds, so that snapshots become due.
    pub(super) fn poll<A: Target, B: Target>(&self, count: &mut Poller<A>, surge: &mut Poller<B>) {
        let now_ms = self.now_ms();
        let due_ms = ready(count.poll(now_ms)).due_ms;
        let due_ms = due_ms.min(ready(surge.poll(now_ms)).due_ms);
        self.trace.set_now_ms((now_ms + 4_000).max(due_ms.min(now_ms + 100_000)));
    }

    pub(super) fn outcome(&self) -> Outcome {
        let ticks = self.ticks.lock();
        let cities: BTreeSet<&CityId> = ticks.keys().map(|(city, _)| city).collect();
        let mut maps = BTreeMap::new();
        for city in &cities {
            let (cached, stored) = (map_version(&self.cache, city), map_version(&self.maps, city));
            assert!(cached <= stored, "the cache of {city} is ahead of the store: {cached} > {stored}");
            maps.insert((*city).clone(), map_rows(&self.maps, &self.policies, city));
        }
        let ranges = LaneRange::all(self.lanes()).map(CheckpointKey::Lanes);
        let keys = ranges.chain(cities.into_iter().cloned().map(CheckpointKey::City));
        Outcome {
            rows: ticks.values().flatten().cloned().collect(),
            late: self.late(),
            maps,
            checkpoints: keys.map(|key| (key.clone(), self.log(&key))).collect(),
            calls: self.injector.calls(),
        }
    }

    fn late(&self) -> u64 {
        LaneRange::all(self.first_lanes).map(|range| self.late_in(range, None)).sum()
    }

    /// The late events of a range of lanes, or of those that it became; `origin` is the state with which its log begins.
    fn late_in(&self, range: LaneRange, origin: Option<&LaneRangeState>) -> u64 {
        let origin = origin.map(|parent| parent.descend(range).expect("the range descends from it"));
        let mut log = self.log(&CheckpointKey::Lanes(range));
        if log.snapshot.is_none() {
            log.snapshot = origin.map(|mut origin| origin.begin_continued().1);
        }
        let restored = log.snapshot.map(|snapshot| LaneRangeState::restore(&range, &snapshot));
        let restored = restored.transpose().expect("a snapshot can be restored");
        let state = (log.first..).zip(&log.entries).fold(restored, |state, (number, entry)| {
            Some(LaneRangeState::replay(state, &range, number, entry).expect("a log can be replayed"))
        });
        let Some(state) = state else {
            let doubled = LaneCount::new(range.lane_count().get() * 2).filter(|lanes| *lanes <= self.lanes());
            let doubled = doubled.into_iter().flat_map(LaneRange::all);
            let became = doubled.filter(|became| became.parent() == Some(range));
            return became.map(|became| self.late_in(became, None)).sum();
        };
        let Some(lanes) = state.doubled_to() else {
            return state.lanes().map(LaneState::late).sum();
        };
        let descends = |became: &LaneRange| {
            let mut became = *became;
            while became.lane_count() > range.lane_count() {
                became = became.parent().expect("there were fewer lanes");
            }
            became == range
        };
        let became = LaneRange::all(lanes).filter(descends);
        became.map(|became| self.late_in(became, Some(&state))).sum()
    }

    fn log(&self, key: &CheckpointKey) -> Loaded {
        ready(self.checkpoints.load(key, None)).expect("memory is available")
    }
}
