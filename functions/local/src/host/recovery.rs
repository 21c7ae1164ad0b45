//! The recovery of the process's pipeline, and what triggers it in band.

use std::io;
use std::sync::Arc;

use equilibrium_app::recover::trigger::TriggerPace;
use equilibrium_domain::recovery::Recovery;
use equilibrium_embedded::store::Store;
use equilibrium_local_pipeline::instances::{Instances, Progress};
use equilibrium_local_pipeline::recovery::{self, LocalRecoverer, Triggers};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::host::router::{Changes, Maps, Policies};

/// Receives every change of a recovery.
type Watcher = Box<dyn Fn(&Recovery) + Send + Sync>;

/// The instances of the process's pipeline.
pub type LocalInstances = Instances<Arc<Policies>, Arc<Changes>>;

/// The recoveries of the process, and what starts one.
pub struct LocalRecovery {
    /// The recoveries.
    pub recoverer: Arc<LocalRecoverer<Arc<Policies>, Arc<Changes>, Watcher>>,
    /// The triggers of the task that does their steps.
    pub triggers: Triggers,
    pace: TriggerPace,
}

impl std::fmt::Debug for LocalRecovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalRecovery").finish_non_exhaustive()
    }
}

impl LocalRecovery {
    /// Starts the pipeline over `store`, which records closed ticks and recoveries in `changes` until `stop` is true.
    ///
    /// # Errors
    /// The I/O error if its thread cannot be started.
    pub fn start(
        store: &Store,
        (policies, changes): (&Arc<Policies>, &Arc<Changes>),
        progress: watch::Sender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<(LocalInstances, Self)> {
        let sinks = (Arc::clone(policies), Arc::clone(changes));
        let instances = Instances::start(store.clone(), sinks, progress, stop)?;
        let changes = Arc::clone(changes);
        let watcher: Watcher = Box::new(move |recovery| changes.record_recovery(recovery));
        let recoverer = recovery::recoverer(store, Arc::clone(policies), instances.clone(), watcher);
        let (recoverer, triggers) = (Arc::new(recoverer), Triggers::default());
        Ok((instances, Self { recoverer, triggers, pace: TriggerPace::default() }))
    }

    /// Starts the task that does the steps until `stop` is true.
    #[must_use]
    pub fn spawn(&self, stop: watch::Receiver<bool>) -> JoinHandle<()> {
        tokio::spawn(recovery::run(Arc::clone(&self.recoverer), self.triggers.clone(), stop))
    }

    /// Has the pipeline looked at if an answer needed a map that is overdue by two ticks.
    pub fn answered(&self, maps: &Maps, now_ms: i64) {
        if maps.take_overdue() && self.pace.admits(now_ms) {
            self.triggers.overdue();
        }
    }
}
