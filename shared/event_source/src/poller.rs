//! Does what the mapping finds due, over three ports: the stream, the function, the last resort.

use std::future::Future;
use std::sync::Arc;

use equilibrium_domain::event::sequence::Sequence;
use thiserror::Error;

use crate::mapping::EventSourceMapping;
use crate::record::{Discarded, Listed, Page, Position};
use crate::settings::{LIST_MS, RETRY_FIRST_MS, Settings, SettingsError};
use crate::shard::{Shard, Step};
use equilibrium_lambda::kinesis::encode::{InvocationOutcome, Stream};
use equilibrium_lambda::kinesis::record::ShardId;

/// Why a stream could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Try again later.
    #[error("the stream does not answer")]
    Unavailable,
    /// The shard no longer exists; its unread records are lost.
    #[error("the shard is gone")]
    Gone,
}

/// The stream that records come from.
pub trait Source: Send + Sync {
    /// All shards that still hold records or may get some, in any order.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`]: the list is asked for again later.
    fn shards(&self) -> impl Future<Output = Result<Vec<Listed>, SourceError>> + Send;

    /// Up to `limit` records of `shard` behind `after`, from the oldest one kept if that is none or
    /// no longer kept.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`]: the same page is asked for again later; [`SourceError::Gone`]: the
    /// shard counts as read to its end.
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

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvokeError {
    /// The function ran and failed, or outran its time. Uses up an attempt.
    #[error("the function failed")]
    Failed,
    /// The function never ran (throttled, unreachable). Retried without using up an attempt.
    #[error("the function could not be invoked")]
    Refused,
}

/// The function that records go to.
pub trait Target: Send + Sync {
    /// Invokes it with a Kinesis event and waits for its response, as JSON.
    ///
    /// # Errors
    /// [`InvokeError`] tells whether the function ran.
    fn invoke(&self, payload: &[u8]) -> impl Future<Output = Result<Vec<u8>, InvokeError>> + Send;
}

/// Where the names of discarded records go.
pub trait OnFailure: Send + Sync {
    /// Tells of records that were given up. The shard goes on when this returns: a report that cannot
    /// be delivered is the implementation's to count, as it is on Lambda.
    fn report(&self, discarded: Discarded) -> impl Future<Output = ()> + Send;
}

/// What one turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollOutcome {
    /// Records read.
    pub read: usize,
    /// Invocations, whatever came of them.
    pub invoked: usize,
    /// Records given up.
    pub discarded: usize,
    /// Lists and reads that the stream failed at; tried again later.
    pub source_errors: usize,
    /// When the next turn can do something; at most `now` if it can at once.
    pub due_ms: i64,
}

impl PollOutcome {
    /// Whether the turn found nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.read + self.invoked + self.discarded + self.source_errors == 0
    }
}

/// A mapping and what it is connected to.
///
/// A turn that is dropped before its end loses nothing: what it had in hand is due again.
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
}

impl<S: Source, T: Target, F: OnFailure> EventSourcePoller<S, T, F> {
    /// A runner that begins every shard at its oldest record.
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

    /// A runner of `mapping`, which may go on from saved positions.
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
        }
    }

    /// How far each shard is done: what to save and go on from.
    pub fn positions(&self) -> impl Iterator<Item = (&ShardId, &Position)> {
        self.mapping.positions()
    }

    /// How far `shard` is done; none if nothing is known of it.
    #[must_use]
    pub fn position(&self, shard: &ShardId) -> Option<&Position> {
        self.mapping.position(shard)
    }

    /// How many records are gathered and not yet done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.mapping.backlog()
    }

    /// Whether every shard of the stream was closed, read to its end, and is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.listed && self.mapping.is_finished()
    }

    /// The stream it reads.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The function it invokes.
    #[must_use]
    pub fn target(&self) -> &T {
        &self.target
    }

    /// Does what is due at `now_ms`: for each shard at most one read and one invocation. Before the time
    /// that the last turn named it returns at once.
    pub async fn poll(&mut self, now_ms: i64) -> PollOutcome {
        if now_ms < self.due_ms {
            return PollOutcome { due_ms: self.due_ms, ..PollOutcome::default() };
        }
        // Should this turn be dropped half-way, the next one must not wait for it.
        self.due_ms = i64::MIN;
        let mut turn = PollOutcome::default();
        if now_ms >= self.list_at_ms {
            self.list(now_ms, &mut turn).await;
        }
        let settings = self.mapping.settings();
        let mut desk = Dispatch {
            source: &self.source,
            target: &self.target,
            on_failure: &self.on_failure,
            payload: &mut self.payload,
            settings,
            now_ms,
        };
        for shard in self.mapping.readable() {
            desk.read(shard, &mut turn).await;
            desk.serve(shard, &mut turn).await;
        }
        if self.mapping.open_children() {
            self.listed = false;
            self.list_at_ms = now_ms;
        }
        self.due_ms = self.mapping.due_at().map_or(self.list_at_ms, |due_ms| due_ms.min(self.list_at_ms));
        turn.due_ms = self.due_ms;
        turn
    }

    async fn list(&mut self, now_ms: i64, turn: &mut PollOutcome) {
        if let Ok(listed) = self.source.shards().await {
            self.mapping.list(listed);
            self.listed = true;
            self.list_at_ms = now_ms + LIST_MS;
        } else {
            turn.source_errors += 1;
            self.list_at_ms = now_ms + self.mapping.settings().poll_ms.max(RETRY_FIRST_MS);
        }
    }
}

/// The ports during one turn, where shards are served one after the other.
struct Dispatch<'a, S, T, F> {
    source: &'a S,
    target: &'a T,
    on_failure: &'a F,
    payload: &'a mut Vec<u8>,
    settings: Settings,
    now_ms: i64,
}

impl<S: Source, T: Target, F: OnFailure> Dispatch<'_, S, T, F> {
    async fn read(&self, shard: &mut Shard, turn: &mut PollOutcome) {
        if shard.read_at().is_none_or(|at| at > self.now_ms) {
            return;
        }
        match self.source.read(shard.id(), shard.read_after(), shard.room(&self.settings)).await {
            Ok(page) => turn.read += shard.gather(self.now_ms, page, &self.settings),
            Err(SourceError::Gone) => shard.gone(),
            Err(SourceError::Unavailable) => {
                turn.source_errors += 1;
                shard.read_failed(self.now_ms, &self.settings);
            }
        }
    }

    async fn serve(&mut self, shard: &mut Shard, turn: &mut PollOutcome) {
        shard.abandon();
        loop {
            match shard.step(self.now_ms, &self.settings) {
                Step::Wait(_) => return,
                Step::Report(discarded) => {
                    turn.discarded += discarded.count;
                    self.on_failure.report(discarded).await;
                    shard.reported(&self.settings);
                }
                Step::Invoke => {
                    turn.invoked += 1;
                    return self.invoke(shard).await;
                }
            }
        }
    }

    async fn invoke(&mut self, shard: &mut Shard) {
        self.payload.clear();
        shard.write_payload(self.payload);
        let answer = match self.target.invoke(self.payload).await {
            Ok(response) => InvocationOutcome::read(&response, self.settings.report_batch_item_failures),
            Err(InvokeError::Failed) => InvocationOutcome::Failure,
            Err(InvokeError::Refused) => InvocationOutcome::Refused,
        };
        shard.settle(self.now_ms, &answer, &self.settings);
    }
}
