//! A producer that batches concurrent puts into few requests, with one record per key in flight at a time.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashSet, VecDeque};
use std::mem;
use std::sync::Arc;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use equilibrium_app::unavailable::{SendError, Unavailable};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::error_span;

use super::Connection;
use crate::retry::{jittered_backoff, log_unavailable, with_deadline};

/// Records of one request (Kinesis API, `PutRecords`).
const MAX_CALL_RECORDS: usize = 500;
/// Bytes of one request, including partition keys (Kinesis API, `PutRecords`).
const MAX_CALL_BYTES: usize = 5 * 1024 * 1024;
/// Bytes of one record, including its partition key, that every stream accepts (Kinesis API, `PutRecords`).
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// The key of a record.
#[derive(Debug)]
pub(super) struct Key {
    /// Records of one partition key are put one after the other, in the order of the calls. It is the part of the stream
    /// within which order matters, whatever shard it is in.
    pub partition: String,
    /// The explicit hash key, which alone chooses the shard, if the partition key does not.
    pub hash: Option<u128>,
}

/// Puts records into one stream.
///
/// The first put yields once to the other tasks before it sends a request, so that their puts join it: an HTTP
/// request with events of every lane costs one round trip.
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
    /// Partition keys of the records in flight.
    busy: HashSet<String>,
    /// Whether a task is about to send the waiting puts.
    flush_pending: bool,
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

    /// Whether its caller still waits.
    fn is_awaited(&self) -> bool {
        !self.done.is_closed() && Instant::now() < self.deadline
    }
}

/// A record in flight. Its key is free again when this value is dropped.
struct InFlight {
    put: Option<Put>,
    shared: Arc<Shared>,
}

impl InFlight {
    fn put(&self) -> &Put {
        self.put.as_ref().expect("only `end` takes it")
    }

    fn end(mut self, outcome: Result<(), Unavailable>) {
        let put = self.put.take().expect("only `end` takes it");
        self.shared.lock().busy.remove(&put.key.partition);
        // The send fails if the caller no longer waits.
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

/// Sends the waiting puts on drop, so that they are sent even if the future of the first put is dropped.
struct Flush<'a>(&'a Arc<Shared>);

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        let calls = self.0.take_calls();
        // Without a runtime nothing is sent; dropping the calls fails their puts.
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

    /// Puts a record after all others of its key.
    ///
    /// # Errors
    /// [`SendError`].
    pub(super) async fn put(&self, key: Key, record: Vec<u8>) -> Result<(), SendError> {
        let deadline = self.0.connection.retry_policy.deadline();
        let (done, outcome) = oneshot::channel();
        // The partition key is a lane or a city.
        let span = error_span!("put", stream = self.0.stream, partition_key = &*key.partition);
        let put = Put { key, record, deadline, done };
        let bytes = put.bytes();
        if bytes > MAX_RECORD_BYTES {
            span.in_scope(|| tracing::error!(bytes, "record too large"));
            return Err(SendError::TooLarge { bytes });
        }
        if self.0.enqueue(put) {
            let _flush = Flush(&self.0);
            yield_now().await;
        }
        Ok(with_deadline(deadline, span, async { outcome.await.unwrap_or(Err(Unavailable)) }).await?)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// Adds a put to the queue; `true` if the caller must send the waiting puts.
    fn enqueue(&self, put: Put) -> bool {
        let mut queue = self.lock();
        queue.waiting.push_back(put);
        !mem::replace(&mut queue.flush_pending, true)
    }

    /// Takes the puts that can be sent: the first of each key that has none in flight.
    fn take_calls(self: &Arc<Self>) -> Vec<Vec<InFlight>> {
        let mut queue = self.lock();
        queue.flush_pending = false;
        let mut calls: Vec<Vec<InFlight>> = Vec::new();
        let mut bytes = 0;
        for put in mem::take(&mut queue.waiting) {
            if !put.is_awaited() {
                continue;
            }
            if queue.busy.contains(&put.key.partition) {
                queue.waiting.push_back(put);
                continue;
            }
            queue.busy.insert(put.key.partition.clone());
            bytes += put.bytes();
            let fits = |call: &&mut Vec<InFlight>| call.len() < MAX_CALL_RECORDS && bytes <= MAX_CALL_BYTES;
            let in_flight = InFlight { put: Some(put), shared: Arc::clone(self) };
            if let Some(call) = calls.last_mut().filter(fits) {
                call.push(in_flight);
            } else {
                bytes = in_flight.put().bytes();
                calls.push(vec![in_flight]);
            }
        }
        calls
    }

    /// Sends records until each is in the stream or its caller no longer waits.
    async fn send(self: Arc<Self>, mut call: Vec<InFlight>) {
        for retry in 0.. {
            call.retain(|record| record.put().is_awaited());
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
                        tracing::warn!(stream = self.stream, code = code.flatten(), "record refused");
                        refused.push(record);
                    }
                }
            }
            call = refused;
            self.send_waiting().await;
            if call.is_empty() {
                return;
            }
            let backoff = jittered_backoff(retry, self.connection.retry_policy.attempt_timeout);
            sleep_until((Instant::now() + backoff).min(deadline)).await;
        }
    }

    /// Sends puts that waited for keys which are free now.
    async fn send_waiting(self: &Arc<Self>) {
        let must_flush = {
            let mut queue = self.lock();
            !queue.waiting.is_empty() && !mem::replace(&mut queue.flush_pending, true)
        };
        if must_flush {
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
            request = request.records(entry.build().map_err(|error| log_unavailable("PutRecords", &error))?);
        }
        let answer = request.send().await.map_err(|error| log_unavailable("PutRecords", &error))?;
        Ok(answer.records)
    }
}
