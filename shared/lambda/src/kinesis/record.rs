//! Records of a Kinesis stream and the ids of its shards.

use std::fmt;
use std::sync::Arc;

use equilibrium_domain::event::sequence::Sequence;

/// Maximum length of a shard id, in bytes (Kinesis API, `ShardId`).
pub const MAX_SHARD_ID_BYTES: usize = 128;

/// One record of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The record's position in its shard.
    pub sequence: Sequence,
    /// Up to 256 characters of any kind.
    pub partition_key: Box<str>,
    /// The payload.
    pub data: Vec<u8>,
    /// When the stream received the record, in milliseconds since the Unix epoch.
    pub arrival_ms: i64,
}

/// A shard's id: `[a-zA-Z0-9_.-]{1,128}`, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// Returns the id if `text` has the form of one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let valid = (1..=MAX_SHARD_ID_BYTES).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        valid.then(|| Self(text.into()))
    }

    /// The id that Kinesis gives to the shard with this index: `shardId-000000000000` is the first.
    #[must_use]
    pub fn numbered(index: usize) -> Self {
        Self(format!("shardId-{index:012}").into())
    }

    /// The id as text.
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
