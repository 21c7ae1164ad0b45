//! The function as Lambda calls it, with the samples of `events/kinesis`: two lanes of a stream, and what
//! each batch of theirs comes to.
#![allow(clippy::unwrap_used)]

use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::event_sourced::Entry;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use equilibrium_app::count::dead_letters::{MAX_DEAD_LETTER_LINE_BYTES, MAX_DEAD_LETTERS_PER_BATCH};
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::count::metrics::CountMetrics;
use equilibrium_app::count::ports::{DeadLetter, DeadLetterQueue};
use equilibrium_app::memory::{MemoryCheckpoints, Recorder};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::count::sightings::Count;
use equilibrium_domain::count::tick_counts::{self, TickCounts};
use equilibrium_domain::event::Refusal;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_lambda::kinesis::decode::decode_event;

/// 2026-03-06T17:00:05Z, the first tick of New York in the samples.
const TICK: i64 = 1_772_816_405_000;

/// A little after the samples' records arrived.
const NOW: i64 = TICK + 7_000;

const NONE_FAILED: &str = r#"{"batchItemFailures":[]}"#;

fn sample(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/kinesis").join(name).with_extension("json");
    fs::read(path).unwrap()
}

fn lanes() -> LaneCount {
    LaneCount::new(2).unwrap()
}

/// A lane, and each tick it told of with how many drivers and riders it counted.
type Told = (LaneId, Vec<(i64, u32, u32)>);

/// An instance of the function, and where its reports and the refused go.
struct Function<D> {
    counter: LaneProcessor<MemoryCheckpoints, Recorder<(CityGroup, Vec<u8>)>, D>,
    sent: Recorder<(CityGroup, Vec<u8>)>,
    letters: D,
    book: Arc<PolicySet>,
}

impl Function<Recorder<DeadLetter>> {
    fn new() -> Self {
        Self::with(Recorder::default())
    }
}

impl<D: DeadLetterQueue + Clone> Function<D> {
    fn with(letters: D) -> Self {
        let sent = Recorder::default();
        let settings = CountSettings { lanes: lanes(), groups: GroupCount::ONE };
        let counter =
            LaneProcessor::new(settings, MemoryCheckpoints::default(), sent.clone(), letters.clone());
        Self { counter, sent, letters, book: Arc::new(PolicySet::open(ResourceLimits::default())) }
    }

    /// Handles a sample, of which no record may fail.
    async fn call(&self, name: &str) -> CountMetrics {
        self.take(&sample(name)).await
    }

    async fn take(&self, payload: &[u8]) -> CountMetrics {
        let handled = equilibrium_count::handle_event(&self.counter, payload, &self.book, NOW).await;
        let (answer, tally) = handled.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), NONE_FAILED);
        tally
    }

    /// What each record that was sent since the last call tells of New York.
    fn told(&self) -> Vec<Told> {
        let told = self.sent.take().into_iter().map(|(_, record)| {
            let counts = tick_counts::open(&record, lanes()).unwrap();
            let [section] = &counts.cities[..] else { panic!("{} cities", counts.cities.len()) };
            assert_eq!(section.city.as_str(), "nyc");
            let reports = tick_counts::read_tick_counts(section.ticks, section.products.len()).unwrap();
            (counts.lane, reports.iter().map(heads).collect())
        });
        told.collect()
    }
}

/// A tick and how many drivers and riders were counted at it.
fn heads(report: &TickCounts) -> (i64, u32, u32) {
    match report {
        TickCounts::Empty { from, to } => {
            assert_eq!(from, to);
            (*from, 0, 0)
        }
        TickCounts::Tick { at, supply, demand, .. } => {
            let heads = |counts: &[Count]| counts.iter().map(|count| count.entities).sum();
            (*at, heads(supply), heads(demand))
        }
    }
}

fn refused(tally: &CountMetrics, code: &str) -> u64 {
    tally.refused[Refusal::CODES.iter().position(|known| *known == code).unwrap()]
}

