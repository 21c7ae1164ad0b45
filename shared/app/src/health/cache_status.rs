//! The state of a cache and its nodes, as its control plane reports it. Health and recovery will read it.

/// A cache: one shard, or a cluster of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// The state of the whole cache.
    pub state: CacheState,
    /// The configuration endpoint of a cluster; `None` for a cache that is not a cluster.
    pub configuration: Option<Address>,
    /// Whether a replica takes over automatically if a primary fails.
    pub fails_over: bool,
    /// Its shards by name; a cache that is not a cluster has one.
    pub shards: Vec<Shard>,
}

/// The state of a cache or a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheState {
    /// It serves.
    Available,
    /// It serves while it is being changed.
    Modifying,
    /// It serves while a snapshot is taken.
    Snapshotting,
    /// It does not serve yet.
    Creating,
    /// Its creation failed.
    CreateFailed,
    /// It no longer serves.
    Deleting,
    /// Another state, as the service names it; empty where the service names none.
    Other(String),
}

impl CacheState {
    /// Whether it serves in this state, according to the service.
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
    /// The endpoint for writes, whichever node is the primary; clients of a cluster discover it.
    pub primary: Option<Address>,
    /// The endpoint for reads, whichever node serves them; clients of a cluster discover it.
    pub reader: Option<Address>,
    /// Its nodes, by name.
    pub nodes: Vec<Node>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, as `surge-001`.
    pub name: String,
    /// Its availability zone.
    pub zone: Option<String>,
    /// Its role in its shard, where the service reports it: for a cluster it does not.
    pub role: Option<Role>,
    /// Its own endpoint for reads.
    pub address: Option<Address>,
}

/// The role of a node in its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes the writes.
    Primary,
    /// It replicates the primary.
    Replica,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl CacheStatus {
    /// Whether all of it answers, as far as the service can tell.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.state.serves() && !self.shards.is_empty() && self.shards.iter().all(|shard| shard.state.serves())
    }
}
