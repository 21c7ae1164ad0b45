//! Recoveries of a component, one at a time: started by a name, and resumed wherever they were killed.

use std::time::Duration;

use equilibrium_domain::recovery::{BUDGET, BUDGET_MS, Component, Outcome, Recovery, RecoveryId, Step};
use thiserror::Error;

use crate::checkpoint::ports::CheckpointLog;
use crate::policy::ports::PolicySource;
use crate::price::ports::MapStore;
use crate::recover::looks::Look;
use crate::recover::ports::{AcquireError, Lease, Levers, RecoveryStore, RecoveryWatcher, SaveError};
use crate::timer::Timer;
use crate::unavailable::Unavailable;

/// The time between two looks (CONTRACT §6).
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The looks after the first (CONTRACT §6).
pub(super) const MORE_LOOKS: usize = 3;

/// The least time between the end of a recovery and the start of another by itself, in milliseconds.
pub const PAUSE_MS: i64 = 10_000;

/// The same after a recovery that did not succeed, in milliseconds: a person looks at it meanwhile.
pub const FAILED_PAUSE_MS: i64 = 300_000;

/// What a recovery works on and with.
#[derive(Debug)]
pub struct Parts<R, C, M, P, L, T, N, W> {
    /// The store of recoveries.
    pub store: R,
    /// The checkpoint logs.
    pub logs: C,
    /// The maps.
    pub maps: M,
    /// The policies.
    pub policies: P,
    /// The levers.
    pub levers: L,
    /// Waits between looks.
    pub timer: T,
    /// The time, in milliseconds since the epoch.
    pub now_ms: N,
    /// Receives every change of a recovery.
    pub watcher: W,
}

/// Starts recoveries, and does their steps.
#[derive(Debug)]
pub struct Recoverer<R, C, M, P, L, T, N, W>(pub Parts<R, C, M, P, L, T, N, W>);

/// A recovery that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRequest {
    /// What is recovered.
    pub component: Component,
    /// The recovery's name; without one it is named by its component and time.
    pub id: Option<RecoveryId>,
    /// Why.
    pub reason: String,
}