#[tokio::test]
async fn events_and_clocks_of_two_lanes_become_a_report_of_each() {
    let function = Function::new();
    let tally = function.call("count").await;
    assert_eq!(tally, CountMetrics { absorbed: 8, ..CountMetrics::default() });
    // The driver of the second lane was seen only after the tick.
    assert_eq!(function.told(), [(LaneId(0), vec![(TICK, 1, 3)]), (LaneId(1), vec![(TICK, 0, 3)])]);
}

#[tokio::test]
async fn the_reports_are_what_the_sample_of_surge_holds() {
    let function = Function::new();
    function.call("count").await;
    let payload = sample("surge");
    let batch = decode_event(&payload).unwrap();
    let expected: Vec<_> = batch.iter().map(|record| (CityGroup(0), record.data.to_vec())).collect();
    assert_eq!(function.sent.take(), expected);
}

#[tokio::test]
async fn a_bad_record_costs_no_neighbour() {
    let function = Function::new();
    let tally = function.call("count-bad-record").await;
    assert_eq!((tally.absorbed, tally.unroutable), (6, 1));
    assert_eq!((refused(&tally, "malformed_json"), refused(&tally, "bad_field")), (1, 1));
    assert_eq!(tally.refused.iter().sum::<u64>(), 2);
    assert_eq!(function.told(), [(LaneId(0), vec![(TICK, 1, 3)]), (LaneId(1), vec![(TICK, 0, 1)])]);
}

#[tokio::test]
async fn a_record_that_is_not_utf_8_is_refused_and_no_more() {
    let function = Function::new();
    let tally = function.call("count-not-utf8").await;
    assert_eq!((tally.absorbed, tally.unroutable, refused(&tally, "malformed_json")), (1, 1, 1));
    assert_eq!(function.told(), [(LaneId(0), vec![(TICK, 0, 0)]), (LaneId(1), vec![(TICK, 0, 0)])]);
}

#[tokio::test]
async fn a_batch_that_comes_again_is_skipped_and_sends_nothing() {
    let function = Function::new();
    function.call("count").await;
    assert_eq!(function.told().len(), 2);
    for _ in 0..2 {
        assert_eq!(function.call("count").await, CountMetrics { skipped: 4, ..CountMetrics::default() });
        assert!(function.sent.take().is_empty());
    }
}

#[tokio::test]
async fn of_a_batch_that_overlaps_only_the_rest_is_taken_in() {
    let function = Function::new();
    function.call("count").await;
    assert_eq!(function.told().len(), 2);
    let tally = function.call("count-overlapping").await;
    assert_eq!(tally, CountMetrics { absorbed: 1, skipped: 2, ..CountMetrics::default() });
    assert!(function.sent.take().is_empty());
}

/// A queue that takes nothing.
#[derive(Clone, Copy)]
struct Full;

