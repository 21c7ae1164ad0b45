//! A deployment in a simulated account: producers, `count` and `surge` over the adapters for AWS, fed a simulated city.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::checkpoint::metrics::CheckpointMetrics;
use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::history::ports::HistoryStore;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::ingest::ports::Timer;
use equilibrium_app::laws::ports::DayStore;
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{self, Checkpoints, Maps, Tables, WatermarkBoard};
use equilibrium_aws::kinesis::{self, Changes, Counts, Events, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::count::city_group::GroupCount;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneCount};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, NeverDiscard};
use equilibrium_event_source::settings::{MAX_BATCH_SIZE, Settings};
use equilibrium_lambda::kinesis::encode::Stream;
use equilibrium_simulator::city::{self, City};
use equilibrium_simulator::rng::SplitMix64;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::crowd::Crowd;
use super::environments::{Alias, Environments, Function, FunctionMetrics};
use super::shard_source::{Iteration, ShardSource};
use super::{Aws, AwsFaults, START_MS, SimulatedClock, TableLimits, Units};
use crate::simulation::PSEUDONYM_KEY;
use crate::simulation::ticks::Ticks;
use crate::simulation::trace::Trace;

/// City groups, as a deployment has by default.
const GROUPS: GroupCount = GroupCount::new(16).expect("there is at least one");
/// The retry policies of `ingest`.
const STREAM_RETRY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(1),
    attempt_timeout: Duration::from_millis(400),
    max_attempts: 3,
};
const BOARD_RETRY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_millis(300),
    attempt_timeout: Duration::from_millis(140),
    max_attempts: 2,
};
/// From a client to the handler of `ingest`.
const TO_INGEST: Duration = Duration::from_millis(30);
/// The pause before a client sends a call again.
const CLIENT_BACKOFF: Duration = Duration::from_millis(200);
/// How long the last ticks may take after the last call, in milliseconds.
const MAX_END_MS: i64 = 120_000;
/// The pause between looks of an idle mapping, in milliseconds.
const LOOK_MS: i64 = 20;

/// A deployment and its load, which determine a simulation.
#[derive(Clone, Copy, Debug)]
pub struct AwsScenario {
    /// The seed of the city, of the services and of the faults.
    pub seed: u64,
    /// Drivers of the city; 3,000 send 672 events a second.
    pub drivers: u32,
    /// How long the city sends events, in milliseconds.
    pub duration_ms: i64,
    /// Events of a call.
    pub call_events: usize,
    /// Lanes of the event stream.
    pub lanes: u32,
    /// Shards of the event stream; the counts have half as many.
    pub shards: usize,
    /// Execution environments of `count` and of `surge`, each.
    pub environments: usize,
    /// Producers: environments of `ingest`.
    pub feeders: usize,
    /// How `count` and `surge` receive records.
    pub iterations: (Iteration, Iteration),
    /// What requests and environments suffer.
    pub faults: AwsFaults,
    /// Whether drivers of a crowd send the events, instead of the city's.
    pub crowd: Option<Crowd>,
    /// Limits of the tables.
    pub limits: TableLimits,
    /// How long a tick waits for its last lane, in milliseconds.
    pub max_hold_ms: i64,
}

impl AwsScenario {
    /// Two environments a function over 64 lanes in two shards, 672 events a second in calls of 100, without faults.
    #[must_use]
    pub fn usual(seed: u64, duration_ms: i64) -> Self {
        Self {
            seed,
            drivers: 3_000,
            duration_ms,
            call_events: 100,
            lanes: 64,
            shards: 2,
            environments: 2,
            feeders: 2,
            iterations: (Iteration::Polled, Iteration::Polled),
            faults: AwsFaults::NONE,
            crowd: None,
            limits: TableLimits::NEW_TABLE,
            max_hold_ms: ResourceLimits::default().max_hold_ms,
        }
    }

    /// Runs the simulation to the last tick of the city.
    ///
    /// # Panics
    /// If a limit is exceeded that no retry can keep, or a tick does not come.
    #[must_use]
    pub fn run(&self) -> AwsOutcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(AwsDeployment::new(self).run())
    }
}

