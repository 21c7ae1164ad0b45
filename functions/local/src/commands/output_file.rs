//! The output file of a command.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
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

/// The error of an output file that is an input file.
#[must_use]
pub fn is_input(path: &Path) -> OutputError {
    let cause = io::Error::new(io::ErrorKind::InvalidInput, "is an input file, too");
    OutputError::Unusable { path: path.to_owned(), cause }
}

/// Whether two paths name the same regular file.
#[must_use]
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let regular_file = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let identity = |file: fs::Metadata| (file.dev(), file.ino());
    regular_file(one).map(identity).is_some_and(|one| regular_file(other).map(identity) == Some(one))
}
