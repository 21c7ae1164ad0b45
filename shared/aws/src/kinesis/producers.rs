//! The producers of events, counts and changes, and the keys of their records.

use std::num::NonZeroU32;

use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::surge::ports::ChangeStream;
use equilibrium_app::unavailable::Unavailable;
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
        self.producer.put(key, record).await
    }
}

/// Tick counts of lanes. Groups are spread evenly over the hash keys, whatever the number of shards.
#[derive(Debug)]
pub struct Counts {
    producer: BatchingProducer,
    groups: NonZeroU32,
}

impl Counts {
    /// The counts of these streams, in this many city groups.
    #[must_use]
    pub fn new(connection: &Connection, streams: &Streams, groups: NonZeroU32) -> Self {
        Self { producer: BatchingProducer::new(connection, &streams.counts), groups }
    }
}

impl CountsStream for Counts {
    async fn send(&self, group: u32, record: Vec<u8>) -> Result<(), Unavailable> {
        let hash = hash_key(group, self.groups);
        self.producer.put(Key { partition: group.to_string(), hash: Some(hash) }, record).await
    }
}

/// The first hash key of a group: `group·2¹²⁸/groups`, or a few keys more, never less. A shard that begins at
/// that quotient therefore receives the group.
fn hash_key(group: u32, groups: NonZeroU32) -> u128 {
    // The width of a single group, 2¹²⁸, wraps around to 0, which is its first key.
    let width = (u128::MAX / u128::from(groups.get())).wrapping_add(1);
    width * u128::from(group % groups)
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
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), Unavailable> {
        self.producer.put(Key { partition: city.to_string(), hash: None }, record).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_divide_the_hash_key_space_evenly() {
        let groups = |groups| NonZeroU32::new(groups).unwrap();
        assert_eq!([0, 1, 2, 3].map(|group| hash_key(group, groups(4))), [0, 1 << 126, 2 << 126, 3 << 126]);
        assert_eq!(hash_key(0, groups(1)), 0);
        for count in [3, 7, 1000, u32::MAX] {
            let last = hash_key(count - 1, groups(count));
            assert!(u128::MAX - last < u128::MAX / u128::from(count) + 1, "of {count}");
        }
    }
}
