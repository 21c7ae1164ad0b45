//! `equilibrium serve`: every function in one process, on a port of its own (CONTRACT §4).

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::policy::Policy;
use thiserror::Error;
use tokio::net::TcpSocket;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::commands::replay::{ReplayError, read_policies};
use crate::host::banner::StartupBanner;
use crate::host::pipeline_thread::{self, Progress};
use crate::host::router::LocalApi;
use crate::host::{http_server, status_line};
use crate::workload::driver::{Ended, WorkloadDriver, WorkloadSource};
use crate::workload::rebased_file::RebasedFile;
use crate::workload::source::FeedSource;
use equilibrium_app::clock::Clock;
use equilibrium_embedded::database::{Disk, OpenError};
use equilibrium_embedded::store::Store;
use equilibrium_simulator::city::{self, City};

pub use crate::host::http_server::{BODY_READ_TIMEOUT, HEADER_READ_TIMEOUT, MAX_CONNECTIONS};

/// How long the port stays closed for the sake of that: a fast clock, or a disk without room, may have it
/// take for ever.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// What to serve, and how.
#[derive(Clone, Debug)]
pub struct Serve {
    /// The port, on the loopback interface alone; 0 takes a free one.
    pub port: u16,
    /// Where events come from beside the port.
    pub feed: FeedSource,
    /// How much faster than the world's the process's clock runs.
    pub speed: NonZeroU32,
    /// Policies; without, the simulated city's.
    pub city: Option<PathBuf>,
    /// Where everything is kept; without, in memory.
    pub data: Option<PathBuf>,
    /// Decides what happens in the simulated city.
    pub seed: u64,
    /// Lanes of the log.
    pub lanes: LaneCount,
    /// How long a tick waits for its last lane, in milliseconds.
    pub max_hold_ms: i64,
}

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The city file cannot be used.
    #[error(transparent)]
    City(ReplayError),
    /// There is no policy in it.
    #[error("{}: no city", .0.display())]
    NoCity(PathBuf),
    /// The folder cannot be used.
    #[error(transparent)]
    Data(#[from] OpenError),
    /// The port cannot be had.
    #[error("port {port}: {cause}")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        cause: io::Error,
    },
    /// The file of events cannot be opened.
    #[error("{}: {cause}", path.display())]
    Feed {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The system gives no threads, or no signals.
    #[error("the system gives what is needed to no one: {0}")]
    System(#[from] io::Error),
}

impl ServeError {
    /// The exit status of CONTRACT §4.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::System(_) => 1,
            Self::City(_) | Self::NoCity(_) | Self::Data(_) | Self::Port { .. } | Self::Feed { .. } => 2,
        }
    }
}

impl Serve {
    /// Serves until the process is told to stop.
    ///
    /// # Errors
    /// [`ServeError`]; nothing was served then.
    pub fn run(self) -> Result<(), ServeError> {
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), ServeError> {
        let mut interrupts = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        let policies = self.policies()?;
        let first = policies[0].clone();
        let bounds = ResourceLimits { max_hold_ms: self.max_hold_ms, ..ResourceLimits::default() };
        let book = Arc::new(PolicySet::of(policies, bounds));

        // A port that is taken is known before any work; it opens when the first price is there.
        let port = |cause| ServeError::Port { port: self.port, cause };
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).map_err(port)?;
        let address = socket.local_addr()?;

        let store = self.store()?;
        let welcome = StartupBanner {
            address,
            lanes: self.lanes,
            folder: self.data.as_deref(),
            feed: &self.feed,
            policy: &first,
        };
        let welcome = welcome.to_string();
        let host = Arc::new(LocalApi::new(&store, Arc::clone(&book), welcome.clone()));
        let (stopping, stop) = watch::channel(false);
        let (progress, seen) = watch::channel(Progress::default());
        let work = pipeline_thread::start(store.clone(), book, progress, stop.clone())?;

