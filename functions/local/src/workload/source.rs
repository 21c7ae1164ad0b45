//! The sources of events: a simulated city, or a file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use equilibrium_simulator::city::City;

use equilibrium_event_file::rebased_file::{Notice, RebasedFile};

/// The event source of `--feed`, in addition to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedSource {
    /// The simulated city.
    City,
    /// None.
    None,
    /// A file, with timestamps shifted to start now.
    File(PathBuf),
}

impl From<PathBuf> for FeedSource {
    fn from(path: PathBuf) -> Self {
        match path.to_str() {
            Some("city") => Self::City,
            Some("none") => Self::None,
            _ => Self::File(path),
        }
    }
}

impl fmt::Display for FeedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::City => f.write_str("built-in simulator; a stadium empties one minute after startup"),
            Self::None => f.write_str("none (POST /v1/events only)"),
            Self::File(path) => write!(f, "{}, timestamps shifted to start now", path.display()),
        }
    }
}

/// Opens a source, on a thread that may block.
pub type OpenSource = Box<dyn FnOnce() -> io::Result<WorkloadSource> + Send>;

/// A file whose first time becomes `start_ms`, milliseconds since the Unix epoch; a pipe is opened once its writer is
/// there.
///
/// # Errors
/// The I/O error of a path that cannot be a file.
pub fn file(path: &Path, start_ms: i64, notice: Notice) -> io::Result<OpenSource> {
    if fs::metadata(path)?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let path = path.to_owned();
    Ok(Box::new(move || {
        RebasedFile::open(&path, start_ms, notice).map(|file| WorkloadSource::File(Box::new(file)))
    }))
}

/// An open source.
#[derive(Debug)]
pub enum WorkloadSource {
    /// The simulated city.
    City(Box<City>),
    /// A file.
    File(Box<RebasedFile>),
}

impl WorkloadSource {
    /// Appends the events before `until_ms`, milliseconds since the Unix epoch, to `out`.
    ///
    /// # Errors
    /// The I/O error of the file; the events before it were appended.
    pub fn advance(&mut self, until_ms: i64, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::City(city) => {
                city.advance(until_ms, out);
                Ok(())
            }
            Self::File(file) => file.advance(until_ms, out),
        }
    }

    /// Whether there are no more events.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match self {
            Self::City(_) => false,
            Self::File(file) => file.is_finished(),
        }
    }
}
