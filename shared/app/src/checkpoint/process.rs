//! The exactly-once loop: a batch of records of one log becomes an entry of its checkpoint log and output for its sinks.
//!
//! A repeated, overlapping or bisected batch changes nothing: what the state holds is skipped by sequence number. An
//! instance that ends anywhere loses nothing: output that it did not deliver is derived from the newest entry and goes
//! first. Two instances never both advance a log: the append is conditional, and the one that loses loads again.

use std::future::Future;

use equilibrium_domain::event::sequence::{Sequence, SequenceRef};
use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::wire::Corrupt;

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::checkpoint::state_cache::{CachedState, StateCache};
use crate::unavailable::Unavailable;

/// The records of a batch that belong to one log, and what processing them means.
pub trait LogBatch: Sync {
    /// The state of the log.
    type State: EventSourced<Output: Send, Identity: Sync> + Send;
    /// A record.
    type Record: Sync;
    /// The result of processing, for metrics.
    type Outcome: Default + Send;

    /// Which log the records belong to.
    fn identity(&self) -> &<Self::State as EventSourced>::Identity;

    /// The state of a log without entries.
    fn initial_state(&self) -> Self::State;

    /// The records in the order of the log.
    fn records(&self) -> &[Self::Record];

    /// The sequence number of a record.
    fn sequence<'a>(&self, record: &'a Self::Record) -> SequenceRef<'a>;

    /// Absorbs records that the state does not hold, and closes the ticks that this completes.
    fn absorb(&self, state: &mut Self::State, records: &[&Self::Record], outcome: &mut Self::Outcome);

    /// Whether what was absorbed must not become an entry: the batch is processed again.
    fn is_withheld(&self, _: &Self::Outcome) -> bool {
        false
    }

    /// Delivers output. The same output may be delivered again, after a failure.
    ///
    /// # Errors
    /// [`Unavailable`]: some of it may not have been delivered.
    fn deliver(
        &self,
        output: <Self::State as EventSourced>::Output,
        outcome: &mut Self::Outcome,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The checkpoint logs of one kind of state, and the states that this instance has in memory.
#[derive(Debug)]
pub struct Checkpoints<L, S> {
    log: L,
    states: StateCache<CheckpointKey, S>,
}

/// The result of processing a batch.
#[derive(Debug, Default)]
pub struct Processed<T> {
    /// The outcome of the attempt that ended processing.
    pub outcome: T,
    /// Records that the state held already.
    pub skipped: u64,
    /// Appends that another instance's entry prevented.
    pub append_conflicts: u64,
    /// Why the log cannot be read, if so.
    pub corrupt: Option<Corrupt>,
    /// Whether the batch must be processed again, and what has happened to it.
    pub failure: Option<ProcessFailure>,
}

/// How far a failed batch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessFailure {
    /// Its entry may not be in the log: its records will be absorbed again.
    NotAppended,
    /// Its entry is in the log; its output may not have been delivered.
    NotDelivered,
}

impl<L: CheckpointLog, S: EventSourced> Checkpoints<L, S> {
    /// Over `log`, with no state in memory.
    pub fn new(log: L) -> Self {
        Self { log, states: StateCache::default() }
    }

    /// Adds up a number of every state in memory.
    pub fn sum(&self, number: impl Fn(&S) -> usize) -> usize {
        self.states.sum(number)
    }

    /// Processes a batch of the log called `key` at `now_ms`, in milliseconds since the epoch.
    pub async fn process<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        batch: &B,
        now_ms: i64,
    ) -> Processed<B::Outcome> {
        let mut processed = Processed::default();
        processed.failure = self.attempt(key, batch, now_ms, &mut processed).await.err();
        processed
    }

    async fn attempt<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        batch: &B,
        now_ms: i64,
        processed: &mut Processed<B::Outcome>,
    ) -> Result<(), ProcessFailure> {
        loop {
            // 1. Take the state from memory, or load it from the log.
            let mut cached = self.take_or_load(key, batch, now_ms, processed).await?;
            // 2. Deliver what the newest entry left undelivered.
            let delivered = deliver(batch, &mut cached.state, &mut processed.outcome).await;
            delivered.map_err(|_| ProcessFailure::NotAppended)?;
            // 3. Request a snapshot if the last one is old.
            if cached.is_snapshot_due(now_ms) {
                cached.state.request_snapshot();
            }
            // 4. Skip the records that the state holds.
            let records = batch.records();
            let is_new = |record: &&B::Record| !cached.state.already_processed(batch.sequence(record));
            let new: Vec<&B::Record> = records.iter().filter(is_new).collect();
            processed.skipped = (records.len() - new.len()) as u64;
            let Some(last) = new.last().map(|record| batch.sequence(record)) else {
                self.states.put_back(key.clone(), cached);
                return Ok(());
            };
            // 5. Absorb the others into one entry.
            cached.state.begin_batch();
            batch.absorb(&mut cached.state, &new, &mut processed.outcome);
            if batch.is_withheld(&processed.outcome) {
                return Err(ProcessFailure::NotAppended);
            }
            let entry = cached.state.seal_entry(last);
            // 6. Append the entry, unless another instance has appended one of this number.
            match self.log.append(key, &entry).await {
                Ok(()) => cached.entry_appended(now_ms, entry.has_snapshot),
                // 7. On a conflict drop the state, which is not that of the log, and begin again.
                Err(AppendError::Conflict) => {
                    let append_conflicts = processed.append_conflicts + 1;
                    *processed = Processed { append_conflicts, ..Processed::default() };
                    continue;
                }
                Err(AppendError::Unavailable(_)) => return Err(ProcessFailure::NotAppended),
            }
            // 8. Deliver the output of the entry.
            let delivered = deliver(batch, &mut cached.state, &mut processed.outcome).await;
            delivered.map_err(|_| ProcessFailure::NotDelivered)?;
            // 9. Put the state back into memory.
            self.states.put_back(key.clone(), cached);
            return Ok(());
        }
    }

    async fn take_or_load<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        batch: &B,
        now_ms: i64,
        processed: &mut Processed<B::Outcome>,
    ) -> Result<CachedState<S>, ProcessFailure> {
        if let Some(cached) = self.states.take(key, now_ms) {
            return Ok(cached);
        }
        let entries = self.log.load(key).await.map_err(|_| ProcessFailure::NotAppended)?;
        match S::load(batch.identity(), entries.iter().map(Vec::as_slice)) {
            Ok(state) => {
                let state = state.unwrap_or_else(|| batch.initial_state());
                Ok(CachedState::loaded(state, now_ms))
            }
            Err(corrupt) => {
                processed.corrupt = Some(corrupt);
                Err(ProcessFailure::NotAppended)
            }
        }
    }
}

/// Delivers the pending output of a state. If that fails the caller drops the state; the instance that loads the log next
/// finds the output pending again.
async fn deliver<B: LogBatch>(
    batch: &B,
    state: &mut B::State,
    outcome: &mut B::Outcome,
) -> Result<(), Unavailable> {
    match state.take_output() {
        Some(output) => batch.deliver(output, outcome).await,
        None => Ok(()),
    }
}

/// The result of an invocation.
#[derive(Clone, Debug)]
pub struct BatchOutcome<M> {
    /// The first record of each lane or city that failed: Lambda retries the batch from there on.
    pub failed: Vec<Sequence>,
    /// The metrics of the invocation.
    pub metrics: M,
}
