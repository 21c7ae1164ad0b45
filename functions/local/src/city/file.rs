//! The simulated city as a file: `equilibrium city`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::policy::policy;
use super::{City, Settings};

/// 2026-03-06T17:00:00Z, noon in New York, a Friday: fixed, so that two runs give the same file.
pub(super) const START_MS: i64 = 1_772_816_400_000;

/// Why the city's events are not in the file.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be created.
    #[error("{}: {cause}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file cannot take them all.
    #[error("{}: writing failed: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl FileError {
    /// The process's exit status (CONTRACT §4).
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Unusable { .. } => 2,
            Self::Write { .. } => 1,
        }
    }
}

/// Writes the events of the city's first `minutes` into a file, whatever it held before: how many.
///
/// # Errors
/// [`FileError`].
pub fn write_city_file(seed: u64, minutes: u32, path: &Path) -> Result<u64, FileError> {
    let file = File::create(path);
    let mut file = file.map_err(|cause| FileError::Unusable { path: path.to_owned(), cause })?;
    let written = write_city(seed, minutes, &mut file);
    written.map_err(|cause| FileError::Write { path: path.to_owned(), cause })
}

/// Writes the events of the city's first `minutes`, in the order of their times, and flushes: how many.
///
/// # Errors
/// What `out` cannot take.
pub fn write_city(seed: u64, minutes: u32, out: &mut impl Write) -> io::Result<u64> {
    let mut city = City::new(&Settings::new(seed, START_MS), &policy());
    let mut text = Vec::new();
    for second in 1..=i64::from(minutes) * 60 {
        city.advance(START_MS + second * 1000, &mut text);
        out.write_all(&text)?;
        text.clear();
    }
    out.flush()?;
    Ok(city.events())
}