/// A map that became readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The tick, in milliseconds since the epoch.
    pub tick_ms: i64,
    /// When the first event of its end was sent, `lateness_ms` later.
    pub due_ms: i64,
    /// When its head was in the store.
    pub readable_ms: i64,
}

/// A snapshot of a range of lanes that was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedSnapshot {
    /// When saving began, in milliseconds since the epoch.
    pub begun_ms: i64,
    /// When it was saved.
    pub saved_ms: i64,
    /// Its length before compression.
    pub bytes: usize,
}

/// The result of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsOutcome {
    /// The lines that were sent.
    pub events: Vec<u8>,
    /// The number of lines.
    pub event_count: u64,
    /// The rows of every tick.
    pub rows: Vec<String>,
    /// The maps.
    pub published: Vec<Published>,
    /// The snapshots of ranges of lanes.
    pub snapshots: Vec<SavedSnapshot>,
    /// What the last load of a range of lanes with nothing in memory found.
    pub last_load: Option<Loaded>,
    /// Consumed units by kind of item.
    pub units: BTreeMap<String, Units>,
    /// Records of the event stream: those put, those of watermarks among them, those refused.
    pub records: (u64, u64, u64),
    /// Records and bytes of the streams of events, counts and changes.
    pub streams: [(u64, u64); 3],
    /// What `count` and `surge` did.
    pub functions: [FunctionMetrics; 2],
}

/// The future of a handler, boxed: its layout is too deep to be part of another.
type Handled<'a, M, E> = Pin<Box<dyn Future<Output = Result<(Vec<u8>, M), E>> + Send + 'a>>;

type AwsLaneProcessor = LaneProcessor<ObservedLog, Counts, NoOp>;
type AwsCityProcessor = CityProcessor<Checkpoints, Observed, NoOp, Changes, Ticks>;

impl Function for AwsLaneProcessor {
    async fn handle(
        &self,
        payload: &[u8],
        policies: &Arc<PolicySet>,
        now_ms: i64,
    ) -> (Vec<u8>, CheckpointMetrics) {
        let handled: Handled<'_, _, _> =
            Box::pin(equilibrium_count::handle_event(self, payload, policies, now_ms));
        let (response, metrics) = handled.await.expect("the poller sends Kinesis events");
        (response, metrics.checkpoint)
    }
}

impl Function for AwsCityProcessor {
    async fn handle(
        &self,
        payload: &[u8],
        policies: &Arc<PolicySet>,
        now_ms: i64,
    ) -> (Vec<u8>, CheckpointMetrics) {
        let handled: Handled<'_, _, _> =
            Box::pin(equilibrium_surge::handle_event(self, payload, policies, now_ms));
        let (response, metrics) = handled.await.expect("the poller sends Kinesis events");
        (response, metrics.checkpoint)
    }
}

impl Timer for SimulatedClock {
    fn now_ms(&self) -> i64 {
        (*self).now_ms()
    }

    async fn wait_until(&self, at_ms: i64) {
        (*self).wait_until(at_ms).await;
    }
}

/// The map store, which notes when a map became readable.
#[derive(Debug)]
struct Observed {
    maps: Maps,
    clock: SimulatedClock,
    published: Arc<Mutex<BTreeMap<i64, i64>>>,
}

impl MapStore for Observed {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.maps.save_chunk(city, name, chunk).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.maps.save_head(head).await?;
        self.published.lock().entry(head.as_of).or_insert_with(|| self.clock.now_ms());
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.maps.head(city).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.maps.chunk(city, name).await
    }
}

impl HistoryStore for Observed {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.maps.save_history(city, key, item).await
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        self.maps.history(city, from, limit).await
    }
}

impl DayStore for Observed {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.maps.save_day(city, day, figures).await
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        self.maps.days(city, from, to).await
    }
}

/// The checkpoint log, which notes what was loaded, and when a snapshot was saved.
#[derive(Debug)]
struct ObservedLog {
    log: Checkpoints,
    clock: SimulatedClock,
    seen: Arc<Mutex<SeenLogs>>,
}

