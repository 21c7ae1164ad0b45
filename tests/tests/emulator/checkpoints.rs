//! Checkpoint logs in DynamoDB.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::contract;
use equilibrium_aws::dynamodb::{Checkpoints, Connection, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_simulator::rng::SplitMix64;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use futures_util::future::join_all;

fn lanes_key() -> CheckpointKey {
    CheckpointKey::Lanes(LaneRange::of(LaneId(7), LaneCount::new(64).unwrap()))
}

/// A table of checkpoints, and a client that reads and changes its items.
struct Fixture {
    tables: Tables,
    client: Client,
}

impl Fixture {
    async fn new(test: &str) -> Self {
        let tables = Tables::named(&unique_name(test));
        let config = sdk_config(&emulator().endpoint);
        tables.create(&Connection::new(&config, RetryPolicy::default())).await.unwrap();
        Self { tables, client: Client::new(&config) }
    }

    fn checkpoints(&self) -> Checkpoints {
        let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
        Checkpoints::new(&connection, &self.tables)
    }

    /// The keys of all items in the table, in order.
    async fn keys(&self) -> Vec<(String, u64)> {
        let scan = self.client.scan().table_name(&self.tables.checkpoints).consistent_read(true);
        let items = scan.send().await.unwrap().items.unwrap();
        let text = |value: &AttributeValue| value.as_s().unwrap().clone();
        let number = |value: &AttributeValue| value.as_n().unwrap().parse().unwrap();
        let mut keys: Vec<_> = items.iter().map(|item| (text(&item["log"]), number(&item["n"]))).collect();
        keys.sort_unstable();
        keys
    }

    async fn expiry(&self, log: &str, n: u64) -> u64 {
        let key = self.client.get_item().table_name(&self.tables.checkpoints);
        let key = key.key("log", AttributeValue::S(log.into())).key("n", AttributeValue::N(n.to_string()));
        let item = key.send().await.unwrap().item.unwrap();
        item["expires"].as_n().unwrap().parse().unwrap()
    }

    async fn set_expiry(&self, log: &str, n: u64, expires: u64) {
        let update = self.client.update_item().table_name(&self.tables.checkpoints);
        let update =
            update.key("log", AttributeValue::S(log.into())).key("n", AttributeValue::N(n.to_string()));
        let update = update.update_expression("SET expires = :at");
        let update = update.expression_attribute_values(":at", AttributeValue::N(expires.to_string()));
        update.send().await.unwrap();
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The text of [`lanes_key`].
const LANES: &str = "lanes-64/1";

/// Bytes that hardly shrink.
fn random(length: usize) -> Vec<u8> {
    let mut rng = SplitMix64::new(7);
    (0..length / 8).flat_map(|_| rng.next_u64().to_le_bytes()).collect()
}

/// An entry that is larger than an item.
fn large(byte: u8) -> Vec<u8> {
    vec![byte; 1_000_000]
}

#[tokio::test]
async fn checkpoints_meet_the_contract_of_the_checkpoint_log() {
    let fixture = Fixture::new("checkpoints").await;
    contract::checkpoint_log(&fixture.checkpoints()).await;
    contract::past_log(&fixture.checkpoints()).await;
}

#[tokio::test]
async fn creating_tables_again_changes_nothing() {
    let fixture = Fixture::new("again").await;
    fixture.checkpoints().append(&lanes_key(), &Entry::new(0, b"zero")).await.unwrap();
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    fixture.tables.create(&connection).await.unwrap();
    assert_eq!(fixture.checkpoints().load(&lanes_key(), None).await.unwrap().entries, [b"zero".to_vec()]);
}

#[tokio::test]
async fn one_of_many_concurrent_writers_wins_and_the_others_get_a_conflict() {
    let fixture = Fixture::new("race").await;
    let writers: Vec<Checkpoints> = (0..6).map(|_| fixture.checkpoints()).collect();
    for n in 0..4_u64 {
        // Every other entry is larger than an item.
        let entry = |writer| if n % 2 == 0 { vec![writer] } else { large(writer) };
        let append = async |(writer, log): (u8, &Checkpoints)| {
            log.append(&lanes_key(), &Entry::new(n, entry(writer))).await
        };
        let appends = (0..).zip(&writers).map(append);
        let outcomes = join_all(appends).await;
        let winner = outcomes.iter().position(Result::is_ok).unwrap();
        for (writer, outcome) in outcomes.iter().enumerate() {
            let expected = if writer == winner { Ok(()) } else { Err(AppendError::Conflict) };
            assert_eq!(*outcome, expected, "writer {writer}");
        }
        let loaded = writers[0].load(&lanes_key(), None).await.unwrap().entries;
        assert!(loaded.last().unwrap().iter().all(|byte| usize::from(*byte) == winner), "entry {n}");
    }
}

#[tokio::test]
async fn a_log_is_read_over_many_pages() {
    let fixture = Fixture::new("pages").await;
    let log = fixture.checkpoints();
    let entry = |n: u64| format!("entry {n}").into_bytes();
    for n in 0..100 {
        log.append(&lanes_key(), &Entry::new(n, entry(n))).await.unwrap();
    }
    log.save_snapshot(&lanes_key(), 5, b"before five").await.unwrap();
    let loaded = log.load(&lanes_key(), None).await.unwrap();
    let entries = (5..100).map(entry).collect();
    assert_eq!(loaded, Loaded { snapshot: Some(b"before five".to_vec()), first: 5, entries });
    let loaded = log.load(&lanes_key(), Some(2)).await.unwrap();
    assert_eq!((loaded.snapshot, loaded.first, loaded.entries.len()), (None, 2, 98));
}

#[tokio::test]
async fn parts_of_a_writer_that_crashed_are_invisible() {
    let fixture = Fixture::new("crashed").await;
    let log = fixture.checkpoints();
    log.append(&lanes_key(), &Entry::new(0, b"zero")).await.unwrap();
    // A writer that crashes between its parts and its entry leaves these items.
    for part in 0..2 {
        let put = |bytes: Vec<u8>| {
            let put = fixture.client.put_item().table_name(&fixture.tables.checkpoints);
            put.item("log", AttributeValue::S(format!("lanes-64/1#1#crashed#{part}")))
                .item("n", AttributeValue::N("0".into()))
                .item("expires", AttributeValue::N((now_s() + 1000).to_string()))
                .item("entry", AttributeValue::B(bytes.into()))
                .send()
        };
        put(large(0)).await.unwrap_err();
        put(vec![0; 400_000]).await.unwrap();
    }
    assert_eq!(log.load(&lanes_key(), None).await.unwrap().entries, [b"zero".to_vec()]);
    log.append(&lanes_key(), &Entry::new(1, large(1))).await.unwrap();
    assert_eq!(log.load(&lanes_key(), Some(1)).await.unwrap().entries, [large(1)]);
}

#[tokio::test]
async fn each_part_has_a_partition_of_its_own() {
    let fixture = Fixture::new("partitions").await;
    let log = fixture.checkpoints();
    log.append(&lanes_key(), &Entry::new(0, large(1))).await.unwrap();
    let keys = fixture.keys().await;
    let partitions: BTreeSet<&String> = keys.iter().map(|(log, _)| log).collect();
    assert_eq!((keys.len(), partitions.len()), (4, 4), "three parts and the entry: {keys:?}");
}

#[tokio::test]
async fn an_entry_that_exists_costs_its_rival_no_parts() {
    let fixture = Fixture::new("rival").await;
    let log = fixture.checkpoints();
    log.append(&lanes_key(), &Entry::new(0, b"zero")).await.unwrap();
    assert_eq!(log.append(&lanes_key(), &Entry::new(0, large(1))).await, Err(AppendError::Conflict));
    assert_eq!(fixture.keys().await.len(), 1);
}

#[tokio::test]
async fn an_entry_with_a_missing_part_is_empty() {
    let fixture = Fixture::new("torn").await;
    let log = fixture.checkpoints();
    log.append(&lanes_key(), &Entry::new(0, large(1))).await.unwrap();
    log.append(&lanes_key(), &Entry::new(1, b"one")).await.unwrap();
    let keys = fixture.keys().await;
    let (part, _) = keys.iter().find(|(log, _)| log.ends_with("#1")).unwrap();
    let delete = fixture.client.delete_item().table_name(&fixture.tables.checkpoints);
    let delete = delete.key("log", AttributeValue::S(part.clone())).key("n", AttributeValue::N("0".into()));
    delete.send().await.unwrap();
    assert_eq!(log.load(&lanes_key(), None).await.unwrap().entries, [b"".to_vec(), b"one".to_vec()]);
}

#[tokio::test]
async fn a_snapshot_and_its_parts_expire_after_the_entries_that_follow() {
    let fixture = Fixture::new("lifetimes").await;
    let log = fixture.checkpoints();
    log.append(&lanes_key(), &Entry::new(0, b"zero")).await.unwrap();
    log.save_snapshot(&lanes_key(), 0, &random(1_000_000)).await.unwrap();
    log.append(&lanes_key(), &Entry::new(1, b"one")).await.unwrap();
    let keys = fixture.keys().await;
    let (part, _) = keys.iter().find(|(log, _)| log.contains('#')).unwrap();
    let (snapshot, follower) = (fixture.expiry(LANES, 0).await, fixture.expiry(LANES, 1).await);
    assert!(follower > now_s() + 2 * 86_400 - 60, "a day longer than the stream keeps its records");
    assert!(snapshot >= follower + 86_000);
    assert!(fixture.expiry(part, 0).await > snapshot);
}

#[tokio::test]
async fn loading_an_idle_log_renews_its_entries_and_parts() {
    let fixture = Fixture::new("rested").await;
    let log = fixture.checkpoints();
    log.append(&lanes_key(), &Entry::new(0, b"zero")).await.unwrap();
    log.save_snapshot(&lanes_key(), 0, &random(1_000_000)).await.unwrap();
    log.append(&lanes_key(), &Entry::new(1, b"one")).await.unwrap();
    let (snapshot, follower) = (fixture.expiry(LANES, 0).await, fixture.expiry(LANES, 1).await);
    fixture.set_expiry(LANES, 0, snapshot - 86_400).await;
    fixture.set_expiry(LANES, 1, follower - 86_400).await;
    let keys = fixture.keys().await;
    let (part, _) = keys.iter().find(|(log, _)| log.ends_with("#1")).unwrap();
    fixture.set_expiry(part, 0, now_s() + 1000).await;

    let loaded = log.load(&lanes_key(), None).await.unwrap();
    assert_eq!(loaded.snapshot, Some(random(1_000_000)));
    assert_eq!(loaded.entries, [b"zero".to_vec(), b"one".to_vec()]);
    assert!(fixture.expiry(LANES, 0).await >= snapshot);
    assert!(fixture.expiry(LANES, 1).await >= follower);
    assert!(fixture.expiry(part, 0).await > snapshot);
}

#[tokio::test]
async fn expired_entries_count_as_absent() {
    let fixture = Fixture::new("expired").await;
    // Without time to live, the table keeps expired items, as DynamoDB does for days.
    let table = unique_name("no-ttl");
    let tables = Tables { checkpoints: table.clone(), ..fixture.tables.clone() };
    tables.create(&Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default())).await.unwrap();
    let ttl =
        aws_sdk_dynamodb::types::TimeToLiveSpecification::builder().attribute_name("expires").enabled(false);
    let update = fixture.client.update_time_to_live().table_name(&table);
    update.time_to_live_specification(ttl.build().unwrap()).send().await.unwrap();
    let fixture = Fixture { tables, client: fixture.client };
    let log = fixture.checkpoints();
    for n in 0..4 {
        log.append(&lanes_key(), &Entry::new(n, b"old")).await.unwrap();
    }
    log.save_snapshot(&lanes_key(), 1, b"before one").await.unwrap();

    let loaded = |entries: &[&[u8]]| {
        let entries = entries.iter().map(|entry| entry.to_vec()).collect();
        Ok(Loaded { snapshot: Some(b"before one".to_vec()), first: 1, entries })
    };
    fixture.set_expiry(LANES, 2, now_s() - 1).await;
    assert_eq!(log.load(&lanes_key(), None).await, loaded(&[b"old", b"", b"old"]), "one is missing");
    fixture.set_expiry(LANES, 3, now_s() - 1).await;
    assert_eq!(log.load(&lanes_key(), None).await, loaded(&[b"old"]));
    log.append(&lanes_key(), &Entry::new(2, b"new")).await.unwrap();
    log.append(&lanes_key(), &Entry::new(3, b"new")).await.unwrap();
    assert_eq!(log.append(&lanes_key(), &Entry::new(3, b"other")).await, Err(AppendError::Conflict));
    assert_eq!(log.load(&lanes_key(), None).await, loaded(&[b"old", b"new", b"new"]));

    for n in 0..4 {
        fixture.set_expiry(LANES, n, now_s() - 1).await;
    }
    assert_eq!(log.load(&lanes_key(), None).await, Ok(Loaded::default()));
    log.append(&lanes_key(), &Entry::new(0, b"first again")).await.unwrap();
    assert_eq!(log.load(&lanes_key(), None).await.unwrap().entries, [b"first again".to_vec()]);
}

#[tokio::test]
async fn logs_whose_keys_share_a_prefix_are_separate() {
    let fixture = Fixture::new("names").await;
    let log = fixture.checkpoints();
    let keys = [
        CheckpointKey::parse("lanes-64/1").unwrap(),
        CheckpointKey::parse("lanes-64/11").unwrap(),
        CheckpointKey::City(CityId::new("1").unwrap()),
        CheckpointKey::City(CityId::new("11").unwrap()),
    ];
    for (index, key) in (0..).zip(&keys) {
        log.append(key, &Entry::new(0, [index])).await.unwrap();
    }
    for (index, key) in (0..).zip(&keys) {
        assert_eq!(log.load(key, None).await.unwrap().entries, [vec![index]]);
    }
}
