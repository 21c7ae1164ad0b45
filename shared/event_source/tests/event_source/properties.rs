//! Properties over random histories of the stream and random behaviour of the function.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::record::{Position, Reason};
use equilibrium_event_source::settings::Settings;
use equilibrium_lambda::kinesis::record::ShardId;
use proptest::prelude::*;

use crate::fixture::{Function, Outcome, Poison, TestPoller, poll_once, poller, run_to_the_end};

/// One step of a history.
#[derive(Clone, Debug)]
enum Action {
    Put { key: u128, bytes: usize },
    Split { shard: usize, at: u128 },
    Merge { shard: usize },
    Expire { shard: usize },
    Poll { after_ms: i64 },
    Crash,
}

fn settings() -> impl Strategy<Value = Settings> {
    let limits = (1..7_usize, prop_oneof![Just(0), 1..3_000_i64], 900..2_500_usize);
    let retries = (prop::option::of(0..3_u32), prop::option::of(Just(60_000_i64)));
    let flags = (any::<bool>(), any::<bool>(), prop_oneof![Just(0_i64), Just(1_000)]);
    (limits, retries, flags).prop_map(|(limits, (retries, max_record_age_ms), flags)| Settings {
        batch_size: limits.0,
        batching_window_ms: limits.1,
        max_payload_bytes: limits.2,
        retries,
        max_record_age_ms,
        bisect_on_error: flags.0,
        report_batch_item_failures: flags.1,
        parallelization_factor: 1,
        poll_ms: flags.2,
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (any::<u128>(), prop_oneof![9 => 0..200_usize, 1 => 200..2_500_usize])
            .prop_map(|(key, bytes)| Action::Put { key, bytes }),
        1 => (0..4_usize, any::<u128>()).prop_map(|(shard, at)| Action::Split { shard, at }),
        1 => (0..4_usize).prop_map(|shard| Action::Merge { shard }),
        1 => (0..9_usize).prop_map(|shard| Action::Expire { shard }),
        10 => prop_oneof![4 => 0..2_000_i64, 1 => 2_000..90_000_i64].prop_map(|after_ms| Action::Poll { after_ms }),
        1 => Just(Action::Crash),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        3 => Just(Outcome::Fail),
        1 => Just(Outcome::Refuse),
        1 => Just(Outcome::NotJson),
        1 => Just(Outcome::NullItem),
        1 => Just(Outcome::UnknownItem),
        3 => (0..7_usize).prop_map(Outcome::From),
        1 => Just(Outcome::Hang),
    ]
}

/// The stream, its poller, and the positions after the last poll.
struct History {
    log: Arc<StreamLog>,
    function: Function,
    settings: Settings,
    poller: TestPoller,
    now_ms: i64,
    seen: BTreeMap<ShardId, Position>,
}

impl History {
    fn new(settings: Settings) -> Self {
        let (log, function) = (Arc::new(StreamLog::new(2)), Function::default());
        let poller = poller(settings, &log, &function, Vec::new());
        Self { log, function, settings, poller, now_ms: 1_000_000, seen: BTreeMap::new() }
    }

    fn apply(&mut self, action: &Action) {
        match *action {
            Action::Put { key, bytes } => {
                self.function.put(&self.log, key, vec![b'x'; bytes], self.now_ms);
            }
            Action::Split { shard, at } => self.split(shard, at),
            Action::Merge { shard } => self.merge(shard),
            Action::Expire { shard } => self.expire(&ShardId::numbered(shard)),
            Action::Poll { after_ms } => {
                self.now_ms += after_ms;
                poll_once(self.poller.poll(self.now_ms));
                self.check_positions();
            }
            Action::Crash => self.crash(),
        }
    }

    fn split(&mut self, shard: usize, at: u128) {
        let Some(shard) = self.log.open_shards().get(shard).cloned() else { return };
        let Ok(children) = self.log.split(&shard, at) else { return };
        let parents = &mut self.function.0.lock().parents;
        parents.extend(children.map(|child| (child, vec![shard.clone()])));
    }

    fn merge(&mut self, shard: usize) {
        let open = self.log.open_shards();
        let (Some(one), Some(other)) = (open.get(shard), open.get(shard + 1)) else { return };
        let child = self.log.merge(one, other).unwrap();
        self.function.0.lock().parents.insert(child, vec![one.clone(), other.clone()]);
    }

    /// Retention exceeds any lag here: only finished shards expire.
    fn expire(&mut self, shard: &ShardId) {
        if self.poller.position(shard) == Some(&Position::End) {
            self.log.expire(shard).unwrap();
        }
    }

    fn crash(&mut self) {
        let saved = self.poller.positions().map(|(id, at)| (id.clone(), at.clone())).collect();
        self.poller = poller(self.settings, &self.log, &self.function, saved);
        self.check_positions();
    }

    /// Positions only grow, and all records before them are done.
    fn check_positions(&mut self) {
        for (shard, position) in self.poller.positions() {
            let before = self.seen.insert(shard.clone(), position.clone()).unwrap_or_default();
            assert!(before <= *position, "{shard} went from {before:?} back to {position:?}");
            let witness = self.function.0.lock();
            for (number, _) in witness.put.iter().filter(|(_, of)| *of == shard) {
                let is_before = *position == Position::End || *position >= Position::After((*number).into());
                assert!(
                    !is_before || witness.done.contains(number),
                    "{number} is before the position and not done"
                );
            }
            drop(witness);
            self.log.trim(shard, position);
        }
    }

    fn end(&mut self) {
        self.log.close();
        run_to_the_end(&mut self.poller, self.now_ms);
        self.check_positions();
        let witness = self.function.0.lock();
        assert!(witness.put.keys().eq(&witness.done), "put {:?}, done {:?}", witness.put, witness.done);
        assert!(self.log.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The function asserts order and limits at every batch: see `Witness::record_batch`.
    #[test]
    fn every_record_is_processed_or_discarded_in_order_within_limits(
        settings in settings(),
        outcomes in prop::collection::vec(outcome(), 0..40),
        actions in prop::collection::vec(action(), 0..80),
    ) {
        let mut history = History::new(settings);
        history.function.script(outcomes);
        for action in &actions {
            history.apply(action);
        }
        history.end();
        let witness = history.function.0.lock();
        for discarded in &witness.discarded {
            match discarded.reason {
                Reason::RetriesExhausted => prop_assert_eq!(settings.retries, Some(discarded.attempts - 1)),
                Reason::TooOld => prop_assert!(settings.max_record_age_ms.is_some()),
                Reason::TooLarge => prop_assert_eq!(discarded.count, 1),
            }
        }
    }

    #[test]
    fn with_bisecting_a_poisoned_record_costs_no_neighbour(
        batch_size in 1..20_usize,
        records in 1..40_u64,
        poisoned in prop::collection::btree_set(1..40_u64, 0..4),
        poison in prop_oneof![Just(Poison::Fails), Just(Poison::IsReported), Just(Poison::ReportsTheFirst)],
        retries in 0..4_u32,
    ) {
        let settings = Settings {
            batch_size,
            retries: Some(retries),
            bisect_on_error: true,
            report_batch_item_failures: true,
            ..Settings::default()
        };
        let mut history = History::new(settings);
        for _ in 0..records {
            history.apply(&Action::Put { key: 0, bytes: 10 });
        }
        {
            let mut witness = history.function.0.lock();
            witness.poison = poison;
            witness.poisoned = poisoned.into_iter().filter(|number| *number <= records).collect();
        }
        history.end();
        let witness = history.function.0.lock();
        for (discarded, number) in witness.discarded.iter().zip(&witness.poisoned) {
            prop_assert_eq!(&discarded.first, &(*number).into());
            prop_assert_eq!((discarded.count, discarded.attempts), (1, retries + 1));
        }
        prop_assert_eq!(witness.discarded.len(), witness.poisoned.len());
    }
}
