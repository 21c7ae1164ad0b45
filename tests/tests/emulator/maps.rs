//! Maps in DynamoDB.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use equilibrium_app::contract;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Connection, Maps, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::MapHead;
use futures_util::future::join_all;

use crate::emulator::{config, emulator, fresh};

async fn maps(test: &str) -> (Maps, Tables) {
    let connection = Connection::new(&config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&fresh(test));
    tables.create(&connection).await.unwrap();
    (Maps::new(&connection, &tables), tables)
}

fn nyc() -> CityId {
    CityId::new("nyc").unwrap()
}

fn head(version: u64, chunks: &[(u64, u64)]) -> MapHead {
    MapHead {
        city: nyc(),
        version,
        as_of: 5000,
        heard: 4,
        lanes: 4,
        resolution: 8,
        products: Vec::new(),
        chunks: chunks.iter().map(|(parent, version)| ChunkName::new(Cell(*parent), *version)).collect(),
    }
}

/// Whether the chunk is to be let go.
async fn is_outlived(tables: &Tables, part: &str) -> bool {
    let get = Client::new(&config(&emulator().endpoint)).get_item().table_name(&tables.maps);
    let get = get.key("city", AttributeValue::S("nyc".into())).key("part", AttributeValue::S(part.into()));
    get.send().await.unwrap().item.unwrap().contains_key("expires")
}

#[tokio::test]
async fn maps_keep_the_contract() {
    contract::map_store(&maps("maps").await.0).await;
}

#[tokio::test]
async fn a_chunk_that_no_head_names_any_more_is_let_go_and_no_other() {
    let (maps, tables) = maps("outlived").await;
    for (parent, version) in [(255, 1), (7, 1), (255, 2)] {
        maps.save_chunk(&nyc(), parent, version, b"chunk").await.unwrap();
    }
    maps.save_head(&head(1, &[(255, 1), (7, 1), (8, 1)])).await.unwrap();
    assert!(!is_outlived(&tables, "chunk#ff#1").await);
    maps.save_head(&head(2, &[(255, 2), (7, 1)])).await.unwrap();
    assert!(is_outlived(&tables, "chunk#ff#1").await);
    assert!(!is_outlived(&tables, "chunk#ff#2").await);
    assert!(!is_outlived(&tables, "chunk#7#1").await);
    assert_eq!(
        maps.chunk(&nyc(), ChunkName::new(Cell(8), 1)).await,
        Ok(None),
        "letting go of what never was makes nothing"
    );
    assert!(
        maps.chunk(&nyc(), ChunkName::new(Cell(255), 1)).await.unwrap().is_some(),
        "for who still reads the last head"
    );
}

#[tokio::test]
async fn of_many_heads_at_once_the_highest_stays() {
    let (maps, _) = maps("heads").await;
    let saves = [4, 9, 2, 7, 9, 1].map(async |version| maps.save_head(&head(version, &[])).await.unwrap());
    join_all(saves).await;
    assert_eq!(maps.head(&nyc()).await.unwrap().unwrap().version, 9);
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_replaced_by_the_next() {
    let (maps, tables) = maps("corrupt").await;
    maps.save_head(&head(1, &[(7, 1)])).await.unwrap();
    let update = Client::new(&config(&emulator().endpoint)).update_item().table_name(&tables.maps);
    let update =
        update.key("city", AttributeValue::S("nyc".into())).key("part", AttributeValue::S("head".into()));
    let update = update.update_expression("SET #b = :b").expression_attribute_names("#b", "bytes");
    let update = update.expression_attribute_values(":b", AttributeValue::B(b"nonsense".to_vec().into()));
    update.send().await.unwrap();
    assert_eq!(maps.head(&nyc()).await, Err(Unavailable));
    maps.save_head(&head(2, &[])).await.unwrap();
    assert_eq!(maps.head(&nyc()).await.unwrap().unwrap().version, 2);
}
