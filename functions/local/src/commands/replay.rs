//! `equilibrium replay`: a file of events through the same handlers, in event time, as fast as it goes.

pub mod tick_writer;

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_domain::event;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::policy::{Fault, Policy};
use indicatif::{ProgressBar, ProgressStyle};
use thiserror::Error;

use self::tick_writer::TickWriter;
use crate::host::pipeline::Pipeline;
use crate::workload::line_reader::{BlockReader, LineSplitter};
use equilibrium_app::clock::Clock;
use equilibrium_app::ingest::record_packer::RecordPacker;
use equilibrium_embedded::store::Store;

/// What to replay, and where to.
#[derive(Debug)]
pub struct Replay {
    /// Events, NDJSON, plain or gzip.
    pub events: PathBuf,
    /// Where the ticks go.
    pub out: PathBuf,
    /// Policies; without, any city is taken.
    pub city: Option<PathBuf>,
    /// Lanes of the log.
    pub lanes: LaneCount,
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Lines that are not blank.
    pub events: u64,
    /// Lines refused.
    pub refused: u64,
    /// Events that were late.
    pub late: u64,
    /// Pairs of city and tick with at least one row.
    pub ticks: u64,
}

/// Why a replay did not come to its end.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// A file that was named cannot be opened.
    #[error("{}: {cause}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A policy has faults.
    #[error("{}: {}", path.display(), list(faults))]
    Policy {
        /// The file.
        path: PathBuf,
        /// Every fault.
        faults: Vec<Fault>,
    },
    /// Reading failed midway.
    #[error("{}: reading failed: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Writing failed midway.
    #[error("{}: writing failed: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

impl ReplayError {
    /// The exit status of CONTRACT §4.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Unusable { .. } | Self::Policy { .. } => 2,
            Self::Read { .. } | Self::Write { .. } => 1,
        }
    }
}

fn list(faults: &[Fault]) -> String {
    let faults: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    faults.concat()
}

impl Replay {
    /// Replays; refused lines go to `refusals`, one a line.
    ///
    /// # Errors
    /// [`ReplayError`].
    ///
    /// # Panics
    /// Never: the mappings' settings are within their bounds.
    pub async fn run(&self, refusals: &mut impl Write) -> Result<Summary, ReplayError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            |cause| ReplayError::Unusable { path, cause }
        };
        let book = match &self.city {
            Some(path) => match read_policies(path)? {
                none if none.is_empty() => {
                    return Err(unusable(path)(io::Error::new(io::ErrorKind::InvalidData, "no city")));
                }
                policies => PolicySet::of(policies, ResourceLimits::default()),
            },
            None => PolicySet::open(ResourceLimits::default()),
        };
        let book = Arc::new(book);
        if [Some(&self.events), self.city.as_ref()].into_iter().flatten().any(|path| is_same(path, &self.out))
        {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "to be written, and read as well");
            return Err(unusable(&self.out)(cause));
        }
        let blocks = BlockReader::open(&self.events).map_err(unusable(&self.events))?;
        let rows = TickWriter::new(File::create(&self.out).map_err(unusable(&self.out))?);
        let store = Store::in_memory(self.lanes, Clock::Replay);
        let mut pipeline =
            Pipeline::new(store.clone(), &book, rows).expect("the settings are within their bounds");
        let mut feed = RecordPacker::replay(store, self.lanes, book);
        let mut summary = Summary { events: 0, refused: 0, late: 0, ticks: 0 };
        let mut lines = LineSplitter::default();
        let mut number = 0_u64;
        let mut take = |line: &[u8]| {
            number += 1;
            if event::is_blank(line) && line.len() <= event::MAX_EVENT_BYTES {
                return Ok(());
            }
            summary.events += 1;
            let Err(refusal) = feed.line(line) else { return Ok(()) };
            summary.refused += 1;
            writeln!(refusals, "line {number}: {}: {refusal}", refusal.code())
        };
        // A failure to complain is no failure to replay.
        let mut complained = Ok(());
        let progress = progress(blocks.file_bytes);
        for block in blocks {
            let block = block.map_err(|cause| ReplayError::Read { path: self.events.clone(), cause })?;
            lines.push(&block.bytes, |line| complained = take(line));
            pipeline.run().await;
            progress.set_position(block.read_bytes);
            if pipeline.ticks().has_failed() {
                break;
            }
        }
        // Where writing failed the rest of the block is not the file's end.
        if !pipeline.ticks().has_failed() {
            lines.end(|line| complained = take(line));
        }
        drop(complained);
        feed.end();
        pipeline.run().await;
        progress.finish_and_clear();
        summary.late = pipeline.counted().late;
        let ended = pipeline.ticks().end();
        summary.ticks = ended.map_err(|cause| ReplayError::Write { path: self.out.clone(), cause })?;
        Ok(summary)
    }
}

/// Whether both are one file, by whatever names.
fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let name = |file: fs::Metadata| (file.dev(), file.ino());
    file(one).map(name).is_some_and(|one| file(other).map(name) == Some(one))
}

/// Reads a city file: one policy, or an array of them.
///
/// # Errors
/// [`ReplayError::Unusable`] and [`ReplayError::Policy`].
pub fn read_policies(path: &Path) -> Result<Vec<Policy>, ReplayError> {
    let text =
        fs::read_to_string(path).map_err(|cause| ReplayError::Unusable { path: path.to_owned(), cause })?;
    Policy::list_from_json(&text).map_err(|faults| ReplayError::Policy { path: path.to_owned(), faults })
}

/// A bar on a terminal, nothing elsewhere.
fn progress(bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {bytes}/{total_bytes} {bytes_per_sec}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
