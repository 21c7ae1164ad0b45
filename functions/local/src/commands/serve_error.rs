//! Why `equilibrium serve` cannot start, and its exit status.

use std::io;
use std::path::PathBuf;

use equilibrium_embedded::open_error::OpenError;
use equilibrium_local_access::AccessError;
use thiserror::Error;

use crate::commands::city_file::CityFileError;

/// Why the server cannot start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The key of tokens or the file of rates cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The city file cannot be used.
    #[error(transparent)]
    City(#[from] CityFileError),
    /// The folder of the database cannot be used.
    #[error(transparent)]
    Data(#[from] OpenError),
    /// The port cannot be bound.
    #[error("--port {port}: {cause}")]
    Port {
        /// The port.
        port: u16,
        /// The I/O error.
        cause: io::Error,
    },
    /// The file of events cannot be read.
    #[error("--feed {}: {cause}", path.display())]
    Feed {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// The threads of a server cannot be started.
    #[error("cannot start {needed} threads: {cause}; raise the limit on processes, `ulimit -u`")]
    Threads {
        /// The threads of a server.
        needed: usize,
        /// The system's error.
        cause: io::Error,
    },
    /// The system refused a thread, a socket or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl ServeError {
    /// The exit status (CONTRACT §4).
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::System(_) => 1,
            Self::Threads { .. }
            | Self::Access(_)
            | Self::City(_)
            | Self::Data(_)
            | Self::Port { .. }
            | Self::Feed { .. } => 2,
        }
    }
}
