//! A warm `price` with the map in memory, one request after the other.

use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::ChunkName;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore};
use equilibrium_app::price::ports::MapStore;
use equilibrium_aws::dynamodb::{Connection, Maps, Policies, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::{Cell, cell_at};
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Published;
use equilibrium_domain::surge::map::{MapHead, Row, encode_chunk};
use equilibrium_event_source::poller::Target;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use equilibrium_tests::harness::redis::RedisServer;
use h3o::Resolution;
use serde_json::{Value, json};

use crate::{function, ms, percentile};

const REQUESTS: usize = 20_000;
const CELLS: usize = 2_000;

/// Ticks so long that none becomes due during the measurement: the map stays in memory.
const POLICY: &str = r#"{"city": "nyc", "currency": "USD", "products": [{"id": "standard"}],
    "clock": {"tick_ms": 3600000, "window_ms": 3600000, "driver_ttl_ms": 3600000},
    "boundary": {"type": "Polygon", "coordinates": [[[-74.3,40.45],[-73.65,40.45],[-73.65,41],[-74.3,41],[-74.3,40.45]]]}}"#;

pub async fn measure() {
    let (emulator, redis) = (emulator(), RedisServer::start(&[]));
    let deployment = unique_name("price");
    let connection = Connection::new(&sdk_config(&emulator.endpoint), RetryPolicy::default());
    let tables = Tables::named(&deployment);
    tables.create(&connection).await.unwrap();
    let nyc = CityId::new("nyc").unwrap();
    Policies::new(&connection, &tables).save(&nyc, NewVersion::local(POLICY), None).await.unwrap();
    save_map(&Maps::new(&connection, &tables), &nyc).await;

    let cache = redis.url();
    let price = function(
        "price",
        &[
            ("AWS_ENDPOINT_URL", emulator.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("EQUILIBRIUM_DEPLOYMENT", &deployment),
            ("EQUILIBRIUM_CACHE_URLS", &cache),
            ("EQUILIBRIUM_AUTH", "off"),
            ("EQUILIBRIUM_RATE_LIMITS", "off"),
            // Metrics go to the log, as on Lambda.
            ("EQUILIBRIUM_LOG", "warn"),
        ],
    );
    let request = json!({"version": "2.0", "rawPath": "/v1/price", "rawQueryString": "lat=40.7549&lng=-73.984",
        "headers": {"accept": "*/*"}, "isBase64Encoded": false,
        "requestContext": {"http": {"method": "GET"}, "stage": "$default"}});
    let request = request.to_string();
    let mut times = Vec::with_capacity(REQUESTS);
    for request_number in 0..REQUESTS + 100 {
        let started = Instant::now();
        let response = price.invoke(request.as_bytes()).await.unwrap();
        if request_number >= 100 {
            times.push(started.elapsed());
        } else {
            let response: Value = serde_json::from_slice(&response).unwrap();
            let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
            assert_eq!((&body["mode"], &body["multiplier"]), (&json!("fresh"), &json!(1.7)), "{body}");
        }
    }
    let total: Duration = times.iter().sum();
    println!(
        "warm price through the Runtime API                {:.3} ms, p99 {:.3} ms; {:.0} a second",
        ms(percentile(&mut times, 500)),
        ms(percentile(&mut times, 990)),
        REQUESTS as f64 / total.as_secs_f64()
    );
}

async fn save_map(maps: &Maps, city: &CityId) {
    let mut chunks: BTreeMap<u64, BTreeMap<Cell, Row>> = BTreeMap::new();
    for index in 0..CELLS {
        let (north, east) = ((index / 50) as f64, (index % 50) as f64);
        let place = Position { lat: 40.7549 + north * 0.006, lng: -73.984 + east * 0.006 };
        let cell = cell_at(place, Resolution::Eight);
        let parent: u64 = cell.h3().unwrap().parent(Resolution::Five).unwrap().into();
        let published = Published::new(170).unwrap();
        let row = Row { product: 0, cell, demand: 9, supply: 2, published };
        chunks.entry(parent).or_default().insert(cell, row);
    }
    for (parent, rows) in &chunks {
        let rows: Vec<Row> = rows.values().copied().collect();
        maps.save_chunk(city, ChunkName::new(Cell(*parent), 1), &encode_chunk(&rows)).await.unwrap();
    }
    let head = MapHead {
        city: city.clone(),
        version: 1,
        as_of: system_now_ms(),
        lanes_reported: 64,
        lanes: 64,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: vec![ProductId::new("standard").unwrap()],
        chunks: chunks.keys().map(|parent| ChunkName::new(Cell(*parent), 1)).collect(),
    };
    maps.save_head(&head).await.unwrap();
}
