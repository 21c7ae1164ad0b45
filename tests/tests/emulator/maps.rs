//! Maps in DynamoDB.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use equilibrium_app::contract;
use equilibrium_app::surge::ports::MapStore;
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

/// Whether the chunk has an expiry.
async fn has_expiry(tables: &Tables, part: &str) -> bool {
    let get = Client::new(&sdk_config(&emulator().endpoint)).get_item().table_name(&tables.maps);
    let get = get.key("city", AttributeValue::S("nyc".into())).key("part", AttributeValue::S(part.into()));
    get.send().await.unwrap().item.unwrap().contains_key("expires")
}

#[tokio::test]
async fn maps_meet_the_contract_of_the_map_store() {
    contract::map_store(&maps("maps").await.0).await;
}

#[tokio::test]
async fn only_chunks_that_the_newest_head_does_not_name_expire() {
    let (maps, tables) = maps("expiry").await;
    for (parent, version) in [(255, 1), (7, 1), (255, 2)] {
        maps.save_chunk(&nyc(), ChunkName::new(Cell(parent), version), b"chunk").await.unwrap();
    }
    maps.save_head(&head(1, &[(255, 1), (7, 1), (8, 1)])).await.unwrap();
    assert!(!has_expiry(&tables, "chunk#ff#1").await);
    maps.save_head(&head(2, &[(255, 2), (7, 1)])).await.unwrap();
    assert!(has_expiry(&tables, "chunk#ff#1").await);
    assert!(!has_expiry(&tables, "chunk#ff#2").await);
    assert!(!has_expiry(&tables, "chunk#7#1").await);
    assert_eq!(
        maps.chunk(&nyc(), ChunkName::new(Cell(8), 1)).await,
        Ok(None),
        "setting the expiry of a missing chunk creates nothing"
    );
    assert!(
        maps.chunk(&nyc(), ChunkName::new(Cell(255), 1)).await.unwrap().is_some(),
        "readers of the previous head still need it"
    );
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
