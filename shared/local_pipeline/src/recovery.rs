//! The task that recovers the pipeline of a process: it waits for triggers, and looks from time to time.

use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::clock::Clock;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::recover::ports::RecoveryWatcher;
use equilibrium_app::recover::recoverer::{Parts, Recoverer};
use equilibrium_app::surge::ports::TickLog;
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::recovery::Component;
use equilibrium_embedded::store::Store;
use equilibrium_recover::{Launch, Recoveries};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, Sleep, interval_at};

use crate::instances::Instances;
pub use crate::levers::LocalLevers;

/// How often the task looks without a trigger.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// The time of the process, in milliseconds since the epoch.
pub type Now = Box<dyn Fn() -> i64 + Send + Sync>;

/// The recoveries of a process.
pub type LocalRecoverer<P, T, W> =
    Recoverer<Store, Store, Store, P, LocalLevers<P, T>, fn(Duration) -> Sleep, Now, W>;

/// Recovers the pipeline of a process with these instances; `watcher` receives every change of a recovery.
pub fn recoverer<P, T, W>(
    store: &Store,
    policies: P,
    instances: Instances<P, T>,
    watcher: W,
) -> LocalRecoverer<P, T, W> {
    let clock: Clock = store.clock();
    Recoverer(Parts {
        store: store.clone(),
        logs: store.clone(),
        maps: store.clone(),
        policies,
        levers: LocalLevers { store: store.clone(), instances },
        timer: tokio::time::sleep as fn(Duration) -> Sleep,
        now_ms: Box::new(move || clock.now_ms()),
        watcher,
    })
}

/// Triggers of the task. Clones trigger the same.
#[derive(Clone, Debug, Default)]
pub struct Triggers(Arc<Signals>);

#[derive(Debug, Default)]
struct Signals {
    overdue: Notify,
    started: Notify,
}

impl Triggers {
    /// A price was answered from a map that is overdue.
    pub fn overdue(&self) {
        self.0.overdue.notify_one();
    }
}

/// A recovery was started by hand.
impl Launch for Triggers {
    async fn launch(&self) -> Result<(), Unavailable> {
        self.0.started.notify_one();
        Ok(())
    }
}

/// Recovers the pipeline until `stop` is true. What an earlier process has left unfinished comes first.
pub async fn run<P, T, W>(
    recoverer: Arc<LocalRecoverer<P, T, W>>,
    triggers: Triggers,
    mut stop: watch::Receiver<bool>,
) where
    P: PolicySource + Clone + 'static,
    T: TickLog + Clone + 'static,
    W: RecoveryWatcher,
{
    let instances = recoverer.0.levers.instances.clone();
    let mut looks = interval_at(Instant::now() + LOOK_INTERVAL, LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reason = None;
    while !*stop.borrow() {
        let recovered = tokio::select! {
            recovered = recoverer.recover(Component::StreamProcessor, reason) => recovered,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        // What could not be saved now is saved later.
        if recovered.is_err() {
            recoverer.0.timer.sleep(Duration::from_secs(1)).await;
        }
        reason = tokio::select! {
            () = instances.ended() => Some("the instance of the pipeline ended"),
            () = triggers.0.overdue.notified() => Some("a price is overdue by two ticks"),
            () = triggers.0.started.notified() => None,
            _ = looks.tick() => Some("schedule"),
            _ = stop.wait_for(|stop| *stop) => return,
        };
    }
}
