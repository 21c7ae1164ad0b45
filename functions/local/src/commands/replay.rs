//! `equilibrium replay`: prices a file of events in event time, with the handlers of the deployed functions.

pub mod tick_writer;

use std::fmt;
use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use equilibrium_app::clock::Clock;
use equilibrium_app::ingest::record_packer::RecordPacker;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_domain::event;
use equilibrium_domain::id::LaneCount;
use equilibrium_embedded::pseudonym_key;
use equilibrium_embedded::store::Store;
use indicatif::{ProgressBar, ProgressStyle};
use thiserror::Error;
use tokio::runtime;

use self::tick_writer::TickWriter;
use crate::commands::city_file::{self, CityFileError};
use crate::commands::output_file::{self, OutputError};
use crate::commands::parse_lanes;
use crate::commands::terminal::Exit;
use crate::host::pipeline::Pipeline;
use equilibrium_event_file::line_reader::{BlockReader, LineSplitter};

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
    ///
    /// # Panics
    /// Never: the settings of the pipeline are valid.
    pub async fn run(&self, refusals: &mut impl Write) -> Result<Summary, ReplayError> {
        let policies = Arc::new(self.policies()?);
        self.check_output()?;
        let blocks = BlockReader::open(&self.events)
            .map_err(|cause| ReplayError::Open { path: self.events.clone(), cause })?;
        let ticks = TickWriter::new(output_file::create(&self.out)?, Arc::clone(&policies));
        let store = Store::in_memory(self.lanes, Clock::Replay);
        let mut pipeline = Pipeline::new(store.clone(), Arc::clone(&policies), ticks)
            .expect("the settings are within their bounds");
        // No key is known before, so no ids can be chosen to collide. The output is the same with every key.
        let key = Arc::new(pseudonym_key::random().map_err(ReplayError::System)?);
        let packer = RecordPacker::replay(store, self.lanes, policies, key);
        let mut intake = Intake { packer, refusals, line: 0, events: 0, refused: 0 };
        let mut lines = LineSplitter::default();
        let progress = progress_bar(blocks.file_bytes);
        for block in blocks {
            let block = block.map_err(|cause| ReplayError::Read { path: self.events.clone(), cause })?;
            lines.push(&block.bytes, |line| intake.accept(line));
            pipeline.run().await;
            progress.set_position(block.read_bytes);
            if pipeline.ticks().has_failed() {
                break;
            }
        }
        // After a failed write, a partial line is not the last line of the file.
        if !pipeline.ticks().has_failed() {
            lines.end(|line| intake.accept(line));
        }
        intake.packer.end();
        pipeline.run().await;
        progress.finish_and_clear();
        if pipeline.backlog() > 0 {
            return Err(ReplayError::Unprocessed { records: pipeline.backlog() });
        }
        let ticks = pipeline.ticks().end().map_err(output_file::write_error(&self.out))?;
        let late = pipeline.count_metrics().late;
        Ok(Summary { events: intake.events, refused: intake.refused, late, ticks })
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
        let cause = io::Error::new(io::ErrorKind::InvalidInput, "is an input file, too");
        Err(OutputError::Unusable { path: self.out.clone(), cause })
    }
}

/// Packs lines into the event log, counts them and reports those that are refused.
struct Intake<'a, W> {
    packer: RecordPacker<Store>,
    refusals: &'a mut W,
    /// Number of the last line, from 1.
    line: u64,
    events: u64,
    refused: u64,
}

impl<W: Write> Intake<'_, W> {
    fn accept(&mut self, line: &[u8]) {
        self.line += 1;
        if event::is_blank(line) && line.len() <= event::MAX_EVENT_BYTES {
            return;
        }
        self.events += 1;
        let Err(refusal) = self.packer.line(line) else { return };
        self.refused += 1;
        // A report that cannot be written does not fail the replay.
        drop(writeln!(self.refusals, "line {}: {}: {refusal}", self.line, refusal.code()));
    }
}

/// Whether two paths name the same regular file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let regular_file = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let identity = |file: fs::Metadata| (file.dev(), file.ino());
    regular_file(one).map(identity).is_some_and(|one| regular_file(other).map(identity) == Some(one))
}

/// A progress bar on a terminal, and a hidden one elsewhere.
fn progress_bar(bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {bytes}/{total_bytes} {bytes_per_sec}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
