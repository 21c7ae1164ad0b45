//! The poller: what one poll does, and how it continues after the stream has failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, PollOutcome, Source, SourceError};
use equilibrium_event_source::record::{Listed, Page, Position};
use equilibrium_event_source::settings::{LIST_INTERVAL_MS, Settings, SettingsError};
use equilibrium_lambda::kinesis::record::ShardId;

use crate::fixture::{Function, Outcome, poll, poll_once, poller, run_to_the_end, stream};

/// A log that fails its next calls and counts all of them.
struct FlakyLog {
    log: StreamLog,
    failures: AtomicUsize,
    error: SourceError,
    calls: AtomicUsize,
}

impl FlakyLog {
    fn new(failures: usize, error: SourceError) -> Self {
        Self { log: StreamLog::new(1), failures: failures.into(), error, calls: 0.into() }
    }

    fn call(&self) -> Result<(), SourceError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let failed =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if failed.is_ok() { Err(self.error) } else { Ok(()) }
    }
}

impl Source for FlakyLog {
    async fn shards(&self) -> Result<Vec<Listed>, SourceError> {
        self.call()?;
        self.log.shards().await
    }

    async fn read(
        &self,
        shard: &ShardId,
        after: Option<&Sequence>,
        limit: usize,
    ) -> Result<Page, SourceError> {
        self.call()?;
        self.log.read(shard, after, limit).await
    }
}

fn poller_of(source: &Arc<FlakyLog>) -> EventSourcePoller<Arc<FlakyLog>, Function, Function> {
    let function = Function::default();
    function.0.lock().settings = Settings::default();
    let source = Arc::clone(source);
    EventSourcePoller::new(Settings::default(), stream(), source, function.clone(), function).unwrap()
}

#[test]
fn a_poll_before_its_due_time_calls_nothing() {
    let source = Arc::new(FlakyLog::new(0, SourceError::Unavailable));
    let mut poller = poller_of(&source);
    let first = poll_once(poller.poll(0)).unwrap();
    assert_eq!((first.due_ms, source.calls.load(Ordering::Relaxed)), (1_000, 2));
    let idle = poll_once(poller.poll(999)).unwrap();
    assert!(idle.is_idle());
    assert_eq!((idle.due_ms, source.calls.load(Ordering::Relaxed)), (1_000, 2));
    poll_once(poller.poll(1_000)).unwrap();
    assert_eq!(source.calls.load(Ordering::Relaxed), 3, "one read, no list");
}

#[test]
fn a_clock_that_is_set_back_delays_no_poll_and_no_retry() {
    const DAY_MS: i64 = 86_400_000;
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    let settings = Settings { batching_window_ms: 1_000, ..Settings::default() };
    let mut poller = poller(settings, &log, &function, Vec::new());
    poll(&mut poller, DAY_MS);
    function.put(&log, 0, vec![0; 9], DAY_MS);
    // The record is read, and the batching window begins.
    poll(&mut poller, DAY_MS + 1_000);
    assert!(poll(&mut poller, 5_000).due_ms <= 6_000);
    function.script([Outcome::Refuse, Outcome::Success]);
    assert_eq!(poll(&mut poller, 6_000).invoked, 1);
    // The pause after the refusal is over once the clock is set back again.
    assert_eq!(poll(&mut poller, 10).invoked, 1);
    assert_eq!(poller.backlog(), 0);
}

#[test]
fn the_list_of_shards_is_refreshed() {
    let source = Arc::new(FlakyLog::new(0, SourceError::Unavailable));
    let mut poller = poller_of(&source);
    poll_once(poller.poll(0)).unwrap();
    poll_once(poller.poll(LIST_INTERVAL_MS - 1)).unwrap();
    assert_eq!(source.calls.load(Ordering::Relaxed), 3);
    poll_once(poller.poll(LIST_INTERVAL_MS)).unwrap();
    assert_eq!(source.calls.load(Ordering::Relaxed), 4);
}

#[test]
fn a_failed_list_is_repeated_later() {
    let source = Arc::new(FlakyLog::new(1, SourceError::Unavailable));
    let mut poller = poller_of(&source);
    let first = poll_once(poller.poll(0)).unwrap();
    assert_eq!((first.source_errors, first.due_ms), (1, 1_000));
    assert!(!poller.is_finished(), "without a list there may be shards");
    assert_eq!(poll_once(poller.poll(1_000)).unwrap().source_errors, 0);
    assert!(poller.position(&ShardId::numbered(0)).is_some());
}

