//! Why a database cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_domain::wire::Corrupt;
use redb::{DatabaseError, StorageError, TableError};
use thiserror::Error;

/// Why a folder cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder does not exist and cannot be created.
    #[error("{}: cannot be created: {cause}", path.display())]
    NotCreated {
        /// The folder.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// An I/O error.
    #[error("{}: cannot be read and written: {cause}", path.display())]
    Inaccessible {
        /// The folder or file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// The folder has no database.
    #[error("{}: does not exist", path.display())]
    NoDatabase {
        /// The file.
        path: PathBuf,
    },
    /// Another process has opened the database.
    #[error("{}: in use by another process; stop it, or name another folder", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file has another format version.
    #[error("{}: format version {found} is not supported; name another folder", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: String,
    },
    /// The file was written with more lanes, or with so few that the events which wait to be counted would be of several
    /// ranges of lanes.
    #[error("{}: written with --lanes {found}, not {requested}", path.display())]
    OtherLanes {
        /// The file.
        path: PathBuf,
        /// The file's number of lanes.
        found: u32,
        /// The number of lanes in the arguments.
        requested: u32,
    },
    /// The file's lanes cannot double yet: records wait for one of its logs, which more lanes would not process.
    #[error(
        "{}: its lanes cannot double while {log} is parked or records wait for it; see `equilibrium lanes`",
        path.display()
    )]
    ParkedLog {
        /// The file.
        path: PathBuf,
        /// The log.
        log: CheckpointKey,
    },
    /// A key cannot be made.
    #[error("the system has no randomness: {cause}")]
    NoRandomness {
        /// The system's error.
        cause: io::Error,
    },
    /// The file's content is corrupt.
    #[error("{}: damaged: {what}; restore it, or name another folder", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// An [`OpenError`] without its path.
#[derive(Debug)]
pub(crate) enum OpenErrorKind {
    Inaccessible(io::Error),
    InUse,
    OtherVersion(String),
    OtherLanes { found: u32, requested: u32 },
    ParkedLog(CheckpointKey),
    Damaged(String),
}

impl OpenErrorKind {
    pub(crate) fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Inaccessible(cause) => OpenError::Inaccessible { path, cause },
            Self::InUse => OpenError::InUse { path },
            Self::OtherVersion(found) => OpenError::OtherVersion { path, found },
            Self::OtherLanes { found, requested } => OpenError::OtherLanes { path, found, requested },
            Self::ParkedLog(log) => OpenError::ParkedLog { path, log },
            Self::Damaged(what) => OpenError::Damaged { path, what },
        }
    }
}

impl From<&str> for OpenErrorKind {
    fn from(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

impl From<Corrupt> for OpenErrorKind {
    fn from(corrupt: Corrupt) -> Self {
        Self::Damaged(corrupt.to_string())
    }
}

impl From<DatabaseError> for OpenErrorKind {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::UpgradeRequired(version) => {
                Self::OtherVersion(format!("{version} of the database's own format"))
            }
            DatabaseError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<StorageError> for OpenErrorKind {
    fn from(error: StorageError) -> Self {
        match error {
            // A truncated file, or a file that is not a database.
            StorageError::Io(error)
                if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) =>
            {
                Self::Damaged(error.to_string())
            }
            StorageError::Io(cause) => Self::Inaccessible(cause),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<TableError> for OpenErrorKind {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            // Tables of other types: another program's, or another version's.
            other => Self::OtherVersion(other.to_string()),
        }
    }
}

impl From<redb::TransactionError> for OpenErrorKind {
    fn from(error: redb::TransactionError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::CommitError> for OpenErrorKind {
    fn from(error: redb::CommitError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::Error> for OpenErrorKind {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(cause) => StorageError::Io(cause).into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}
