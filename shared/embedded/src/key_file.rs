//! A secret key in a file beside the database: made once, whole or absent whenever the process ends.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::data_folder::ignore_absence;
use crate::open_error::OpenError;

/// A key of this many random bytes, as hexadecimal digits.
///
/// # Errors
/// The system has no randomness.
pub(crate) fn random(bytes: usize) -> io::Result<Zeroizing<String>> {
    let mut key = Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut key)?;
    let mut digits = Zeroizing::new(String::with_capacity(2 * bytes));
    for byte in key.iter() {
        // Writing to a text cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

/// The hexadecimal digits of a key of this many bytes: those of the file in a folder, or a new key's if there is no file.
///
/// # Errors
/// [`OpenError`]; a damaged file is not replaced.
pub(crate) fn open(folder: &Path, name: &str, bytes: usize) -> Result<Zeroizing<String>, OpenError> {
    let path = folder.join(name);
    let inaccessible = |cause| OpenError::Inaccessible { path: path.clone(), cause };
    match File::open(&path) {
        Ok(file) => {
            let text = read(file, bytes).map_err(inaccessible)?;
            let digits = text.trim_end();
            let is_key = digits.len() == 2 * bytes && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_key {
                let what = format!("not {} hexadecimal digits", 2 * bytes);
                return Err(OpenError::Damaged { path, what });
            }
            Ok(Zeroizing::new(digits.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(folder, name, bytes).map_err(inaccessible)
        }
        Err(error) => Err(inaccessible(error)),
    }
}

/// The beginning of a file; bytes that are no text are none of a key.
fn read(file: File, bytes: usize) -> io::Result<Zeroizing<String>> {
    let mut content = Zeroizing::new(Vec::with_capacity(4 * bytes));
    file.take(4 * bytes as u64).read_to_end(&mut content)?;
    Ok(Zeroizing::new(std::str::from_utf8(&content).unwrap_or_default().to_owned()))
}

/// Writes a new key, which only its user can read.
fn create(folder: &Path, name: &str, bytes: usize) -> io::Result<Zeroizing<String>> {
    let digits = random(bytes)?;
    let unfinished = folder.join(unfinished_name(name));
    fs::remove_file(&unfinished).or_else(ignore_absence)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(digits.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    File::open(folder)?.sync_all()?;
    Ok(digits)
}

/// The name of a key that is being written.
fn unfinished_name(name: &str) -> String {
    format!("{name}.new")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    const NAME: &str = "test.key";

    #[test]
    fn a_key_is_made_once_and_only_its_user_can_read_it() {
        let folder = TempDir::new().unwrap();
        let made = open(folder.path(), NAME, 16).unwrap();
        let file = folder.path().join(NAME);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!folder.path().join(unfinished_name(NAME)).exists());
        assert_eq!(open(folder.path(), NAME, 16).unwrap(), made);
        assert_ne!(random(16).unwrap(), made);
        assert_eq!(made.len(), 32);
    }

    #[test]
    fn a_key_whose_writing_was_interrupted_is_made_anew() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(unfinished_name(NAME)), "0001").unwrap();
        open(folder.path(), NAME, 16).unwrap();
        let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_named_and_kept() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join(NAME);
        for damaged in [&b""[..], b"000102030405060708090a0b0c0d0e0\n", b"\xff\xfe", &[b'0'; 100]] {
            fs::write(&file, damaged).unwrap();
            let error = open(folder.path(), NAME, 16).unwrap_err().to_string();
            assert!(error.contains("test.key: damaged: not 32 hexadecimal digits"), "{error}");
            assert_eq!(fs::read(&file).unwrap(), damaged);
        }
    }
}
