//! Streams in Kinesis: records are read in the order in which they were put, from any position.

use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use equilibrium_app::contract::{self, STREAM_PARTS};
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::surge::ports::ChangeStream;
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_aws::kinesis::{Changes, Connection, Counts, Events, KinesisConsumer, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_event_source::iterator_age::IteratorAge;
use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use futures_util::future::join_all;

const GROUPS: GroupCount = GroupCount::new(STREAM_PARTS as u32).unwrap();

fn lanes() -> LaneCount {
    LaneCount::new(STREAM_PARTS.into()).unwrap()
}

/// The streams of one test, with four shards each.
struct Fixture {
    streams: Streams,
    connection: Connection,
}

impl Fixture {
    async fn new(test: &str) -> Self {
        let streams = Streams::named(&unique_name(test));
        let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
        streams.create(&connection, 4).await.unwrap();
        Self { streams, connection }
    }

    fn events(&self) -> Events {
        Events::new(&self.connection, &self.streams, lanes())
    }
}

/// All records of a stream, by shard.
async fn all_records(connection: &Connection, stream: &str) -> Vec<(ShardId, Vec<Record>)> {
    let stream = KinesisConsumer::new(connection, stream);
    let mut all = Vec::new();
    for shard in stream.shards().await.unwrap() {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let after = records.last().map(|record| record.sequence.clone());
            let page = stream.read(&shard.id, after.as_ref(), 1000).await.unwrap();
            if page.records.is_empty() {
                break;
            }
            records.extend(page.records);
        }
        all.push((shard.id, records));
    }
    all
}

/// The records of a stream with one partition key.
pub async fn records_of_key(connection: &Connection, stream: &str, key: &str) -> Vec<Vec<u8>> {
    let all = all_records(connection, stream).await.into_iter().flat_map(|(_, records)| records);
    all.filter(|record| &*record.partition_key == key).map(|record| record.data).collect()
}

