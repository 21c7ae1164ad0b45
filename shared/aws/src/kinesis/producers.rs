//! Where events, counts and changes go in: what a record of each is keyed by.

use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::surge::ports::ChangeStream;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};

use super::batching_producer::{BatchingProducer, Key};
use super::{Connection, Streams};

/// The log of market events: a lane's records lie in the shard that holds its hash key, and carry its
/// number for partition key.
#[derive(Debug)]
pub struct Events {
    puts: BatchingProducer,
    lanes: LaneCount,
}

impl Events {
    /// The event log of these streams.
    #[must_use]
    pub fn new(connection: &Connection, streams: &Streams, lanes: LaneCount) -> Self {
        Self { puts: BatchingProducer::new(connection, &streams.events), lanes }
    }
}

impl EventLog for Events {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        let key = Key { partition: lane.to_string(), hash: Some(lane.hash_key(self.lanes)) };
        self.puts.put(key, record).await
    }
}

/// What lanes counted: groups are spread evenly over the hash keys, whatever the number of shards.
#[derive(Debug)]
pub struct Counts {
    puts: BatchingProducer,
    groups: GroupCount,
}

impl Counts {
    /// The counts of these streams, in so many groups of cities.
    #[must_use]
    pub fn new(connection: &Connection, streams: &Streams, groups: GroupCount) -> Self {
        Self { puts: BatchingProducer::new(connection, &streams.counts), groups }
    }
}

impl CountsStream for Counts {
    async fn send(&self, group: CityGroup, record: Vec<u8>) -> Result<(), Unavailable> {
        let hash = group.hash_key(self.groups);
        self.puts.put(Key { partition: group.to_string(), hash: Some(hash) }, record).await
    }
}

/// Changed multipliers: a city's lie in one shard, in order.
#[derive(Debug)]
pub struct Changes {
    puts: BatchingProducer,
}

impl Changes {
    /// The changes of these streams.
    #[must_use]
    pub fn new(connection: &Connection, streams: &Streams) -> Self {
        Self { puts: BatchingProducer::new(connection, &streams.changes) }
    }
}

impl ChangeStream for Changes {
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), Unavailable> {
        self.puts.put(Key { partition: city.to_string(), hash: None }, record).await
    }
}
