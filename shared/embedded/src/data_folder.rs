//! The folder of a database: one process at a time, and a database that is whole or absent.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::acknowledged::Acknowledged;
use crate::open_error::OpenError;

/// Name of the database file in its folder.
pub const FILE_NAME: &str = "equilibrium.redb";

/// Name of a database that is being created.
const UNFINISHED_NAME: &str = "equilibrium.redb.new";

/// Name of the file whose lock the process holds.
const LOCK_NAME: &str = "equilibrium.lock";

/// Name of the file with the number of the last acknowledged event.
pub const ACKNOWLEDGED_NAME: &str = "equilibrium.acknowledged";

/// Size of the database library's header, which begins with its magic number.
const HEADER_BYTES: usize = 4096;
const MAGIC_BYTES: usize = 9;

/// A folder that no other process uses. The lock outlives every file of the folder that is closed and opened again.
#[derive(Debug)]
pub struct DataFolder {
    folder: PathBuf,
    path: PathBuf,
    _lock: File,
    acknowledged: Acknowledged,
}

impl DataFolder {
    /// Locks the folder, and creates it if it does not exist.
    pub(crate) fn lock(folder: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(folder)
            .map_err(|cause| OpenError::NotCreated { path: folder.to_owned(), cause })?;
        let path = folder.join(FILE_NAME);
        let at = folder.join(LOCK_NAME);
        let lock = File::options().create(true).truncate(false).write(true).open(&at);
        let lock = lock.map_err(|cause| OpenError::Inaccessible { path: at.clone(), cause })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path }),
            Err(TryLockError::Error(cause)) => return Err(OpenError::Inaccessible { path: at, cause }),
        }
        let at = folder.join(ACKNOWLEDGED_NAME);
        let acknowledged =
            Acknowledged::open(&at).map_err(|cause| OpenError::Inaccessible { path: at, cause })?;
        Ok(Self { folder: folder.to_owned(), path, _lock: lock, acknowledged })
    }

    /// The number of the last acknowledged event.
    pub(crate) fn acknowledged(&self) -> &Acknowledged {
        &self.acknowledged
    }

    /// The path of the database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a database that is being created.
    pub(crate) fn unfinished_path(&self) -> PathBuf {
        self.folder.join(UNFINISHED_NAME)
    }

    /// Whether the folder lacks a database, or has one of which nothing was ever committed. The events of a database
    /// that was removed are forgotten.
    pub(crate) fn is_without_database(&self) -> io::Result<bool> {
        match File::open(&self.path) {
            Ok(file) => Ok(self.acknowledged.number() == 0 && is_never_committed(file)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.acknowledged.forget()?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the database that was created its own name, in place of one of which nothing was ever committed.
    pub(crate) fn finish(&self) -> io::Result<()> {
        fs::rename(self.unfinished_path(), &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

/// Whether the library was interrupted while it created the file: it writes its magic number last, and no page before.
fn is_never_committed(mut file: File) -> io::Result<bool> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    if header.iter().take(MAGIC_BYTES).any(|byte| *byte != 0) {
        return Ok(false);
    }
    let mut page = [0; HEADER_BYTES];
    loop {
        match file.read(&mut page)? {
            0 => return Ok(true),
            read if page[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// Treats a file that is absent as removed.
pub(crate) fn ignore_absence(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