#[derive(Debug, Default)]
struct SeenLogs {
    snapshots: Vec<SavedSnapshot>,
    last_load: Option<Loaded>,
}

impl CheckpointLog for ObservedLog {
    async fn load(&self, key: &CheckpointKey, next: Option<u64>) -> Result<Loaded, Unavailable> {
        let loaded = self.log.load(key, next).await?;
        if next.is_none() {
            self.seen.lock().last_load = Some(loaded.clone());
        }
        Ok(loaded)
    }

    async fn append(&self, key: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        self.log.append(key, entry).await
    }

    async fn save_snapshot(
        &self,
        key: &CheckpointKey,
        number: u64,
        snapshot: &[u8],
    ) -> Result<(), Unavailable> {
        let (begun_ms, bytes) = (self.clock.now_ms(), snapshot.len());
        self.log.save_snapshot(key, number, snapshot).await?;
        let saved_ms = self.clock.now_ms();
        self.seen.lock().snapshots.push(SavedSnapshot { begun_ms, saved_ms, bytes });
        Ok(())
    }
}

/// A running deployment.
pub struct AwsDeployment {
    scenario: AwsScenario,
    clock: SimulatedClock,
    aws: Aws,
    policy: Policy,
    policies: Arc<PolicySet>,
    ticks: Ticks,
    published: Arc<Mutex<BTreeMap<i64, i64>>>,
    seen: Arc<Mutex<SeenLogs>>,
    logs: [Arc<StreamLog>; 2],
    count: Arc<Environments<AwsLaneProcessor>>,
    surge: Arc<Environments<AwsCityProcessor>>,
    mappings: JoinSet<()>,
}

impl AwsDeployment {
    /// The deployment of a scenario, in the runtime whose time it advances.
    #[must_use]
    pub fn new(scenario: &AwsScenario) -> Self {
        let clock = SimulatedClock::new();
        let aws = Aws::new(clock, scenario.seed, scenario.faults, scenario.limits);
        let policy = city::policy::policy();
        let limits = ResourceLimits { max_hold_ms: scenario.max_hold_ms, ..ResourceLimits::default() };
        let policies = Arc::new(PolicySet::of(vec![policy.clone()], limits));
        let (streams, ticks) = (Streams::named("simulated"), Ticks::new(&policies, &Trace::off()));
        let (published, seen) = (Arc::default(), Arc::default());
        aws.create_stream(&streams.changes, 1);
        let logs = [(&streams.events, scenario.shards), (&streams.counts, scenario.shards.div_ceil(2))];
        let logs = logs.map(|(name, shards)| {
            aws.create_stream(name, shards);
            aws.stream(name)
        });
        let start = (scenario.environments, scenario.seed);
        let start_count = start_count(&aws, (clock, Arc::clone(&seen)), scenario.lane_count());
        let count = Environments::new(start, clock, &policies, start_count);
        let start_surge = start_surge(&aws, (clock, Arc::clone(&published)), ticks.clone());
        let surge = Environments::new(start, clock, &policies, start_surge);
        count.set_faults(scenario.faults);
        surge.set_faults(scenario.faults);
        let (scenario, mappings) = (*scenario, JoinSet::new());
        Self { scenario, clock, aws, policy, policies, ticks, published, seen, logs, count, surge, mappings }
    }

    async fn run(mut self) -> AwsOutcome {
        self.start_mappings();
        let (events, event_count, last_ms) = match self.scenario.crowd {
            None => self.feed().await,
            Some(crowd) => {
                let streams = Streams::named("simulated");
                let stream = (&self.aws, streams.events.as_str(), self.scenario.lane_count());
                let until_ms = START_MS + self.scenario.duration_ms;
                let times = (self.clock, until_ms, self.scenario.seed);
                let sent = crowd.feed(stream, (&self.policy.city, &self.policies), times).await;
                (Vec::new(), sent, until_ms)
            }
        };
        let end = (last_ms - self.policy.clock.lateness_ms).div_euclid(self.policy.clock.tick_ms)
            * self.policy.clock.tick_ms;
        let deadline_ms = self.clock.now_ms() + MAX_END_MS;
        while self.published.lock().last_key_value().is_none_or(|(tick, _)| *tick < end) {
            assert!(self.clock.now_ms() < deadline_ms, "no map of the tick {end}");
            sleep(Duration::from_millis(50)).await;
        }
        self.mappings.shutdown().await;
        self.outcome(events, event_count)
    }

