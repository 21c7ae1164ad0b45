//! `equilibrium feed`: posts the simulated city, or a file of events, to a deployment.

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;

use equilibrium_app::clock::Clock;
use equilibrium_simulator::city::{self, City};
use hyper::Uri;
use tokio::sync::watch;

use crate::commands::stop_signals::StopSignals;
use crate::workload::driver::{Ended, WorkloadDriver};
use crate::workload::http_client::HttpEventSink;
use crate::workload::rebased_file::RebasedFile;
use crate::workload::source::WorkloadSource;

/// The arguments of the command.
#[derive(Clone, Debug)]
pub struct FeedCommand {
    /// The URL of `POST /v1/events`.
    pub url: Uri,
    /// A file, with timestamps shifted to start now; without it, the simulated city.
    pub file: Option<PathBuf>,
    /// Random seed of the simulated city.
    pub seed: u64,
    /// Number of drivers of the simulated city.
    pub drivers: Option<NonZeroU32>,
}

impl FeedCommand {
    /// Posts events until the file ends or a signal arrives.
    ///
    /// # Errors
    /// The I/O error of the file, or why the deployment will never accept a body.
    pub async fn run(self) -> io::Result<()> {
        let mut signals = StopSignals::install()?;
        let clock = Clock::live(NonZeroU32::MIN, 0);
        let (source, start_ms) = self.source(clock.now_ms())?;
        let driver = WorkloadDriver::new(source, HttpEventSink::new(self.url)?, clock, start_ms)?;
        let (_sender, stop) = watch::channel(false);
        let ended = tokio::select! {
            ended = driver.run(stop) => ended,
            () = signals.received() => Ended::Stopped,
        };
        match ended {
            Ended::Finished | Ended::Stopped => Ok(()),
            Ended::Failed(error) => Err(error),
        }
    }

    /// The source, and the time of its first event.
    fn source(&self, now_ms: i64) -> io::Result<(WorkloadSource, i64)> {
        if let Some(path) = &self.file {
            return Ok((WorkloadSource::File(Box::new(RebasedFile::open(path, now_ms)?)), now_ms));
        }
        let mut settings = city::Settings::live(self.seed, now_ms);
        settings.drivers = self.drivers.unwrap_or(settings.drivers);
        let city = City::new(&settings, &city::policy::policy());
        Ok((WorkloadSource::City(Box::new(city)), settings.start_ms))
    }
}
