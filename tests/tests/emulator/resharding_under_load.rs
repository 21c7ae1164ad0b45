//! Shards are split and merged under load; the ticks equal those of a replay on a single lane.

use equilibrium_domain::count::city_group::GroupCount;
use std::fs::{self, File};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::Shard;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, MemoryWatermarkBoard, NoOp};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_aws::kinesis::{Connection, Counts, Events, KinesisConsumer, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::system_timer::SystemTimer;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, Source, Target};
use equilibrium_event_source::settings::Settings;
use equilibrium_http::Request;
use equilibrium_local::commands::replay::Replay;
use equilibrium_local::commands::replay::tick_writer::TickWriter;
use equilibrium_simulator::city::{City, Settings as CitySettings, policy};
use equilibrium_tests::harness::emulator::{resharding_emulator, sdk_config, unique_name};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::end_to_end::{NoDiscards, event_source};

const DURATION_MS: i64 = 90_000;
const DRIVERS: NonZeroU32 = NonZeroU32::new(60).unwrap();
const GROUPS: GroupCount = GroupCount::new(4).expect("there is at least one");
const SHARDS: i32 = 2;
const BODY_EVENTS: usize = 40;

/// Some calls to this emulator take half a second.
const RETRY_POLICY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(30),
    attempt_timeout: Duration::from_secs(10),
    max_attempts: 3,
};

/// Limit of the whole run.
const TIMEOUT: Duration = Duration::from_mins(2);

struct Count(LaneProcessor<MemoryCheckpoints, Counts, NoOp>, Arc<PolicySet>);

impl Target for Count {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let handled = equilibrium_count::handle_event(&self.0, payload, &self.1, system_now_ms()).await;
        Ok(handled.unwrap().0)
    }
}

type TickWritingProcessor = CityProcessor<MemoryCheckpoints, MemoryMaps, NoOp, NoOp, TickWriter<File>>;

struct Surge(TickWritingProcessor, Arc<PolicySet>);

impl Target for Surge {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        Ok(equilibrium_surge::handle_event(&self.0, payload, &self.1, system_now_ms()).await.unwrap().0)
    }
}

fn lanes() -> LaneCount {
    LaneCount::new(16).unwrap()
}

/// The lines of a file of ticks up to the tick `last`, sorted.
fn lines_until(file: &Path, last: &str) -> Vec<String> {
    let is_up_to_last = |line: &&str| {
        let at = line.split(r#""at":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        at <= last
    };
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.lines().filter(is_up_to_last).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

async fn replay(events: &str, folder: &Path) -> PathBuf {
    let [file, city, out] = ["events", "city", "ticks"].map(|name| folder.join(name));
    fs::write(&file, events).unwrap();
    fs::write(&city, policy::JSON).unwrap();
    let replay = Replay { events: file, out: out.clone(), city: Some(city), lanes: LaneCount::ONE };
    assert_eq!(replay.run(&mut Vec::new()).await.unwrap().refused, 0);
    out
}

/// Splits and merges shards of the stream alternately; `steps` counts the operations.
struct Resharding<'a> {
    client: Client,
    stream: &'a str,
    consumer: KinesisConsumer,
    steps: usize,
}

impl Resharding<'_> {
    /// Splits a shard or merges two, once the stream allows it: one operation at a time.
    async fn step(&mut self) {
        while !self.is_active().await {
            sleep(Duration::from_millis(20)).await;
        }
        let open = self.open_shards().await;
        if self.steps.is_multiple_of(2) {
            let (id, from, to) = &open[self.steps % open.len()];
            let split = self.client.split_shard().stream_name(self.stream).shard_to_split(id);
            let half = from + (to - from) / 2 + 1;
            split.new_starting_hash_key(half.to_string()).send().await.unwrap();
        } else {
            let merge = self.client.merge_shards().stream_name(self.stream);
            merge.shard_to_merge(&open[0].0).adjacent_shard_to_merge(&open[1].0).send().await.unwrap();
        }
        self.steps += 1;
    }

    /// Id and range of hash keys of every open shard, in the order of the hash keys.
    async fn open_shards(&self) -> Vec<(String, u128, u128)> {
        let listed = self.client.list_shards().stream_name(self.stream).send().await.unwrap();
        let is_open =
            |shard: &&Shard| shard.sequence_number_range().unwrap().ending_sequence_number().is_none();
        let range = |shard: &Shard| {
            let range = shard.hash_key_range().unwrap();
            let key = |key: &str| key.parse().unwrap();
            (shard.shard_id().to_owned(), key(range.starting_hash_key()), key(range.ending_hash_key()))
        };
        let mut open: Vec<_> = listed.shards().iter().filter(is_open).map(range).collect();
        open.sort_unstable_by_key(|(_, from, _)| *from);
        open
    }

    async fn is_active(&self) -> bool {
        let described = self.client.describe_stream_summary().stream_name(self.stream).send().await.unwrap();
        described.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE"
    }
}

/// The streams and policies of the test.
struct Fixture {
    sdk: SdkConfig,
    connection: Connection,
    streams: Streams,
    policies: Arc<PolicySet>,
}

