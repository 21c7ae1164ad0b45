//! Runs the pipeline on a thread of its own, so that batches that take milliseconds do not delay HTTP requests.

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use equilibrium_embedded::store::Store;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task;

use crate::host::pipeline::{Pipeline, PipelineState};
use crate::host::router::{Changes, Policies};

/// Pause after a poll in which batches failed.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// How long a stop waits for the pipeline and the store.
const FINISH_TIMEOUT: Duration = Duration::from_millis(600);

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

/// Starts the pipeline, which records closed ticks in `changes` and runs until `stop` is true.
///
/// # Errors
/// The I/O error if the thread cannot be started.
pub fn start(
    store: Store,
    policies: Arc<Policies>,
    changes: Arc<Changes>,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || runtime.block_on(run(store, policies, changes, progress, stop));
    thread::Builder::new().name("pipeline".into()).spawn(run)
}

/// Waits until the pipeline has ended and everything is on disk, but not longer than a stop may take: acknowledged
/// events are on disk already, and the next start derives the rest from them.
pub async fn finish(pipeline: JoinHandle<()>, store: Store) {
    let finished = task::spawn_blocking(move || {
        // A panic has been printed.
        drop(pipeline.join());
        store.close();
        // The end of the process frees its memory at once; piece by piece it takes a second.
        mem::forget(store);
    });
    drop(tokio::time::timeout(FINISH_TIMEOUT, finished).await);
}

async fn run(
    store: Store,
    policies: Arc<Policies>,
    changes: Arc<Changes>,
    progress: watch::Sender<Progress>,
    mut stop: watch::Receiver<bool>,
) {
    let pipeline = Pipeline::new(store.clone(), policies, changes);
    let mut pipeline = pipeline.expect("the settings are within their bounds");
    while !*stop.borrow() {
        let state = pipeline.poll().await;
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
        }
    }
    // See `finish`.
    mem::forget(pipeline);
}
