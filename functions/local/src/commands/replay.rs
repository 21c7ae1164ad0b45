//! `equilibrium replay`: prices a file of events in event time, with the handlers of the deployed functions.

pub mod engine;
pub mod tick_writer;

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_domain::id::LaneCount;
use indicatif::{ProgressBar, ProgressStyle};
use thiserror::Error;
use tokio::runtime;

use self::engine::Engine;
use self::tick_writer::TickWriter;
use crate::commands::city_file::{self, CityFileError};
use crate::commands::output_file::{self, OutputError, is_same_file};
use crate::commands::parse_lanes;
use crate::commands::terminal::Exit;
use equilibrium_event_file::line_reader::BlockReader;

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct Replay {
    /// File of market events: NDJSON, plain or gzip.
    pub events: PathBuf,
    /// Output file, NDJSON: one line for each tick and reported cell.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// City file: one policy, or an array of policies. Default: every city is accepted.
    #[arg(long, value_name = "FILE")]
    pub city: Option<PathBuf>,
    /// Lanes of the event log, a power of two from 1 to 65536; the output is the same for every number.
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_lanes)]
    pub lanes: LaneCount,
}

/// The totals of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Lines that are not blank.
    pub events: u64,
    /// Refused lines.
    pub refused: u64,
    /// Late events.
    pub late: u64,
    /// Pairs of city and tick with at least one row.
    pub ticks: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, refused, late, ticks } = self;
        write!(f, "events={events} refused={refused} late={late} ticks={ticks}")
    }
}

/// Why a replay failed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The city file cannot be used.
    #[error(transparent)]
    City(#[from] CityFileError),
    /// The file of events cannot be opened.
    #[error("EVENTS {}: {cause}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// Reading events failed midway.
    #[error("EVENTS {}: reading failed: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// The system has no randomness.
    #[error("cannot start: {0}")]
    System(io::Error),
    /// The ticks cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Records of the log could not be counted or priced.
    #[error("{records} records could not be processed; the ticks are incomplete")]
    Unprocessed {
        /// The number of records.
        records: usize,
    },
}

impl ReplayError {
    /// The exit status (CONTRACT §4).
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::City(_) | Self::Open { .. } => 2,
            Self::Read { .. } | Self::System(_) | Self::Unprocessed { .. } => 1,
            Self::Output(error) => error.status(),
        }
    }
}

impl Replay {
    /// Runs the command; refused lines and then the summary go to stderr.
    #[must_use]
    pub fn execute(&self) -> Exit {
        let runtime = match runtime::Builder::new_current_thread().build() {
            Ok(runtime) => runtime,
            Err(error) => return Exit::failure(1, error),
        };
        let mut refusals = BufWriter::new(io::stderr());
        let replayed = runtime.block_on(self.run(&mut refusals));
        drop(refusals.flush());
        match replayed {
            Ok(summary) => Exit::summary(summary),
            Err(error) => Exit::failure(error.status(), error),
        }
    }

    /// Replays the file; each refused line is written to `refusals` as one line.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn run(&self, refusals: &mut impl Write) -> Result<Summary, ReplayError> {
        let policies = Arc::new(self.policies()?);
        self.check_output()?;
        let blocks = BlockReader::open(&self.events)
            .map_err(|cause| ReplayError::Open { path: self.events.clone(), cause })?;
        let ticks = TickWriter::new(output_file::create(&self.out)?, Arc::clone(&policies));
        let mut engine = Engine::new(policies, self.lanes, ticks).map_err(ReplayError::System)?;
        let progress = progress_bar(blocks.file_bytes);
        for block in blocks {
            let block = block.map_err(|cause| ReplayError::Read { path: self.events.clone(), cause })?;
            engine.push(&block.bytes, refusals).await;
            progress.set_position(block.read_bytes);
            if engine.ticks().has_failed() {
                break;
            }
        }
        // After a failed write, a partial line is not the last line of the file.
        let records = engine.end(!engine.ticks().has_failed(), refusals).await;
        progress.finish_and_clear();
        if records > 0 {
            return Err(ReplayError::Unprocessed { records });
        }
        let ticks = engine.ticks().end().map_err(output_file::write_error(&self.out))?;
        let (events, refused, late) = engine.totals();
        Ok(Summary { events, refused, late, ticks })
    }

    fn policies(&self) -> Result<PolicySet, CityFileError> {
        // No entity is evicted, so that the output is the same for every number of lanes.
        let limits = ResourceLimits { max_entities: u32::MAX, ..ResourceLimits::default() };
        match &self.city {
            Some(path) => Ok(PolicySet::of(city_file::read_some_policies(path)?, limits)),
            None => Ok(PolicySet::open(limits)),
        }
    }

    /// Checks that the output file is not one of the input files.
    fn check_output(&self) -> Result<(), OutputError> {
        let mut inputs = [Some(&self.events), self.city.as_ref()].into_iter().flatten();
        if !inputs.any(|path| is_same_file(path, &self.out)) {
            return Ok(());
        }
        Err(output_file::is_input(&self.out))
    }
}

/// A progress bar on a terminal, and a hidden one elsewhere.
pub(crate) fn progress_bar(bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {bytes}/{total_bytes} {bytes_per_sec}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
