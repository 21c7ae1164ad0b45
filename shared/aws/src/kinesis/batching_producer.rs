//! Gathers puts that are made at once into few requests, one record of a key at a time.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashSet, VecDeque};
use std::mem;
use std::sync::Arc;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use equilibrium_app::unavailable::Unavailable;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::error_span;

use super::Connection;
use crate::retry::{pause, unavailable, with_deadline};

/// Most records of one request (Kinesis API, `PutRecords`).
const MAX_CALL_RECORDS: usize = 500;
/// Most bytes of one request, with partition keys (Kinesis API, `PutRecords`).
const MAX_CALL_BYTES: usize = 5 * 1024 * 1024;
/// Most bytes of one record, with its partition key, that every stream takes (Kinesis API, `PutRecords`).
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// What a record is put under.
#[derive(Debug)]
pub(super) struct Key {
    /// Records of one are put one after the other, in the order of the calls.
    pub partition: String,
    /// Where it lies in the stream's hash-key space, if that is not left to the partition key.
    pub hash: Option<u128>,
}

/// Puts records into one stream.
///
/// Who puts first waits until all that can run has run, and by then others have joined: a request that
/// touches every lane costs one round trip.
#[derive(Debug)]
pub(super) struct BatchingProducer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connection: Connection,
    stream: String,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Put>,
    /// Partition keys of the records under way.
    busy: HashSet<String>,
    /// Whether somebody is about to send what waits.
    gathering: bool,
}

#[derive(Debug)]
struct Put {
    key: Key,
    record: Vec<u8>,
    deadline: Instant,
    done: oneshot::Sender<Result<(), Unavailable>>,
}

impl Put {
    fn bytes(&self) -> usize {
        self.key.partition.len() + self.record.len()
    }

    /// Whether anybody still waits for it.
    fn is_wanted(&self) -> bool {
        !self.done.is_closed() && Instant::now() < self.deadline
    }
}

/// A record under way; its key is free again when this goes.
struct InFlight {
    put: Option<Put>,
    shared: Arc<Shared>,
}

impl InFlight {
    fn put(&self) -> &Put {
        self.put.as_ref().expect("it is taken only when this ends")
    }

    fn end(mut self, outcome: Result<(), Unavailable>) {
        let put = self.put.take().expect("it is taken only when this ends");
        self.shared.lock().busy.remove(&put.key.partition);
        // Who no longer waits need not be told.
        put.done.send(outcome).ok();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(put) = &self.put {
            self.shared.lock().busy.remove(&put.key.partition);
        }
    }
}

/// Sends what waits when it goes: also where the put that was to do it is given up.
struct Flush<'a>(&'a Arc<Shared>);

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        let calls = self.0.take_calls();
        // Without a runtime everything has ended; the puts are told so by being dropped.
        if let Ok(runtime) = Handle::try_current() {
            for call in calls {
                runtime.spawn(Shared::send(Arc::clone(self.0), call));
            }
        }
    }
}

impl BatchingProducer {
    pub(super) fn new(connection: &Connection, stream: &str) -> Self {
        let (connection, stream) = (connection.clone(), stream.to_owned());
        Self(Arc::new(Shared { connection, stream, queue: Mutex::default() }))
    }

    /// Puts a record behind all others of its key.
    pub(super) async fn put(&self, key: Key, record: Vec<u8>) -> Result<(), Unavailable> {
        let deadline = self.0.connection.patience.deadline();
        let (done, outcome) = oneshot::channel();
        // The key is the number of a lane, or a city.
        let span = error_span!("put", stream = self.0.stream, partition_key = &*key.partition);
        let put = Put { key, record, deadline, done };
        if put.bytes() > MAX_RECORD_BYTES {
            tracing::error!(stream = self.0.stream, bytes = put.bytes(), "a record was too large to put");
            return Err(Unavailable);
        }
        if self.0.enqueue(put) {
            let _flush = Flush(&self.0);
            yield_now().await;
        }
        with_deadline(deadline, span, async { outcome.await.unwrap_or(Err(Unavailable)) }).await
    }
}

impl Shared {
    /// No panic leaves the queue half changed.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// Lets a put wait; tells whether the caller is to send.
    fn enqueue(&self, put: Put) -> bool {
        let mut queue = self.lock();
        queue.waiting.push_back(put);
        !mem::replace(&mut queue.gathering, true)
    }

    /// Takes what can be sent: of each key the first, unless one of it is under way.
    fn take_calls(self: &Arc<Self>) -> Vec<Vec<InFlight>> {
        let mut queue = self.lock();
        queue.gathering = false;
        let mut calls: Vec<Vec<InFlight>> = Vec::new();
        let mut bytes = 0;
        for put in mem::take(&mut queue.waiting) {
            if !put.is_wanted() {
                continue;
            }
            if queue.busy.contains(&put.key.partition) {
                queue.waiting.push_back(put);
                continue;
            }
            queue.busy.insert(put.key.partition.clone());
            bytes += put.bytes();
            let fits = |call: &&mut Vec<InFlight>| call.len() < MAX_CALL_RECORDS && bytes <= MAX_CALL_BYTES;
            let under_way = InFlight { put: Some(put), shared: Arc::clone(self) };
            if let Some(call) = calls.last_mut().filter(fits) {
                call.push(under_way);
            } else {
                bytes = under_way.put().bytes();
                calls.push(vec![under_way]);
            }
        }
        calls
    }

    /// Sends records until each is in the stream or nobody waits for it any more.
    async fn send(self: Arc<Self>, mut call: Vec<InFlight>) {
        for retry in 0.. {
            call.retain(|record| record.put().is_wanted());
            let Some(deadline) = call.iter().map(|record| record.put().deadline).max() else {
                return self.send_waiting().await;
            };
            let answer = timeout_at(deadline, self.request(&call)).await.unwrap_or(Err(Unavailable));
            let Ok(answer) = answer else {
                call.into_iter().for_each(|record| record.end(Err(Unavailable)));
                return self.send_waiting().await;
            };
            let mut outcomes = answer.iter().map(|result| result.error_code.as_deref());
            let mut refused = Vec::new();
            for record in call {
                match outcomes.next() {
                    Some(None) => record.end(Ok(())),
                    code => {
                        tracing::warn!(stream = self.stream, code = code.flatten(), "a record was refused");
                        refused.push(record);
                    }
                }
            }
            call = refused;
            self.send_waiting().await;
            if call.is_empty() {
                return;
            }
            let again = Instant::now() + pause(retry, self.connection.patience.attempt_timeout);
            sleep_until(again.min(deadline)).await;
        }
    }

    /// Sends what waited for keys that have become free.
    async fn send_waiting(self: &Arc<Self>) {
        let leads = {
            let mut queue = self.lock();
            !queue.waiting.is_empty() && !mem::replace(&mut queue.gathering, true)
        };
        if leads {
            let _flush = Flush(self);
            yield_now().await;
        }
    }

    async fn request(&self, call: &[InFlight]) -> Result<Vec<PutRecordsResultEntry>, Unavailable> {
        let mut request = self.connection.client.put_records().stream_name(&self.stream);
        for put in call.iter().map(InFlight::put) {
            let entry = PutRecordsRequestEntry::builder()
                .partition_key(&put.key.partition)
                .set_explicit_hash_key(put.key.hash.map(|hash| hash.to_string()))
                .data(Blob::new(put.record.as_slice()));
            request = request.records(entry.build().map_err(|error| unavailable("PutRecords", &error))?);
        }
        let answer = request.send().await.map_err(|error| unavailable("PutRecords", &error))?;
        Ok(answer.records)
    }
}
