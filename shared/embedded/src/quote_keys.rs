//! The keys that sign a process's quotes: from the system's randomness, and kept beside the database if there is one.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use equilibrium_app::quote::keys::{KEY_DIGITS, MIN_KEY_BYTES, QuoteKeys};
use zeroize::Zeroizing;

use crate::data_folder::ignore_absence;
use crate::open_error::OpenError;

/// Name of the keys' file in the folder of the database: a key a line, the newest first. A line that is put before the others
/// is the key from the next start on, and what the one after it has signed stays valid.
pub const FILE_NAME: &str = "quote.keys";

/// Name of a file that is being written.
const UNFINISHED_NAME: &str = "quote.keys.new";

/// The longest file that is read, in bytes: of more keys than are used.
const MAX_FILE_BYTES: u64 = 4_096;

/// The keys of a process: those in `folder`, of which it has opened the database, or a new one if there is none.
///
/// # Errors
/// [`OpenError`]; a damaged file is not replaced.
pub fn open(folder: Option<&Path>) -> Result<QuoteKeys, OpenError> {
    match folder {
        Some(folder) => read_or_create(folder),
        None => random().map(|text| keys(&text)).map_err(|cause| OpenError::NoRandomness { cause }),
    }
}

fn read_or_create(folder: &Path) -> Result<QuoteKeys, OpenError> {
    let path = folder.join(FILE_NAME);
    let inaccessible = |cause| OpenError::Inaccessible { path: path.clone(), cause };
    match File::open(&path) {
        Ok(file) => {
            let mut bytes = Zeroizing::new(Vec::new());
            file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(inaccessible)?;
            let keys = std::str::from_utf8(&bytes).ok().and_then(QuoteKeys::from_hex);
            let what = || format!("not keys of {KEY_DIGITS} hexadecimal digits");
            keys.ok_or_else(|| OpenError::Damaged { path, what: what() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(folder).map_err(inaccessible),
        Err(error) => Err(inaccessible(error)),
    }
}

/// Writes a new key, which is whole or absent whenever the process ends, and which only its user can read.
fn create(folder: &Path) -> io::Result<QuoteKeys> {
    let text = random()?;
    let unfinished = folder.join(UNFINISHED_NAME);
    fs::remove_file(&unfinished).or_else(ignore_absence)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(FILE_NAME))?;
    File::open(folder)?.sync_all()?;
    Ok(keys(&text))
}

/// The digits of a key that no other process has.
fn random() -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; MIN_KEY_BYTES]);
    getrandom::fill(bytes.as_mut_slice())?;
    let mut text = Zeroizing::new(String::with_capacity(KEY_DIGITS));
    for byte in bytes.iter() {
        write!(text, "{byte:02x}").expect("a string takes all text");
    }
    Ok(text)
}

fn keys(text: &str) -> QuoteKeys {
    QuoteKeys::from_hex(text).expect("a key has as many digits as are written")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// What two sets of keys are compared by: the names of their keys.
    fn names(keys: &QuoteKeys) -> String {
        format!("{keys:?}")
    }

    #[test]
    fn a_key_is_made_once_and_only_its_user_can_read_it() {
        let folder = TempDir::new().unwrap();
        let made = open(Some(folder.path())).unwrap();
        let file = folder.path().join(FILE_NAME);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!folder.path().join(UNFINISHED_NAME).exists());
        assert_eq!(names(&open(Some(folder.path())).unwrap()), names(&made));
        assert_ne!(names(&open(None).unwrap()), names(&open(None).unwrap()));
    }

    #[test]
    fn a_key_put_before_the_others_is_the_newest() {
        let folder = TempDir::new().unwrap();
        let before = open(Some(folder.path())).unwrap();
        let file = folder.path().join(FILE_NAME);
        let old = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{}\n{old}", "7".repeat(64))).unwrap();
        let rotated = open(Some(folder.path())).unwrap();
        assert_ne!(format!("{:?}", rotated.current), format!("{:?}", before.current));
        assert_eq!(format!("{:?}", rotated.previous.unwrap()), format!("{:?}", before.current));
    }

    #[test]
    fn a_damaged_file_is_named_and_kept() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join(FILE_NAME);
        for damaged in [&b""[..], b"00\n", b"\xff\xfe", &[b'0'; 63]] {
            fs::write(&file, damaged).unwrap();
            let error = read_or_create(folder.path()).unwrap_err().to_string();
            assert!(error.contains("quote.keys: damaged: not keys of 64 hexadecimal digits"), "{error}");
            assert_eq!(fs::read(&file).unwrap(), damaged);
        }
    }

    #[test]
    fn a_file_whose_writing_was_interrupted_is_made_anew() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(UNFINISHED_NAME), "0001").unwrap();
        read_or_create(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
