//! Checkpoint logs in DynamoDB.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use equilibrium_app::contract;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Checkpoints, Connection, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::{CityId, LaneId};
use futures_util::future::join_all;

use crate::emulator::{config, emulator, fresh};

const LANE: CheckpointKey = CheckpointKey::Lane(LaneId(7));

/// A table of checkpoints, and a plain client to look at it.
pub struct World {
    pub tables: Tables,
    pub client: Client,
}

impl World {
    pub async fn new(test: &str) -> Self {
        let tables = Tables::named(&fresh(test));
        let config = config(&emulator().endpoint);
        tables.create(&Connection::new(&config, RetryPolicy::default())).await.unwrap();
        Self { tables, client: Client::new(&config) }
    }

    fn checkpoints(&self) -> Checkpoints {
        let connection = Connection::new(&config(&emulator().endpoint), RetryPolicy::default());
        Checkpoints::new(&connection, &self.tables)
    }

    /// The keys of everything in the table, in order.
    pub async fn keys(&self) -> Vec<(String, u64)> {
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

fn large(of: u8) -> Vec<u8> {
    vec![of; 1_000_000]
}

#[tokio::test]
async fn checkpoints_keep_the_contract() {
    let world = World::new("checkpoints").await;
    contract::checkpoint_log(&world.checkpoints()).await;
}

#[tokio::test]
async fn creating_tables_again_changes_nothing() {
    let world = World::new("again").await;
    world.checkpoints().append(&LANE, 0, b"zero", false).await.unwrap();
    let connection = Connection::new(&config(&emulator().endpoint), RetryPolicy::default());
    world.tables.create(&connection).await.unwrap();
    assert_eq!(world.checkpoints().load(&LANE).await.unwrap(), [b"zero".to_vec()]);
}

#[tokio::test]
async fn of_many_writers_at_once_one_wins_and_the_others_are_told() {
    let world = World::new("race").await;
    let writers: Vec<Checkpoints> = (0..6).map(|_| world.checkpoints()).collect();
    for n in 0..4_u64 {
        // Every other entry is larger than an item.
        let entry = |of| if n % 2 == 0 { vec![of] } else { large(of) };
        let appends = (0..).zip(&writers);
        let appends =
            appends.map(async |(of, log): (u8, &Checkpoints)| log.append(&LANE, n, &entry(of), true).await);
        let outcomes = join_all(appends).await;
        let winner = outcomes.iter().position(Result::is_ok).unwrap();
        for (of, outcome) in outcomes.iter().enumerate() {
            assert_eq!(
                *outcome,
                if of == winner { Ok(()) } else { Err(AppendError::Conflict) },
                "writer {of}"
            );
        }
        let loaded = writers[0].load(&LANE).await.unwrap();
        assert!(loaded.last().unwrap().iter().all(|byte| usize::from(*byte) == winner), "entry {n}");
    }
}

#[tokio::test]
async fn a_log_is_read_over_many_pages() {
    let world = World::new("pages").await;
    let log = world.checkpoints();
    let entry = |n: u64| format!("entry {n}").into_bytes();
    for n in 0..100 {
        log.append(&LANE, n, &entry(n), n == 5).await.unwrap();
    }
    let expected: Vec<_> = (5..100).map(entry).collect();
    assert_eq!(log.load(&LANE).await.unwrap(), expected);
}

#[tokio::test]
async fn parts_of_a_writer_that_died_are_not_seen() {
    let world = World::new("died").await;
    let log = world.checkpoints();
    log.append(&LANE, 0, b"zero", false).await.unwrap();
    // What a writer leaves that dies between its parts and its entry.
    for at in 0..2 {
        let put = world.client.put_item().table_name(&world.tables.checkpoints);
        let put = put.item("log", AttributeValue::S("lane/7#1#dead".into()));
        let put = put.item("n", AttributeValue::N(at.to_string()));
        let put = put.item("expires", AttributeValue::N((now_s() + 1000).to_string()));
        put.item("entry", AttributeValue::B(large(0).into())).send().await.unwrap_err();
        let put = world.client.put_item().table_name(&world.tables.checkpoints);
        let put = put.item("log", AttributeValue::S("lane/7#1#dead".into()));
        let put = put.item("n", AttributeValue::N(at.to_string()));
        let put = put.item("expires", AttributeValue::N((now_s() + 1000).to_string()));
        put.item("entry", AttributeValue::B(vec![0; 400_000].into())).send().await.unwrap();
    }
    assert_eq!(log.load(&LANE).await.unwrap(), [b"zero".to_vec()]);
    log.append(&LANE, 1, &large(1), true).await.unwrap();
    assert_eq!(log.load(&LANE).await.unwrap(), [large(1)]);
}

#[tokio::test]
async fn an_entry_whose_part_is_gone_is_not_read_in_part() {
    let world = World::new("torn").await;
    let log = world.checkpoints();
    log.append(&LANE, 0, &large(1), true).await.unwrap();
    let keys = world.keys().await;
    let (prefix, _) = keys.iter().find(|(log, _)| log.contains('#')).unwrap();
    let delete = world.client.delete_item().table_name(&world.tables.checkpoints);
    let delete = delete.key("log", AttributeValue::S(prefix.clone())).key("n", AttributeValue::N("1".into()));
    delete.send().await.unwrap();
    assert_eq!(log.load(&LANE).await, Err(Unavailable));
}

#[tokio::test]
async fn a_snapshot_and_its_parts_outlive_what_follows() {
    let world = World::new("lives").await;
    let log = world.checkpoints();
    log.append(&LANE, 0, &large(1), true).await.unwrap();
    log.append(&LANE, 1, b"one", false).await.unwrap();
    let keys = world.keys().await;
    let (prefix, _) = keys.iter().find(|(log, _)| log.contains('#')).unwrap();
    let (snapshot, follower) = (world.expiry("lane/7", 0).await, world.expiry("lane/7", 1).await);
    assert!(follower > now_s() + 7 * 86_400, "longer than any stream keeps a record");
    assert!(snapshot >= follower + 86_000);
    assert!(world.expiry(prefix, 0).await > snapshot);
}

#[tokio::test]
async fn a_log_that_rested_lives_anew_before_anything_follows() {
    let world = World::new("rested").await;
    let log = world.checkpoints();
    log.append(&LANE, 0, &large(1), true).await.unwrap();
    log.append(&LANE, 1, b"one", false).await.unwrap();
    let (snapshot, follower) = (world.expiry("lane/7", 0).await, world.expiry("lane/7", 1).await);
    world.set_expiry("lane/7", 0, snapshot - 7 * 86_400).await;
    world.set_expiry("lane/7", 1, follower - 7 * 86_400).await;
    let keys = world.keys().await;
    let (prefix, _) = keys.iter().find(|(log, _)| log.contains('#')).unwrap();
    world.set_expiry(prefix, 2, now_s() + 1000).await;

    assert_eq!(log.load(&LANE).await.unwrap(), [large(1), b"one".to_vec()]);
    assert!(world.expiry("lane/7", 0).await >= snapshot);
    assert!(world.expiry("lane/7", 1).await >= follower);
    assert!(world.expiry(prefix, 2).await > snapshot);
}

#[tokio::test]
async fn what_has_expired_counts_as_absent() {
    let world = World::new("expired").await;
    // Without expiry of its own the table keeps what has expired, as DynamoDB does for days.
    let table = fresh("kept");
    let tables = Tables { checkpoints: table.clone(), ..world.tables.clone() };
    tables.create(&Connection::new(&config(&emulator().endpoint), RetryPolicy::default())).await.unwrap();
    let ttl =
        aws_sdk_dynamodb::types::TimeToLiveSpecification::builder().attribute_name("expires").enabled(false);
    let update = world.client.update_time_to_live().table_name(&table);
    update.time_to_live_specification(ttl.build().unwrap()).send().await.unwrap();
    let world = World { tables, client: world.client };
    let log = world.checkpoints();
    for n in 0..4 {
        log.append(&LANE, n, b"old", n == 1).await.unwrap();
    }

    world.set_expiry("lane/7", 2, now_s() - 1).await;
    assert_eq!(log.load(&LANE).await, Err(Unavailable), "a gap that passes");
    world.set_expiry("lane/7", 3, now_s() - 1).await;
    assert_eq!(log.load(&LANE).await.unwrap(), [b"old".to_vec()]);
    log.append(&LANE, 2, b"new", false).await.unwrap();
    log.append(&LANE, 3, b"new", false).await.unwrap();
    assert_eq!(log.append(&LANE, 3, b"other", false).await, Err(AppendError::Conflict));
    assert_eq!(log.load(&LANE).await.unwrap(), [b"old".to_vec(), b"new".to_vec(), b"new".to_vec()]);

    for n in 0..4 {
        world.set_expiry("lane/7", n, now_s() - 1).await;
    }
    assert!(log.load(&LANE).await.unwrap().is_empty());
    log.append(&LANE, 0, b"begun anew", false).await.unwrap();
    assert_eq!(log.load(&LANE).await.unwrap(), [b"begun anew".to_vec()]);
}

#[tokio::test]
async fn logs_whose_names_begin_alike_are_apart() {
    let world = World::new("names").await;
    let log = world.checkpoints();
    let names = [
        CheckpointKey::Lane(LaneId(1)),
        CheckpointKey::Lane(LaneId(11)),
        CheckpointKey::City(CityId::new("1").unwrap()),
        CheckpointKey::City(CityId::new("11").unwrap()),
    ];
    for (of, name) in (0..).zip(&names) {
        log.append(name, 0, &[of], false).await.unwrap();
    }
    for (of, name) in (0..).zip(&names) {
        assert_eq!(log.load(name).await.unwrap(), [vec![of]]);
    }
}
