//! Shards split and merged while events come and are counted: the ticks are the unsharded run's.

use std::fs::{self, File};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, NoOp};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_aws::kinesis::{Connection, Counts, Events, KinesisConsumer, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::LaneCount;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, NeverDiscard, Source, Target};
use equilibrium_event_source::settings::Settings;
use equilibrium_http::Request;
use equilibrium_local::commands::replay::Replay;
use equilibrium_local::commands::replay::tick_writer::TickWriter;
use equilibrium_simulator::city::{City, Settings as CitySettings, policy};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::emulator::{config, fresh, now_ms, resharding_emulator};
use crate::walk::names;

const LASTS_MS: i64 = 90_000;
const DRIVERS: NonZeroU32 = NonZeroU32::new(60).unwrap();
const GROUPS: NonZeroU32 = NonZeroU32::new(4).unwrap();
const SHARDS: i32 = 2;
const BODY_EVENTS: usize = 40;

/// This emulator takes half a second for some calls.
const PATIENCE: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(30),
    attempt_timeout: Duration::from_secs(10),
    max_attempts: 3,
};

/// How long the ticks may take.
const WITHIN: Duration = Duration::from_mins(2);

struct Count(LaneProcessor<MemoryCheckpoints, Counts, NoOp>, Arc<PolicySet>);

impl Target for Count {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let handled = equilibrium_count::handle_event(&self.0, payload, &self.1, now_ms()).await;
        Ok(handled.unwrap().0)
    }
}

type Writing = CityProcessor<MemoryCheckpoints, MemoryMaps, NoOp, NoOp, TickWriter<File>>;

struct Surge(Writing, Arc<PolicySet>);

impl Target for Surge {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        Ok(equilibrium_surge::handle_event(&self.0, payload, &self.1, now_ms()).await.unwrap().0)
    }
}

fn lanes() -> LaneCount {
    LaneCount::new(16).unwrap()
}

