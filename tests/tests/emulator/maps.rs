//! Maps in DynamoDB.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::contract;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Connection, Maps, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::surge::map::ChunkName;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use equilibrium_tests::harness::maps::{head, nyc};
use futures_util::future::join_all;

async fn maps(test: &str) -> (Maps, Tables) {
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&unique_name(test));
    tables.create(&connection).await.unwrap();
    (Maps::new(&connection, &tables), tables)
}

/// In how many hours the chunk expires.
async fn expires_in_hours(tables: &Tables, part: &str) -> i64 {
    let get = Client::new(&sdk_config(&emulator().endpoint)).get_item().table_name(&tables.maps);
    let get = get.key("city", AttributeValue::S("nyc".into())).key("part", AttributeValue::S(part.into()));
    let item = get.send().await.unwrap().item.unwrap();
    let expires_s: i64 = item["expires"].as_n().unwrap().parse().unwrap();
    (expires_s - system_now_ms() / 1_000 + 1_800) / 3_600
}

#[tokio::test]
async fn maps_meet_the_contract_of_the_map_store() {
    let maps = maps("maps").await.0;
    contract::map_store(&maps).await;
    contract::frozen_maps(&maps).await;
    contract::history_store(&maps).await;
}

#[tokio::test]
async fn a_chunk_expires_unless_heads_name_it_for_long() {
    let (maps, tables) = maps("expiry").await;
    for parent in [255, 7] {
        maps.save_chunk(&nyc(), ChunkName::new(Cell(parent), 1), b"chunk").await.unwrap();
    }
    maps.save_head(&head(1, &[(255, 1), (7, 1)])).await.unwrap();
    assert_eq!(expires_in_hours(&tables, "chunk#ff#1").await, 6);
    for part in ["chunk#ff#1", "chunk#7#1"] {
        let soon = (system_now_ms() / 1_000 + 3_600).to_string();
        let update = Client::new(&sdk_config(&emulator().endpoint)).update_item().table_name(&tables.maps);
        let update = update.key("city", AttributeValue::S("nyc".into()));
        let update =
            update.key("part", AttributeValue::S(part.into())).update_expression("SET expires = :soon");
        update.expression_attribute_values(":soon", AttributeValue::N(soon)).send().await.unwrap();
    }
    maps.save_head(&head(2, &[(255, 1), (7, 1)])).await.unwrap();
    assert_eq!(expires_in_hours(&tables, "chunk#ff#1").await, 1, "this instance has just written it");
    // Another instance does not know when the chunks were written.
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let other = Maps::new(&connection, &tables);
    other.save_head(&head(3, &[(7, 1), (8, 1)])).await.unwrap();
    assert_eq!(expires_in_hours(&tables, "chunk#7#1").await, 6);
    assert_eq!(expires_in_hours(&tables, "chunk#ff#1").await, 1, "replaced");
    let missing = maps.chunk(&nyc(), ChunkName::new(Cell(8), 1)).await;
    assert_eq!(missing, Ok(None), "renewing a missing chunk creates nothing");
}

#[tokio::test]
async fn concurrent_writes_leave_the_highest_version() {
    let (maps, _) = maps("heads").await;
    let saves = [4, 9, 2, 7, 9, 1].map(async |version| maps.save_head(&head(version, &[])).await.unwrap());
    join_all(saves).await;
    assert_eq!(maps.head(&nyc()).await.unwrap().unwrap().version, 9);
}

#[tokio::test]
async fn a_corrupt_head_is_replaced_by_the_next() {
    let (maps, tables) = maps("corrupt").await;
    maps.save_head(&head(1, &[(7, 1)])).await.unwrap();
    let update = Client::new(&sdk_config(&emulator().endpoint)).update_item().table_name(&tables.maps);
    let update =
        update.key("city", AttributeValue::S("nyc".into())).key("part", AttributeValue::S("head".into()));
    let update = update.update_expression("SET #b = :b").expression_attribute_names("#b", "bytes");
    let update = update.expression_attribute_values(":b", AttributeValue::B(b"corrupt".to_vec().into()));
    update.send().await.unwrap();
    assert_eq!(maps.head(&nyc()).await, Err(Unavailable));
    maps.save_head(&head(2, &[])).await.unwrap();
    assert_eq!(maps.head(&nyc()).await.unwrap().unwrap().version, 2);
}
