//! The exactly-once loop: a batch of records of one log becomes an entry of its checkpoint log and output for its sinks.
//!
//! A repeated, overlapping or bisected batch changes nothing: what the state holds is skipped by sequence number. An
//! instance that ends anywhere loses nothing: output that it did not deliver is derived from the newest entry and goes
//! first. Two instances never both advance a log: the append is conditional, and the one that loses loads again.

use std::future::{Future, ready};
use std::sync::atomic::{AtomicBool, Ordering};

use equilibrium_domain::event::sequence::{Sequence, SequenceRef};
use equilibrium_domain::event_sourced::{Entry, EventSourced};
use equilibrium_domain::parking::ParkedRecord;
use equilibrium_domain::wire::Corrupt;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::checkpoint::fence::AdoptedEpochs;
use crate::checkpoint::metrics::CheckpointMetrics;
use crate::checkpoint::parking;
use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use crate::checkpoint::replay::{Replayed, catch_up, replay};
use crate::checkpoint::state_cache::{Contention, StateCache};
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

    /// The state of a log that has none any more: it has expired, or was restarted without what could not be read.
    ///
    /// # Errors
    /// [`Unavailable`]: it is unknown what the log has left elsewhere.
    fn state_without_log(&self) -> impl Future<Output = Result<Self::State, Unavailable>> + Send {
        ready(Ok(self.initial_state()))
    }

    /// The records in the order of the log.
    fn records(&self) -> &[Self::Record];

    /// The sequence number of a record.
    fn sequence<'a>(&self, record: &'a Self::Record) -> SequenceRef<'a>;

    /// The arrival of a record in the log, in milliseconds since the epoch.
    fn arrival_ms(&self, record: &Self::Record) -> i64;

    /// The records as they wait for a log that cannot go on.
    fn parked(&self) -> Vec<u8>;

    /// Whether the state holds the record.
    fn already_processed(&self, state: &Self::State, record: &Self::Record) -> bool;

    /// Whether records that the state does not hold would change anything.
    fn has_effect(&self, state: &Self::State, records: &[&Self::Record]) -> bool {
        let _ = (state, records);
        true
    }

    /// Absorbs records that the state does not hold, and closes the ticks that this completes.
    fn absorb(&self, state: &mut Self::State, records: &[&Self::Record], outcome: &mut Self::Outcome);

    /// Whether what was absorbed must not become an entry: the batch is processed again.
    fn is_withheld(&self, outcome: &Self::Outcome) -> bool {
        let _ = outcome;
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

    /// Whether `first`, the first entry of the log, continues another log.
    fn is_continued(&self, first: &[u8]) -> bool {
        let _ = first;
        false
    }

    /// Where the log continues another one, which ends with this: its first entry, and the state before it.
    ///
    /// # Errors
    /// [`LoadError`].
    fn origin(
        &self,
        log: &impl CheckpointLog,
        outcome: &mut Self::Outcome,
    ) -> impl Future<Output = Result<Option<Origin<Self::State>>, LoadError>> + Send {
        let _ = (log, outcome);
        ready(Ok(None))
    }

    /// Whether another log continues this one.
    fn is_ended(&self, state: &Self::State) -> bool {
        let _ = state;
        false
    }
}

/// The beginning of a log that continues another one.
#[derive(Debug)]
pub struct Origin<S> {
    /// The snapshot before the first entry.
    pub snapshot: Vec<u8>,
    /// The first entry.
    pub first: Entry,
    /// The state after it.
    pub state: S,
}

/// Why there is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Try again later.
    Unavailable,
    /// Another instance has written meanwhile: load again.
    Conflict,
    /// The log is one of fewer lanes than the stream has by now.
    Outdated,
    /// The log that this one continues is parked, or records wait for it: it must process them first.
    ParkedOrigin,
    /// The log cannot be read.
    Corrupt(Corrupt),
    /// The log has a higher epoch than this instance: it is another one's.
    Fenced,
}

