//! Shards as a stream lists them, positions in them, and the records that a mapping discarded.

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_lambda::kinesis::record::{Record, ShardId};

/// How far a shard is done: every earlier record is processed or discarded. Later positions are greater.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Nothing is done; reading starts at the oldest record that the stream retains.
    #[default]
    Oldest,
    /// This record and all before it are done.
    After(Sequence),
    /// The shard is closed and all of it is done.
    End,
}

/// A shard as the stream lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The shard's id.
    pub id: ShardId,
    /// No parent for one of the stream's first shards, one after a split, two after a merge. A parent that has expired
    /// is not listed any more.
    pub parents: Vec<ShardId>,
}

/// The result of one read of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In ascending order of sequence numbers.
    pub records: Vec<Record>,
    /// Whether the shard is closed and these are its last records.
    pub ended: bool,
}

/// Why records were discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The function failed and its retries are used up.
    RetriesExhausted,
    /// The records exceeded the mapping's maximum age.
    TooOld,
    /// One record alone exceeds the payload limit.
    TooLarge,
}

/// Discarded records of one shard as the on-failure destination receives them: their position, not their content
/// (AWS Lambda developer guide, "Retain discarded batch records").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// The shard of the records.
    pub shard: ShardId,
    /// Why they were discarded.
    pub reason: Reason,
    /// The first discarded record.
    pub first: Sequence,
    /// The last discarded record; all between the two are discarded, too.
    pub last: Sequence,
    /// The number of discarded records.
    pub count: usize,
    /// Arrival of the first record, in milliseconds since the Unix epoch.
    pub first_arrival_ms: i64,
    /// Arrival of the last record, in milliseconds since the Unix epoch.
    pub last_arrival_ms: i64,
    /// How often the function failed on them; a split does not count.
    pub attempts: u32,
}