    fn outcome(self, events: Vec<u8>, event_count: u64) -> AwsOutcome {
        let published = self.published.lock();
        let published = published.iter().map(|(tick_ms, readable_ms)| Published {
            tick_ms: *tick_ms,
            due_ms: tick_ms + self.policy.clock.lateness_ms,
            readable_ms: *readable_ms,
        });
        let streams = Streams::named("simulated");
        let SeenLogs { snapshots, last_load } = std::mem::take(&mut *self.seen.lock());
        AwsOutcome {
            events,
            event_count,
            rows: self.ticks.lock().values().flatten().cloned().collect(),
            published: published.collect(),
            snapshots,
            last_load,
            units: self.aws.units(),
            records: self.aws.records(&streams.events),
            streams: [&streams.events, &streams.counts, &streams.changes]
                .map(|name| (self.aws.records(name).0, self.aws.bytes(name))),
            functions: [self.count.metrics(), self.surge.metrics()],
        }
    }

    /// Starts a poller for each shard of both streams, each at a time of its own.
    fn start_mappings(&mut self) {
        let mut rng = SplitMix64::new(self.scenario.seed);
        let (of_count, of_surge) = self.scenario.iterations;
        for shard in self.logs[0].open_shards() {
            let clock = (self.clock, START_MS + rng.between(0, 999));
            let source = ShardSource::new(&self.logs[0], shard, of_count, clock);
            self.mappings.spawn(poll(source, Alias(Arc::clone(&self.count)), self.clock));
        }
        for shard in self.logs[1].open_shards() {
            let clock = (self.clock, START_MS + rng.between(0, 999));
            let source = ShardSource::new(&self.logs[1], shard, of_surge, clock);
            self.mappings.spawn(poll(source, Alias(Arc::clone(&self.surge)), self.clock));
        }
    }

    /// Sends the city's events as they happen, each call to a producer chosen at random. Returns the lines, their number,
    /// and the time of the last.
    async fn feed(&self) -> (Vec<u8>, u64, i64) {
        let AwsScenario { seed, drivers, duration_ms, call_events, feeders, .. } = self.scenario;
        let feeders: Vec<_> = (0..feeders).map(|_| self.feeder()).collect();
        let drivers = NonZeroU32::new(drivers).expect("a city has drivers");
        let mut city =
            City::new(&city::Settings { drivers, ..city::Settings::new(seed, START_MS) }, &self.policy);
        let mut rng = SplitMix64::new(seed);
        let (mut all, mut sent, mut lines) = (Vec::new(), 0, 0);
        let mut calls = JoinSet::new();
        let end_ms = START_MS + duration_ms;
        let mut last_ms = START_MS;
        for until_ms in (START_MS..=end_ms).step_by(10) {
            self.clock.wait_until(until_ms).await;
            let begin = all.len();
            city.advance(until_ms, &mut all);
            if all.len() > begin {
                last_ms = until_ms - 10;
            }
            lines += all[begin..].split(|byte| *byte == b'\n').count() - 1;
            while lines >= call_events || (until_ms == end_ms && lines > 0) {
                let length = all[sent..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                let count = call_events.min(lines);
                let length = length.map(|(at, _)| at + 1).nth(count - 1).expect("there are as many");
                let feeder = Arc::clone(&feeders[rng.below(feeders.len())]);
                let (policies, clock) = (Arc::clone(&self.policies), self.clock);
                calls.spawn(call(feeder, all[sent..sent + length].to_vec(), policies, clock));
                sent += length;
                lines -= count;
            }
        }
        while let Some(ended) = calls.join_next().await {
            ended.expect("a call ends");
        }
        (all, city.events(), last_ms)
    }

    fn feeder(&self) -> Arc<Feeder> {
        let sdk = self.aws.sdk_config();
        let (tables, streams) = (Tables::named("simulated"), Streams::named("simulated"));
        let board = WatermarkBoard::new(&dynamodb::Connection::new(&sdk, BOARD_RETRY), &tables);
        let lanes = self.scenario.lane_count();
        let events = Events::new(&kinesis::Connection::new(&sdk, STREAM_RETRY), &streams, lanes);
        let key = PseudonymKey::new(PSEUDONYM_KEY);
        Arc::new(Ingester::new(events, lanes, key, board, self.clock, Pace::FLEET))
    }
}

impl AwsScenario {
    fn lane_count(&self) -> LaneCount {
        LaneCount::new(self.lanes).expect("a power of two")
    }
}

type Feeder = Ingester<Events, WatermarkBoard, SimulatedClock>;

/// A client's call, which is sent again until it is accepted.
async fn call(feeder: Arc<Feeder>, lines: Vec<u8>, policies: Arc<PolicySet>, clock: SimulatedClock) {
    sleep(TO_INGEST).await;
    loop {
        let mut batch = feeder.begin(&policies, clock.now_ms()).await.expect("the policies are known");
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            batch.line(line).expect("the city's events are valid");
        }
        let committed = feeder.commit(batch).await;
        feeder.settle().await;
        if committed.is_ok() {
            return;
        }
        sleep(CLIENT_BACKOFF).await;
    }
}

