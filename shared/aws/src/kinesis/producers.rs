//! The producers of events, counts and changes, and the keys of their records.

use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::surge::ports::ChangeStream;
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};

use super::batching_producer::{BatchingProducer, Key};
use super::{Connection, Streams};

/// The log of market events. The lane's hash key selects the shard; the partition key is the lane's number.
#[derive(Debug)]
pub struct Events {
    producer: BatchingProducer,
    lanes: LaneCount,
}

impl Events {
    /// The event log of these streams.
    #[must_use]
    pub fn new(connection: &Connection, streams: &Streams, lanes: LaneCount) -> Self {
        Self { producer: BatchingProducer::new(connection, &streams.events), lanes }
    }
}

impl EventLog for Events {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        let key = Key { partition: lane.to_string(), hash: Some(lane.hash_key(self.lanes)) };
        // No record of the log is too large: packed events and watermark records both have a bound far below.
        self.producer.put(key, record).await.map_err(|_| Unavailable)
    }
}

/// Tick counts of lanes. Groups are spread evenly over the hash keys, whatever the number of shards; the partition key is
/// the lane, whose records keep their order. The reports of all lanes of an instance leave in one request: were they put
/// one after the other by group, the last of 32 lanes would wait for 31 round trips.
#[derive(Debug)]
pub struct Counts {
    producer: BatchingProducer,
    groups: GroupCount,
}

impl Counts {
    /// The counts of these streams, in this many city groups.
    #[must_use]
    pub fn new(connection: &Connection, streams: &Streams, groups: GroupCount) -> Self {
        Self { producer: BatchingProducer::new(connection, &streams.counts), groups }
    }
}

impl CountsStream for Counts {
    async fn send(&self, lane: LaneId, group: CityGroup, record: Vec<u8>) -> Result<(), SendError> {
        let hash = group.hash_key(self.groups);
        self.producer.put(Key { partition: lane.to_string(), hash: Some(hash) }, record).await
    }
}

/// Changed multipliers. Those of a city are in one shard, in order.
#[derive(Debug)]
pub struct Changes {
    producer: BatchingProducer,
}

impl Changes {
    /// The changes of these streams.
    #[must_use]
    pub fn new(connection: &Connection, streams: &Streams) -> Self {
        Self { producer: BatchingProducer::new(connection, &streams.changes) }
    }
}

impl ChangeStream for Changes {
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), SendError> {
        self.producer.put(Key { partition: city.to_string(), hash: None }, record).await
    }
}
