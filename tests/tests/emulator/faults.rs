//! Adapters with faults of the connection: no write is lost or duplicated, and every call ends in time.

use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::ChunkName;
use std::time::{Duration, Instant};

use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore, ReplaceError};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Checkpoints, Connection, Maps, Policies, Tables};
use equilibrium_aws::kinesis::{self, Events, KinesisConsumer, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::map::MapHead;
use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_lambda::kinesis::record::ShardId;
use equilibrium_simulator::rng::SplitMix64;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use futures_util::future::join_all;

use crate::fault_proxy::{EXCEEDED, Fault, FaultProxy, SERVER_ERROR, THROTTLED};
use crate::streams::records_of_key;

fn lanes_key() -> CheckpointKey {
    CheckpointKey::Lanes(LaneRange::of(LaneId(7), LaneCount::new(64).unwrap()))
}

/// Short, so that tests of timeouts are short.
const RETRY_POLICY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(3),
    attempt_timeout: Duration::from_millis(700),
    max_attempts: 3,
};

/// Tables, reached through a proxy or directly.
struct Fixture {
    proxy: FaultProxy,
    tables: Tables,
}

impl Fixture {
    async fn new(test: &str) -> Self {
        let proxy = FaultProxy::new(&emulator().endpoint).await;
        let tables = Tables::named(&unique_name(test));
        let direct = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
        tables.create(&direct).await.unwrap();
        Self { proxy, tables }
    }

    fn connection(&self) -> Connection {
        Connection::new(&sdk_config(&self.proxy.endpoint), RETRY_POLICY)
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(&self.connection(), &self.tables)
    }

    /// The entries of the log, read without faults.
    async fn stored(&self) -> Vec<Vec<u8>> {
        let direct = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
        Checkpoints::new(&direct, &self.tables).load(&lanes_key(), None).await.unwrap().entries
    }
}

/// Awaits a call and asserts that it ended in time.
async fn in_time<T>(call: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = call.await;
    // Additional time on a busy machine.
    let slack = Duration::from_secs(1);
    assert!(started.elapsed() < RETRY_POLICY.call_timeout + slack, "{:?}", started.elapsed());
    outcome
}

#[tokio::test]
async fn a_transient_fault_is_retried_and_the_entry_is_stored_once() {
    let fixture = Fixture::new("passes").await;
    let log = fixture.checkpoints();
    let faults = [
        THROTTLED,
        EXCEEDED,
        SERVER_ERROR,
        Fault::Closed,
        Fault::ResponseLost,
        Fault::ResponseTruncated,
        Fault::Hung,
        Fault::ResponseHung,
    ];
    for (n, fault) in (0..).zip(faults) {
        fixture.proxy.plan("PutItem", fault, 1);
        assert_eq!(in_time(log.append(&lanes_key(), &Entry::new(n, [1]))).await, Ok(()), "{fault:?}");
        assert_eq!(fixture.proxy.requests("PutItem").len() as u64, 2 * (n + 1), "{fault:?}");
    }
    assert_eq!(fixture.stored().await, vec![vec![1]; faults.len()]);
}

#[tokio::test]
async fn a_write_whose_responses_were_all_lost_succeeds() {
    for fault in [Fault::ResponseLost, Fault::ResponseTruncated] {
        let fixture = Fixture::new("lost").await;
        fixture.proxy.plan("PutItem", fault, 3);
        assert_eq!(
            in_time(fixture.checkpoints().append(&lanes_key(), &Entry::new(0, b"ours"))).await,
            Ok(()),
            "{fault:?}"
        );
        assert_eq!(fixture.proxy.requests("GetItem").len(), 1);
        assert_eq!(fixture.stored().await, [b"ours".to_vec()]);
    }
}