impl Fixture {
    async fn new() -> Self {
        let sdk = sdk_config(&resharding_emulator().endpoint);
        let connection = Connection::new(&sdk, RETRY_POLICY);
        let streams = Streams::named(&unique_name("resharded"));
        streams.create(&connection, SHARDS).await.unwrap();
        let limits = ResourceLimits { max_hold_ms: i64::MAX / 4, ..ResourceLimits::default() };
        let policies = Arc::new(PolicySet::of(vec![policy::policy()], limits));
        Self { sdk, connection, streams, policies }
    }

    fn consumer(&self, stream: &str) -> KinesisConsumer {
        KinesisConsumer::new(&self.connection, stream)
    }

    fn count(&self) -> Poller<Count> {
        let settings = CountSettings { lanes: lanes(), groups: GROUPS };
        let counts = Counts::new(&self.connection, &self.streams, GROUPS);
        let processor = LaneProcessor::new(settings, MemoryCheckpoints::default(), counts, NoOp);
        let count = Count(processor, Arc::clone(&self.policies));
        poller("events", self.consumer(&self.streams.events), count)
    }

    fn surge(&self, ticks: &Path) -> Poller<Surge> {
        let sinks = SurgeSinks {
            maps: MemoryMaps::default(),
            cache: NoOp,
            changes: NoOp,
            ticks: TickWriter::new(File::create(ticks).unwrap(), Arc::clone(&self.policies)),
        };
        let surge =
            Surge(CityProcessor::new(MemoryCheckpoints::default(), sinks), Arc::clone(&self.policies));
        poller("counts", self.consumer(&self.streams.counts), surge)
    }

    /// Ingests the events in small requests and reshards their stream meanwhile; the number of resharding
    /// operations and of shards.
    async fn ingest(&self, events: &str) -> (usize, usize) {
        let events_log = Events::new(&self.connection, &self.streams, lanes());
        let board = MemoryWatermarkBoard::default();
        let key = PseudonymKey::new([7; 16]);
        let ingester = Ingester::new(events_log, lanes(), key, board, SystemTimer, Pace::ALONE);
        let mut resharding = Resharding {
            client: Client::new(&self.sdk),
            stream: &self.streams.events,
            consumer: self.consumer(&self.streams.events),
            steps: 0,
        };
        let lines: Vec<&str> = events.split_inclusive('\n').collect();
        for (index, body) in lines.chunks(BODY_EVENTS).map(<[&str]>::concat).enumerate() {
            if index % 6 == 3 {
                resharding.step().await;
            }
            let headers = [("content-type".into(), "application/x-ndjson".into())];
            let body = body.as_bytes();
            let request = Request { method: "POST", path: "/v1/events", query: "", headers: &headers, body };
            let (response, metrics) =
                equilibrium_ingest::respond(&ingester, &request, &self.policies, system_now_ms()).await;
            assert_eq!((response.status, metrics.refused), (202, [0; 7]));
        }
        ingester.flush().await;
        (resharding.steps, resharding.consumer.shards().await.unwrap().len())
    }

    /// Runs the functions until the tick `last` is in the file.
    async fn process_until(&self, last: &str, ticks: &Path) {
        let (mut count, mut surge) = (self.count(), self.surge(ticks));
        let started = Instant::now();
        while !fs::read_to_string(ticks).unwrap().contains(last) {
            assert!(started.elapsed() < TIMEOUT, "{last} has not closed");
            count.poll(system_now_ms()).await;
            surge.poll(system_now_ms()).await;
            surge.target().0.ticks().end().unwrap();
        }
    }
}

type Poller<T> = EventSourcePoller<KinesisConsumer, T, NoDiscards>;

fn poller<T: Target>(name: &str, consumer: KinesisConsumer, target: T) -> Poller<T> {
    let settings =
        Settings { batch_size: 200, report_batch_item_failures: true, poll_ms: 0, ..Settings::default() };
    EventSourcePoller::new(settings, event_source(name), consumer, target, NoDiscards).unwrap()
}

/// The last tick that a live run closes: a replay closes one more.
fn last_live_tick(replayed: &Path) -> String {
    let text = fs::read_to_string(replayed).unwrap();
    let mut ticks: Vec<String> =
        text.lines().map(|line| line.split('"').nth(7).unwrap().to_owned()).collect();
    ticks.dedup();
    ticks[ticks.len() - 2].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn resharding_under_load_does_not_change_the_ticks() {
    let fixture = Fixture::new().await;
    let folder = TempDir::new().unwrap();
    let (mut events, now_ms) = (Vec::new(), system_now_ms());
    let settings = CitySettings { drivers: DRIVERS, crowd: 40, ..CitySettings::new(7, now_ms - DURATION_MS) };
    City::new(&settings, &policy::policy()).advance(now_ms, &mut events);
    let events = String::from_utf8(events).unwrap();
    let expected = replay(&events, folder.path()).await;
    let last = last_live_tick(&expected);

    let ticks = folder.path().join("resharded");
    let ((steps, shards), ()) = tokio::join!(fixture.ingest(&events), fixture.process_until(&last, &ticks));

    assert!(steps >= 4, "only {steps} steps");
    assert!(shards >= 6, "only {shards} shards");
    let (found, expected) = (lines_until(&ticks, &last), lines_until(&expected, &last));
    assert!(!expected.is_empty());
    assert!(found == expected, "{} rows, not {}", found.len(), expected.len());
}
