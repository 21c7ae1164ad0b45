//! The key of a process's pseudonyms: from the system's randomness, and kept beside the database if there is one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use equilibrium_domain::pseudonym::{KEY_BYTES, PseudonymKey};
use zeroize::Zeroizing;

use crate::data_folder::ignore_absence;
use crate::open_error::OpenError;

/// Name of the key's file in the folder of the database.
pub const FILE_NAME: &str = "pseudonym.key";

/// Name of a key that is being written.
const UNFINISHED_NAME: &str = "pseudonym.key.new";

/// A key that no other process has.
///
/// # Errors
/// The system has no randomness.
pub fn random() -> io::Result<PseudonymKey> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(PseudonymKey::new(*bytes))
}

/// The key of a process: the one in `folder`, of which it has opened the database, or a new one if there is none.
///
/// # Errors
/// [`OpenError`]; a damaged file is not replaced.
pub fn open(folder: Option<&Path>) -> Result<PseudonymKey, OpenError> {
    match folder {
        Some(folder) => read_or_create(folder),
        None => random().map_err(|cause| OpenError::NoRandomness { cause }),
    }
}

fn read_or_create(folder: &Path) -> Result<PseudonymKey, OpenError> {
    let path = folder.join(FILE_NAME);
    let inaccessible = |cause| OpenError::Inaccessible { path: path.clone(), cause };
    match File::open(&path) {
        Ok(file) => {
            let text = read(file).map_err(inaccessible)?;
            let key = PseudonymKey::from_hex(text.trim_end());
            key.ok_or_else(|| OpenError::Damaged { path, what: "not 32 hexadecimal digits".to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(folder).map_err(inaccessible),
        Err(error) => Err(inaccessible(error)),
    }
}

/// The beginning of a file; bytes that are no text are none of a key.
fn read(file: File) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 * KEY_BYTES));
    file.take(4 * KEY_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(Zeroizing::new(std::str::from_utf8(&bytes).unwrap_or_default().to_owned()))
}

/// Writes a new key, which is whole or absent whenever the process ends, and which only its user can read.
fn create(folder: &Path) -> io::Result<PseudonymKey> {
    let key = random()?;
    let unfinished = folder.join(UNFINISHED_NAME);
    fs::remove_file(&unfinished).or_else(ignore_absence)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(key.to_hex().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(FILE_NAME))?;
    File::open(folder)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_user_can_read_it() {
        let folder = TempDir::new().unwrap();
        let made = read_or_create(folder.path()).unwrap();
        let file = folder.path().join(FILE_NAME);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!folder.path().join(UNFINISHED_NAME).exists());
        let read = read_or_create(folder.path()).unwrap();
        assert_eq!(read.to_hex(), made.to_hex());
        assert_ne!(random().unwrap().to_hex(), made.to_hex());
    }

    #[test]
    fn a_key_whose_writing_was_interrupted_is_made_anew() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(UNFINISHED_NAME), "0001").unwrap();
        read_or_create(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_named_and_kept() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join(FILE_NAME);
        for damaged in [&b""[..], b"000102030405060708090a0b0c0d0e0\n", b"\xff\xfe", &[b'0'; 100]] {
            fs::write(&file, damaged).unwrap();
            let error = read_or_create(folder.path()).unwrap_err().to_string();
            assert!(error.contains("pseudonym.key: damaged: not 32 hexadecimal digits"), "{error}");
            assert_eq!(fs::read(&file).unwrap(), damaged);
        }
    }
}
