//! Shards as a stream lists them, positions in them, and the records that a mapping discarded.

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_lambda::kinesis::record::{Record, ShardId};

/// How far a shard is done: all before it is processed or discarded. Later positions are greater.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Nothing is done; reading begins with the oldest record kept.
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
    /// Its name.
    pub id: ShardId,
    /// None for a first shard, one after a split, two after a merge; they need not be listed any more.
    pub parents: Vec<ShardId>,
}

/// What one read of a shard gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Ascending by sequence.
    pub records: Vec<Record>,
    /// Whether the shard is closed and these are its last records.
    pub ended: bool,
}

/// Why records were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The function failed on them once more than it may be asked again.
    RetriesExhausted,
    /// They grew older than the mapping's greatest age.
    TooOld,
    /// One record alone is more than an invocation can carry.
    TooLarge,
}

/// Records of one shard that were given up, as the on-failure destination hears of them: where to
/// find them, not their content (AWS Lambda developer guide, "Retain discarded batch records").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// Where they lie.
    pub shard: ShardId,
    /// Why the function never will have done them.
    pub reason: Reason,
    /// The first of them.
    pub first: Sequence,
    /// The last of them; all between are given up too.
    pub last: Sequence,
    /// How many they are.
    pub count: usize,
    /// Arrival of the first, in milliseconds since the Unix epoch.
    pub first_arrival_ms: i64,
    /// Arrival of the last, in milliseconds since the Unix epoch.
    pub last_arrival_ms: i64,
    /// How often the function failed on them; splits are not among these.
    pub attempts: u32,
}
