//! What the use cases need of the outside.

use std::fmt;
use std::future::Future;

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::id::{CityId, LaneId};
use equilibrium_domain::surge::map::{ClosedTick, MapHead};
use thiserror::Error;

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

/// A store or stream did not do what was asked, or nobody can say whether it did: asking again later is
/// all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the store cannot be reached or did not answer")]
pub struct Unavailable;

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

/// Where state survives its function instance: a log per lane and per city, appended to by condition.
///
/// Entries are numbered from 0 and kept at least as long as the stream keeps records, never under a day.
pub trait CheckpointLog: Send + Sync {
    /// The newest entry that holds a snapshot, or the very first, and all that follow, in order; none
    /// where the log is empty.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn load(&self, log: &CheckpointKey) -> impl Future<Output = Result<Vec<Vec<u8>>, Unavailable>> + Send;

    /// Writes entry `number` if no entry of that number exists. `snapshot` tells that it holds one.
    ///
    /// # Errors
    /// [`AppendError`].
    fn append(
        &self,
        log: &CheckpointKey,
        number: u64,
        entry: &[u8],
        snapshot: bool,
    ) -> impl Future<Output = Result<(), AppendError>> + Send;
}

/// The log of market events, in which each lane keeps its order.
pub trait EventLog: Send + Sync {
    /// Puts a record behind all others of `lane`, and keeps it. Within its deadline, which is the
    /// adapter's own, it may try more than once: the same record may then come twice.
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not be in the log.
    fn put(&self, lane: LaneId, record: Vec<u8>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Where lanes send what they counted.
pub trait CountsStream: Send + Sync {
    /// Sends a record to all that price the cities of `group`; of one lane, in the order of the calls.
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not have been sent.
    fn send(&self, group: u32, record: Vec<u8>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Where a city's map is kept: chunks that never change, and a head that names them.
pub trait MapStore: Send + Sync {
    /// Saves a chunk of the city's map under its name.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_chunk(
        &self,
        city: &CityId,
        parent: u64,
        version: u64,
        chunk: &[u8],
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Saves the head if the one there is of a lower version; one of this or a higher version stays.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_head(&self, head: &MapHead) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// The head, if the city has one.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn head(&self, city: &CityId) -> impl Future<Output = Result<Option<MapHead>, Unavailable>> + Send;

    /// A chunk that a head names, unless it has been outlived.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn chunk(
        &self,
        city: &CityId,
        parent: u64,
        version: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Unavailable>> + Send;
}

/// Where subscribers and analytics hear of changed multipliers.
pub trait ChangeStream: Send + Sync {
    /// Sends one tick's changes of a city ([`equilibrium_domain::surge::map::TickChanges`], encoded).
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not have been sent.
    fn send(&self, city: &CityId, record: Vec<u8>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Where every closed tick's rows go.
pub trait TickLog: Send + Sync {
    /// Records ticks of a city, in order. The same may come again, and is the same then.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn record(
        &self,
        map: &MapHead,
        ticks: &[ClosedTick],
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// A line of the log that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The line as it was, without its line end; of one longer than [`crate::letters::MAX_DEAD_LETTER_LINE_BYTES`] the
    /// beginning.
    pub line: Vec<u8>,
    /// How many bytes the line has.
    pub length: usize,
    /// The refusal's code (CONTRACT §1).
    pub code: &'static str,
    /// The refusal in words.
    pub message: String,
    /// The record's place in its shard.
    pub sequence: Sequence,
    /// The line's place among the record's lines that are not blank, counted from 0.
    pub index: usize,
    /// When the log took the record, in milliseconds since the epoch.
    pub arrival: i64,
}

/// Where refused lines of the log wait for somebody to look into them.
pub trait DeadLetterQueue: Send + Sync {
    /// Sends letters, of which there is one at least. The same may come again, when their record does.
    /// Within its deadline, which is the adapter's own, it may try more than once.
    ///
    /// # Errors
    /// [`Unavailable`]: some of them may not have been sent.
    fn send(&self, letters: Vec<DeadLetter>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// A city's policy as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    /// The city.
    pub city: CityId,
    /// 1 for the first document, one more with each that replaced it.
    pub version: u64,
    /// JSON (CONTRACT §7).
    pub document: String,
}

/// Why a policy was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplaceError {
    /// The one there is not the one to be replaced: read it and decide again.
    #[error("the policy has been replaced by another")]
    VersionMismatch,
    /// Nobody can say whether the policy was saved: read it to find out.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Where the cities' policies are kept.
pub trait PolicyStore: Send + Sync {
    /// The policy of every city that has one, in any order.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn all(&self) -> impl Future<Output = Result<Vec<StoredPolicy>, Unavailable>> + Send;

    /// Saves the city's policy over the one of version `after`, or as its first where that is `None`; gives
    /// the version it got.
    ///
    /// # Errors
    /// [`ReplaceError`].
    fn save(
        &self,
        city: &CityId,
        document: &str,
        after: Option<u64>,
    ) -> impl Future<Output = Result<u64, ReplaceError>> + Send;
}
