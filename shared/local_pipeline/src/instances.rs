//! Instances of the pipeline, each on a thread of its own, so that batches that take milliseconds do not delay HTTP requests.
//!
//! One instance processes at a time. A recovery starts another in its place; the one before is told to end, and the epochs of
//! its checkpoint logs keep it from them if it does not.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::surge::ports::TickLog;
use equilibrium_domain::recovery::RecoveryId;
use equilibrium_embedded::store::Store;
use parking_lot::Mutex;
use tokio::runtime;
use tokio::sync::{Notify, watch};
use tokio::task;

use crate::pipeline::{Pipeline, PipelineState};

/// Pause after a poll in which batches failed.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// How long a stop waits for the pipeline and the store.
const FINISH_TIMEOUT: Duration = Duration::from_millis(600);

/// How long a new instance may take for its first poll.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// The progress of the pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Late events so far.
    pub late: u64,
    /// Whether everything in the logs was counted and priced.
    pub is_idle: bool,
    /// Entities evicted so far, because a city had too many.
    pub evicted: u64,
    /// Corrupt log entries so far.
    pub corrupt: u64,
}

/// What every instance shares.
#[derive(Debug)]
struct Shared<P, T> {
    store: Store,
    policies: P,
    ticks: T,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
    /// Signals that an instance has ended without being told to.
    ended: Notify,
    /// Polls of all instances.
    polls: AtomicU64,
    current: Mutex<Option<Instance>>,
    /// Whether the next poll ends its instance: the lever of the tests.
    fails_next: watch::Sender<bool>,
}

#[derive(Debug)]
struct Instance {
    /// The recovery that started it.
    recovery: Option<RecoveryId>,
    thread: JoinHandle<()>,
    end: watch::Sender<bool>,
    /// Whether it has polled its logs.
    has_polled: watch::Receiver<bool>,
}

/// The instances of a process's pipeline. Clones share them.
#[derive(Debug)]
pub struct Instances<P, T>(Arc<Shared<P, T>>);