#[tokio::test]
async fn a_write_without_a_response_succeeds() {
    let fixture = Fixture::new("silent").await;
    fixture.proxy.plan("PutItem", Fault::ResponseHung, 9);
    assert_eq!(in_time(fixture.checkpoints().append(&lanes_key(), &Entry::new(0, b"ours"))).await, Ok(()));
    assert_eq!(fixture.stored().await, [b"ours".to_vec()]);
}

#[tokio::test]
async fn a_write_whose_retries_are_throttled_succeeds() {
    let fixture = Fixture::new("refused").await;
    fixture.proxy.plan("PutItem", Fault::ResponseLost, 1);
    fixture.proxy.plan("PutItem", THROTTLED, 2);
    assert_eq!(in_time(fixture.checkpoints().append(&lanes_key(), &Entry::new(0, b"ours"))).await, Ok(()));
}

#[tokio::test]
async fn after_lost_responses_the_entry_of_another_writer_is_a_conflict() {
    let fixture = Fixture::new("other").await;
    let (log, other_log) = (fixture.checkpoints(), fixture.checkpoints());
    other_log.append(&lanes_key(), &Entry::new(0, b"other")).await.unwrap();
    fixture.proxy.plan("PutItem", Fault::ResponseLost, 3);
    assert_eq!(in_time(log.append(&lanes_key(), &Entry::new(0, b"ours"))).await, Err(AppendError::Conflict));
    assert_eq!(fixture.stored().await, [b"other".to_vec()]);
}

#[tokio::test]
async fn a_write_that_does_not_arrive_leaves_no_entry() {
    for fault in [THROTTLED, SERVER_ERROR, Fault::Closed, Fault::Hung] {
        let fixture = Fixture::new("never").await;
        let log = fixture.checkpoints();
        fixture.proxy.plan("PutItem", fault, 99);
        assert_eq!(
            in_time(log.append(&lanes_key(), &Entry::new(0, b"ours"))).await,
            Err(AppendError::Unavailable(Unavailable)),
            "{fault:?}"
        );
        assert!(fixture.stored().await.is_empty());
        fixture.proxy.clear();
        assert_eq!(log.append(&lanes_key(), &Entry::new(0, b"again")).await, Ok(()), "{fault:?}");
    }
}

#[tokio::test]
async fn every_call_ends_in_time_when_the_service_hangs() {
    let fixture = Fixture::new("dead").await;
    let city = CityId::new("nyc").unwrap();
    let head = MapHead {
        city: city.clone(),
        version: 1,
        as_of: 5000,
        lanes_reported: 1,
        lanes: 1,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: Vec::new(),
        chunks: Vec::new(),
    };
    fixture.proxy.choose(|_| Some(Fault::Hung));
    let connection = fixture.connection();
    let (log, maps) =
        (Checkpoints::new(&connection, &fixture.tables), Maps::new(&connection, &fixture.tables));
    let policies = Policies::new(&connection, &fixture.tables);
    in_time(async {
        tokio::join!(
            async { assert_eq!(log.load(&lanes_key(), None).await, Err(Unavailable)) },
            async {
                assert_eq!(log.append(&lanes_key(), &Entry::new(0, b"")).await, Err(Unavailable.into()));
            },
            async {
                assert_eq!(
                    log.append(&lanes_key(), &Entry::new(0, [0; 1_000_000])).await,
                    Err(Unavailable.into())
                );
            },
            async { assert_eq!(maps.head(&city).await, Err(Unavailable)) },
            async {
                assert_eq!(maps.save_chunk(&city, ChunkName::new(Cell(1), 1), b"").await, Err(Unavailable));
            },
            async { assert_eq!(maps.save_head(&head).await, Err(Unavailable)) },
            async { assert_eq!(policies.all().await, Err(Unavailable)) },
            async {
                assert_eq!(
                    policies.save(&city, NewVersion::local("{}"), None).await,
                    Err(Unavailable.into())
                );
            },
        )
    })
    .await;
}

