//! The key of a process's pseudonyms: from the system's randomness, and kept beside the database if there is one.

use std::io;
use std::path::Path;

use equilibrium_domain::pseudonym::{KEY_BYTES, PseudonymKey};

use crate::key_file;
use crate::open_error::OpenError;

/// Name of the key's file in the folder of the database.
pub const FILE_NAME: &str = "pseudonym.key";

/// A key that no other process has.
///
/// # Errors
/// The system has no randomness.
pub fn random() -> io::Result<PseudonymKey> {
    Ok(key(&key_file::random(KEY_BYTES)?))
}

/// The key of a process: the one in `folder`, of which it has opened the database, or a new one if there is none.
///
/// # Errors
/// [`OpenError`]; a damaged file is not replaced.
pub fn open(folder: Option<&Path>) -> Result<PseudonymKey, OpenError> {
    match folder {
        Some(folder) => Ok(key(&key_file::open(folder, FILE_NAME, KEY_BYTES)?)),
        None => random().map_err(|cause| OpenError::NoRandomness { cause }),
    }
}

fn key(digits: &str) -> PseudonymKey {
    PseudonymKey::from_hex(digits).expect("hexadecimal digits of a key's length")
}
