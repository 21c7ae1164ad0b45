//! The output file of a command.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why an output file is missing or incomplete.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The file cannot be created.
    #[error("--out {}: {cause}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// Writing failed midway.
    #[error("--out {}: writing failed: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
}

impl OutputError {
    /// The exit status (CONTRACT §4).
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Unusable { .. } => 2,
            Self::Write { .. } => 1,
        }
    }
}

/// Creates the file, or truncates an existing one.
///
/// # Errors
/// [`OutputError::Unusable`].
pub fn create(path: &Path) -> Result<File, OutputError> {
    File::create(path).map_err(|cause| OutputError::Unusable { path: path.to_owned(), cause })
}

/// The error of a failed write to `path`.
pub fn write_error(path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_owned();
    |cause| OutputError::Write { path, cause }
}