/// Polls a future once, which must be pending.
async fn poll_once(mut call: Pin<&mut impl Future>) {
    poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn events_meet_the_contract_of_the_event_log() {
    let fixture = Fixture::new("events").await;
    let read = async |lane: LaneId| {
        records_of_key(&fixture.connection, &fixture.streams.events, &lane.to_string()).await
    };
    contract::event_log(&fixture.events(), read).await;
}

#[tokio::test]
async fn counts_meet_the_contract_of_the_counts_stream() {
    let fixture = Fixture::new("counts").await;
    let counts = Counts::new(&fixture.connection, &fixture.streams, GROUPS);
    let read = async |lane: LaneId, _: CityGroup| {
        records_of_key(&fixture.connection, &fixture.streams.counts, &lane.to_string()).await
    };
    contract::counts_stream(&counts, read).await;
}

#[tokio::test]
async fn changes_meet_the_contract_of_the_changes_stream() {
    let fixture = Fixture::new("changes-contract").await;
    let changes = Changes::new(&fixture.connection, &fixture.streams);
    let read = async |city: &CityId| {
        records_of_key(&fixture.connection, &fixture.streams.changes, city.as_str()).await
    };
    contract::change_stream(&changes, read).await;
}

#[tokio::test]
async fn the_changes_of_a_city_are_in_one_shard_in_order() {
    let fixture = Fixture::new("changes").await;
    let changes = Changes::new(&fixture.connection, &fixture.streams);
    let cities = ["nyc", "oslo", "lima", "suva"].map(|city| CityId::new(city).unwrap());
    for number in 0..5 {
        join_all(cities.iter().map(async |city| changes.send(city, vec![number]).await.unwrap())).await;
    }
    for (shard, records) in all_records(&fixture.connection, &fixture.streams.changes).await {
        for city in &cities {
            let sent: Vec<u8> = records
                .iter()
                .filter(|record| *record.partition_key == *city.as_str())
                .map(|record| record.data[0])
                .collect();
            assert!(sent.is_empty() || sent == [0, 1, 2, 3, 4], "{city} in {shard}: {sent:?}");
        }
    }
}

#[tokio::test]
async fn lanes_and_groups_are_spread_evenly_over_the_shards() {
    let fixture = Fixture::new("spread").await;
    let (events, counts) = (fixture.events(), Counts::new(&fixture.connection, &fixture.streams, GROUPS));
    join_all(lanes().iter().map(async |lane| events.put(lane, vec![b'e']).await.unwrap())).await;
    let send = async |lane: LaneId| counts.send(lane, CityGroup(lane.0.into()), vec![b'c']).await.unwrap();
    join_all(lanes().iter().map(send)).await;
    for stream in [&fixture.streams.events, &fixture.streams.counts] {
        for (shard, records) in all_records(&fixture.connection, stream).await {
            assert_eq!(records.len(), 4, "{shard} of {stream}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_puts_keep_the_order_of_every_lane() {
    let fixture = Fixture::new("order").await;
    let events = fixture.events();
    // No put waits for the previous one: the order is that of the calls.
    let puts = (0..20_u8).flat_map(|number| lanes().iter().map(move |lane| (lane, number)));
    let puts = puts.map(async |(lane, number)| events.put(lane, vec![number]).await.unwrap());
    join_all(puts).await;
    for lane in lanes().iter() {
        let put = records_of_key(&fixture.connection, &fixture.streams.events, &lane.to_string()).await;
        assert_eq!(put, (0..20).map(|number| vec![number]).collect::<Vec<_>>(), "lane {lane}");
    }
}

#[tokio::test]
async fn a_dropped_put_does_not_block_other_puts() {
    let fixture = Fixture::new("dropped").await;
    let events = fixture.events();
    // The first put would send the batch, and is dropped before it does.
    let mut first = Box::pin(events.put(LaneId(1), b"dropped".to_vec()));
    poll_once(first.as_mut()).await;
    let mut second = Box::pin(events.put(LaneId(2), b"two".to_vec()));
    poll_once(second.as_mut()).await;
    drop(first);
    second.await.unwrap();
    events.put(LaneId(1), b"one".to_vec()).await.unwrap();
    assert_eq!(records_of_key(&fixture.connection, &fixture.streams.events, "1").await, [b"one".to_vec()]);
    assert_eq!(records_of_key(&fixture.connection, &fixture.streams.events, "2").await, [b"two".to_vec()]);
}

#[tokio::test]
async fn a_record_that_is_too_large_does_not_affect_others() {
    let fixture = Fixture::new("large").await;
    let events = fixture.events();
    let (large, small) =
        tokio::join!(events.put(LaneId(1), vec![0; 1 << 20]), events.put(LaneId(2), vec![0; 1000]));
    assert_eq!((large, small), (Err(Unavailable), Ok(())));
    let changes = Changes::new(&fixture.connection, &fixture.streams);
    let city = CityId::new("nyc").unwrap();
    let most = (1 << 20) - city.as_str().len();
    assert_eq!(
        changes.send(&city, vec![0; most + 1]).await,
        Err(SendError::TooLarge { bytes: (1 << 20) + 1 })
    );
    assert_eq!(changes.send(&city, vec![0; most]).await, Ok(()));
    // More bytes than one request may have.
    let puts = lanes().iter().map(async |lane| events.put(lane, vec![1; 1_000_000]).await);
    assert!(join_all(puts).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn reading_continues_after_any_record() {
    let fixture = Fixture::new("reading").await;
    let events = fixture.events();
    for number in 0..10 {
        events.put(LaneId(0), vec![number]).await.unwrap();
    }
    let stream = KinesisConsumer::new(&fixture.connection, &fixture.streams.events);
    let shard = ShardId::numbered(0);
    let read = async |after: Option<&Sequence>, limit| {
        let page = stream.read(&shard, after, limit).await.unwrap();
        assert!(!page.ended);
        let numbers: Vec<u8> = page.records.iter().map(|record| record.data[0]).collect();
        (numbers, page.records.into_iter().map(|record| record.sequence).collect::<Vec<_>>())
    };
    let (numbers, first) = read(None, 4).await;
    assert_eq!(numbers, [0, 1, 2, 3]);
    assert_eq!(read(Some(&first[3]), 4).await.0, [4, 5, 6, 7], "where the last read ended");
    assert_eq!(read(Some(&first[3]), 4).await.0, [4, 5, 6, 7], "the same page again");
    assert_eq!(read(Some(&first[1]), 100).await.0, [2, 3, 4, 5, 6, 7, 8, 9]);
    let (numbers, all) = read(None, usize::MAX).await;
    assert_eq!(numbers.len(), 10);
    assert_eq!(read(Some(&all[9]), 10).await.0, [0; 0]);
    events.put(LaneId(0), vec![10]).await.unwrap();
    assert_eq!(read(Some(&all[9]), 10).await.0, [10]);
    assert_eq!(stream.iterator_age_ms(), Some(0));

    let oldest = stream.oldest_retained(&shard).await.unwrap().unwrap();
    assert_eq!(oldest.sequence, all[0]);
    assert!(oldest.arrival_ms > 1_600_000_000_000);
    assert_eq!(stream.oldest_retained(&ShardId::numbered(3)).await.unwrap(), None);
}

#[tokio::test]
async fn a_shard_that_does_not_exist_is_gone() {
    let fixture = Fixture::new("gone").await;
    let stream = KinesisConsumer::new(&fixture.connection, &fixture.streams.events);
    assert_eq!(stream.read(&ShardId::numbered(9), None, 1).await, Err(SourceError::Gone));
    assert_eq!(
        KinesisConsumer::new(&fixture.connection, "no-such-stream").shards().await,
        Err(SourceError::Unavailable)
    );
}

#[tokio::test]
async fn creating_and_deleting_streams_is_idempotent() {
    let fixture = Fixture::new("created").await;
    fixture.events().put(LaneId(0), b"kept".to_vec()).await.unwrap();
    fixture.streams.create(&fixture.connection, 4).await.unwrap();
    assert_eq!(records_of_key(&fixture.connection, &fixture.streams.events, "0").await.len(), 1);
    for _ in 0..2 {
        fixture.streams.delete(&fixture.connection).await.unwrap();
    }
    let stream = KinesisConsumer::new(&fixture.connection, &fixture.streams.events);
    assert_eq!(stream.shards().await, Err(SourceError::Unavailable));
}
