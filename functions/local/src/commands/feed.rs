//! `equilibrium feed`: posts the simulated city, or a file of events, to a deployment.

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use equilibrium_app::clock::Clock;
use equilibrium_http_server::signals::StopSignals;
use equilibrium_simulator::city::{self, City};
use hyper::Uri;
use tokio::sync::watch;

use crate::commands::whole;
use crate::host::console::print;
use crate::workload::driver::{Ended, WorkloadDriver};
use crate::workload::http_client::HttpEventSink;
use crate::workload::source::{self, OpenSource, WorkloadSource};

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct FeedCommand {
    /// URL to post to, including `/v1/events`.
    url: Uri,
    /// File of market events, with timestamps shifted to start now. Default: the simulated city.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Random seed of the simulated city.
    #[arg(long, default_value = "1", value_name = "N", value_parser = whole(0..=u64::MAX))]
    seed: u64,
    /// Number of drivers of the simulated city.
    #[arg(long, value_name = "N", value_parser = whole(NonZeroU32::MIN..=NonZeroU32::MAX))]
    drivers: Option<NonZeroU32>,
}

impl FeedCommand {
    /// Posts events until the file ends or a signal arrives.
    ///
    /// # Errors
    /// The I/O error of the file, or why the deployment will never accept a body.
    pub async fn run(self) -> io::Result<()> {
        let mut signals = StopSignals::install()?;
        let clock = Clock::live(NonZeroU32::MIN);
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
    fn source(&self, now_ms: i64) -> io::Result<(OpenSource, i64)> {
        if let Some(path) = &self.file {
            let named = |cause| io::Error::other(format!("--file {}: {cause}", path.display()));
            return Ok((source::file(path, now_ms, print).map_err(named)?, now_ms));
        }
        let mut settings = city::Settings::live(self.seed, now_ms);
        settings.drivers = self.drivers.unwrap_or(settings.drivers);
        let city = City::new(&settings, &city::policy::policy());
        Ok((Box::new(|| Ok(WorkloadSource::City(Box::new(city)))), settings.start_ms))
    }
}
