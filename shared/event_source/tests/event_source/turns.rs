//! The driver: what a turn does, what it leaves alone, and how it bears a stream that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, PollOutcome, Source, SourceError};
use equilibrium_event_source::record::{Listed, Page, Position};
use equilibrium_event_source::settings::{LIST_MS, Settings, SettingsError};
use equilibrium_lambda::kinesis::record::ShardId;

use crate::world::{Function, Outcome, poll_once, run_to_the_end, stream, turn, world};

/// A log that does not answer its first calls, and counts them all.
struct Flaky {
    log: StreamLog,
    failures: AtomicUsize,
    error: SourceError,
    calls: AtomicUsize,
}

impl Flaky {
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

impl Source for Flaky {
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

fn runner(source: &Arc<Flaky>) -> EventSourcePoller<Arc<Flaky>, Function, Function> {
    let function = Function::default();
    function.0.lock().settings = Settings::default();
    let source = Arc::clone(source);
    EventSourcePoller::new(Settings::default(), stream(), source, function.clone(), function).unwrap()
}

#[test]
fn a_turn_before_anything_is_due_asks_nobody() {
    let source = Arc::new(Flaky::new(0, SourceError::Unavailable));
    let mut runner = runner(&source);
    let first = poll_once(runner.poll(0)).unwrap();
    assert_eq!((first.due_ms, source.calls.load(Ordering::Relaxed)), (1_000, 2));
    let idle = poll_once(runner.poll(999)).unwrap();
    assert!(idle.is_idle());
    assert_eq!((idle.due_ms, source.calls.load(Ordering::Relaxed)), (1_000, 2));
    poll_once(runner.poll(1_000)).unwrap();
    assert_eq!(source.calls.load(Ordering::Relaxed), 3, "one read, no list");
}

#[test]
fn the_list_of_shards_is_kept_fresh() {
    let source = Arc::new(Flaky::new(0, SourceError::Unavailable));
    let mut runner = runner(&source);
    poll_once(runner.poll(0)).unwrap();
    poll_once(runner.poll(LIST_MS - 1)).unwrap();
    assert_eq!(source.calls.load(Ordering::Relaxed), 3);
    poll_once(runner.poll(LIST_MS)).unwrap();
    assert_eq!(source.calls.load(Ordering::Relaxed), 4);
}

#[test]
fn a_list_that_fails_is_asked_for_again_later() {
    let source = Arc::new(Flaky::new(1, SourceError::Unavailable));
    let mut runner = runner(&source);
    let list = poll_once(runner.poll(0)).unwrap();
    assert_eq!((list.source_errors, list.due_ms), (1, 1_000));
    assert!(!runner.is_finished(), "no list yet is no empty list");
    assert_eq!(poll_once(runner.poll(1_000)).unwrap().source_errors, 0);
    assert!(runner.position(&ShardId::numbered(0)).is_some());
}

#[test]
fn a_read_that_fails_is_tried_again_later() {
    let source = Arc::new(Flaky::new(0, SourceError::Unavailable));
    let mut runner = runner(&source);
    poll_once(runner.poll(0)).unwrap();
    source.log.put(0, "k", vec![], 0).unwrap();
    runner.target().0.lock().put.insert(1, ShardId::numbered(0));
    source.failures.store(1, Ordering::Relaxed);
    let failed = poll_once(runner.poll(1_000)).unwrap();
    assert_eq!((failed.source_errors, failed.read, failed.due_ms), (1, 0, 2_000));
    let good = poll_once(runner.poll(2_000)).unwrap();
    assert_eq!((good.source_errors, good.read, good.invoked), (0, 1, 1));
}

#[test]
fn a_shard_that_is_gone_counts_as_read_to_its_end() {
    let source = Arc::new(Flaky::new(0, SourceError::Gone));
    let mut runner = runner(&source);
    poll_once(runner.poll(0)).unwrap();
    source.failures.store(1, Ordering::Relaxed);
    poll_once(runner.poll(1_000)).unwrap();
    assert_eq!(runner.position(&ShardId::numbered(0)), Some(&Position::End));
}

#[test]
fn a_dropped_turn_loses_nothing() {
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    let number = function.put(&log, 0, vec![], 0);
    function.script([Outcome::Hang, Outcome::Success]);
    let mut world = world(Settings::default(), &log, &function, vec![]);
    assert!(poll_once(world.poll(0)).is_none());
    assert_eq!(world.backlog(), 1);
    assert_eq!(turn(&mut world, 0).invoked, 1);
    assert_eq!((function.batches(), world.backlog()), (vec![vec![number], vec![number]], 0));
}

#[test]
fn each_shard_gets_one_batch_a_turn() {
    let (log, function) = (Arc::new(StreamLog::new(64)), Function::default());
    for lane in 0..64_u128 {
        for _ in 0..3 {
            function.put(&log, lane << 122, vec![], 0);
        }
    }
    let settings = Settings { batch_size: 2, ..Settings::default() };
    let mut world = world(settings, &log, &function, vec![]);
    let turns = [turn(&mut world, 0), turn(&mut world, 0)];
    assert_eq!(turns.map(|turn| (turn.read, turn.invoked)), [(128, 64), (64, 64)]);
    assert!(turns[0].due_ms <= 0, "there is more at once");
    assert_eq!((world.backlog(), turn(&mut world, 0).is_idle()), (0, true));
}

#[test]
fn a_closed_log_comes_to_an_end() {
    let (log, function) = (Arc::new(StreamLog::new(2)), Function::default());
    function.put(&log, 0, vec![], 0);
    let mut world = world(Settings::default(), &log, &function, vec![]);
    assert!(!world.is_finished());
    turn(&mut world, 0);
    assert!(!world.is_finished(), "open shards may get more");
    log.close();
    run_to_the_end(&mut world, 0);
    assert!(world.positions().all(|(_, position)| *position == Position::End));
}

#[test]
fn settings_that_no_mapping_can_have_are_refused() {
    let settings = Settings { parallelization_factor: 10, ..Settings::default() };
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    let refused = EventSourcePoller::new(settings, stream(), log, function.clone(), function).unwrap_err();
    assert_eq!(refused, SettingsError::ParallelizationFactor(10));
}

#[test]
fn a_turn_is_idle_only_if_it_did_nothing() {
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
fn a_turn_counts_what_it_gave_up() {
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    for _ in 0..3 {
        function.put(&log, 0, vec![], 0);
    }
    function.script([Outcome::Fail]);
    let mut world = world(Settings { retries: Some(0), ..Settings::default() }, &log, &function, vec![]);
    assert_eq!((turn(&mut world, 0).discarded, turn(&mut world, 0).discarded), (0, 3));
    assert_eq!(world.backlog(), 0);
}
