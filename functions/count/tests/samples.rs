//! The function as Lambda invokes it, with the samples of `events/kinesis`: batches of a stream with two lanes.
#![allow(clippy::unwrap_used)]

use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::event_sourced::Entry;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::checkpoint::metrics::CheckpointMetrics;
use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::count::dead_letters::{MAX_DEAD_LETTER_LINE_BYTES, MAX_DEAD_LETTERS_PER_BATCH};
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::count::metrics::CountMetrics;
use equilibrium_app::count::ports::{CountsStream, DeadLetter, DeadLetterQueue};
use equilibrium_app::memory::{MemoryCheckpoints, MemoryPolicies, NoOp, Recorder};
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::policy::ports::{NewVersion, PolicySource, PolicyStore};
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_domain::count::sightings::Count;
use equilibrium_domain::count::tick_counts::{self, TickCounts};
use equilibrium_domain::event::Refusal;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_lambda::kinesis::decode::decode_event;
use tokio::time::Sleep;

/// 2026-03-06T17:00:05Z, the first tick of New York in the samples.
const TICK: i64 = 1_772_816_405_000;

/// Shortly after the samples' records arrived.
const NOW_MS: i64 = TICK + 7_000;

const NONE_FAILED: &str = r#"{"batchItemFailures":[]}"#;

fn sample(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/kinesis").join(name).with_extension("json");
    fs::read(path).unwrap()
}

fn lanes() -> LaneCount {
    LaneCount::new(2).unwrap()
}

/// A lane, and for each of its ticks the number of drivers and riders.
type LaneTicks = (LaneId, Vec<(i64, u32, u32)>);

/// An instance of the function with its counts stream and its dead-letter queue.
struct Function<D> {
    processor: LaneProcessor<MemoryCheckpoints, Recorder<(CityGroup, Vec<u8>)>, D>,
    sent: Recorder<(CityGroup, Vec<u8>)>,
    dead_letters: D,
    policies: Arc<PolicySet>,
}

impl Function<Recorder<DeadLetter>> {
    fn new() -> Self {
        Self::with(Recorder::default())
    }
}

impl<D: DeadLetterQueue + Clone> Function<D> {
    fn with(dead_letters: D) -> Self {
        let sent = Recorder::default();
        let settings = CountSettings { lanes: lanes(), groups: GroupCount::ONE };
        let processor =
            LaneProcessor::new(settings, MemoryCheckpoints::default(), sent.clone(), dead_letters.clone());
        Self { processor, sent, dead_letters, policies: Arc::new(PolicySet::open(ResourceLimits::default())) }
    }

    /// Handles a sample; no record may fail.
    async fn handle_sample(&self, name: &str) -> CountMetrics {
        self.handle(&sample(name)).await
    }

    async fn handle(&self, payload: &[u8]) -> CountMetrics {
        let handled = equilibrium_count::handle_event(&self.processor, payload, &self.policies, NOW_MS).await;
        let (response, metrics) = handled.unwrap();
        assert_eq!(String::from_utf8(response).unwrap(), NONE_FAILED);
        metrics
    }

    /// The ticks of New York in each record that was sent since the last call.
    fn sent_ticks(&self) -> Vec<LaneTicks> {
        let sent = self.sent.take().into_iter().map(|(_, record)| {
            let counts = tick_counts::open(&record).unwrap();
            let [city] = &counts.cities[..] else { panic!("{} cities", counts.cities.len()) };
            assert_eq!(city.city.as_str(), "nyc");
            let ticks = tick_counts::read_tick_counts(city.ticks, city.products.len()).unwrap();
            (counts.lane, ticks.iter().map(entities).collect())
        });
        sent.collect()
    }
}

fn skipped(skipped: u64) -> CheckpointMetrics {
    CheckpointMetrics { skipped, ..CheckpointMetrics::default() }
}

/// A tick and its number of drivers and riders.
fn entities(counts: &TickCounts) -> (i64, u32, u32) {
    match counts {
        TickCounts::Empty { from, to } => {
            assert_eq!(from, to);
            (*from, 0, 0)
        }
        TickCounts::Tick { at, supply, demand, .. } => {
            let sum = |counts: &[Count]| counts.iter().map(|count| count.entities).sum();
            (*at, sum(supply), sum(demand))
        }
    }
}

