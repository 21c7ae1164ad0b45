//! Does what is due on a mapping's shards, over three ports: the stream, the function, the on-failure destination.

use std::future::Future;
use std::sync::Arc;

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_lambda::kinesis::encode::{InvocationOutcome, Stream};
use equilibrium_lambda::kinesis::record::ShardId;
use thiserror::Error;

use crate::mapping::EventSourceMapping;
use crate::record::{Discarded, Listed, Page, Position};
use crate::settings::{LIST_INTERVAL_MS, MIN_RETRY_BACKOFF_MS, Settings, SettingsError};
use crate::shard::{Shard, Step};

/// Why a stream could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Try again later.
    #[error("the stream is unavailable")]
    Unavailable,
    /// The shard no longer exists; its unread records are lost.
    #[error("the shard no longer exists")]
    Gone,
}

/// The stream that records come from.
pub trait Source: Send + Sync {
    /// All shards that still hold records or may receive some, in any order.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`]: the poller lists again later.
    fn shards(&self) -> impl Future<Output = Result<Vec<Listed>, SourceError>> + Send;

    /// Up to `limit` records of `shard` that follow `after`; from the oldest retained record if `after` is `None` or
    /// no longer retained.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`]: the poller reads the same page later; [`SourceError::Gone`]: the shard counts as
    /// read to its end.
    fn read(
        &self,
        shard: &ShardId,
        after: Option<&Sequence>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, SourceError>> + Send;
}

impl<S: Source> Source for Arc<S> {
    fn shards(&self) -> impl Future<Output = Result<Vec<Listed>, SourceError>> + Send {
        S::shards(self)
    }

    fn read(
        &self,
        shard: &ShardId,
        after: Option<&Sequence>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, SourceError>> + Send {
        S::read(self, shard, after, limit)
    }
}

/// Why an invocation has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvokeError {
    /// The function ran and failed, or timed out. Uses up an attempt.
    #[error("the function failed")]
    Failed,
    /// The function did not run (throttled, unreachable). Retried without using up an attempt.
    #[error("the function could not be invoked")]
    Refused,
}

/// The function that receives the records.
pub trait Target: Send + Sync {
    /// Invokes the function with a Kinesis event and waits for its response, as JSON.
    ///
    /// # Errors
    /// [`InvokeError`] says whether the function ran.
    fn invoke(&self, payload: &[u8]) -> impl Future<Output = Result<Vec<u8>, InvokeError>> + Send;
}

/// The on-failure destination: the queue that receives the positions of discarded records.
pub trait OnFailure: Send + Sync {
    /// Reports discarded records. The shard continues when this returns: the implementation counts a report that it
    /// cannot deliver, as Lambda does.
    fn report(&self, discarded: Discarded) -> impl Future<Output = ()> + Send;
}

/// The destination of a mapping that never discards: its retries and record age are unlimited, and all its records fit
/// into a payload.
///
/// # Panics
/// [`OnFailure::report`] panics: records would be lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverDiscard;

impl OnFailure for NeverDiscard {
    async fn report(&self, discarded: Discarded) {
        panic!("a mapping that never discards discarded {discarded:?}");
    }
}

/// The result of one poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollOutcome {
    /// Records read.
    pub read: usize,
    /// Invocations, whether or not they succeeded.
    pub invoked: usize,
    /// Records discarded.
    pub discarded: usize,
    /// Failed lists and reads of the stream; they are repeated later.
    pub source_errors: usize,
    /// When the next poll has something to do; not later than now if it has at once.
    pub due_ms: i64,
}

impl PollOutcome {
    /// Whether the poll did nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.read + self.invoked + self.discarded + self.source_errors == 0
    }
}

/// A mapping with its stream, its function and its on-failure destination.
///
/// A poll that is dropped before its end loses nothing: a batch in progress is due again.
#[derive(Debug)]
pub struct EventSourcePoller<S, T, F> {
    source: S,
    target: T,
    on_failure: F,
    mapping: EventSourceMapping,
    payload: Vec<u8>,
    list_at_ms: i64,
    listed: bool,
    due_ms: i64,
    /// The time of the last poll.
    polled_at_ms: i64,
}

impl<S: Source, T: Target, F: OnFailure> EventSourcePoller<S, T, F> {
    /// A poller that starts every shard at its oldest record.
    ///
    /// # Errors
    /// [`SettingsError`] if no mapping can have these settings.
    pub fn new(
        settings: Settings,
        stream: Stream,
        source: S,
        target: T,
        on_failure: F,
    ) -> Result<Self, SettingsError> {
        Ok(Self::of(EventSourceMapping::new(settings, stream, [])?, source, target, on_failure))
    }

    /// A poller of `mapping`, which may resume from saved positions.
    #[must_use]
    pub fn of(mapping: EventSourceMapping, source: S, target: T, on_failure: F) -> Self {
        Self {
            source,
            target,
            on_failure,
            mapping,
            payload: Vec::new(),
            list_at_ms: i64::MIN,
            listed: false,
            due_ms: i64::MIN,
            polled_at_ms: i64::MIN,
        }
    }