impl DeadLetterQueue for Full {
    async fn send(&self, letters: Vec<DeadLetter>) -> Result<(), Unavailable> {
        assert!(!letters.is_empty());
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

/// A good event of the lane that most of these tests put to.
const GOOD: &str =
    r#"{"type":"ride_matched","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"r1"}"#;

#[tokio::test]
async fn a_refused_event_becomes_a_letter_with_its_bytes_and_place() {
    let function = Function::new();
    let unknown = GOOD.replace("\"nyc\"", "\"NYC\"");
    let long = "x".repeat(MAX_DEAD_LETTER_LINE_BYTES + 1);
    let record = [b"{\xff}".as_slice(), b"", GOOD.as_bytes(), b"\r", unknown.as_bytes(), long.as_bytes()];
    let tally = function.take(&batch(7, &record.join(&b'\n'))).await;
    assert_eq!((tally.absorbed, tally.dead_letters_dropped), (1, 0));
    let letters = function.letters.take();
    let told: Vec<_> = letters.iter().map(|letter| (letter.index, letter.code, letter.length)).collect();
    let expected = [
        (0, "malformed_json", 3),
        (2, "bad_field", unknown.len()),
        (3, "too_large", MAX_DEAD_LETTER_LINE_BYTES + 1),
    ];
    assert_eq!(told, expected);
    assert_eq!(letters[0].line, b"{\xff}");
    assert_eq!(letters[1].line, unknown.as_bytes());
    assert_eq!(letters[2].line.len(), MAX_DEAD_LETTER_LINE_BYTES);
    for letter in letters {
        assert_eq!((letter.sequence.as_str(), letter.arrival_ms), ("7", 1_772_816_406_500));
        assert!(!letter.message.is_empty());
    }
}

#[tokio::test]
async fn good_events_send_no_letter() {
    let function = Function::new();
    function.call("count").await;
    assert_eq!(function.letters.take(), []);
    // `Full` would say if it were asked.
    assert_eq!(Function::with(Full).call("count").await.dead_letters_dropped, 0);
}

#[tokio::test]
async fn of_many_refused_events_some_become_letters_and_all_are_counted() {
    let function = Function::new();
    let record = format!("{GOOD}\n{}", "?\n".repeat(3 * MAX_DEAD_LETTERS_PER_BATCH));
    let tally = function.take(&batch(7, record.as_bytes())).await;
    assert_eq!(refused(&tally, "malformed_json"), 3 * MAX_DEAD_LETTERS_PER_BATCH as u64);
    assert_eq!(tally.dead_letters_dropped, 2 * MAX_DEAD_LETTERS_PER_BATCH as u64);
    assert_eq!(function.letters.take().len(), MAX_DEAD_LETTERS_PER_BATCH);
}

#[tokio::test]
async fn a_queue_that_takes_nothing_fails_no_batch() {
    let function = Function::with(Full);
    let tally = function.call("count-bad-record").await;
    assert_eq!((tally.absorbed, tally.dead_letters_dropped), (6, 2));
    assert_eq!(function.told(), [(LaneId(0), vec![(TICK, 1, 3)]), (LaneId(1), vec![(TICK, 0, 1)])]);
}

#[tokio::test]
async fn a_record_with_nothing_to_count_becomes_letters_whenever_it_comes() {
    let function = Function::new();
    for _ in 0..2 {
        let tally = function.take(&batch(7, b"?")).await;
        assert_eq!((tally.unroutable, tally.dead_letters_dropped), (1, 0));
        assert_eq!(function.letters.take().len(), 1);
    }
}

#[tokio::test]
async fn a_record_that_comes_again_sends_no_letter_again() {
    let function = Function::new();
    let record = format!("?\n{GOOD}\n?");
    for letters in [2, 0] {
        let tally = function.take(&batch(8, record.as_bytes())).await;
        assert_eq!(refused(&tally, "malformed_json"), letters);
        assert_eq!(function.letters.take().len() as u64, letters);
    }
}

/// A checkpoint log that takes no entry.
struct Closed;

impl CheckpointLog for Closed {
    async fn load(&self, _: &CheckpointKey) -> Result<Vec<Vec<u8>>, Unavailable> {
        Ok(Vec::new())
    }

    async fn append(&self, _: &CheckpointKey, _: &Entry) -> Result<(), AppendError> {
        Err(AppendError::Unavailable(Unavailable))
    }
}

#[tokio::test]
async fn while_the_store_is_away_no_letter_is_sent() {
    let letters = Recorder::default();
    let settings = CountSettings { lanes: lanes(), groups: GroupCount::ONE };
    let counter =
        LaneProcessor::new(settings, Closed, Recorder::<(CityGroup, Vec<u8>)>::default(), letters.clone());
    let book = Arc::new(PolicySet::open(ResourceLimits::default()));
    let payload = batch(7, format!("?\n{GOOD}\n?").as_bytes());
    let (answer, _) = equilibrium_count::handle_event(&counter, &payload, &book, NOW).await.unwrap();
    assert_eq!(answer, br#"{"batchItemFailures":[{"itemIdentifier":"7"}]}"#);
    assert_eq!(letters.take(), []);
}

#[tokio::test]
async fn a_clock_that_nobody_can_read_becomes_a_letter() {
    let function = Function::new();
    let clocks = decode_event(&sample("count")).map(|batch| {
        batch.iter().map(|record| record.data.to_vec()).find(|data| equilibrium_domain::wire::is_frame(data))
    });
    let mut clock = clocks.unwrap().unwrap();
    clock.pop();
    function.take(&batch(7, &clock)).await;
    let [letter] = &function.letters.take()[..] else { panic!("one letter") };
    assert_eq!((letter.code, &letter.line), ("malformed_json", &clock));
}