#[tokio::test]
async fn a_failed_write_of_parts_leaves_no_entry() {
    let fixture = Fixture::new("parts").await;
    let log = fixture.checkpoints();
    let large = vec![1; 1_000_000];
    log.append(&lanes_key(), &Entry::new(0, b"zero")).await.unwrap();
    fixture.proxy.plan("PutItem", Fault::ResponseLost, 1);
    fixture.proxy.plan("PutItem", SERVER_ERROR, 99);
    assert_eq!(
        in_time(log.append(&lanes_key(), &Entry::new(1, large.clone()))).await,
        Err(Unavailable.into())
    );
    assert_eq!(fixture.stored().await, [b"zero".to_vec()]);
    fixture.proxy.clear();
    for fault in [Fault::ResponseLost, Fault::ResponseTruncated, THROTTLED] {
        fixture.proxy.plan("PutItem", fault, 1);
    }
    assert_eq!(in_time(log.append(&lanes_key(), &Entry::new(1, large.clone()))).await, Ok(()));
    assert_eq!(fixture.stored().await, [b"zero".to_vec(), large]);
}

#[tokio::test]
async fn a_snapshot_is_saved_in_parts_while_the_table_throttles() {
    let fixture = Fixture::new("snapshot").await;
    let log = fixture.checkpoints();
    // It hardly shrinks, so that it takes several parts.
    let mut rng = SplitMix64::new(7);
    let snapshot: Vec<u8> = (0..250_000).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
    log.append(&lanes_key(), &Entry::new(0, b"zero")).await.unwrap();
    fixture.proxy.plan("PutItem", THROTTLED, 12);
    fixture.proxy.plan("UpdateItem", Fault::ResponseLost, 1);
    assert_eq!(log.save_snapshot(&lanes_key(), 0, &snapshot).await, Ok(()));
    let loaded = log.load(&lanes_key(), None).await.unwrap();
    assert_eq!(loaded, Loaded { snapshot: Some(snapshot), first: 0, entries: vec![b"zero".to_vec()] });
}

#[tokio::test]
async fn transient_faults_of_reads_are_retried() {
    let fixture = Fixture::new("read").await;
    let log = fixture.checkpoints();
    let large = vec![1; 1_000_000];
    log.append(&lanes_key(), &Entry::new(0, large.clone())).await.unwrap();
    for fault in [THROTTLED, SERVER_ERROR, Fault::Closed, Fault::ResponseTruncated, Fault::Hung] {
        fixture.proxy.plan("Query", fault, 1);
        fixture.proxy.plan("GetItem", fault, 1);
        let loaded = in_time(log.load(&lanes_key(), None)).await.map(|loaded| loaded.entries);
        assert_eq!(loaded, Ok(vec![large.clone()]), "{fault:?}");
    }
}

#[tokio::test]
async fn a_policy_whose_response_was_lost_is_saved() {
    let fixture = Fixture::new("policy").await;
    let policies = Policies::new(&fixture.connection(), &fixture.tables);
    let city = CityId::new("nyc").unwrap();
    fixture.proxy.plan("TransactWriteItems", Fault::ResponseLost, 1);
    assert_eq!(in_time(policies.save(&city, NewVersion::local("{}"), None)).await, Ok(1));
    fixture.proxy.plan("TransactWriteItems", Fault::ResponseLost, 3);
    assert_eq!(in_time(policies.save(&city, NewVersion::local("[]"), Some(1))).await, Ok(2));
    fixture.proxy.plan("TransactWriteItems", SERVER_ERROR, 3);
    assert_eq!(
        in_time(policies.save(&city, NewVersion::local("{}"), Some(2))).await,
        Err(Unavailable.into())
    );
    fixture.proxy.plan("TransactWriteItems", Fault::ResponseLost, 3);
    assert_eq!(
        in_time(policies.save(&city, NewVersion::local("{}"), Some(1))).await,
        Err(ReplaceError::VersionMismatch)
    );
}