#[test]
fn a_failed_read_is_repeated_later() {
    let source = Arc::new(FlakyLog::new(0, SourceError::Unavailable));
    let mut poller = poller_of(&source);
    poll_once(poller.poll(0)).unwrap();
    source.log.put(0, "k", vec![], 0).unwrap();
    poller.target().0.lock().put.insert(1, ShardId::numbered(0));
    source.failures.store(1, Ordering::Relaxed);
    let failed = poll_once(poller.poll(1_000)).unwrap();
    assert_eq!((failed.source_errors, failed.read, failed.due_ms), (1, 0, 2_000));
    let second = poll_once(poller.poll(2_000)).unwrap();
    assert_eq!((second.source_errors, second.read, second.invoked), (0, 1, 1));
}

#[test]
fn a_shard_that_is_gone_counts_as_read_to_its_end() {
    let source = Arc::new(FlakyLog::new(0, SourceError::Gone));
    let mut poller = poller_of(&source);
    poll_once(poller.poll(0)).unwrap();
    source.failures.store(1, Ordering::Relaxed);
    poll_once(poller.poll(1_000)).unwrap();
    assert_eq!(poller.position(&ShardId::numbered(0)), Some(&Position::End));
}

#[test]
fn a_dropped_poll_loses_nothing() {
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    let number = function.put(&log, 0, vec![], 0);
    function.script([Outcome::Hang, Outcome::Success]);
    let mut poller = poller(Settings::default(), &log, &function, vec![]);
    assert!(poll_once(poller.poll(0)).is_none());
    assert_eq!(poller.backlog(), 1);
    assert_eq!(poll(&mut poller, 0).invoked, 1);
    assert_eq!((function.batches(), poller.backlog()), (vec![vec![number], vec![number]], 0));
}

#[test]
fn each_shard_gets_one_batch_per_poll() {
    let (log, function) = (Arc::new(StreamLog::new(64)), Function::default());
    for lane in 0..64_u128 {
        for _ in 0..3 {
            function.put(&log, lane << 122, vec![], 0);
        }
    }
    let settings = Settings { batch_size: 2, ..Settings::default() };
    let mut poller = poller(settings, &log, &function, vec![]);
    let outcomes = [poll(&mut poller, 0), poll(&mut poller, 0)];
    assert_eq!(outcomes.map(|outcome| (outcome.read, outcome.invoked)), [(128, 64), (64, 64)]);
    assert!(outcomes[0].due_ms <= 0, "more is due at once");
    assert_eq!((poller.backlog(), poll(&mut poller, 0).is_idle()), (0, true));
}

#[test]
fn a_closed_log_is_finished_once_it_is_done() {
    let (log, function) = (Arc::new(StreamLog::new(2)), Function::default());
    function.put(&log, 0, vec![], 0);
    let mut poller = poller(Settings::default(), &log, &function, vec![]);
    assert!(!poller.is_finished());
    poll(&mut poller, 0);
    assert!(!poller.is_finished(), "open shards may receive more");
    log.close();
    run_to_the_end(&mut poller, 0);
    assert!(poller.positions().all(|(_, position)| *position == Position::End));
}

#[test]
fn settings_outside_their_range_are_rejected() {
    let settings = Settings { parallelization_factor: 10, ..Settings::default() };
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    let error = EventSourcePoller::new(settings, stream(), log, function.clone(), function).unwrap_err();
    assert_eq!(error, SettingsError::ParallelizationFactor(10));
}

#[test]
fn a_poll_is_idle_only_if_it_did_nothing() {
    let idle = PollOutcome::default();
    assert!(idle.is_idle());
    for busy in [
        PollOutcome { read: 1, ..idle },
        PollOutcome { invoked: 1, ..idle },
        PollOutcome { discarded: 1, ..idle },
        PollOutcome { source_errors: 1, ..idle },
    ] {
        assert!(!busy.is_idle(), "{busy:?}");
    }
}

#[test]
fn a_poll_counts_discarded_records() {
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    for _ in 0..3 {
        function.put(&log, 0, vec![], 0);
    }
    function.script([Outcome::Fail]);
    let mut poller = poller(Settings { retries: Some(0), ..Settings::default() }, &log, &function, vec![]);
    assert_eq!((poll(&mut poller, 0).discarded, poll(&mut poller, 0).discarded), (0, 3));
    assert_eq!(poller.backlog(), 0);
}
