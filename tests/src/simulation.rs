//! The product among faults: its functions over ports that fail, under a runner that repeats, overlaps
//! and bisects batches, on instances that die, linger on and come back.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
use equilibrium_app::clock::Clock;
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::ingest::ingester::RecordPacker;
use equilibrium_app::ingest::ingester::RecordSink;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, NoOp};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::surge::ports::{MapStore, TickLog};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::count::lane::LaneState;
use equilibrium_domain::event::is_blank;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::map::{ClosedTick, MapHead, decode_chunk};
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, OnFailure, Target};
use equilibrium_event_source::record::Discarded;
use equilibrium_event_source::settings::Settings;
use equilibrium_lambda::kinesis::encode::Stream;
use equilibrium_local::commands::replay::tick_writer;

use crate::faults::{FaultInjector, FaultyPort};
use crate::markets::Market;
use equilibrium_simulator::rng::SplitMix64;

/// What a simulation came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every row of every tick, as a replay writes them: by city, in the order of ticks.
    pub rows: Vec<String>,
    /// Late events, as the lanes' checkpoints have them.
    pub late: u64,
    /// The rows of each city's map as it is stored in the end.
    pub maps: BTreeMap<CityId, Vec<String>>,
}

/// How rough a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultLevel {
    /// Batches come once, in order.
    None,
    /// Batches come again, overlap and fail; instances come and go; shards split and merge.
    Random,
}

const GROUPS: u32 = 4;

/// Runs `market` over `lanes`, any city if its policies are null; `seed` decides about the weather, `fate` about the ports.
///
/// # Panics
/// Where the product contradicts itself: a tick told twice and differently, a map that is not readable.
#[must_use]
pub fn simulate(
    market: &Market,
    lanes: LaneCount,
    weather: FaultLevel,
    seed: u64,
    fate: &FaultInjector,
) -> Outcome {
    let mut rng = SplitMix64::new(seed);
    let world = World::new(market, lanes, fate);
    let events = Arc::new(StreamLog::new(4));
    let settings = Settings {
        batch_size: if weather == FaultLevel::None { 100 } else { 1 + rng.below(30) },
        report_batch_item_failures: true,
        bisect_on_error: rng.percent(50),
        poll_ms: 0,
        ..Settings::default()
    };
    let mut count =
        runner(settings, &events, Instances::new(&world, weather, rng.next_u64(), World::counter));
    let mut surge =
        runner(settings, &world.counts, Instances::new(&world, weather, rng.next_u64(), World::pricer));
    let log = EventLog { log: Arc::clone(&events), lanes };
    let mut feed = RecordPacker::replay(log, lanes, Arc::clone(&world.book));
    let lines: Vec<&[u8]> = market.events.split(|byte| *byte == b'\n').collect();
    for chunk in lines.chunks(lines.len().div_ceil(4).max(1)) {
        for line in chunk.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
            if !is_blank(line) {
                // Who is refused is seen by the replay's own tests.
                drop(feed.line(line));
            }
        }
        for _ in 0..rng.below(20) {
            world.turn(&mut count, &mut surge);
        }
        if weather == FaultLevel::Random {
            reshard(&events, &mut rng);
        }
    }
    feed.end();
    events.close();
    while !count.is_finished() {
        world.turn(&mut count, &mut surge);
    }
    world.counts.close();
    while !surge.is_finished() {
        world.turn(&mut count, &mut surge);
    }
    world.outcome(lanes)
}

/// Splits or merges shards, where it can be done.
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

fn runner<T: Target>(
    settings: Settings,
    log: &Arc<StreamLog>,
    target: T,
) -> EventSourcePoller<Arc<StreamLog>, T, Nothing> {
    let stream = Stream {
        arn: "arn:aws:kinesis:::stream/x".into(),
        region: "x".into(),
        role_arn: "arn:aws:iam::x".into(),
    };
    EventSourcePoller::new(settings, stream, Arc::clone(log), target, Nothing)
        .expect("settings within their bounds")
}

/// Nothing may be discarded.
struct Nothing;

impl OnFailure for Nothing {
    async fn report(&self, discarded: Discarded) {
        panic!("discarded {discarded:?}");
    }
}

struct EventLog {
    log: Arc<StreamLog>,
    lanes: LaneCount,
}

impl RecordSink for EventLog {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        let put =
            self.log.put(lane.hash_key(self.lanes), lane.to_string(), record, Clock::Replay.arrival_ms());
        put.expect("the log is open while it is fed");
    }
}

#[derive(Clone)]
struct CountsLog(Arc<StreamLog>);

