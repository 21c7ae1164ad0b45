//! The key that signs the tokens of a process's clients.

use std::path::Path;

use equilibrium_app::access::issuer::{KEY_BYTES, TokenIssuer};

use crate::key_file;
use crate::open_error::OpenError;

/// Name of the key's file in the folder of the database.
pub const FILE_NAME: &str = "token.key";

/// The issuer of a process: with the key in `folder`, of which it has opened the database, or with a new one if there is none.
///
/// # Errors
/// [`OpenError`]; a damaged file is not replaced.
pub fn open(folder: Option<&Path>) -> Result<TokenIssuer, OpenError> {
    let Some(folder) = folder else {
        let digits = key_file::random(KEY_BYTES).map_err(|cause| OpenError::NoRandomness { cause })?;
        return Ok(TokenIssuer::from_hex(&digits)
            .expect("the curve has all random numbers but one in four billions"));
    };
    issuer(folder, &key_file::open(folder, FILE_NAME, KEY_BYTES)?)
}

/// The issuer of the process that has made the key in `folder`, and may have the database open.
///
/// # Errors
/// [`OpenError::NoDatabase`] if there is no key; that of a damaged file.
pub fn read(folder: &Path) -> Result<TokenIssuer, OpenError> {
    let path = folder.join(FILE_NAME);
    if !path.exists() {
        return Err(OpenError::NoDatabase { path });
    }
    issuer(folder, &key_file::open(folder, FILE_NAME, KEY_BYTES)?)
}

fn issuer(folder: &Path, digits: &str) -> Result<TokenIssuer, OpenError> {
    let damaged =
        || OpenError::Damaged { path: folder.join(FILE_NAME), what: "not a private key of P-256".to_owned() };
    TokenIssuer::from_hex(digits).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_key_of_a_folder_stays_and_only_its_user_can_read_it() {
        let folder = TempDir::new().unwrap();
        assert!(matches!(read(folder.path()), Err(OpenError::NoDatabase { .. })));
        let made = open(Some(folder.path())).unwrap().key_set();
        let mode = fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(open(Some(folder.path())).unwrap().key_set(), made);
        assert_eq!(read(folder.path()).unwrap().key_set(), made);
        assert_ne!(open(None).unwrap().key_set(), made);
    }

    #[test]
    fn digits_that_are_no_private_key_are_damage() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(FILE_NAME), "0".repeat(64)).unwrap();
        let error = open(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("token.key: damaged: not a private key"), "{error}");
    }
}
