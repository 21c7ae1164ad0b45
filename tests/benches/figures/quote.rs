//! The `quote` and `price` handlers, warm, with the map in memory: one request after the other.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use equilibrium_app::history::ports::Past;
use equilibrium_app::laws::ports::BoundStores;
use equilibrium_app::memory::{
    MemoryCheckpoints, MemoryDays, MemoryHistory, MemoryMaps, MemoryOverrides, MemoryQuotes, NoOp, Recorder,
};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::quote::issue::Trust;
use equilibrium_app::quote::keys::{QuoteKey, QuoteKeys};
use equilibrium_app::quote::service::QuoteService;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::{Cell, cell_at};
use equilibrium_domain::id::{CityId, LaneCount, LaneId, ProductId};
use equilibrium_domain::policy::overrides::{Creation, OverrideRequest};
use equilibrium_domain::policy::{Policy, Published};
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, encode_chunk};
use equilibrium_http::{Header, Request};
use equilibrium_price::{EventSource, RenderedMaps};
use equilibrium_quote::Quoting;
use h3o::Resolution;
use serde_json::json;
use tokio::time::Sleep;

use crate::{figure, run};

/// 2026-02-25T06:13:20Z, a tick.
const TICK: i64 = 1_772_000_000_000;
const PLACE: Position = Position { lat: 40.7549, lng: -73.984 };
const REQUESTS: usize = 20_000;
const OVERRIDES: usize = 1_000;

type Maps = MapReader<MemoryMaps, NoOp, fn(Duration) -> Sleep>;

pub fn figures() {
    let (maps, store) = (MemoryMaps::default(), MemoryQuotes::default());
    run(publish(&maps));
    let maps: Maps = MapReader::new(maps, NoOp, tokio::time::sleep as _);
    let keys = QuoteKeys { current: QuoteKey::new(&[7; 32]).expect("a key"), previous: None };
    let service = QuoteService::new(store, keys, (Recorder::<(LaneId, Vec<u8>)>::default(), LaneCount::ONE));
    run(service.ring().refresh(TICK));
    let body =
        json!({"pickup": {"lat": PLACE.lat, "lng": PLACE.lng}, "dropoff": {"lat": 40.6413, "lng": -73.7781}});
    let body = body.to_string();
    let headers: [Header<'_>; 1] = [(Cow::Borrowed("content-type"), Cow::Borrowed("application/json"))];
    let request =
        Request { method: "POST", path: "/v1/quotes", query: "", headers: &headers, body: body.as_bytes() };

    let mut medians = Vec::new();
    for (what, policies) in [("", policies(0)), (", 1 000 overrides", policies(OVERRIDES))] {
        let quoting = Quoting { service: &service, maps: &maps };
        let quote = times(async || {
            equilibrium_quote::respond(quoting, (&request, Trust::Untrusted), &policies, TICK + 1_000)
                .await
                .status
        });
        figure(&format!("`quote`: a quote, signed{what}"), &text(&quote));
        let (rendered, past) = (RenderedMaps::default(), past());
        let request = Request {
            method: "GET",
            path: "/v1/price",
            query: "lat=40.7549&lng=-73.984",
            headers: &[],
            body: b"",
        };
        let reading = (&maps, &rendered, &EventSource::DEPLOYED, &past);
        let price = times(async || {
            equilibrium_price::respond(reading, &request, &policies, TICK + 1_000).await.status
        });
        figure(&format!("`price`: a price{what}"), &text(&price));
        medians.push(price[price.len() / 2]);
    }
    figure("`price`: with 1 000 overrides against without", &format!("{:.2} times", medians[1] / medians[0]));
}

fn past() -> Past<MemoryCheckpoints, MemoryHistory, BoundStores<MemoryOverrides, MemoryDays>> {
    Past::default()
}

/// Sorted times of a request, in microseconds.
fn times(respond: impl AsyncFn() -> u16) -> Vec<f64> {
    let mut times = run(async {
        let mut times = Vec::with_capacity(REQUESTS);
        for number in 0..REQUESTS + 100 {
            let start = Instant::now();
            let status = respond().await;
            if number >= 100 {
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
            assert!(matches!(status, 200 | 201), "{status}");
        }
        times
    });
    times.sort_by(f64::total_cmp);
    times
}

fn text(times: &[f64]) -> String {
    let at = |share: usize| times[times.len() * share / 1_000];
    format!("{:.1} µs, p99 {:.1} µs", at(500), at(990))
}

/// New York, with a number of overrides of which a tenth cover the place.
fn policies(overrides: usize) -> Arc<PolicySet> {
    let square = |lng: f64, lat: f64, side: f64| {
        json!({"type": "Polygon", "coordinates":
            [[[lng, lat], [lng + side, lat], [lng + side, lat + side], [lng, lat + side], [lng, lat]]]})
    };
    let document = json!({"city": "nyc", "currency": "USD", "products": [{"id": "standard"}],
        "boundary": square(-74.3, 40.4, 0.7)});
    let policy = Policy::from_json(&document).expect("a policy");
    let set = (0..overrides).map(|number| {
        let west = if number % 10 == 0 { -74.0 } else { -74.2 };
        let one = json!({"kind": "cap", "multiplier": 1.5, "reason": "a figure",
            "polygon": square(west, 40.7, 0.1), "ends_at": "2026-02-26T00:00:00Z"});
        let request = OverrideRequest::read(&one.to_string(), &policy, TICK).expect("an override");
        Arc::new(request.create(Creation { id: &number.to_string(), author: "local", now_ms: TICK }))
    });
    let set = OverrideSet { created: overrides as u64, overrides: set.collect() };
    let policies = PolicySet::of(vec![policy], ResourceLimits::default());
    Arc::new(policies.with_overrides(vec![(CityId::new("nyc").expect("an id"), set)]))
}

async fn publish(maps: &MemoryMaps) {
    let cell = cell_at(PLACE, Resolution::Eight);
    let parent = cell.h3().and_then(|cell| cell.parent(Resolution::Five)).expect("a parent");
    let chunk = ChunkName::new(Cell(parent.into()), 1);
    let city = CityId::new("nyc").expect("an id");
    let published = Published::new(170).expect("in range");
    let rows = encode_chunk(&[Row { product: 0, cell, demand: 9, supply: 2, published }]);
    maps.save_chunk(&city, chunk, &rows).await.expect("memory is available");
    let head = MapHead {
        city,
        version: 1,
        as_of: TICK,
        lanes_reported: 64,
        lanes: 64,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: vec![ProductId::new("standard").expect("an id")],
        chunks: vec![chunk],
    };
    maps.save_head(&head).await.expect("memory is available");
}