impl<P, T> Clone for Instances<P, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P, T> Instances<P, T>
where
    P: PolicySource + Clone + 'static,
    T: TickLog + Clone + 'static,
{
    /// Starts the first instance, which sends closed ticks to `ticks`. All run until `stop` is true.
    ///
    /// # Errors
    /// The I/O error if a thread cannot be started.
    pub fn start(
        store: Store,
        (policies, ticks): (P, T),
        progress: watch::Sender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let (current, ended, polls) = (Mutex::default(), Notify::new(), AtomicU64::new(0));
        let (fails_next, _) = watch::channel(false);
        let instances = Self(Arc::new(Shared {
            store,
            policies,
            ticks,
            progress,
            stop,
            ended,
            polls,
            current,
            fails_next,
        }));
        let first = instances.spawn(None)?;
        *instances.0.current.lock() = Some(first);
        Ok(instances)
    }

    /// Whether the current instance runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.current.lock().as_ref().is_some_and(|instance| !instance.thread.is_finished())
    }

    /// Polls of all instances so far.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.0.polls.load(Ordering::Relaxed)
    }

    /// Completes once an instance has ended without being told to.
    pub async fn ended(&self) {
        self.0.ended.notified().await;
    }

    /// Has the current instance end in its next poll, between the log of events and that of counts, as a crash would.
    pub fn fail(&self) {
        self.0.fails_next.send_replace(true);
    }

    /// Tells the current instance to end, without waiting for it.
    pub fn end_current(&self) {
        if let Some(instance) = &*self.0.current.lock() {
            instance.end.send_replace(true);
        }
    }

    /// Starts an instance for a recovery, unless the current one is of it and runs, and waits until it has polled.
    ///
    /// # Errors
    /// The I/O error if its thread cannot be started, or [`io::ErrorKind::TimedOut`].
    pub async fn replace(&self, id: &RecoveryId) -> io::Result<()> {
        let mut has_polled = {
            let current = &mut *self.0.current.lock();
            let is_of = |instance: &&Instance| {
                instance.recovery.as_ref() == Some(id) && !instance.thread.is_finished()
            };
            if let Some(instance) = current.as_ref().filter(is_of) {
                instance.has_polled.clone()
            } else {
                let started = self.spawn(Some(id.clone()))?;
                let has_polled = started.has_polled.clone();
                if let Some(before) = current.replace(started) {
                    before.end.send_replace(true);
                }
                has_polled
            }
        };
        let polled = tokio::time::timeout(START_TIMEOUT, has_polled.wait_for(|polled| *polled)).await;
        match polled {
            Ok(Ok(_)) => Ok(()),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Waits until the current instance has ended and everything is on disk, but not longer than a stop may take: acknowledged
    /// events are on disk already, and the next start derives the rest from them.
    pub async fn finish(&self) {
        let (store, current) = (self.0.store.clone(), self.0.current.lock().take());
        let finished = task::spawn_blocking(move || {
            // A panic has been printed.
            drop(current.map(|instance| instance.thread.join()));
            store.close();
            // The end of the process frees its memory at once; piece by piece it takes a second.
            mem::forget(store);
        });
        drop(tokio::time::timeout(FINISH_TIMEOUT, finished).await);
    }

    fn spawn(&self, recovery: Option<RecoveryId>) -> io::Result<Instance> {
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        let (end, is_ended) = watch::channel(false);
        let (polled, has_polled) = watch::channel(false);
        let shared = Arc::clone(&self.0);
        let run = move || {
            // Also where the instance panics.
            let _reports = ReportsEnd(Arc::clone(&shared), is_ended.clone());
            runtime.block_on(run(&shared, is_ended, polled));
        };
        let thread = thread::Builder::new().name("pipeline".into()).spawn(run)?;
        Ok(Instance { recovery, thread, end, has_polled })
    }
}

/// Signals the end of an instance that was not told to end.
struct ReportsEnd<P, T>(Arc<Shared<P, T>>, watch::Receiver<bool>);

impl<P, T> Drop for ReportsEnd<P, T> {
    fn drop(&mut self) {
        if !*self.0.stop.borrow() && !*self.1.borrow() {
            self.0.ended.notify_one();
        }
    }
}

async fn run<P, T>(shared: &Shared<P, T>, end: watch::Receiver<bool>, polled: watch::Sender<bool>)
where
    P: PolicySource + Clone,
    T: TickLog + Clone,
{
    let Shared { store, policies, ticks, progress, .. } = shared;
    let fresh = || {
        let pipeline = Pipeline::new(store.clone(), policies.clone(), ticks.clone());
        pipeline.expect("the settings are within their bounds")
    };
    let (mut pipeline, mut stop, mut ends) = (fresh(), shared.stop.clone(), end.clone());
    while !*stop.borrow() && !*end.borrow() {
        let fails = || shared.fails_next.send_if_modified(mem::take);
        let Some(state) = pipeline.poll(fails).await else { return };
        shared.polls.fetch_add(1, Ordering::Relaxed);
        polled.send_replace(true);
        if pipeline.is_fenced() {
            // The epoch of a log was raised: what this instance has in memory is of before.
            pipeline = fresh();
            continue;
        }
        let count_metrics = pipeline.count_metrics();
        progress.send_replace(Progress {
            late: count_metrics.late,
            evicted: count_metrics.evicted,
            is_idle: state == PipelineState::Idle,
            corrupt: (count_metrics.checkpoint.corrupt.len()
                + pipeline.surge_metrics().checkpoint.corrupt.len()) as u64,
        });
        let pause = async {
            match state {
                PipelineState::Busy => {}
                PipelineState::Idle => store.arrived().await,
                PipelineState::Retrying => tokio::time::sleep(RETRY_BACKOFF).await,
            }
        };
        tokio::select! {
            () = pause => {}
            _ = stop.wait_for(|stop| *stop) => {}
            _ = ends.wait_for(|end| *end) => {}
        }
    }
    // See `finish`.
    mem::forget(pipeline);
}