/// Two writers of one log, which load it after a conflict or an unknown outcome: every acknowledged entry is in
/// the log once, in the order of the acknowledgements.
#[tokio::test]
async fn random_faults_lose_and_duplicate_no_entry() {
    for seed in 0..3 {
        let fixture = Fixture::new("random").await;
        let mut rng = SplitMix64::new(seed);
        fixture.proxy.choose(move |_| {
            let faults = [SERVER_ERROR, Fault::Closed, Fault::ResponseLost, Fault::ResponseTruncated];
            (rng.below(4) == 0).then(|| faults[rng.below(4)])
        });
        let writers = [fixture.checkpoints(), fixture.checkpoints()];
        let write = async |writer: u8, log: &Checkpoints| {
            let mut written = Vec::new();
            let mut next = 0;
            for number in 0..12_u8 {
                let entry = [writer, number];
                loop {
                    match in_time(log.append(&lanes_key(), &Entry::new(next, entry))).await {
                        Ok(()) => break,
                        Err(AppendError::Conflict | AppendError::Unavailable(_)) => {}
                    }
                    let entries = loop {
                        if let Ok(loaded) = in_time(log.load(&lanes_key(), None)).await {
                            break loaded.entries;
                        }
                    };
                    next = entries.len() as u64;
                    if entries.iter().any(|stored| stored[..] == entry) {
                        next -= 1;
                        break;
                    }
                }
                next += 1;
                written.push(entry.to_vec());
            }
            written
        };
        let [first, second] =
            join_all([write(0, &writers[0]), write(1, &writers[1])]).await.try_into().unwrap();
        let stored = fixture.stored().await;
        assert_eq!(stored.len(), 24, "seed {seed}");
        for (writer, written) in [(0, first), (1, second)] {
            let own: Vec<Vec<u8>> = stored.iter().filter(|entry| entry[0] == writer).cloned().collect();
            assert_eq!(own, written, "seed {seed}");
        }
    }
}

/// An event log, reached through a proxy, and a direct connection.
struct LaneFixture {
    proxy: FaultProxy,
    streams: Streams,
    events: Events,
    direct: kinesis::Connection,
}

const LANES: u8 = 8;

impl LaneFixture {
    async fn new(test: &str) -> Self {
        let proxy = FaultProxy::new(&emulator().endpoint).await;
        let streams = Streams::named(&unique_name(test));
        let direct = kinesis::Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
        streams.create(&direct, 2).await.unwrap();
        let connection = kinesis::Connection::new(&sdk_config(&proxy.endpoint), RETRY_POLICY);
        let events = Events::new(&connection, &streams, LaneCount::new(LANES.into()).unwrap());
        Self { proxy, streams, events, direct }
    }

    /// Puts records 0, 1 and 2 into every lane, concurrently for all lanes; the outcomes by lane.
    async fn put(&self) -> Vec<Result<(), Unavailable>> {
        let puts = (0..LANES).map(async |lane| {
            for number in 0..3 {
                self.events.put(LaneId(lane.into()), vec![number]).await?;
            }
            Ok(())
        });
        in_time(join_all(puts)).await
    }

    async fn records(&self, lane: u8) -> Vec<u8> {
        records_of_key(&self.direct, &self.streams.events, &lane.to_string()).await.concat()
    }

    fn consumer(&self) -> KinesisConsumer {
        KinesisConsumer::new(
            &kinesis::Connection::new(&sdk_config(&self.proxy.endpoint), RETRY_POLICY),
            &self.streams.events,
        )
    }
}

#[tokio::test]
async fn concurrent_puts_share_a_request() {
    let lanes = LaneFixture::new("together").await;
    assert!(lanes.put().await.iter().all(Result::is_ok));
    assert_eq!(lanes.proxy.requests("PutRecords"), [8, 8, 8]);
}

