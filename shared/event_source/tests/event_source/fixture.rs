//! A poller over the in-memory stream log, whose function and on-failure destination check order and limits.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::mapping::EventSourceMapping;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, OnFailure, PollOutcome, Target};
use equilibrium_event_source::record::{Discarded, Position};
use equilibrium_event_source::settings::Settings;
use equilibrium_lambda::kinesis::encode::Stream;
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use serde_json::{Value, json};

/// How the function responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Fail,
    Refuse,
    NotJson,
    NullItem,
    UnknownItem,
    /// Reports the record at this place (modulo the batch), and the last one too.
    From(usize),
    /// Never responds.
    Hang,
}

/// How a poisoned batch fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Poison {
    #[default]
    Fails,
    IsReported,
    /// Reports the first record, whichever is at fault.
    ReportsTheFirst,
}

/// What has been put, processed and discarded so far.
#[derive(Debug, Default)]
pub struct Witness {
    pub settings: Settings,
    pub script: VecDeque<Outcome>,
    pub poisoned: BTreeSet<u64>,
    pub poison: Poison,
    pub put: BTreeMap<u64, ShardId>,
    pub parents: HashMap<ShardId, Vec<ShardId>>,
    pub done: BTreeSet<u64>,
    pub batches: Vec<Vec<u64>>,
    pub discarded: Vec<Discarded>,
}

/// The function and the on-failure destination.
#[derive(Clone, Debug, Default)]
pub struct Function(pub Arc<Mutex<Witness>>);

pub type TestPoller = EventSourcePoller<Arc<StreamLog>, Function, Function>;

pub fn stream() -> Stream {
    Stream {
        arn: "arn:aws:kinesis:us-east-1:000000000000:stream/events".into(),
        region: "us-east-1".into(),
        role_arn: "arn:aws:iam::000000000000:role/count".into(),
    }
}

pub fn record(number: u64, arrival_ms: i64) -> Record {
    Record { sequence: number.into(), partition_key: "k".into(), data: vec![b'x'; 30], arrival_ms }
}

/// A poller of `log` that resumes from `saved`.
pub fn poller(
    settings: Settings,
    log: &Arc<StreamLog>,
    function: &Function,
    saved: Vec<(ShardId, Position)>,
) -> TestPoller {
    function.0.lock().settings = settings;
    let mapping = EventSourceMapping::new(settings, stream(), saved).unwrap();
    EventSourcePoller::of(mapping, Arc::clone(log), function.clone(), function.clone())
}

/// Polls once: in-memory ports never wait, so a pending future hangs; it is dropped.
pub fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub fn poll(poller: &mut TestPoller, now_ms: i64) -> PollOutcome {
    poll_once(poller.poll(now_ms)).unwrap()
}

/// Polls until the stream is finished, at the times that the polls return.
pub fn run_to_the_end(poller: &mut TestPoller, mut now_ms: i64) {
    for _ in 0..10_000 {
        if poller.is_finished() {
            return;
        }
        if let Some(outcome) = poll_once(poller.poll(now_ms)) {
            now_ms = now_ms.max(outcome.due_ms);
        }
    }
    panic!("not finished after 10 000 polls: {:?}", poller.positions().collect::<Vec<_>>());
}

impl Function {
    pub fn script(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.0.lock().script.extend(outcomes);
    }

    /// Puts a record and notes the shard that it must come from.
    pub fn put(&self, log: &StreamLog, hash_key: u128, data: Vec<u8>, now_ms: i64) -> u64 {
        let number = log.put(hash_key, "k", data, now_ms).unwrap();
        let shard = log.shard_of(hash_key).unwrap();
        self.0.lock().put.insert(number, shard);
        number
    }

    pub fn batches(&self) -> Vec<Vec<u64>> {
        self.0.lock().batches.clone()
    }
}