/// The lines of a file of ticks up to one, in an order of their own.
fn lines_until(file: &Path, last: &str) -> Vec<String> {
    let is_until = |line: &&str| {
        let at = line.split(r#""at":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        at <= last
    };
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.lines().filter(is_until).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

async fn unsharded(events: &str, folder: &Path) -> std::path::PathBuf {
    let [file, city, out] = ["events", "city", "ticks"].map(|name| folder.join(name));
    fs::write(&file, events).unwrap();
    fs::write(&city, policy::JSON).unwrap();
    let replay = Replay { events: file, out: out.clone(), city: Some(city), lanes: LaneCount::ONE };
    assert_eq!(replay.run(&mut Vec::new()).await.unwrap().refused, 0);
    out
}

/// Splits and merges shards of the stream, one after the other, until `steps` have been done.
struct Resharding<'a> {
    client: Client,
    stream: &'a str,
    source: KinesisConsumer,
    steps: usize,
}

impl Resharding<'_> {
    async fn step(&mut self) {
        let open = async {
            let listed = self.client.list_shards().stream_name(self.stream).send().await.unwrap();
            let mut open: Vec<(String, u128, u128)> = listed
                .shards()
                .iter()
                .filter(|shard| shard.sequence_number_range().unwrap().ending_sequence_number().is_none())
                .map(|shard| {
                    let range = shard.hash_key_range().unwrap();
                    let key = |key: &str| key.parse().unwrap();
                    (
                        shard.shard_id().to_owned(),
                        key(range.starting_hash_key()),
                        key(range.ending_hash_key()),
                    )
                })
                .collect();
            open.sort_unstable_by_key(|(_, from, _)| *from);
            open
        }
        .await;
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

    async fn is_active(&self) -> bool {
        let described = self.client.describe_stream_summary().stream_name(self.stream).send().await.unwrap();
        described.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ticks_are_the_unsharded_runs_when_shards_split_and_merge_under_load() {
    let sdk = config(&resharding_emulator().endpoint);
    let connection = Connection::new(&sdk, PATIENCE);
    let streams = Streams::named(&fresh("resharded"));
    streams.create(&connection, SHARDS).await.unwrap();
    let folder = TempDir::new().unwrap();

    let (mut events, now) = (Vec::new(), now_ms());
    let settings = CitySettings { drivers: DRIVERS, crowd: 40, ..CitySettings::new(7, now - LASTS_MS) };
    City::new(&settings, &policy::policy()).advance(now, &mut events);
    let events = String::from_utf8(events).unwrap();
    let expected = unsharded(&events, folder.path()).await;

    let bounds = ResourceLimits { max_hold_ms: i64::MAX / 4, ..ResourceLimits::default() };
    let book = Arc::new(PolicySet::of(vec![policy::policy()], bounds));
    let settings = CountSettings { lanes: lanes(), groups: GROUPS.get() };
    let counts = Counts::new(&connection, &streams, GROUPS);
    let count =
        Count(LaneProcessor::new(settings, MemoryCheckpoints::default(), counts, NoOp), Arc::clone(&book));
    let ticks = folder.path().join("resharded");
    let outlets = SurgeSinks {
        checkpoints: MemoryCheckpoints::default(),
        maps: MemoryMaps::default(),
        cache: NoOp,
        changes: NoOp,
        ticks: TickWriter::new(File::create(&ticks).unwrap()),
    };
    let surge = Surge(CityProcessor::new(lanes(), outlets), Arc::clone(&book));
    let settings =
        Settings { batch_size: 200, report_batch_item_failures: true, poll_ms: 0, ..Settings::default() };
    let source = |name: &str| KinesisConsumer::new(&connection, name);
    let mut count =
        EventSourcePoller::new(settings, names("events"), source(&streams.events), count, NeverDiscard)
            .unwrap();
    let mut surge =
        EventSourcePoller::new(settings, names("counts"), source(&streams.counts), surge, NeverDiscard)
            .unwrap();

    let ingester = Ingester::new(Events::new(&connection, &streams, lanes()), lanes());
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    let bodies: Vec<String> = lines.chunks(BODY_EVENTS).map(<[&str]>::concat).collect();
    let mut resharding = Resharding {
        client: Client::new(&sdk),
        stream: &streams.events,
        source: source(&streams.events),
        steps: 0,
    };
    let feeding = async {
        for (index, body) in bodies.iter().enumerate() {
            if index % 6 == 3 {
                // A stream is resharded once at a time.
                while !resharding.is_active().await {
                    sleep(Duration::from_millis(20)).await;
                }
                resharding.step().await;
            }
            let headers = [("content-type".into(), "application/x-ndjson".into())];
            let body = body.as_bytes();
            let request = Request { method: "POST", path: "/v1/events", query: "", headers: &headers, body };
            let (response, tally) = equilibrium_ingest::respond(&ingester, &request, &book, now_ms()).await;
            assert_eq!((response.status, tally.refused), (202, [0; 7]));
        }
        (resharding.steps, resharding.source.shards().await.unwrap().len())
    };
    let last = {
        let text = fs::read_to_string(&expected).unwrap();
        let mut ats: Vec<String> =
            text.lines().map(|line| line.split('"').nth(7).unwrap().to_owned()).collect();
        ats.dedup();
        // A served tick is five seconds older than a replay's last.
        ats[ats.len() - 2].clone()
    };
    let counting = async {
        let began = Instant::now();
        loop {
            count.poll(now_ms()).await;
            surge.poll(now_ms()).await;
            surge.target().0.ticks().end().unwrap();
            if fs::read_to_string(&ticks).unwrap().contains(&last) {
                return;
            }
            assert!(began.elapsed() < WITHIN, "{last} has not closed");
        }
    };
    let ((steps, shards), ()) = tokio::join!(feeding, counting);
    assert!(steps >= 4, "{steps} times only");
    assert!(shards >= 6, "{shards} shards only");
    let (found, expected) = (lines_until(&ticks, &last), lines_until(&expected, &last));
    assert!(!expected.is_empty());
    assert!(found == expected, "{} rows, not {}", found.len(), expected.len());
}
