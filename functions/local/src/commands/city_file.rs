//! City files: one policy, or an array of policies, as JSON (CONTRACT §7).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use equilibrium_domain::policy::{Fault, Policy};
use thiserror::Error;

/// Why a city file cannot be used.
#[derive(Debug, Error)]
pub enum CityFileError {
    /// The file cannot be read.
    #[error("--city {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// A policy is invalid.
    #[error("{}:{}", path.display(), list(faults))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All faults.
        faults: Vec<Fault>,
    },
    /// The file defines no city.
    #[error("{}: no city", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the policies of a city file.
///
/// # Errors
/// [`CityFileError::Unreadable`] and [`CityFileError::Invalid`].
pub fn read_policies(path: &Path) -> Result<Vec<Policy>, CityFileError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|cause| CityFileError::Unreadable { path: path.to_owned(), cause })?;
    Policy::list_from_json(&text).map_err(|faults| CityFileError::Invalid { path: path.to_owned(), faults })
}

/// Reads the policies of a city file that must define at least one city.
///
/// # Errors
/// [`CityFileError`].
pub fn read_some_policies(path: &Path) -> Result<Vec<Policy>, CityFileError> {
    let policies = read_policies(path)?;
    if policies.is_empty() {
        return Err(CityFileError::Empty { path: path.to_owned() });
    }
    Ok(policies)
}

/// One line for each field; a fault of the whole document follows the file's name.
fn list(faults: &[Fault]) -> String {
    let separator = |fault: &Fault| if fault.pointer.is_empty() { " " } else { "\n  " };
    let faults: Vec<String> = faults.iter().map(|fault| format!("{}{fault}", separator(fault))).collect();
    faults.concat()
}
