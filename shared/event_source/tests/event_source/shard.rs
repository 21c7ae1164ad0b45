//! One shard: when a batch is invoked, how an outcome moves the position, and what is discarded.

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_event_source::record::{Discarded, Page, Position, Reason};
use equilibrium_event_source::settings::Settings;
use equilibrium_event_source::shard::{Shard, Step};
use equilibrium_lambda::kinesis::encode::{Envelope, InvocationOutcome};
use equilibrium_lambda::kinesis::record::{Record, ShardId};

use crate::fixture::{record, stream};

const BISECT: Settings = Settings { bisect_on_error: true, ..plain() };

/// Lambda's defaults, with `batchItemFailures` and two retries.
const fn plain() -> Settings {
    Settings {
        batch_size: 100,
        batching_window_ms: 0,
        max_payload_bytes: 1_000_000,
        retries: Some(2),
        max_record_age_ms: None,
        bisect_on_error: false,
        report_batch_item_failures: true,
        parallelization_factor: 1,
        poll_ms: 1_000,
    }
}

fn envelope() -> Envelope {
    Envelope::new(&stream(), ShardId::numbered(0))
}

/// A shard that has gathered the records `1..=count` at time 0, when they arrived.
fn shard(count: u64, settings: &Settings) -> Shard {
    let mut shard = Shard::new(envelope(), Position::Oldest);
    shard.gather(0, page(1..=count), settings);
    shard
}

fn page(numbers: impl Iterator<Item = u64>) -> Page {
    Page { records: numbers.map(|number| record(number, 0)).collect(), ended: false }
}

fn numbers(shard: &Shard) -> Vec<u64> {
    shard.batch().map(|record| record.sequence.as_str().parse().unwrap()).collect()
}

/// The records of the invocation at `now_ms`.
fn invoked(shard: &mut Shard, now_ms: i64, settings: &Settings) -> Vec<u64> {
    assert_eq!(shard.step(now_ms, settings), Step::Invoke);
    numbers(shard)
}

fn discarded(shard: &mut Shard, now_ms: i64, settings: &Settings) -> Discarded {
    let step = shard.step(now_ms, settings);
    let Step::Report(discarded) = step else { panic!("{step:?}") };
    shard.reported(settings);
    discarded
}

fn items(numbers: &[u64]) -> InvocationOutcome {
    InvocationOutcome::Items(numbers.iter().map(|&number| Sequence::from(number)).collect())
}

fn after(number: u64) -> Position {
    Position::After(number.into())
}

#[test]
fn a_full_batch_is_invoked_before_the_end_of_its_window() {
    let settings = Settings { batch_size: 3, batching_window_ms: 5_000, ..plain() };
    let mut shard = shard(2, &settings);
    assert_eq!(shard.step(4_999, &settings), Step::Wait(Some(5_000)));
    shard.gather(4_999, page(3..=4), &settings);
    assert_eq!(invoked(&mut shard, 4_999, &settings), [1, 2, 3]);
}

#[test]
fn a_batch_is_invoked_when_its_window_has_passed_since_its_first_record() {
    let settings = Settings { batching_window_ms: 5_000, ..plain() };
    let mut shard = shard(1, &settings);
    shard.gather(4_000, page(2..=2), &settings);
    assert_eq!(shard.step(4_999, &settings), Step::Wait(Some(5_000)));
    assert_eq!(invoked(&mut shard, 5_000, &settings), [1, 2]);
}

#[test]
fn without_a_window_a_single_record_is_invoked_at_once() {
    let settings = plain();
    assert_eq!(invoked(&mut shard(1, &settings), 0, &settings), [1]);
}

#[test]
fn the_end_of_a_shard_ends_the_window() {
    let settings = Settings { batching_window_ms: 5_000, ..plain() };
    let mut shard = shard(2, &settings);
    shard.gather(1, Page { records: vec![], ended: true }, &settings);
    assert_eq!(invoked(&mut shard, 1, &settings), [1, 2]);
    assert_eq!(shard.position(), &Position::Oldest);
    shard.settle(1, &InvocationOutcome::Success, &settings);
    assert_eq!(shard.position(), &Position::End);
}

#[test]
fn a_batch_fills_its_payload_up_to_the_last_byte() {
    let mut three = Vec::new();
    envelope().write(&[1, 2, 3].map(|number| record(number, 0)), &mut three);
    let exact = Settings { max_payload_bytes: three.len(), batching_window_ms: 5_000, ..plain() };
    assert_eq!(invoked(&mut shard(4, &exact), 0, &exact), [1, 2, 3]);
    let tight = Settings { max_payload_bytes: three.len() - 1, ..exact };
    assert_eq!(invoked(&mut shard(4, &tight), 0, &tight), [1, 2]);
}