fn refused(metrics: &CountMetrics, code: &str) -> u64 {
    metrics.refused[Refusal::CODES.iter().position(|known| *known == code).unwrap()]
}

#[tokio::test]
async fn events_and_watermarks_of_two_lanes_become_tick_counts_of_each() {
    let function = Function::new();
    let metrics = function.handle_sample("count").await;
    assert_eq!(metrics, CountMetrics { absorbed: 8, ..CountMetrics::default() });
    // The driver of the second lane has no sighting before the tick.
    assert_eq!(function.sent_ticks(), [(LaneId(0), vec![(TICK, 1, 3)]), (LaneId(1), vec![(TICK, 0, 3)])]);
}

#[tokio::test]
async fn the_tick_counts_are_those_of_the_sample_for_surge() {
    let function = Function::new();
    function.handle_sample("count").await;
    let payload = sample("surge");
    let batch = decode_event(&payload).unwrap();
    let expected: Vec<_> = batch.iter().map(|record| (CityGroup(0), record.data.to_vec())).collect();
    assert_eq!(function.sent.take(), expected);
}

#[tokio::test]
async fn an_invalid_record_affects_no_neighbour() {
    let function = Function::new();
    let metrics = function.handle_sample("count-bad-record").await;
    assert_eq!((metrics.absorbed, metrics.unroutable), (6, 1));
    assert_eq!((refused(&metrics, "malformed_json"), refused(&metrics, "bad_field")), (1, 1));
    assert_eq!(metrics.refused.iter().sum::<u64>(), 2);
    assert_eq!(function.sent_ticks(), [(LaneId(0), vec![(TICK, 1, 3)]), (LaneId(1), vec![(TICK, 0, 1)])]);
}

#[tokio::test]
async fn only_the_record_that_is_not_utf_8_is_refused() {
    let function = Function::new();
    let metrics = function.handle_sample("count-not-utf8").await;
    assert_eq!((metrics.absorbed, metrics.unroutable, refused(&metrics, "malformed_json")), (1, 1, 1));
    assert_eq!(function.sent_ticks(), [(LaneId(0), vec![(TICK, 0, 0)]), (LaneId(1), vec![(TICK, 0, 0)])]);
}

#[tokio::test]
async fn a_repeated_batch_is_skipped_and_sends_nothing() {
    let function = Function::new();
    function.handle_sample("count").await;
    assert_eq!(function.sent_ticks().len(), 2);
    for _ in 0..2 {
        assert_eq!(
            function.handle_sample("count").await,
            CountMetrics { checkpoint: skipped(4), ..CountMetrics::default() }
        );
        assert!(function.sent.take().is_empty());
    }
}

#[tokio::test]
async fn an_overlapping_batch_is_absorbed_from_its_first_new_record() {
    let function = Function::new();
    function.handle_sample("count").await;
    assert_eq!(function.sent_ticks().len(), 2);
    let metrics = function.handle_sample("count-overlapping").await;
    assert_eq!(metrics, CountMetrics { absorbed: 1, checkpoint: skipped(2), ..CountMetrics::default() });
    assert!(function.sent.take().is_empty());
}

/// A queue that is unavailable.
#[derive(Clone, Copy)]
struct UnavailableQueue;

impl DeadLetterQueue for UnavailableQueue {
    async fn send(&self, dead_letters: Vec<DeadLetter>) -> Result<(), Unavailable> {
        assert!(!dead_letters.is_empty());
        Err(Unavailable)
    }
}

