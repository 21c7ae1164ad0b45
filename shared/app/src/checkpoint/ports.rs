//! The checkpoint log: where state survives its function instance.

use std::fmt;
use std::future::Future;

use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneId};
use thiserror::Error;

use crate::unavailable::Unavailable;

/// A checkpoint log: a lane's, or a city's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckpointKey {
    /// What a lane counted.
    Lane(LaneId),
    /// What a city was priced at.
    City(CityId),
}

impl fmt::Display for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane(lane) => write!(f, "lane/{lane}"),
            Self::City(city) => write!(f, "city/{city}"),
        }
    }
}

/// Why an entry was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Another writer has written this entry: load what it wrote and begin again.
    #[error("another writer was faster")]
    Conflict,
    /// Nobody can say whether the entry was written: load to find out.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Where state survives its function instance: a log per lane and per city, appended to on condition.
///
/// Entries are kept at least as long as the stream keeps records, and never less than a day.
pub trait CheckpointLog: Send + Sync {
    /// The newest entry that holds a snapshot, or the very first, and all that follow, in order; none where the log is
    /// empty.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn load(&self, key: &CheckpointKey) -> impl Future<Output = Result<Vec<Vec<u8>>, Unavailable>> + Send;

    /// Appends `entry` if the log has no entry of its number.
    ///
    /// # Errors
    /// [`AppendError`].
    fn append(
        &self,
        key: &CheckpointKey,
        entry: &Entry,
    ) -> impl Future<Output = Result<(), AppendError>> + Send;
}