impl From<Unavailable> for LoadError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl From<AppendError> for LoadError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Conflict,
            AppendError::Unavailable(_) => Self::Unavailable,
        }
    }
}

/// How many batches of a log that cannot be read fail before it is parked.
const PARKED_AFTER_FAILURES: u32 = 3;

/// The checkpoint logs of one kind of state, and the states that this instance has in memory.
#[derive(Debug)]
pub struct Checkpoints<L, S> {
    log: L,
    states: StateCache<CheckpointKey, S>,
    contention: Contention,
    /// How often in a row a log could not be read.
    failures: Mutex<HashMap<CheckpointKey, u32>>,
    epochs: AdoptedEpochs,
    /// Whether a log was given up, because it has a higher epoch.
    is_fenced: AtomicBool,
}

/// The result of processing a batch.
#[derive(Debug, Default)]
pub struct Processed<T> {
    /// The outcome of the attempt that ended processing.
    pub outcome: T,
    /// What the log made of it.
    pub metrics: CheckpointMetrics,
    /// Whether the batch must be processed again, and what has happened to it.
    pub failure: Option<ProcessFailure>,
    /// The batches that waited while the log was parked and must be processed first; this one has not been.
    pub waiting: Vec<Vec<ParkedRecord>>,
}

/// How far a failed batch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessFailure {
    /// Its entry may not be in the log: its records will be absorbed again.
    NotAppended,
    /// Its entry is in the log; its output may not have been delivered.
    NotDelivered,
}

/// Why an attempt at a batch ended without success.
enum AttemptError {
    /// Another instance has written meanwhile.
    Conflict,
    Failed(ProcessFailure),
}

impl From<ProcessFailure> for AttemptError {
    fn from(failure: ProcessFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<LoadError> for AttemptError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Conflict => Self::Conflict,
            LoadError::Unavailable
            | LoadError::Outdated
            | LoadError::ParkedOrigin
            | LoadError::Corrupt(_)
            | LoadError::Fenced => Self::Failed(ProcessFailure::NotAppended),
        }
    }
}

/// Whether a batch is of those that waited while its log was parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    /// As it was delivered.
    Delivered,
    /// It waited.
    Parked,
}

/// The state of a log, as far as there is one.
enum Taken<S> {
    State(S),
    Parked,
    Waiting(Vec<Vec<ParkedRecord>>),
}

impl<L: CheckpointLog, S: EventSourced> Checkpoints<L, S> {
    /// Over `log`, with no state in memory.
    pub fn new(log: L) -> Self {
        Self {
            log,
            states: StateCache::default(),
            contention: Contention::default(),
            failures: Mutex::default(),
            epochs: AdoptedEpochs::default(),
            is_fenced: AtomicBool::new(false),
        }
    }