#[test]
fn a_record_larger_than_any_payload_is_discarded_alone() {
    let settings = Settings { max_payload_bytes: 2_000, ..plain() };
    let mut shard = shard(1, &settings);
    let huge = Record { data: vec![0; 2_000], ..record(2, 7) };
    shard.gather(0, Page { records: vec![huge, record(3, 0)], ended: false }, &settings);
    assert_eq!(invoked(&mut shard, 0, &settings), [1]);
    shard.settle(0, &InvocationOutcome::Success, &settings);
    let report = discarded(&mut shard, 0, &settings);
    assert_eq!((report.reason, report.count, report.attempts), (Reason::TooLarge, 1, 0));
    assert_eq!((report.first, report.first_arrival_ms), (2.into(), 7));
    assert_eq!(invoked(&mut shard, 0, &settings), [3]);
}

#[test]
fn one_batch_of_a_shard_is_in_progress_at_a_time() {
    let settings = Settings { batch_size: 1, ..plain() };
    let mut shard = shard(2, &settings);
    assert_eq!(invoked(&mut shard, 0, &settings), [1]);
    assert_eq!(shard.step(1_000_000, &settings), Step::Wait(None));
    assert_eq!((shard.due_at(&settings), shard.read_at()), (None, None));
    shard.settle(0, &InvocationOutcome::Success, &settings);
    assert_eq!(invoked(&mut shard, 0, &settings), [2]);
}

#[test]
fn an_abandoned_batch_is_due_again_and_uses_up_no_attempt() {
    let settings = Settings { retries: Some(0), ..plain() };
    let mut shard = shard(2, &settings);
    for _ in 0..3 {
        assert_eq!(invoked(&mut shard, 0, &settings), [1, 2]);
        shard.abandon();
    }
    assert_eq!(shard.position(), &Position::Oldest);
}

#[test]
fn a_record_read_twice_is_gathered_once() {
    let settings = plain();
    let mut shard = shard(3, &settings);
    assert_eq!(shard.gather(0, page(2..=4), &settings), 1);
    assert_eq!(shard.read_after(), Some(&4.into()));
    assert_eq!(invoked(&mut shard, 0, &settings), [1, 2, 3, 4]);
    shard.settle(0, &InvocationOutcome::Success, &settings);
    assert_eq!(shard.gather(0, page(1..=4), &settings), 0);
}

#[test]
fn reading_resumes_after_the_saved_position() {
    let settings = plain();
    let mut shard = Shard::new(envelope(), after(7));
    assert_eq!((shard.read_after(), shard.position()), (Some(&7.into()), &after(7)));
    assert_eq!(shard.gather(0, page(7..=8), &settings), 1);
    assert!(Shard::new(envelope(), Position::End).is_finished());
}

#[test]
fn an_empty_shard_is_polled_again_after_the_interval() {
    let settings = plain();
    let mut shard = shard(0, &settings);
    assert_eq!((shard.read_at(), shard.due_at(&settings)), (Some(1_000), Some(1_000)));
    shard.gather(1_000, page(1..=1), &settings);
    assert_eq!(shard.read_at(), Some(1_000));
    shard.gone();
    assert_eq!(shard.read_at(), None);
}

#[test]
fn a_read_is_limited_to_the_rest_of_the_batch() {
    let settings = Settings { batch_size: 5, batching_window_ms: 9_000, ..plain() };
    let mut shard = shard(3, &settings);
    assert_eq!((shard.read_limit(&settings), shard.read_at()), (2, Some(0)));
    shard.gather(0, page(4..=5), &settings);
    assert_eq!(shard.read_at(), None);
}

#[test]
fn a_reported_failure_resumes_at_the_lowest_record() {
    let settings = plain();
    let mut shard = shard(5, &settings);
    shard.step(0, &settings);
    shard.settle(0, &items(&[5, 3, 4]), &settings);
    assert_eq!(shard.position(), &after(2));
    assert_eq!(shard.step(0, &settings), Step::Wait(Some(100)));
    assert_eq!(invoked(&mut shard, 100, &settings), [3, 4, 5]);
}

#[test]
fn an_identifier_from_outside_the_batch_fails_the_whole_batch() {
    let settings = Settings { batch_size: 3, ..plain() };
    let mut shard = Shard::new(envelope(), after(1));
    shard.gather(0, page(2..=6), &settings);
    for outside in [1, 5, 7] {
        shard.step(i64::MAX, &settings);
        shard.settle(0, &items(&[3, outside]), &settings);
        assert_eq!(shard.position(), &after(1), "{outside}");
    }
    assert_eq!(discarded(&mut shard, 0, &settings).count, 3);
}

#[test]
fn without_bisecting_a_reported_failure_uses_up_an_attempt() {
    let settings = Settings { retries: Some(1), ..plain() };
    let mut shard = shard(4, &settings);
    for (now_ms, reported) in [(0, 2), (100, 3)] {
        shard.step(now_ms, &settings);
        shard.settle(now_ms, &items(&[reported]), &settings);
    }
    let report = discarded(&mut shard, 100, &settings);
    assert_eq!((report.first, report.last, report.attempts), (3.into(), 4.into(), 2));
}

