//! The store of recoveries, and the levers that a recovery moves.

use std::future::Future;

use equilibrium_domain::recovery::{Component, Recovery, RecoveryId};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::checkpoint::ports::CheckpointKey;
use crate::unavailable::Unavailable;

/// For how long a lease is held after the last save under it, in milliseconds. No step takes longer without a save.
pub const LEASE_MS: i64 = 15_000;

/// The right to recover a component, for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The component.
    pub component: Component,
    /// The lease's number: each that is acquired has a higher one, and fences those before.
    pub fence: u64,
}

/// Why there is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AcquireError {
    /// Another process holds it.
    #[error("another process holds the lease")]
    Held,
    /// It is unknown whether the lease was acquired: if it was, it ends by itself.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a recovery was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SaveError {
    /// Another process has acquired the lease: it goes on with the recovery.
    #[error("another process has acquired the lease")]
    Fenced,
    /// It is unknown whether the recovery was saved.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The place of a recovery in the list: when it was started, in milliseconds since the epoch, and its name.
pub type PageKey = (i64, RecoveryId);

/// The store of recoveries, and of a lease per component. Every call includes what was written before it.
pub trait RecoveryStore: Send + Sync {
    /// Acquires the lease of a component at `now_ms`, unless one is held that has not ended.
    ///
    /// # Errors
    /// [`AcquireError`].
    fn acquire(
        &self,
        component: Component,
        now_ms: i64,
    ) -> impl Future<Output = Result<Lease, AcquireError>> + Send;

    /// Ends a lease. One that another has replaced stays.
    ///
    /// # Errors
    /// [`Unavailable`]: it ends by itself.
    fn release(&self, lease: Lease) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Saves a recovery under a lease, which is held for [`LEASE_MS`] from `now_ms` then. While the recovery has not ended
    /// it is the component's unfinished one. It is kept for 90 days.
    ///
    /// # Errors
    /// [`SaveError`].
    fn save(
        &self,
        lease: Lease,
        recovery: &Recovery,
        now_ms: i64,
    ) -> impl Future<Output = Result<(), SaveError>> + Send;

    /// The name of the component's recovery that has not ended, if there is one.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn unfinished(
        &self,
        component: Component,
    ) -> impl Future<Output = Result<Option<RecoveryId>, Unavailable>> + Send;

    /// The recovery of this name.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn recovery(&self, id: &RecoveryId)
    -> impl Future<Output = Result<Option<Recovery>, Unavailable>> + Send;

    /// The newest recoveries before a place, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn page(
        &self,
        before: Option<&PageKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Recovery>, Unavailable>> + Send;
}

/// What a lever found or did, by name.
pub type Details = Map<String, Value>;

/// What a stream is like from its reader's side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// Its name.
    pub name: String,
    /// For how long its oldest record that was not processed has waited, in milliseconds; `None` where none waits.
    pub waiting_ms: Option<i64>,
    /// A number that grows while records are processed.
    pub progress: u64,
    /// The arrival of its oldest retained record, in milliseconds since the epoch, where records expire unprocessed.
    pub retained_from_ms: Option<i64>,
    /// Records that its reader gave up.
    pub discarded: u64,
}

/// What a recovery can do to a component of one kind of deployment. Each is idempotent: a recovery that is resumed does the
/// step again that it had begun.
pub trait Levers: Send + Sync {
    /// What shows that no instance of the component runs, in words; empty where one does or it is unknown.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn dead_instances(&self) -> impl Future<Output = Result<Vec<String>, Unavailable>> + Send;

    /// The component's streams at `now_ms`.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn streams(&self, now_ms: i64) -> impl Future<Output = Result<Vec<StreamState>, Unavailable>> + Send;

    /// The component's checkpoint logs.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn logs(&self) -> impl Future<Output = Result<Vec<CheckpointKey>, Unavailable>> + Send;

    /// Takes instances out that must not process any more, beside fencing.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn isolate(&self) -> impl Future<Output = Result<Details, Unavailable>> + Send;

    /// Starts a fresh instance for this recovery, unless it has one, and probes it.
    ///
    /// # Errors
    /// [`Unavailable`]: no instance answers.
    fn replace(&self, id: &RecoveryId) -> impl Future<Output = Result<Details, Unavailable>> + Send;

    /// Has the component's streams read from `least_arrival_ms` on at the latest, in milliseconds since the epoch, and read
    /// at all.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn read_from(
        &self,
        least_arrival_ms: Option<i64>,
    ) -> impl Future<Output = Result<Details, Unavailable>> + Send;

    /// Processes records in the place of a reader that is away, for a few seconds at most. Returns whether more are to be
    /// processed so.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn bridge(&self) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Takes back what was done to isolate.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn resume(&self) -> impl Future<Output = Result<Details, Unavailable>> + Send;

    /// Requests that are answered each minute, where they are measured.
    fn requests_per_minute(&self) -> Option<u64> {
        None
    }
}

/// A receiver of every change of a recovery.
pub trait RecoveryWatcher: Send + Sync {
    /// A step has begun or ended.
    fn changed(&self, recovery: &Recovery);
}

impl<F: Fn(&Recovery) + Send + Sync> RecoveryWatcher for F {
    fn changed(&self, recovery: &Recovery) {
        self(recovery);
    }
}
