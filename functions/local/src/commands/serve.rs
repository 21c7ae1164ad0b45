//! `equilibrium serve`: all functions in one process, behind one port (CONTRACT §4).

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use equilibrium_app::clock::{Clock, system_now_ms};
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::policy_set::ResourceLimits;
use equilibrium_app::price::ports::MapStore;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::policy::Policy;
use equilibrium_embedded::database::Database;
use equilibrium_embedded::open_error::OpenError;
use equilibrium_embedded::store::Store;
use equilibrium_embedded::{pseudonym_key, quotes};
use equilibrium_http_server as http_server;
use equilibrium_local_access::AccessArguments;
use equilibrium_local_pipeline::instances::Progress;
use equilibrium_page::Basemaps;
use equilibrium_price::{EventFeed, EventSource};
use equilibrium_simulator::city::{self, City};
use tokio::net::TcpSocket;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::commands::city_file;
use crate::commands::serve_error::ServeError;
use crate::commands::stop_signals::StopSignals;
use crate::commands::terminal::Exit;
use crate::commands::{parse_lanes, whole};
use crate::host::banner::{self, StartupBanner};
use crate::host::clock_report;
use crate::host::console::print;
use crate::host::recovery::LocalRecovery;
use crate::host::router::{Changes, LocalApi, Site};
use crate::host::{status_line, threads};
use crate::workload::driver::{Ended, WorkloadDriver};
use crate::workload::source::{self, FeedSource, OpenSource, WorkloadSource};

/// How long startup waits for the driver to catch up with the clock. With a fast clock or a full disk it may never.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stop waits for requests in progress and other tasks.
const TASKS_TIMEOUT: Duration = Duration::from_millis(1_100);

/// Connections that may wait to be accepted.
const LISTEN_BACKLOG: u32 = 4_096;

/// The fastest process clock (CONTRACT §4).
const MAX_SPEED: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct Serve {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value = "8080", value_name = "PORT", value_parser = whole(0..=u16::MAX))]
    port: u16,
    /// Event source in addition to the API: built-in simulator, none, or an NDJSON file with timestamps shifted
    /// to start now.
    #[arg(long, default_value = "city", value_name = "city|none|FILE", value_parser = PathBufValueParser::new().map(FeedSource::from))]
    feed: FeedSource,
    /// Run the process clock N times faster than real time: 1 to 1000.
    #[arg(long, default_value = "1", value_name = "N", value_parser = whole(NonZeroU32::MIN..=MAX_SPEED))]
    speed: NonZeroU32,
    /// City file: one policy, or an array of policies. Default: the policies in DIR, or New York. A policy of the file
    /// replaces the one in DIR if it was edited since the last start with DIR.
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// Persist to DIR: events are on disk before the 202 that acknowledges them; all state survives a restart.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Random seed of the simulated city.
    #[arg(long, default_value = "1", value_name = "N", value_parser = whole(0..=u64::MAX))]
    seed: u64,
    /// Lanes of the event log, a power of two from 1 to 65536.
    #[arg(long, default_value = "64", value_name = "N", value_parser = parse_lanes)]
    lanes: LaneCount,
    /// How long a tick waits for its last lane, in milliseconds.
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = whole(0..=i64::MAX))]
    max_hold_ms: i64,
    /// End the pipeline's instance MS milliseconds after the start, as a crash would: a lever of the tests.
    #[arg(long, hide = true, value_name = "MS", value_parser = whole(0..=u64::MAX))]
    fail_pipeline_after_ms: Option<u64>,
    #[command(flatten)]
    access: AccessArguments,
}

/// What the tasks of a running server share.
struct Server {
    store: Store,
    api: Arc<LocalApi>,
    banner: String,
    progress: watch::Receiver<Progress>,
    stop: watch::Receiver<bool>,
}

type Driver = WorkloadDriver<Arc<LocalApi>>;

impl Serve {
    /// Runs the command until a signal arrives.
    #[must_use]
    pub fn execute(self) -> Exit {
        match self.run() {
            Ok(()) => Exit::success(),
            Err(error) => Exit::failure(error.status(), error),
        }
    }

