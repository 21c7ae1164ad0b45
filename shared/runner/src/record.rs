//! What passes through the mapping: records, the shards they lie in, and what was given up.

use std::fmt;
use std::sync::Arc;

use equilibrium_domain::event::sequence::Sequence;

/// Longest shard id, in bytes (Kinesis API, `ShardId`).
pub const SHARD_ID_BYTES: usize = 128;

/// One record of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in its shard.
    pub sequence: Sequence,
    /// Up to 256 characters of any kind.
    pub partition_key: Box<str>,
    /// The bytes as they were put.
    pub data: Vec<u8>,
    /// When the stream took it, in milliseconds since the Unix epoch.
    pub arrival_ms: i64,
}

/// A shard's name: `[a-zA-Z0-9_.-]{1,128}`, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// Takes `text` if Kinesis could have named a shard so.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let plain = (1..=SHARD_ID_BYTES).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        plain.then(|| Self(text.into()))
    }

    /// The `index`-th shard of a stream as Kinesis numbers them: `shardId-000000000000` is the first.
    #[must_use]
    pub fn numbered(index: usize) -> Self {
        Self(format!("shardId-{index:012}").into())
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