/// Why a recovery was not started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    /// Another is not finished.
    #[error("recovery {0} is running")]
    Running(RecoveryId),
    /// Try again: another process starts a recovery, or the store is unavailable.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a recovery was not brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RunError {
    /// Another process recovers the component.
    #[error("another process recovers the component")]
    Held,
    /// It is resumed later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<AcquireError> for RunError {
    fn from(error: AcquireError) -> Self {
        match error {
            AcquireError::Held => Self::Held,
            AcquireError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl From<SaveError> for RunError {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Fenced => Self::Held,
            SaveError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl<R, C, M, P, L, T, N, W> Recoverer<R, C, M, P, L, T, N, W>
where
    R: RecoveryStore,
    C: CheckpointLog,
    M: MapStore,
    P: PolicySource,
    L: Levers,
    T: Timer,
    N: Fn() -> i64 + Send + Sync,
    W: RecoveryWatcher,
{
    /// Records a recovery that is to be started, or returns the one of this name. [`Self::run`] does its steps.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(&self, request: StartRequest) -> Result<Recovery, StartError> {
        let Parts { store, .. } = &self.0;
        let now_ms = (self.0.now_ms)();
        let StartRequest { component, id, reason } = request;
        let id = id.unwrap_or_else(|| RecoveryId::at(component, now_ms));
        if let Some(known) = store.recovery(&id).await? {
            return Ok(known);
        }
        let lease = match store.acquire(component, now_ms).await {
            Ok(lease) => lease,
            Err(AcquireError::Held) => {
                let running = store.unfinished(component).await?;
                return Err(running.map_or(Unavailable.into(), StartError::Running));
            }
            Err(AcquireError::Unavailable(unavailable)) => return Err(unavailable.into()),
        };
        let started = self.start_under(lease, Recovery::new(id, component, reason, now_ms), now_ms).await;
        // A lease that is not released ends by itself.
        store.release(lease).await.ok();
        started
    }

    async fn start_under(
        &self,
        lease: Lease,
        recovery: Recovery,
        now_ms: i64,
    ) -> Result<Recovery, StartError> {
        let Parts { store, .. } = &self.0;
        // One of this name may have been started before the lease was acquired.
        if let Some(known) = store.recovery(&recovery.id).await? {
            return Ok(known);
        }
        if let Some(running) = store.unfinished(lease.component).await? {
            return Err(StartError::Running(running));
        }
        store.save(lease, &recovery, now_ms).await.map_err(|_| Unavailable)?;
        self.0.watcher.changed(&recovery);
        Ok(recovery)
    }

    /// Brings the component's unfinished recovery to its end, if there is one.
    ///
    /// # Errors
    /// [`RunError`]; a later call goes on with it.
    pub async fn run(&self, component: Component) -> Result<Option<Recovery>, RunError> {
        // The lease is not acquired where there is nothing to do: this is called each minute.
        if self.0.store.unfinished(component).await?.is_none() {
            return Ok(None);
        }
        let lease = self.0.store.acquire(component, (self.0.now_ms)()).await?;
        let run = self.run_unfinished(lease).await;
        self.0.store.release(lease).await.ok();
        run
    }

    async fn run_unfinished(&self, lease: Lease) -> Result<Option<Recovery>, RunError> {
        let Parts { store, .. } = &self.0;
        let Some(id) = store.unfinished(lease.component).await? else { return Ok(None) };
        let recovery = store.recovery(&id).await?.ok_or(Unavailable)?;
        self.run_steps(lease, recovery).await.map(Some)
    }

    /// Looks once, and recovers the component if the look shows a failure; resumes what is unfinished before. Soon after
    /// another recovery it does nothing.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn detect(&self, component: Component, reason: &str) -> Result<Option<Recovery>, RunError> {
        let Parts { store, .. } = &self.0;
        let now_ms = (self.0.now_ms)();
        if store.unfinished(component).await?.is_none()
            && (self.is_paused(component, now_ms).await? || !self.look(None, now_ms).await?.shows_failure())
        {
            return Ok(None);
        }
        let lease = store.acquire(component, (self.0.now_ms)()).await?;
        let run = self.detect_under(lease, reason).await;
        store.release(lease).await.ok();
        run
    }

    async fn detect_under(&self, lease: Lease, reason: &str) -> Result<Option<Recovery>, RunError> {
        if let Some(resumed) = self.run_unfinished(lease).await? {
            return Ok(Some(resumed));
        }
        let now_ms = (self.0.now_ms)();
        // Another process may have recovered it since the look.
        if self.is_paused(lease.component, now_ms).await? {
            return Ok(None);
        }
        let id = RecoveryId::at(lease.component, now_ms);
        let recovery = Recovery::new(id, lease.component, reason, now_ms);
        self.save(lease, &recovery).await?;
        self.run_steps(lease, recovery).await.map(Some)
    }

    async fn run_steps(&self, lease: Lease, mut recovery: Recovery) -> Result<Recovery, RunError> {
        while let Some(step) = recovery.next_step().filter(|_| !recovery.has_ended()) {
            recovery.begin(step, (self.0.now_ms)());
            self.save(lease, &recovery).await?;
            self.do_step(lease, &mut recovery, step).await?;
            if recovery.next_step().is_none() && !recovery.has_ended() {
                recovery.end(Outcome::Success, (self.0.now_ms)());
            }
            self.save(lease, &recovery).await?;
        }
        Ok(recovery)
    }

    pub(super) async fn save(&self, lease: Lease, recovery: &Recovery) -> Result<(), SaveError> {
        self.0.store.save(lease, recovery, (self.0.now_ms)()).await?;
        self.0.watcher.changed(recovery);
        Ok(())
    }

    /// One look.
    pub(super) async fn look(&self, before: Option<&Look>, now_ms: i64) -> Result<Look, Unavailable> {
        let Parts { maps, policies, levers, .. } = &self.0;
        let mut look = Look { dead_instances: levers.dead_instances().await?, ..Look::default() };
        let streams = levers.streams(now_ms).await?;
        look.add_streams(&streams, before);
        let policies = policies.policies(now_ms).await?;
        for config in policies.cities(None) {
            let policy = &config.pricing.policy;
            if let Some(head) = maps.head(&policy.city).await? {
                look.add_city(&head, policy.clock, now_ms);
            }
        }
        look.resumable_logs = self.resumable_logs().await?;
        Ok(look)
    }

    /// Whether the component was recovered so recently that another recovery does not start by itself.
    async fn is_paused(&self, component: Component, now_ms: i64) -> Result<bool, Unavailable> {
        let newest = self.recent(component, now_ms, 10).await?.into_iter().next();
        Ok(newest.is_some_and(|newest| {
            let has_failed = matches!(newest.outcome, Some(Outcome::Failed | Outcome::Inconsistent));
            let pause_ms = if has_failed { FAILED_PAUSE_MS } else { PAUSE_MS };
            newest.ended_at_ms.is_some_and(|ended_ms| (0..pause_ms).contains(&(now_ms - ended_ms)))
        }))
    }

    /// The recoveries of a component that were started within the last hour, newest first.
    async fn recent(
        &self,
        component: Component,
        now_ms: i64,
        limit: usize,
    ) -> Result<Vec<Recovery>, Unavailable> {
        let mut recent = self.0.store.page(None, limit).await?;
        recent.retain(|one| one.component == component && now_ms - one.started_at_ms < BUDGET_MS);
        Ok(recent)
    }

    /// Whether the component has been recovered as often as the budget allows, this recovery apart.
    pub(super) async fn is_exhausted(&self, this: &Recovery) -> Result<bool, Unavailable> {
        // Between two that start by themselves is a pause: an hour has fewer than this.
        let recent = self.recent(this.component, (self.0.now_ms)(), 500).await?;
        let used = recent.iter().filter(|one| one.id != this.id && one.counts_against_budget()).count();
        Ok(used >= BUDGET)
    }

    /// The durations of successful recoveries, newest first.
    pub(super) async fn past_durations(&self, component: Component) -> Result<Vec<i64>, Unavailable> {
        let past = self.0.store.page(None, 100).await?;
        let succeeded = past
            .iter()
            .filter(|one| one.component == component && one.outcome == Some(Outcome::Success))
            .filter_map(|one| Some(one.ended_at_ms? - one.started_at_ms));
        Ok(succeeded.collect())
    }

    /// Does a step that has begun, and records how it ended.
    async fn do_step(&self, lease: Lease, recovery: &mut Recovery, step: Step) -> Result<(), RunError> {
        match step {
            Step::DetectFailure => self.detect_failure(lease, recovery).await,
            Step::IsolateFailedInstance => self.isolate(lease, recovery).await,
            Step::StartReplacementInstance => self.replace(recovery).await,
            Step::RestoreProcessingState => self.restore(lease, recovery).await,
            Step::ValidateDataConsistency => self.validate(lease, recovery).await,
            Step::ResumeNormalOperations => self.resume(recovery).await,
        }
    }
}
