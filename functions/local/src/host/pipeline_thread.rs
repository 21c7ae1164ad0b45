//! The event-source runner and the functions behind it, on a thread of their own: what they work on for
//! milliseconds keeps no request waiting.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_set::PolicySet;
use tokio::runtime;
use tokio::sync::watch;

use crate::host::pipeline::{Pipeline, PipelineState};
use equilibrium_embedded::store::Store;

/// How long what failed is left alone.
const RETRY: Duration = Duration::from_millis(100);

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Late events so far.
    pub late: u64,
    /// Whether everything in the logs was counted and priced.
    pub is_done: bool,
    /// Log entries that nobody can read so far.
    pub corrupt: u64,
}

/// Starts the work, which goes on until the process stops.
///
/// # Errors
/// What the system says where it gives no thread.
pub fn start(
    store: Store,
    book: Arc<PolicySet>,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let work = move || runtime.block_on(work(store, book, progress, stop));
    thread::Builder::new().name("pipeline".into()).spawn(work)
}

async fn work(
    store: Store,
    book: Arc<PolicySet>,
    progress: watch::Sender<Progress>,
    mut stop: watch::Receiver<bool>,
) {
    let pipeline = Pipeline::new(store.clone(), book, NoOp);
    let mut pipeline = pipeline.expect("the settings are within their bounds");
    while !*stop.borrow() {
        let turn = pipeline.poll().await;
        let counted = pipeline.counted();
        progress.send_replace(Progress {
            late: counted.late,
            is_done: turn == PipelineState::Idle,
            corrupt: (counted.corrupt.len() + pipeline.priced().corrupt.len()) as u64,
        });
        let pause = async {
            match turn {
                PipelineState::Busy => {}
                PipelineState::Idle => store.arrived().await,
                PipelineState::Stuck => tokio::time::sleep(RETRY).await,
            }
        };
        tokio::select! {
            () = pause => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}