    /// The position of each shard, to save and resume from.
    pub fn positions(&self) -> impl Iterator<Item = (&ShardId, &Position)> {
        self.mapping.positions()
    }

    /// The position of `shard`; `None` if the mapping does not know the shard.
    #[must_use]
    pub fn position(&self, shard: &ShardId) -> Option<&Position> {
        self.mapping.position(shard)
    }

    /// The number of records that are gathered and not yet done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.mapping.backlog()
    }

    /// Whether every shard of the stream is closed, read to its end and done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.listed && self.mapping.is_finished()
    }

    /// The stream.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The function.
    #[must_use]
    pub fn target(&self) -> &T {
        &self.target
    }

    /// Does what is due at `now_ms`: for each shard at most one read and one invocation. Before the last poll's
    /// [`PollOutcome::due_ms`] it does nothing. If the clock was set back since the last poll, nothing waits for times
    /// that were computed by it.
    pub async fn poll(&mut self, now_ms: i64) -> PollOutcome {
        if now_ms < self.polled_at_ms {
            self.mapping.clock_set_back(now_ms);
            (self.list_at_ms, self.due_ms) = (now_ms, now_ms);
        }
        self.polled_at_ms = now_ms;
        if now_ms < self.due_ms {
            return PollOutcome { due_ms: self.due_ms, ..PollOutcome::default() };
        }
        // If this poll is dropped half-way, the next one must not wait.
        self.due_ms = i64::MIN;
        let mut outcome = PollOutcome::default();
        if now_ms >= self.list_at_ms {
            self.list(now_ms, &mut outcome).await;
        }
        let settings = self.mapping.settings();
        let mut dispatch = Dispatch {
            source: &self.source,
            target: &self.target,
            on_failure: &self.on_failure,
            payload: &mut self.payload,
            settings,
            now_ms,
        };
        for shard in self.mapping.readable() {
            dispatch.read(shard, &mut outcome).await;
            dispatch.process(shard, &mut outcome).await;
        }
        if self.mapping.open_children() {
            self.listed = false;
            self.list_at_ms = now_ms;
        }
        self.due_ms = self.mapping.due_at().map_or(self.list_at_ms, |due_ms| due_ms.min(self.list_at_ms));
        outcome.due_ms = self.due_ms;
        outcome
    }

    async fn list(&mut self, now_ms: i64, outcome: &mut PollOutcome) {
        if let Ok(listed) = self.source.shards().await {
            self.mapping.list(listed);
            self.listed = true;
            self.list_at_ms = now_ms + LIST_INTERVAL_MS;
        } else {
            outcome.source_errors += 1;
            self.list_at_ms = now_ms + self.mapping.settings().poll_ms.max(MIN_RETRY_BACKOFF_MS);
        }
    }
}

/// The ports during one poll, which processes one shard after the other.
struct Dispatch<'a, S, T, F> {
    source: &'a S,
    target: &'a T,
    on_failure: &'a F,
    payload: &'a mut Vec<u8>,
    settings: Settings,
    now_ms: i64,
}

impl<S: Source, T: Target, F: OnFailure> Dispatch<'_, S, T, F> {
    async fn read(&self, shard: &mut Shard, outcome: &mut PollOutcome) {
        if shard.read_at().is_none_or(|at_ms| at_ms > self.now_ms) {
            return;
        }
        match self.source.read(shard.id(), shard.read_after(), shard.read_limit(&self.settings)).await {
            Ok(page) => outcome.read += shard.gather(self.now_ms, page, &self.settings),
            Err(SourceError::Gone) => shard.gone(),
            Err(SourceError::Unavailable) => {
                outcome.source_errors += 1;
                shard.read_failed(self.now_ms, &self.settings);
            }
        }
    }

    async fn process(&mut self, shard: &mut Shard, outcome: &mut PollOutcome) {
        shard.abandon();
        loop {
            match shard.step(self.now_ms, &self.settings) {
                Step::Wait(_) => return,
                Step::Report(discarded) => {
                    outcome.discarded += discarded.count;
                    self.on_failure.report(discarded).await;
                    shard.reported(&self.settings);
                }
                Step::Invoke => {
                    outcome.invoked += 1;
                    return self.invoke(shard).await;
                }
            }
        }
    }

    async fn invoke(&mut self, shard: &mut Shard) {
        self.payload.clear();
        shard.write_payload(self.payload);
        let outcome = match self.target.invoke(self.payload).await {
            Ok(response) => InvocationOutcome::read(&response, self.settings.report_batch_item_failures),
            Err(InvokeError::Failed) => InvocationOutcome::Failure,
            Err(InvokeError::Refused) => InvocationOutcome::Refused,
        };
        shard.settle(self.now_ms, &outcome, &self.settings);
    }
}