    fn run(self) -> Result<(), ServeError> {
        threads::check().map_err(|cause| ServeError::Threads { needed: threads::needed(), cause })?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(self.serve());
        // A map that is being written has no client any more.
        runtime.shutdown_background();
        served
    }

    async fn serve(self) -> Result<(), ServeError> {
        let mut signals = StopSignals::install()?;
        let max_connections = http_server::max_connections()?;
        let city_file = self.city.as_deref().map(city_file::read_some_policies).transpose()?;
        let limits = ResourceLimits { max_hold_ms: self.max_hold_ms, ..ResourceLimits::default() };
        // A port in use is reported before any work. Connections are accepted once the first price is there.
        let socket = self.bind()?;
        let address = socket.local_addr()?;
        let (store, policies) = self.open_store(city_file.as_deref()).await?;
        let folder = self.data.as_deref();
        let keys = (pseudonym_key::open(folder)?, quotes::open_keys(folder)?);
        let access = self.access.open(folder, system_now_ms())?;
        let policy = policies[0].clone();
        let banner = self.banner(address, &policy);
        let site = self.site(banner.clone(), &policies, store.clock().now_ms())?;
        let policies =
            Arc::new(PolicyCache::with_bounds(store.clone(), store.clone(), limits, tokio::time::sleep as _));
        let (stop_sender, stop) = watch::channel(false);
        let (progress_sender, progress) = watch::channel(Progress::default());
        let changes = Arc::new(Changes::new(Arc::clone(&policies), store.clone(), store.clock()));
        let (pipeline, recovery) =
            LocalRecovery::start(&store, (&policies, &changes), progress_sender, stop.clone())?;
        let site = (access.admission, site);
        let api = Arc::new(LocalApi::new(&store, policies, keys, site, (changes, recovery)));
        let recovering = api.recovery().spawn(stop.clone());
        if let Some(ms) = self.fail_pipeline_after_ms {
            let pipeline = pipeline.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                pipeline.fail();
            });
        }
        let banner = banner + &access.own_token;
        let server = Server { store, api, banner, progress, stop };

        let started = tokio::select! {
            started = self.catch_up(&server, &policy) => started.map(Some),
            () = signals.received() => Ok(None),
        };
        let served = match started {
            Ok(Some(driver)) => {
                self.accept((socket, max_connections), server, driver, &mut signals, &stop_sender).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        stop_sender.send_replace(true);
        drop(timeout(TASKS_TIMEOUT, recovering).await);
        pipeline.finish().await;
        served
    }

    /// Creates the driver and waits until the events of the past are posted and priced.
    async fn catch_up(&self, server: &Server, policy: &Policy) -> Result<Option<Driver>, ServeError> {
        let mut driver = self.driver(server, policy).await?;
        if let Some(driver) = &mut driver {
            let posted = timeout(CATCH_UP_TIMEOUT, driver.catch_up()).await;
            posted.unwrap_or(Ok(())).map_err(|cause| self.feed_error(cause))?;
            server.api.announce_due().await;
        }
        // A corrupt log is reported by the status line, and does not keep the port shut.
        let is_priced = |at: &Progress| at.corrupt > 0 || at.is_idle && server.store.events().is_empty();
        // An error means that the pipeline has ended: there is nothing to wait for.
        drop(server.progress.clone().wait_for(is_priced).await);
        Ok(driver)
    }

    /// Accepts connections until a signal arrives, then stops all tasks.
    async fn accept(
        &self,
        (socket, max_connections): (TcpSocket, usize),
        server: Server,
        driver: Option<Driver>,
        signals: &mut StopSignals,
        stop_sender: &watch::Sender<bool>,
    ) -> Result<(), ServeError> {
        let listener = socket.listen(LISTEN_BACKLOG).map_err(|cause| self.port_error(cause))?;
        let Server { store, api, banner, progress, stop } = server;
        print(&banner);
        let driving = tokio::spawn(drive(driver, stop.clone()));
        let reporting = tokio::spawn(status_line::run(Arc::clone(&api), store, progress, stop.clone()));
        let serving = tokio::spawn(http_server::serve(listener, api, max_connections, stop));
        signals.received().await;
        stop_sender.send_replace(true);
        // The tasks end by themselves, unless a client or a map takes long; the panic of a task has been printed.
        drop(timeout(TASKS_TIMEOUT, async { tokio::join!(serving, driving, reporting) }).await);
        print("\nstopped\n");
        Ok(())
    }

    fn bind(&self) -> Result<TcpSocket, ServeError> {
        http_server::bind(self.port).map_err(|cause| self.port_error(cause))
    }

    /// The store, and the policies in force: those of the city file, and those that were saved in the folder.
    async fn open_store(&self, city_file: Option<&[Policy]>) -> Result<(Store, Vec<Policy>), OpenError> {
        let clock = Clock::live(self.speed);
        let start_policies =
            |store: &Store| store.start_policies(city_file, city::policy::policy, store.clock().now_ms());
        let Some(folder) = &self.data else {
            let store = Store::in_memory_with_past(self.lanes, clock);
            let policies = start_policies(&store);
            return Ok((store, policies));
        };
        let (database, contents) = Database::open(folder, self.lanes)?;
        let arrival_ms = contents.ends.arrival_ms;
        let store = Store::on_disk(self.lanes, clock, database, contents);
        let policies = start_policies(&store);
        if let Some(ahead) = clock_report::continue_clock(&store, &policies, folder, arrival_ms).await {
            print(&ahead);
        }
        Ok((store, policies))
    }

    fn banner(&self, address: SocketAddr, policy: &Policy) -> String {
        let (folder, feed) = (self.data.as_deref(), &self.feed);
        StartupBanner { address, lanes: self.lanes, folder, feed, policy }.to_string()
    }

    fn site(&self, index: String, policies: &[Policy], now_ms: i64) -> Result<Site, ServeError> {
        let feed = match self.feed {
            FeedSource::City => EventFeed::Simulated(policies[0].city.clone()),
            FeedSource::File(_) => EventFeed::File,
            FeedSource::None => EventFeed::Live,
        };
        let cities = policies.iter().map(|policy| policy.city.as_str());
        let basemaps = self.city.as_deref().map(|file| Basemaps::beside(file, cities)).transpose()?;
        let source = EventSource { feed, started_at_ms: Some(now_ms) };
        Ok(Site { index, basemaps: basemaps.unwrap_or_default(), source })
    }

    async fn driver(&self, server: &Server, policy: &Policy) -> Result<Option<Driver>, ServeError> {
        let clock = server.store.clock();
        let now_ms = clock.now_ms();
        let (source, start_ms) = match &self.feed {
            FeedSource::None => return Ok(None),
            FeedSource::File(path) => {
                (source::file(path, now_ms, print).map_err(|cause| self.feed_error(cause))?, now_ms)
            }
            FeedSource::City => {
                let mut settings = city::Settings::live(self.seed, now_ms);
                settings.stadium_at = banner::stadium_elsewhere(policy);
                let city = City::new(&settings, policy);
                // Events that the previous process has counted are skipped.
                let head = server.store.head(&policy.city).await.ok().flatten();
                let counted_ms = head.map_or(settings.start_ms, |head| head.as_of + policy.clock.lateness_ms);
                let open: OpenSource = Box::new(|| Ok(WorkloadSource::City(Box::new(city))));
                (open, settings.start_ms.max(counted_ms))
            }
        };
        let driver = WorkloadDriver::new(source, Arc::clone(&server.api), clock, start_ms);
        driver.map(Some).map_err(|cause| self.feed_error(cause))
    }

    fn port_error(&self, cause: io::Error) -> ServeError {
        ServeError::Port { port: self.port, cause }
    }

    fn feed_error(&self, cause: io::Error) -> ServeError {
        let path = match &self.feed {
            FeedSource::File(path) => path.clone(),
            FeedSource::City | FeedSource::None => PathBuf::new(),
        };
        ServeError::Feed { path, cause }
    }
}

async fn drive(driver: Option<Driver>, stop: watch::Receiver<bool>) {
    let Some(driver) = driver else { return };
    match driver.run(stop).await {
        Ended::Finished => print("\nend of the file; prices age from now on\n"),
        Ended::Failed(cause) => print(&format!("\nfeed stopped: {cause}\n")),
        Ended::Stopped => {}
    }
}