#[tokio::test]
async fn only_refused_records_are_put_again_and_every_lane_keeps_its_order() {
    let lanes = LaneFixture::new("partial").await;
    lanes.proxy.plan("PutRecords", Fault::EverySecondRecord, 2);
    assert!(lanes.put().await.iter().all(Result::is_ok));
    for lane in 0..LANES {
        assert_eq!(lanes.records(lane).await, [0, 1, 2], "lane {lane}: none lost, duplicated or reordered");
    }
    let requests = lanes.proxy.requests("PutRecords");
    assert_eq!(requests[0], 8);
    assert!(
        requests.iter().sum::<usize>() <= 24 + 4 + 4,
        "only refused records were put again: {requests:?}"
    );
}

#[tokio::test]
async fn a_fault_of_a_whole_request_loses_and_reorders_no_record() {
    for fault in [
        EXCEEDED,
        SERVER_ERROR,
        Fault::Closed,
        Fault::ResponseLost,
        Fault::ResponseTruncated,
        Fault::Hung,
        Fault::ResponseHung,
    ] {
        let lanes = LaneFixture::new("whole").await;
        lanes.proxy.plan("PutRecords", fault, 1);
        assert!(lanes.put().await.iter().all(Result::is_ok), "{fault:?}");
        for lane in 0..LANES {
            let mut records = lanes.records(lane).await;
            // If only the response was lost, the same records are put twice.
            records.dedup();
            assert_eq!(records, [0, 1, 2], "{fault:?}, lane {lane}");
        }
    }
}

#[tokio::test]
async fn a_lane_that_is_always_refused_does_not_affect_others() {
    let lanes = LaneFixture::new("one").await;
    lanes.proxy.choose(|operation| (operation == "PutRecords").then_some(Fault::PartitionKey("3")));
    let outcomes = lanes.put().await;
    for (lane, outcome) in (0..LANES).zip(outcomes) {
        if lane == 3 {
            assert_eq!(outcome, Err(Unavailable));
            assert!(lanes.records(lane).await.is_empty());
        } else {
            assert_eq!(outcome, Ok(()));
            assert_eq!(lanes.records(lane).await, [0, 1, 2]);
        }
    }
    lanes.proxy.clear();
    assert_eq!(lanes.events.put(LaneId(3), vec![9]).await, Ok(()), "the lane recovers");
    assert_eq!(lanes.records(3).await, [9]);
}

#[tokio::test]
async fn puts_without_a_response_end_in_time() {
    let lanes = LaneFixture::new("hung").await;
    lanes.proxy.choose(|_| Some(Fault::Hung));
    assert_eq!(lanes.put().await, [Err(Unavailable); LANES as usize]);
}

#[tokio::test]
async fn transient_faults_of_a_consumer_are_retried() {
    let lanes = LaneFixture::new("shard").await;
    lanes.put().await;
    let consumer = lanes.consumer();
    let shard = ShardId::numbered(0);
    let page = consumer.read(&shard, None, 5).await.unwrap();
    let after = page.records[4].sequence.clone();
    let next = consumer.read(&shard, Some(&after), 5).await.unwrap();
    let faults = [
        EXCEEDED,
        SERVER_ERROR,
        Fault::Closed,
        Fault::ResponseTruncated,
        Fault::Refused(400, "ExpiredIteratorException"),
    ];
    for fault in faults {
        // The faulty read uses the iterator that this read returned.
        assert_eq!(consumer.read(&shard, None, 5).await.unwrap(), page);
        lanes.proxy.plan("GetRecords", fault, 1);
        assert_eq!(in_time(consumer.read(&shard, Some(&after), 5)).await.unwrap(), next, "{fault:?}");
    }
    for fault in [EXCEEDED, Fault::Hung] {
        lanes.proxy.plan("GetRecords", fault, 99);
        assert_eq!(in_time(consumer.read(&shard, None, 5)).await, Err(SourceError::Unavailable), "{fault:?}");
        lanes.proxy.clear();
    }
    lanes.proxy.plan("ListShards", SERVER_ERROR, 1);
    assert_eq!(in_time(consumer.shards()).await.unwrap().len(), 2);
}
