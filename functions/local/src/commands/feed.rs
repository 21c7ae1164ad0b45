//! `equilibrium feed`: the simulated city, or a file, posted to a deployment.

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::workload::driver::{Ended, EventSink, WorkloadDriver, WorkloadSource};
use crate::workload::rebased_file::RebasedFile;
use equilibrium_app::clock::Clock;
use equilibrium_simulator::city::{self, City};

/// An answer that takes longer is none. API Gateway answers within 30 s ("Quotas for HTTP APIs").
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What to post, and where.
#[derive(Clone, Debug)]
pub struct FeedCommand {
    /// The URL of `POST /v1/events`.
    pub url: Uri,
    /// A file whose first event is now; without, the simulated city.
    pub file: Option<PathBuf>,
    /// Decides what happens in the simulated city.
    pub seed: u64,
    /// Drivers of the simulated city.
    pub drivers: Option<NonZeroU32>,
}

impl FeedCommand {
    /// Posts until the file ends or the process is told to stop.
    ///
    /// # Errors
    /// What the system says of the file, or what the deployment says of a body it will never take.
    pub async fn run(self) -> io::Result<()> {
        let mut interrupts = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        let clock = Clock::live(NonZeroU32::MIN, 0);
        let now_ms = clock.now_ms();
        let (feed, fed_until_ms) = if let Some(path) = &self.file {
            (WorkloadSource::File(Box::new(RebasedFile::open(path, now_ms)?)), now_ms)
        } else {
            let mut settings = city::Settings::living(self.seed, now_ms);
            settings.drivers = self.drivers.unwrap_or(settings.drivers);
            (WorkloadSource::City(Box::new(City::new(&settings, &city::policy::policy()))), settings.start_ms)
        };
        let feeding = WorkloadDriver::new(feed, Remote::new(self.url)?, clock, fed_until_ms)?;
        let (stopping, stop) = watch::channel(false);
        let [interrupt, terminate] = &mut interrupts;
        let fed = tokio::select! {
            ended = feeding.run(stop) => ended,
            _ = interrupt.recv() => Ended::Stopped,
            _ = terminate.recv() => Ended::Stopped,
        };
        drop(stopping);
        match fed {
            Ended::Finished | Ended::Stopped => Ok(()),
            Ended::Failed(error) => Err(error),
        }
    }
}

/// `POST /v1/events` of a deployment.
#[derive(Debug)]
struct Remote {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Remote {
    fn new(url: Uri) -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(connector.build());
        Ok(Self { url, client })
    }
}

impl EventSink for Remote {
    async fn post(&self, body: &[u8]) -> io::Result<bool> {
        let request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .map_err(io::Error::other)?;
        match tokio::time::timeout(RESPONSE_TIMEOUT, self.client.request(request)).await {
            Ok(Ok(answer)) => match answer.status() {
                StatusCode::ACCEPTED => Ok(true),
                StatusCode::TOO_MANY_REQUESTS => Ok(false),
                status if status.is_server_error() => Ok(false),
                status => Err(io::Error::other(format!("{} answers {status}", self.url))),
            },
            // Nobody there, or nobody who answers: it may come.
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }
}