/// Polls one shard without end.
async fn poll<F: Function>(source: ShardSource, target: Alias<F>, clock: SimulatedClock) {
    let settings = Settings {
        batch_size: MAX_BATCH_SIZE,
        bisect_on_error: true,
        report_batch_item_failures: true,
        poll_ms: LOOK_MS,
        ..Settings::default()
    };
    let stream = Stream {
        arn: "arn:aws:kinesis:::stream/x".into(),
        region: "x".into(),
        role_arn: "arn:aws:iam::x".into(),
    };
    let poller = EventSourcePoller::new(settings, stream, source, target, NeverDiscard);
    let mut poller = poller.expect("the settings are in range");
    loop {
        let due_ms = poller.poll(clock.now_ms()).await.due_ms;
        clock.wait_until(due_ms.max(clock.now_ms() + 1)).await;
    }
}

fn start_count(
    aws: &Aws,
    (clock, seen): (SimulatedClock, Arc<Mutex<SeenLogs>>),
    lanes: LaneCount,
) -> impl Fn() -> AwsLaneProcessor + Send + Sync + 'static {
    let aws = aws.clone();
    move || {
        let sdk = aws.sdk_config();
        let (tables, streams) = (Tables::named("simulated"), Streams::named("simulated"));
        let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
        let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
        let counts = Counts::new(&kinesis, &streams, GROUPS);
        let settings = CountSettings { lanes, groups: GROUPS };
        let log = Checkpoints::new(&dynamodb, &tables);
        let log = ObservedLog { log, clock, seen: Arc::clone(&seen) };
        LaneProcessor::new(settings, log, counts, NoOp)
    }
}

fn start_surge(
    aws: &Aws,
    (clock, published): (SimulatedClock, Arc<Mutex<BTreeMap<i64, i64>>>),
    ticks: Ticks,
) -> impl Fn() -> AwsCityProcessor + Send + Sync + 'static {
    let aws = aws.clone();
    move || {
        let sdk = aws.sdk_config();
        let (tables, streams) = (Tables::named("simulated"), Streams::named("simulated"));
        let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
        let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
        let maps = Observed { maps: Maps::new(&dynamodb, &tables), clock, published: Arc::clone(&published) };
        let changes = Changes::new(&kinesis, &streams);
        let sinks = SurgeSinks { maps, cache: NoOp, changes, ticks: ticks.clone() };
        CityProcessor::new(Checkpoints::new(&dynamodb, &tables), sinks)
    }
}
