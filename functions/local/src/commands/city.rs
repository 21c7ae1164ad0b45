//! `equilibrium city`: writes the events of the simulated city to a file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use equilibrium_simulator::city::write_city;
use thiserror::Error;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_created_is_named() {
        let error = write_city_file(1, 1, Path::new("/nowhere/at/all.ndjson")).unwrap_err();
        assert_eq!(error.status(), 2);
        assert!(error.to_string().starts_with("/nowhere/at/all.ndjson: "), "{error}");
    }
}