impl CountsStream for CountsLog {
    async fn send(&self, group: CityGroup, record: Vec<u8>) -> Result<(), Unavailable> {
        let hash_key = u128::MAX / u128::from(GROUPS) * u128::from(group);
        self.0
            .put(hash_key, group.to_string(), record, Clock::Replay.arrival_ms())
            .map(drop)
            .map_err(|_| Unavailable)
    }
}

/// Each city's ticks and their rows, and its map's products.
#[derive(Clone, Default)]
struct Ticks(Arc<Mutex<TickLines>>);

/// The lines of each city and tick.
type TickLines = BTreeMap<(CityId, i64), Vec<u8>>;

impl Ticks {
    fn lock(&self) -> MutexGuard<'_, TickLines> {
        self.0.lock()
    }
}

impl TickLog for Ticks {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        for tick in ticks {
            let mut lines = Vec::new();
            tick_writer::append(&mut lines, map, tick);
            if let Some(before) = self.lock().insert((map.city.clone(), tick.at), lines.clone()) {
                assert_eq!(before, lines, "{} at {} was told twice, and differently", map.city, tick.at);
            }
        }
        Ok(())
    }
}

/// What outlives an instance.
struct World {
    lanes: LaneCount,
    fate: FaultInjector,
    now: AtomicI64,
    book: Arc<PolicySet>,
    counts: Arc<StreamLog>,
    checkpoints: MemoryCheckpoints,
    maps: MemoryMaps,
    cache: MemoryMaps,
    ticks: Ticks,
}

type SimulatedCounter = LaneProcessor<FaultyPort<MemoryCheckpoints>, FaultyPort<CountsLog>, NoOp>;
type SimulatedPricer = CityProcessor<
    FaultyPort<MemoryCheckpoints>,
    FaultyPort<MemoryMaps>,
    FaultyPort<MemoryMaps>,
    FaultyPort<NoOp>,
    FaultyPort<Ticks>,
>;

impl World {
    fn new(market: &Market, lanes: LaneCount, fate: &FaultInjector) -> Self {
        let bounds = ResourceLimits::default();
        let book = if market.policies.is_null() {
            PolicySet::open(bounds)
        } else {
            let policies = Policy::list_from_json(&market.policies.to_string());
            PolicySet::of(policies.expect("a market's policies have no fault"), bounds)
        };
        Self {
            lanes,
            fate: fate.clone(),
            now: AtomicI64::new(0),
            book: Arc::new(book),
            counts: Arc::new(StreamLog::new(2)),
            checkpoints: MemoryCheckpoints::default(),
            maps: MemoryMaps::default(),
            cache: MemoryMaps::default(),
            ticks: Ticks::default(),
        }
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    fn counter(&self) -> SimulatedCounter {
        let settings = CountSettings { lanes: self.lanes, groups: GROUPS };
        let counts = FaultyPort::new(CountsLog(Arc::clone(&self.counts)), &self.fate);
        LaneProcessor::new(settings, FaultyPort::new(self.checkpoints.clone(), &self.fate), counts, NoOp)
    }

    fn pricer(&self) -> SimulatedPricer {
        let outlets = SurgeSinks {
            checkpoints: FaultyPort::new(self.checkpoints.clone(), &self.fate),
            maps: FaultyPort::new(self.maps.clone(), &self.fate),
            cache: FaultyPort::new(self.cache.clone(), &self.fate),
            changes: FaultyPort::new(NoOp, &self.fate),
            ticks: FaultyPort::new(self.ticks.clone(), &self.fate),
        };
        CityProcessor::new(self.lanes, outlets)
    }

    /// One turn of each runner, some seconds later: now and then a snapshot is due.
    fn turn<A: Target, B: Target>(
        &self,
        count: &mut EventSourcePoller<Arc<StreamLog>, A, Nothing>,
        surge: &mut EventSourcePoller<Arc<StreamLog>, B, Nothing>,
    ) {
        let mut due = ready(count.poll(self.now())).due_ms;
        due = due.min(ready(surge.poll(self.now())).due_ms);
        self.now.store((self.now() + 4_000).max(due.min(self.now() + 100_000)), Ordering::Relaxed);
    }

    fn outcome(&self, lanes: LaneCount) -> Outcome {
        let text = |lines: &[u8]| -> Vec<String> {
            let text = String::from_utf8(lines.to_vec()).expect("rows are UTF-8");
            text.lines().map(str::to_owned).collect()
        };
        let late = lanes.iter().map(|number| {
            let entries = ready(self.checkpoints.load(&CheckpointKey::Lane(number))).expect("memory answers");
            let lane = LaneState::load(number, lanes, entries.iter().map(Vec::as_slice));
            lane.expect("a log can be loaded").late()
        });
        let ticks = self.ticks.lock();
        let mut maps = BTreeMap::new();
        for (city, _) in ticks.keys() {
            let version = |store: &MemoryMaps| {
                ready(store.head(city)).expect("memory answers").map_or(0, |head| head.version)
            };
            assert!(version(&self.cache) <= version(&self.maps), "the copy of {city} is ahead of the truth");
            maps.insert(city.clone(), text(&map(&self.maps, city).unwrap_or_default()));
        }
        Outcome { rows: ticks.values().flat_map(|lines| text(lines)).collect(), late: late.sum(), maps }
    }
}

/// A city's stored map, as the rows of its tick.
fn map(store: &MemoryMaps, city: &CityId) -> Option<Vec<u8>> {
    let head = ready(store.head(city)).expect("memory answers")?;
    let mut rows = Vec::new();
    for name in &head.chunks {
        let chunk = ready(store.chunk(city, parent.0, *version)).expect("memory answers");
        let chunk = chunk.unwrap_or_else(|| panic!("{city}: chunk {parent:?} of version {version} is gone"));
        rows.extend(decode_chunk(&chunk).expect("a chunk can be read"));
    }
    rows.sort_by_key(|row| (head.products[usize::from(row.product)].clone(), row.cell));
    let tick =
        ClosedTick { at: head.as_of, version: head.version, heard: head.heard, rows, changes: Vec::new() };
    let mut lines = Vec::new();
    tick_writer::append(&mut lines, &head, &tick);
    Some(lines)
}

/// A function's instances: one works, others linger with an old memory.
struct Instances<'a, I> {
    world: &'a World,
    weather: FaultLevel,
    start: fn(&World) -> I,
    state: Mutex<InstancesState<I>>,
}