    /// Whether this instance has given a log up: it fails every batch of it, and another instance must take its place.
    pub fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::Relaxed)
    }

    /// Adds up a number of every state in memory.
    pub fn sum(&self, number: impl Fn(&S) -> usize) -> usize {
        self.states.sum(number)
    }

    /// Processes a batch of the log called `key` at `now_ms`, in milliseconds since the epoch.
    pub async fn process<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        (batch, kind): (&B, BatchKind),
        now_ms: i64,
    ) -> Processed<B::Outcome> {
        let mut processed = Processed::default();
        processed.failure = self.attempt(key, (batch, kind), now_ms, &mut processed).await.err();
        processed
    }

    /// Records that the batches which waited while a log was parked have been processed.
    ///
    /// # Errors
    /// [`Unavailable`]: they may be processed again, which changes nothing.
    pub async fn resumed(&self, key: &CheckpointKey) -> Result<(), Unavailable> {
        parking::emptied(&self.log, key).await
    }

    async fn attempt<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        batch: (&B, BatchKind),
        now_ms: i64,
        processed: &mut Processed<B::Outcome>,
    ) -> Result<(), ProcessFailure> {
        loop {
            match self.attempt_once(key, batch, now_ms, processed).await {
                Ok(()) => return Ok(()),
                Err(AttemptError::Failed(failure)) => return Err(failure),
                // The state that was absorbed into is not that of the log: begin again.
                Err(AttemptError::Conflict) => {}
            }
        }
    }

    async fn attempt_once<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        (batch, kind): (&B, BatchKind),
        now_ms: i64,
        processed: &mut Processed<B::Outcome>,
    ) -> Result<(), AttemptError> {
        // 1. Take the state from memory, or load it from the log.
        let mut state = match self.take_or_load(key, (batch, kind), now_ms, processed).await? {
            Taken::State(state) => state,
            Taken::Parked => return Ok(self.park(key, batch, processed).await?),
            Taken::Waiting(waiting) => {
                processed.waiting = waiting;
                return Ok(());
            }
        };
        // 2. Deliver what the newest entry left undelivered.
        let delivered = deliver(batch, &mut state, &mut processed.outcome).await;
        delivered.map_err(|_| ProcessFailure::NotAppended)?;
        // 3. Skip the records that the state holds, and those that change nothing.
        let records = batch.records();
        let is_new = |record: &&B::Record| !batch.already_processed(&state, record);
        let new: Vec<&B::Record> = records.iter().filter(is_new).collect();
        processed.metrics.skipped = (records.len() - new.len()) as u64;
        let (Some(first), Some(last)) = (new.first(), new.last()) else {
            self.states.put_back(key.clone(), state, now_ms);
            return Ok(());
        };
        if batch.is_ended(&state) {
            return Err(ProcessFailure::NotAppended.into());
        }
        if !batch.has_effect(&state, &new) {
            self.states.put_back(key.clone(), state, now_ms);
            return Ok(());
        }
        // 4. Absorb the others into one entry.
        let last = batch.sequence(last);
        state.begin_batch(batch.arrival_ms(first));
        batch.absorb(&mut state, &new, &mut processed.outcome);
        if batch.is_withheld(&processed.outcome) {
            return Err(ProcessFailure::NotAppended.into());
        }
        let entry = state.seal_entry(last);
        // 5. Append the entry, unless another instance has appended one of this number.
        self.append(key, &entry, processed).await?;
        // 6. Deliver the output of the entry.
        let delivered = deliver(batch, &mut state, &mut processed.outcome).await;
        delivered.map_err(|_| ProcessFailure::NotDelivered)?;
        // 7. Put the state back into memory.
        self.states.put_back(key.clone(), state, now_ms);
        // 8. Save the snapshot, if there is one: without it, loading takes longer.
        if let Some(snapshot) = &entry.snapshot {
            let saved = self.log.save_snapshot(key, entry.number, snapshot).await;
            processed.metrics.snapshot_failures += u64::from(saved.is_err());
        }
        Ok(())
    }

    async fn append<T: Default>(
        &self,
        key: &CheckpointKey,
        entry: &Entry,
        processed: &mut Processed<T>,
    ) -> Result<(), AttemptError> {
        match self.log.append(key, entry).await {
            Ok(()) => Ok(()),
            Err(AppendError::Unavailable(_)) => Err(ProcessFailure::NotAppended.into()),
            Err(AppendError::Conflict) => {
                self.contention.observe(true);
                let append_conflicts = processed.metrics.append_conflicts + 1;
                *processed = Processed::default();
                processed.metrics.append_conflicts = append_conflicts;
                Err(AttemptError::Conflict)
            }
        }
    }

    async fn take_or_load<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        (batch, kind): (&B, BatchKind),
        now_ms: i64,
        processed: &mut Processed<B::Outcome>,
    ) -> Result<Taken<S>, LoadError> {
        if let Some(state) = self.states.take(key, now_ms) {
            if !self.contention.is_likely() {
                return Ok(Taken::State(state));
            }
            let next = state.next_entry();
            let loaded = self.log.load(key, Some(next)).await?;
            self.contention.observe(loaded.next() != next);
            if let Some(state) = catch_up(state, batch.identity(), &loaded) {
                return Ok(Taken::State(state));
            }
        }
        self.load(key, (batch, kind), now_ms, processed).await
    }

    async fn load<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        (batch, kind): (&B, BatchKind),
        now_ms: i64,
        processed: &mut Processed<B::Outcome>,
    ) -> Result<Taken<S>, LoadError> {
        let mut loaded = self.log.load(key, None).await?;
        let is_continued = |loaded: &Loaded| match loaded.entries.first() {
            Some(first) => batch.is_continued(first),
            None => true,
        };
        if loaded.snapshot.is_none() && loaded.first == 0 && is_continued(&loaded) {
            match batch.origin(&self.log, &mut processed.outcome).await {
                Ok(None) => {}
                Ok(Some(origin)) => {
                    if loaded.entries.is_empty() {
                        self.log.append(key, &origin.first).await?;
                        let saved = self.log.save_snapshot(key, 0, &origin.snapshot).await;
                        processed.metrics.snapshot_failures += u64::from(saved.is_err());
                        return Ok(Taken::State(origin.state));
                    }
                    loaded.snapshot = Some(origin.snapshot);
                }
                Err(LoadError::Corrupt(corrupt)) => {
                    return self.not_readable(key, loaded.next(), corrupt, now_ms, processed).await;
                }
                Err(error) => return Err(error),
            }
        }
        match replay(batch.identity(), &loaded) {
            Replayed::Parked => Ok(Taken::Parked),
            Replayed::Corrupt(corrupt) => {
                self.not_readable(key, loaded.next(), corrupt, now_ms, processed).await
            }
            Replayed::Ready { state, epoch, was_parked } => {
                if !self.epochs.admits(key, epoch) {
                    self.is_fenced.store(true, Ordering::Relaxed);
                    processed.metrics.fenced += 1;
                    return Err(LoadError::Fenced);
                }
                self.failures.lock().remove(key);
                let mut state = match state {
                    Some(state) => state,
                    None => batch.state_without_log().await?,
                };
                state.raise_epoch(epoch);
                state.skip_to(loaded.next());
                if was_parked && kind == BatchKind::Delivered {
                    let waiting = parking::waiting(&self.log, key).await?;
                    if !waiting.is_empty() {
                        self.states.put_back(key.clone(), state, now_ms);
                        return Ok(Taken::Waiting(waiting));
                    }
                }
                Ok(Taken::State(state))
            }
        }
    }

    /// Parks a log that still cannot be read after a few batches. One of another version may be read by the next
    /// instance, while a deployment replaces them.
    async fn not_readable<T>(
        &self,
        key: &CheckpointKey,
        next: u64,
        corrupt: Corrupt,
        now_ms: i64,
        processed: &mut Processed<T>,
    ) -> Result<Taken<S>, LoadError> {
        processed.metrics.corrupt = vec![(key.clone(), corrupt)];
        let failures = {
            let mut failures = self.failures.lock();
            let failures = failures.entry(key.clone()).or_default();
            *failures += 1;
            *failures
        };
        let may_change = matches!(corrupt, Corrupt::UnknownVersion { .. });
        if may_change || failures < PARKED_AFTER_FAILURES {
            return Err(LoadError::Corrupt(corrupt));
        }
        parking::park_log(&self.log, key, next, (now_ms, corrupt.to_string())).await?;
        Ok(Taken::Parked)
    }

    async fn park<B: LogBatch<State = S>>(
        &self,
        key: &CheckpointKey,
        batch: &B,
        processed: &mut Processed<B::Outcome>,
    ) -> Result<(), ProcessFailure> {
        let parked = parking::park_records(&self.log, key, batch.parked()).await;
        parked.map_err(|_| ProcessFailure::NotAppended)?;
        processed.metrics.parked = batch.records().len() as u64;
        Ok(())
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