/// A batch of one record.
fn batch(sequence: u64, data: &[u8]) -> Vec<u8> {
    let data = base64_simd::STANDARD.encode_to_string(data);
    let record = format!(
        r#"{{"kinesis":{{"sequenceNumber":"{sequence}","data":"{data}","approximateArrivalTimestamp":1772816406.5}}}}"#
    );
    format!(r#"{{"Records":[{record}]}}"#).into_bytes()
}

/// A valid event of the lane that most of these tests use.
const VALID: &str =
    r#"{"type":"ride_matched","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"r1"}"#;

#[tokio::test]
async fn a_refused_event_becomes_a_dead_letter_with_its_bytes_and_position() {
    let function = Function::new();
    let unknown = VALID.replace("\"nyc\"", "\"NYC\"");
    let long = "x".repeat(MAX_DEAD_LETTER_LINE_BYTES + 1);
    let record = [b"{\xff}".as_slice(), b"", VALID.as_bytes(), b"\r", unknown.as_bytes(), long.as_bytes()];
    let metrics = function.handle(&batch(7, &record.join(&b'\n'))).await;
    assert_eq!((metrics.absorbed, metrics.dead_letters_dropped), (1, 0));
    let dead_letters = function.dead_letters.take();
    let sent: Vec<_> = dead_letters.iter().map(|letter| (letter.index, letter.code, letter.length)).collect();
    let expected = [
        (0, "malformed_json", 3),
        (2, "bad_field", unknown.len()),
        (3, "too_large", MAX_DEAD_LETTER_LINE_BYTES + 1),
    ];
    assert_eq!(sent, expected);
    assert_eq!(dead_letters[0].line, b"{\xff}");
    assert_eq!(dead_letters[1].line, unknown.as_bytes());
    assert_eq!(dead_letters[2].line.len(), MAX_DEAD_LETTER_LINE_BYTES);
    for letter in dead_letters {
        assert_eq!((letter.sequence.as_str(), letter.arrival_ms), ("7", 1_772_816_406_500));
        assert!(!letter.message.is_empty());
    }
}

#[tokio::test]
async fn valid_events_send_no_dead_letter() {
    let function = Function::new();
    function.handle_sample("count").await;
    assert_eq!(function.dead_letters.take(), []);
    // The queue would fail if it were called.
    assert_eq!(Function::with(UnavailableQueue).handle_sample("count").await.dead_letters_dropped, 0);
}

#[tokio::test]
async fn all_refused_events_are_counted_and_a_limited_number_become_dead_letters() {
    let function = Function::new();
    let record = format!("{VALID}\n{}", "?\n".repeat(3 * MAX_DEAD_LETTERS_PER_BATCH));
    let metrics = function.handle(&batch(7, record.as_bytes())).await;
    assert_eq!(refused(&metrics, "malformed_json"), 3 * MAX_DEAD_LETTERS_PER_BATCH as u64);
    assert_eq!(metrics.dead_letters_dropped, 2 * MAX_DEAD_LETTERS_PER_BATCH as u64);
    assert_eq!(function.dead_letters.take().len(), MAX_DEAD_LETTERS_PER_BATCH);
}

#[tokio::test]
async fn an_unavailable_queue_fails_no_batch() {
    let function = Function::with(UnavailableQueue);
    let metrics = function.handle_sample("count-bad-record").await;
    assert_eq!((metrics.absorbed, metrics.dead_letters_dropped), (6, 2));
    assert_eq!(function.sent_ticks(), [(LaneId(0), vec![(TICK, 1, 3)]), (LaneId(1), vec![(TICK, 0, 1)])]);
}

#[tokio::test]
async fn an_unroutable_record_becomes_dead_letters_at_each_delivery() {
    let function = Function::new();
    for _ in 0..2 {
        let metrics = function.handle(&batch(7, b"?")).await;
        assert_eq!((metrics.unroutable, metrics.dead_letters_dropped), (1, 0));
        assert_eq!(function.dead_letters.take().len(), 1);
    }
}

#[tokio::test]
async fn a_repeated_record_sends_no_dead_letter_again() {
    let function = Function::new();
    let record = format!("?\n{VALID}\n?");
    for expected in [2, 0] {
        let metrics = function.handle(&batch(8, record.as_bytes())).await;
        assert_eq!(refused(&metrics, "malformed_json"), expected);
        assert_eq!(function.dead_letters.take().len() as u64, expected);
    }
}

/// A checkpoint log to which no entry can be appended.
struct UnavailableLog;

impl CheckpointLog for UnavailableLog {
    async fn load(&self, _: &CheckpointKey, _: Option<u64>) -> Result<Loaded, Unavailable> {
        Ok(Loaded::default())
    }

    async fn save_snapshot(&self, _: &CheckpointKey, _: u64, _: &[u8]) -> Result<(), Unavailable> {
        Err(Unavailable)
    }

    async fn append(&self, _: &CheckpointKey, _: &Entry) -> Result<(), AppendError> {
        Err(AppendError::Unavailable(Unavailable))
    }
}

#[tokio::test]
async fn no_dead_letter_is_sent_while_the_store_is_unavailable() {
    let dead_letters = Recorder::default();
    let settings = CountSettings { lanes: lanes(), groups: GroupCount::ONE };
    let processor = LaneProcessor::new(
        settings,
        UnavailableLog,
        Recorder::<(CityGroup, Vec<u8>)>::default(),
        dead_letters.clone(),
    );
    let policies = Arc::new(PolicySet::open(ResourceLimits::default()));
    let payload = batch(7, format!("?\n{VALID}\n?").as_bytes());
    let (response, _) =
        equilibrium_count::handle_event(&processor, &payload, &policies, NOW_MS).await.unwrap();
    assert_eq!(response, br#"{"batchItemFailures":[{"itemIdentifier":"7"}]}"#);
    assert_eq!(dead_letters.take(), []);
}

#[tokio::test]
async fn a_corrupt_watermark_record_becomes_a_dead_letter() {
    let function = Function::new();
    let watermarks = decode_event(&sample("count")).map(|batch| {
        batch.iter().map(|record| record.data.to_vec()).find(|data| equilibrium_domain::wire::is_frame(data))
    });
    let mut watermark = watermarks.unwrap().unwrap();
    watermark.pop();
    function.handle(&batch(7, &watermark)).await;
    let [letter] = &function.dead_letters.take()[..] else { panic!("not one dead letter") };
    assert_eq!((letter.code, &letter.line), ("malformed_json", &watermark));
}

#[tokio::test]
async fn a_line_that_begins_like_a_frame_is_fatal_to_itself_alone() {
    for first in [&b"\xff\xfe"[..], b"\xffEQk\x02", b"\xffEQ"] {
        let function = Function::new();
        let metrics = function.handle(&batch(7, &[first, b"\n", VALID.as_bytes(), b"\n"].concat())).await;
        assert_eq!((metrics.absorbed, metrics.unroutable), (1, 0), "{first:?}");
        let [letter] = &function.dead_letters.take()[..] else { panic!("not one dead letter") };
        assert_eq!((letter.index, &letter.line[..]), (0, first));
    }
}

#[tokio::test]
async fn sequence_numbers_have_up_to_129_digits() {
    let function = Function::new();
    let payload = String::from_utf8(batch(7, VALID.as_bytes())).unwrap();
    let longest = format!("1{}", "0".repeat(128));
    let metrics = function.handle(payload.replace("\"7\"", &format!("\"{longest}\"")).as_bytes()).await;
    assert_eq!((metrics.absorbed, metrics.checkpoint.skipped), (1, 0));
    let metrics = function.handle(payload.replace("\"7\"", &format!("\"00{longest}\"")).as_bytes()).await;
    assert_eq!((metrics.absorbed, metrics.checkpoint.skipped), (0, 1), "leading zeros do not count");
}

/// A counts stream that takes no record of one lane, because it would be too large.
#[derive(Clone, Default)]
struct TooLargeOf(Option<LaneId>, Recorder<(CityGroup, Vec<u8>)>);

impl CountsStream for TooLargeOf {
    async fn send(&self, lane: LaneId, group: CityGroup, record: Vec<u8>) -> Result<(), SendError> {
        if self.0 == Some(lane) {
            return Err(SendError::TooLarge { bytes: record.len() });
        }
        self.1.send(lane, group, record).await
    }
}

#[tokio::test]
async fn a_record_that_the_stream_never_takes_is_counted_and_blocks_nothing() {
    let settings = CountSettings { lanes: lanes(), groups: GroupCount::ONE };
    let sent = TooLargeOf(Some(LaneId(0)), Recorder::default());
    let processor = LaneProcessor::new(settings, MemoryCheckpoints::default(), sent.clone(), NoOp);
    let policies = Arc::new(PolicySet::open(ResourceLimits::default()));
    let handle = async || {
        equilibrium_count::handle_event(&processor, &sample("count"), &policies, NOW_MS).await.unwrap()
    };
    let (response, metrics) = handle().await;
    assert_eq!((String::from_utf8(response).unwrap().as_str(), metrics.too_large), (NONE_FAILED, 1));
    assert_eq!(sent.1.take().len(), 1, "the record of the other lane");
    let (_, metrics) = handle().await;
    assert_eq!((metrics.too_large, metrics.absorbed), (0, 0), "nothing is owed");
}

/// A policy store in which a policy was saved after the instance had read it.
async fn saved_meanwhile(policy: &Policy) -> PolicyCache<MemoryPolicies, fn(Duration) -> Sleep> {
    let store = MemoryPolicies::default();
    let cache: PolicyCache<_, fn(Duration) -> Sleep> =
        PolicyCache::new(store.clone(), ResourceLimits::default(), tokio::time::sleep);
    assert!(cache.policies(NOW_MS - 1_500).await.unwrap().city("nyc").is_none());
    store.save(&policy.city, NewVersion::local(&policy.to_json().to_string()), None).await.unwrap();
    cache
}

#[tokio::test]
async fn a_policy_that_was_saved_before_its_events_is_read_before_they_are_refused() {
    let function = Function::new();
    let policies = saved_meanwhile(&Policy::open_city(&CityId::new("nyc").unwrap())).await;
    let payload = sample("count");
    let handled = equilibrium_count::handle_event(&function.processor, &payload, &policies, NOW_MS);
    let (response, metrics) = handled.await.unwrap();
    assert_eq!(String::from_utf8(response).unwrap(), NONE_FAILED);
    assert_eq!(metrics, CountMetrics { absorbed: 8, ..CountMetrics::default() });
    assert_eq!(function.sent_ticks(), [(LaneId(0), vec![(TICK, 1, 3)]), (LaneId(1), vec![(TICK, 0, 3)])]);
}

#[tokio::test]
async fn events_of_a_city_without_a_policy_are_refused_by_the_newest_policies() {
    let function = Function::new();
    let policies = saved_meanwhile(&Policy::open_city(&CityId::new("suva").unwrap())).await;
    let payload = sample("count");
    let handled = equilibrium_count::handle_event(&function.processor, &payload, &policies, NOW_MS);
    let (response, metrics) = handled.await.unwrap();
    assert_eq!(String::from_utf8(response).unwrap(), NONE_FAILED);
    assert_eq!((refused(&metrics, "unknown_city"), metrics.absorbed), (8, 0));
    assert_eq!(function.dead_letters.take().len(), 8, "once each");
}

/// A source whose policies cannot be read again.
struct Stale(Arc<PolicySet>);

impl PolicySource for Stale {
    async fn policies(&self, _: i64) -> Result<Arc<PolicySet>, Unavailable> {
        Ok(Arc::clone(&self.0))
    }

    async fn newest(&self, _: i64) -> Option<Arc<PolicySet>> {
        None
    }
}

#[tokio::test]
async fn while_policies_cannot_be_read_unknown_events_wait_in_the_stream() {
    let function = Function::new();
    let stale = Stale(Arc::new(PolicySet::of(Vec::new(), ResourceLimits::default())));
    let handled =
        equilibrium_count::handle_event(&function.processor, &sample("count"), &stale, NOW_MS).await;
    let (response, metrics) = handled.unwrap();
    assert_ne!(String::from_utf8(response).unwrap(), NONE_FAILED);
    assert_eq!(metrics.refused.iter().sum::<u64>(), 0);
    assert!(function.dead_letters.take().is_empty());
    assert_eq!(
        function.handle_sample("count").await.absorbed,
        8,
        "and are counted by the policy once it is read"
    );
}