struct InstancesState<I> {
    rng: SplitMix64,
    alive: Vec<I>,
    /// Batches delivered before.
    past: Vec<Vec<u8>>,
}

impl<'a, I: Function> Instances<'a, I> {
    fn new(world: &'a World, weather: FaultLevel, seed: u64, start: fn(&World) -> I) -> Self {
        let state = InstancesState { rng: SplitMix64::new(seed), alive: Vec::new(), past: Vec::new() };
        Self { world, weather, start, state: Mutex::new(state) }
    }

    /// Lets one of the instances handle a batch. Who dies is gone.
    fn handle(&self, state: &mut InstancesState<I>, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let rough = self.weather == FaultLevel::Random;
        if state.alive.is_empty() || (rough && state.rng.percent(5)) {
            state.alive.push((self.start)(self.world));
        }
        let at = if rough { state.rng.below(state.alive.len()) } else { 0 };
        let handling = state.alive[at].handle(payload, &self.world.book, self.world.now());
        if let Some(answer) = poll(handling) {
            return Ok(answer);
        }
        state.alive.swap_remove(at);
        Err(InvokeError::Failed)
    }
}

impl<I: Function> Target for Instances<'_, I> {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let mut state = self.state.lock();
        if self.weather == FaultLevel::None {
            return self.handle(&mut state, payload);
        }
        if !state.past.is_empty() && state.rng.percent(10) {
            // A batch of before comes again, whatever has happened since.
            let count = state.past.len();
            let at = state.rng.below(count);
            let again = state.past[at].clone();
            drop(self.handle(&mut state, &again));
        }
        if state.past.len() < 50 {
            state.past.push(payload.to_vec());
        }
        let answer = self.handle(&mut state, payload)?;
        // What was done may not be heard of: it will come again.
        if state.rng.percent(10) { Err(InvokeError::Failed) } else { Ok(answer) }
    }
}

/// A function as Lambda sees it.
trait Function: Send {
    fn handle(&self, payload: &[u8], book: &Arc<PolicySet>, now: i64)
    -> impl Future<Output = Vec<u8>> + Send;
}

impl Function for SimulatedCounter {
    async fn handle(&self, payload: &[u8], book: &Arc<PolicySet>, now: i64) -> Vec<u8> {
        equilibrium_count::handle_event(self, payload, book, now).await.expect("the runner sends batches").0
    }
}

impl Function for SimulatedPricer {
    async fn handle(&self, payload: &[u8], book: &Arc<PolicySet>, now: i64) -> Vec<u8> {
        equilibrium_surge::handle_event(self, payload, book, now).await.expect("the runner sends batches").0
    }
}

/// What a future comes to at once; in memory, one that waits is one whose function has died.
fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    poll(future).expect("memory does not wait")
}
