//! A consumer of streams whose shards are split and merged.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use equilibrium_app::contract::{self, STREAM_PARTS};
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_aws::kinesis::{Connection, Events, KinesisConsumer, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_event_source::poller::Source;
use equilibrium_event_source::record::Listed;
use equilibrium_lambda::kinesis::record::ShardId;
use equilibrium_tests::harness::emulator::{resharding_emulator, sdk_config, unique_name};
use tokio::time::sleep;

use crate::streams::records_of_key;

/// Some calls to this emulator take half a second.
const RETRY_POLICY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(20),
    attempt_timeout: Duration::from_secs(10),
    max_attempts: 2,
};

struct Fixture {
    streams: Streams,
    connection: Connection,
    client: Client,
}

impl Fixture {
    async fn new(test: &str, shards: i32) -> Self {
        let config = sdk_config(&resharding_emulator().endpoint);
        let streams = Streams::named(&unique_name(test));
        let connection = Connection::new(&config, RETRY_POLICY);
        streams.create(&connection, shards).await.unwrap();
        Self { streams, connection, client: Client::new(&config) }
    }

    fn events(&self) -> Events {
        Events::new(&self.connection, &self.streams, LaneCount::new(STREAM_PARTS.into()).unwrap())
    }

    fn consumer(&self) -> KinesisConsumer {
        KinesisConsumer::new(&self.connection, &self.streams.events)
    }

    /// Waits until there are this many shards, and returns them by id.
    async fn wait_for_shards(&self, shards: usize) -> Vec<Listed> {
        loop {
            let mut listed = self.consumer().shards().await.unwrap();
            if listed.len() == shards {
                // Waits until the stream is active again.
                self.streams.create(&self.connection, 1).await.unwrap();
                listed.sort_unstable_by(|a, b| a.id.cmp(&b.id));
                return listed;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn ids(numbers: &[usize]) -> Vec<ShardId> {
    numbers.iter().map(|number| ShardId::numbered(*number)).collect()
}

#[tokio::test]
async fn events_meet_the_contract_on_the_resharding_emulator() {
    let fixture = Fixture::new("events", 4).await;
    let read = async |lane: LaneId| {
        records_of_key(&fixture.connection, &fixture.streams.events, &lane.to_string()).await
    };
    contract::event_log(&fixture.events(), read).await;
}

#[tokio::test]
async fn a_split_shard_ends_and_its_children_have_the_records_that_follow() {
    let fixture = Fixture::new("split", 1).await;
    let events = fixture.events();
    let put = async |lane, record| events.put(LaneId(lane), vec![record]).await.unwrap();
    put(0, 0).await;
    put(15, 1).await;
    let split = fixture
        .client
        .split_shard()
        .stream_name(&fixture.streams.events)
        .shard_to_split("shardId-000000000000");
    split.new_starting_hash_key((1_u128 << 127).to_string()).send().await.unwrap();
    let listed = fixture.wait_for_shards(3).await;
    assert_eq!(
        listed.iter().map(|shard| &shard.parents[..]).collect::<Vec<_>>(),
        [&[][..], &ids(&[0]), &ids(&[0])]
    );
    put(0, 2).await;
    put(15, 3).await;

    let consumer = fixture.consumer();
    let [parent, left, right] = <[ShardId; 3]>::try_from(ids(&[0, 1, 2])).unwrap();
    let first = consumer.read(&parent, None, 1).await.unwrap();
    assert_eq!((first.records[0].data[0], first.ended), (0, false));
    let mut page = consumer.read(&parent, Some(&first.records[0].sequence), 9).await.unwrap();
    assert_eq!(page.records[0].data, [1]);
    if !page.ended {
        let last = page.records[0].sequence.clone();
        page = consumer.read(&parent, Some(&last), 9).await.unwrap();
        assert!(page.records.is_empty());
    }
    assert!(page.ended, "a closed shard ends");
    for (shard, record) in [(left, 2), (right, 3)] {
        let page = consumer.read(&shard, None, 9).await.unwrap();
        assert_eq!(page.records.iter().map(|record| record.data[0]).collect::<Vec<_>>(), [record]);
        assert!(!page.ended);
    }
}

#[tokio::test]
async fn a_merged_shard_has_both_parents() {
    let fixture = Fixture::new("merge", 2).await;
    let merge = fixture.client.merge_shards().stream_name(&fixture.streams.events);
    let merge = merge.shard_to_merge("shardId-000000000000").adjacent_shard_to_merge("shardId-000000000001");
    merge.send().await.unwrap();
    let listed = fixture.wait_for_shards(3).await;
    let mut parents = listed[2].parents.clone();
    parents.sort_unstable();
    assert_eq!(parents, ids(&[0, 1]));
    fixture.events().put(LaneId(0), b"later".to_vec()).await.unwrap();
    let page = fixture.consumer().read(&ShardId::numbered(2), None, 9).await.unwrap();
    assert_eq!(page.records[0].data, b"later");
}