        let begin = async {
            let mut feeding = self.feeding(&store, &host, &first).await?;
            if let Some(feeding) = &mut feeding {
                let fed = tokio::time::timeout(CATCH_UP, feeding.catch_up()).await;
                fed.unwrap_or(Ok(())).map_err(|cause| self.unreadable(cause))?;
            }
            caught_up(&store, seen.clone()).await;
            Ok::<_, ServeError>(feeding)
        };
        let [interrupt, terminate] = &mut interrupts;
        let begun = tokio::select! {
            begun = begin => begun.map(Some),
            _ = interrupt.recv() => Ok(None),
            _ = terminate.recv() => Ok(None),
        };
        let served = match begun {
            Err(error) => Err(error),
            Ok(None) => Ok(()),
            Ok(Some(feeding)) => match socket.listen(BACKLOG) {
                Err(cause) => Err(port(cause)),
                Ok(listener) => {
                    say(&welcome);
                    let fed = tokio::spawn(feed(feeding, stop.clone()));
                    let shown =
                        tokio::spawn(status_line::run(Arc::clone(&host), store.clone(), seen, stop.clone()));
                    let serving = tokio::spawn(http_server::serve(listener, host, stop));
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    stopping.send_replace(true);
                    // Tasks end by themselves; one that panicked has said so.
                    drop(tokio::join!(serving, fed, shown));
                    say("\nstopped\n");
                    Ok(())
                }
            },
        };
        stopping.send_replace(true);
        drop(work.join());
        store.close();
        served
    }

    fn policies(&self) -> Result<Vec<Policy>, ServeError> {
        let Some(path) = &self.city else { return Ok(vec![city::policy::policy()]) };
        let policies = read_policies(path).map_err(ServeError::City)?;
        if policies.is_empty() {
            return Err(ServeError::NoCity(path.clone()));
        }
        Ok(policies)
    }

    fn store(&self) -> Result<Store, OpenError> {
        let Some(folder) = &self.data else {
            return Ok(Store::in_memory(self.lanes, Clock::live(self.speed, 0)));
        };
        let (disk, contents) = Disk::open(folder, self.lanes)?;
        // Time does not go back, though the process before may have run ahead.
        let clock = Clock::live(self.speed, contents.marks.arrival_ms);
        Ok(Store::on_disk(self.lanes, clock, disk, contents))
    }

    /// The feed, which the city's past belongs to.
    async fn feeding(
        &self,
        store: &Store,
        host: &Arc<LocalApi>,
        policy: &Policy,
    ) -> Result<Option<WorkloadDriver<Arc<LocalApi>>>, ServeError> {
        let (clock, now_ms) = (store.clock(), store.clock().now_ms());
        let (feed, fed_until_ms) = match &self.feed {
            FeedSource::None => return Ok(None),
            FeedSource::File(path) => {
                let file = RebasedFile::open(path, now_ms).map_err(|cause| self.unreadable(cause))?;
                (WorkloadSource::File(Box::new(file)), now_ms)
            }
            FeedSource::City => {
                let settings = city::Settings::living(self.seed, now_ms);
                let start_ms = settings.start_ms;
                let city = City::new(&settings, policy);
                // What the process before has counted does not happen again.
                let head = store.head(&policy.city).await.ok().flatten();
                let counted_ms = head.map_or(start_ms, |head| head.as_of + policy.clock.lateness_ms);
                (WorkloadSource::City(Box::new(city)), start_ms.max(counted_ms))
            }
        };
        let feeding = WorkloadDriver::new(feed, Arc::clone(host), clock, fed_until_ms);
        feeding.map(Some).map_err(|cause| self.unreadable(cause))
    }

    fn unreadable(&self, cause: io::Error) -> ServeError {
        let path = match &self.feed {
            FeedSource::File(path) => path.clone(),
            FeedSource::City | FeedSource::None => PathBuf::new(),
        };
        ServeError::Feed { path, cause }
    }
}

/// Ends once everything that was fed is in the map.
async fn caught_up(store: &Store, mut progress: watch::Receiver<Progress>) {
    let is_done = |progress: &Progress| progress.is_done && store.events().is_empty();
    // Where the work has ended, there is nothing to wait for.
    drop(progress.wait_for(is_done).await);
}

async fn feed(feeding: Option<WorkloadDriver<Arc<LocalApi>>>, stop: watch::Receiver<bool>) {
    let Some(feeding) = feeding else { return };
    match feeding.run(stop).await {
        Ended::Finished => say("\nthe file has come to its end; prices age from now on\n"),
        Ended::Failed(cause) => say(&format!("\nthe file cannot be read on: {cause}\n")),
        Ended::Stopped => {}
    }
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Whoever closed the output does not want to know.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
