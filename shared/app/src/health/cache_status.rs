//! What a cache says of itself: its state, its nodes, and where they are to be reached.

/// A cache: a group of nodes that hold the same, or in a cluster a group for each shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// Of the whole.
    pub state: CacheState,
    /// Where a cluster tells of its shards; none where it is no cluster.
    pub configuration: Option<Address>,
    /// Whether a replica takes over by itself where a primary fails.
    pub fails_over: bool,
    /// Its shards, of a cache that is no cluster one, by name.
    pub shards: Vec<Shard>,
}

/// What state a cache or a shard is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheState {
    /// It serves.
    Available,
    /// It serves while something about it is changed.
    Modifying,
    /// It serves while it is copied.
    Snapshotting,
    /// It does not serve yet.
    Creating,
    /// It never will.
    CreateFailed,
    /// It serves no more.
    Deleting,
    /// Something else, as the service calls it; nothing where the service does not say.
    Other(String),
}

impl CacheState {
    /// Whether it answers in this state, as far as the service can tell.
    #[must_use]
    pub fn serves(&self) -> bool {
        matches!(self, Self::Available | Self::Modifying | Self::Snapshotting)
    }
}

/// Nodes that hold the same keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its name, as `0001`.
    pub name: String,
    /// Its state.
    pub state: CacheState,
    /// Where it takes writes, whichever node that is; a cluster's clients find it themselves.
    pub primary: Option<Address>,
    /// Where it is read, whichever node that is; a cluster's clients find it themselves.
    pub reader: Option<Address>,
    /// Its nodes, by name.
    pub nodes: Vec<Node>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, as `surge-001`.
    pub name: String,
    /// Its availability zone.
    pub zone: Option<String>,
    /// What it is to its shard, where the service says so: of a cluster it does not.
    pub role: Option<Role>,
    /// Where it itself is read.
    pub address: Option<Address>,
}

/// What a node is to its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes the writes.
    Primary,
    /// It follows the primary.
    Replica,
}

/// Where something is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

impl CacheStatus {
    /// Whether all of it answers, as far as the service can tell.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.state.serves() && !self.shards.is_empty() && self.shards.iter().all(|shard| shard.state.serves())
    }
}