impl Witness {
    fn record_batch(&mut self, payload: &[u8]) -> (ShardId, Vec<u64>) {
        let event: Value = serde_json::from_slice(payload).unwrap();
        let records = event["Records"].as_array().unwrap();
        let shards = records.iter().map(|r| r["eventID"].as_str().unwrap().split_once(':').unwrap().0);
        let shards: BTreeSet<&str> = shards.collect();
        assert_eq!(shards.len(), 1, "a batch has records of one shard");
        let shard = ShardId::new(shards.first().unwrap()).unwrap();
        let numbers =
            records.iter().map(|r| r["kinesis"]["sequenceNumber"].as_str().unwrap().parse().unwrap());
        let numbers: Vec<u64> = numbers.collect();

        assert!(numbers.len() <= self.settings.batch_size, "batch of {}", numbers.len());
        assert!(payload.len() <= self.settings.max_payload_bytes, "payload of {}", payload.len());
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        let own = self.put.range(first..=last).filter(|(_, s)| **s == shard).map(|(n, _)| *n);
        assert!(own.eq(numbers.iter().copied()), "a batch of {shard} has gaps: {numbers:?}");
        for (number, of) in &self.put {
            let before = (*of == shard && *number < first) || self.is_ancestor(of, &shard);
            assert!(
                !before || self.done.contains(number),
                "{numbers:?} of {shard} overtook {number} of {of}"
            );
        }
        self.batches.push(numbers.clone());
        (shard, numbers)
    }

    fn is_ancestor(&self, older: &ShardId, shard: &ShardId) -> bool {
        let parents = self.parents.get(shard).into_iter().flatten();
        parents.into_iter().any(|parent| parent == older || self.is_ancestor(older, parent))
    }

    fn next_outcome(&mut self, numbers: &[u64]) -> Outcome {
        let at_fault = numbers.iter().position(|number| self.poisoned.contains(number));
        match (at_fault, self.poison) {
            (None, _) => self.script.pop_front().unwrap_or(Outcome::Success),
            (Some(_), Poison::Fails) => Outcome::Fail,
            (Some(at), Poison::IsReported) => Outcome::From(at),
            (Some(_), Poison::ReportsTheFirst) => Outcome::From(0),
        }
    }

    fn respond(&mut self, numbers: &[u64], outcome: Outcome) -> Option<Result<Vec<u8>, InvokeError>> {
        let reports = self.settings.report_batch_item_failures;
        let item = |id: Value| json!({ "batchItemFailures": [{ "itemIdentifier": id }] }).to_string();
        let (done, response) = match outcome {
            Outcome::Hang => return None,
            Outcome::Fail => return Some(Err(InvokeError::Failed)),
            Outcome::Refuse => return Some(Err(InvokeError::Refused)),
            Outcome::NotJson => (0, "batchItemFailures: none".to_owned()),
            Outcome::Success => (numbers.len(), r#"{"batchItemFailures":[]}"#.to_owned()),
            Outcome::NullItem => (if reports { 0 } else { numbers.len() }, item(Value::Null)),
            Outcome::UnknownItem => (if reports { 0 } else { numbers.len() }, item("0".into())),
            Outcome::From(place) => {
                let place = place % numbers.len();
                let name = |number: u64| json!({ "itemIdentifier": number.to_string() });
                let items = [name(numbers[numbers.len() - 1]), name(numbers[place])];
                (
                    if reports { place } else { numbers.len() },
                    json!({ "batchItemFailures": items }).to_string(),
                )
            }
        };
        self.done.extend(&numbers[..done]);
        Some(Ok(response.into_bytes()))
    }
}

impl Target for Function {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let response = {
            let mut witness = self.0.lock();
            let (_, numbers) = witness.record_batch(payload);
            let outcome = witness.next_outcome(&numbers);
            witness.respond(&numbers, outcome)
        };
        match response {
            Some(response) => response,
            None => std::future::pending().await,
        }
    }
}

impl OnFailure for Function {
    async fn report(&self, discarded: Discarded) {
        let mut witness = self.0.lock();
        let number = |sequence: &Sequence| sequence.as_str().parse::<u64>().unwrap();
        let span = witness.put.range(number(&discarded.first)..=number(&discarded.last));
        let numbers: Vec<u64> = span.filter(|(_, s)| **s == discarded.shard).map(|(n, _)| *n).collect();
        assert_eq!(numbers.len(), discarded.count);
        for number in &numbers {
            assert!(!witness.done.contains(number), "{number} was done and is discarded");
        }
        witness.done.extend(numbers);
        witness.discarded.push(discarded);
    }
}