#[test]
fn a_failed_batch_is_halved_and_the_first_half_is_invoked_first() {
    let settings = Settings { retries: Some(0), ..BISECT };
    let mut shard = shard(5, &settings);
    let mut batches = Vec::new();
    while let Step::Invoke = shard.step(0, &settings) {
        batches.push(numbers(&shard));
        let outcome =
            if batches.len() == 1 { InvocationOutcome::Failure } else { InvocationOutcome::Success };
        shard.settle(0, &outcome, &settings);
    }
    assert_eq!(batches, [vec![1, 2, 3, 4, 5], vec![1, 2], vec![3, 4, 5]]);
}

#[test]
fn bisecting_with_a_reported_failure_retries_the_remainder_as_one_batch() {
    let settings = Settings { retries: Some(0), ..BISECT };
    let mut shard = shard(5, &settings);
    shard.step(0, &settings);
    shard.settle(0, &items(&[2]), &settings);
    assert_eq!(invoked(&mut shard, 0, &settings), [2, 3, 4, 5]);
    shard.settle(0, &items(&[2]), &settings);
    assert_eq!(invoked(&mut shard, 0, &settings), [2, 3], "a reported first record halves the batch");
}

#[test]
fn the_backoff_doubles_up_to_a_minute() {
    let settings = Settings { retries: None, ..plain() };
    let mut shard = shard(1, &settings);
    let mut waits = Vec::new();
    let mut now_ms = 0;
    for _ in 0..40 {
        assert_eq!(invoked(&mut shard, now_ms, &settings), [1]);
        shard.settle(now_ms, &InvocationOutcome::Failure, &settings);
        let Step::Wait(Some(at)) = shard.step(now_ms, &settings) else { panic!("no wait") };
        assert_eq!(shard.due_at(&settings), Some(at));
        waits.push(at - now_ms);
        now_ms = at;
    }
    assert_eq!(waits[..11], [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000]);
    assert!(waits[11..].iter().all(|wait| *wait == 60_000));
}

#[test]
fn progress_resets_the_backoff() {
    let settings = Settings { batch_size: 1, ..plain() };
    let mut shard = shard(2, &settings);
    shard.step(0, &settings);
    shard.settle(0, &InvocationOutcome::Failure, &settings);
    shard.step(100, &settings);
    shard.settle(100, &InvocationOutcome::Success, &settings);
    assert_eq!(invoked(&mut shard, 100, &settings), [2]);
    shard.settle(100, &InvocationOutcome::Failure, &settings);
    assert_eq!(shard.step(100, &settings), Step::Wait(Some(200)));
}

#[test]
fn a_batch_is_discarded_at_once_when_its_retries_are_used_up() {
    let settings = plain();
    let mut shard = Shard::new(envelope(), Position::Oldest);
    shard.gather(0, Page { records: vec![record(8, 50), record(9, 60)], ended: false }, &settings);
    for _ in 0..3 {
        assert_eq!(invoked(&mut shard, 1_000, &settings), [8, 9]);
        shard.settle(0, &InvocationOutcome::Failure, &settings);
    }
    assert_eq!(shard.due_at(&settings), Some(i64::MIN));
    let expected = Discarded {
        shard: ShardId::numbered(0),
        reason: Reason::RetriesExhausted,
        first: 8.into(),
        last: 9.into(),
        count: 2,
        first_arrival_ms: 50,
        last_arrival_ms: 60,
        attempts: 3,
    };
    assert_eq!(shard.step(0, &settings), Step::Report(expected.clone()));
    assert_eq!(shard.position(), &Position::Oldest, "unchanged until the destination has the report");
    shard.abandon();
    assert_eq!(discarded(&mut shard, 0, &settings), expected);
    assert_eq!(shard.position(), &after(9));
}

#[test]
fn an_old_record_is_discarded_and_its_younger_neighbour_is_invoked() {
    let settings = Settings { max_record_age_ms: Some(60_000), retries: None, ..plain() };
    let mut shard = Shard::new(envelope(), Position::Oldest);
    shard.gather(0, Page { records: vec![record(1, 0), record(2, 1)], ended: false }, &settings);
    assert_eq!(invoked(&mut shard, 60_000, &settings), [1, 2]);
    shard.settle(60_000, &InvocationOutcome::Failure, &settings);
    let report = discarded(&mut shard, 60_001, &settings);
    assert_eq!((report.reason, report.count, report.attempts), (Reason::TooOld, 1, 1));
    assert_eq!(invoked(&mut shard, 60_001, &settings), [2]);
}

#[test]
fn a_refused_invocation_uses_up_no_attempt_and_splits_no_batch() {
    let settings = Settings { retries: Some(0), ..BISECT };
    let mut shard = shard(4, &settings);
    for now_ms in [0, 100, 300] {
        assert_eq!(invoked(&mut shard, now_ms, &settings), [1, 2, 3, 4]);
        shard.settle(now_ms, &InvocationOutcome::Refused, &settings);
    }
    assert_eq!(shard.step(699, &settings), Step::Wait(Some(700)));
}
