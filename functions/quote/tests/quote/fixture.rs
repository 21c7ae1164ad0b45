//! Cities with a map, the stores of quotes, and requests for them.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::memory::{MemoryMaps, MemoryQuotes, NoOp, Recorder};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::quote::issue::Trust;
use equilibrium_app::quote::keys::{QuoteKey, QuoteKeys};
use equilibrium_app::quote::service::QuoteService;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::{Cell, cell_at};
use equilibrium_domain::id::{CityId, LaneCount, LaneId, ProductId};
use equilibrium_domain::policy::overrides::{Creation, OverrideRequest};
use equilibrium_domain::policy::{Policy, Published};
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, encode_chunk};
use equilibrium_http::{Header, Request, Response};
use equilibrium_openapi::conformance::assert_conforms;
use equilibrium_quote::Quoting;
use h3o::Resolution;
use serde_json::{Value, json};
use tokio::time::Sleep;

/// 2026-02-25T06:13:20Z, a tick.
pub const TICK: i64 = 1_772_000_000_000;

pub const PICKUP: (f64, f64) = (40.7128, -74.006);

/// The event log, which can be down.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub records: Recorder<(LaneId, Vec<u8>)>,
    is_down: Arc<AtomicBool>,
}

impl Log {
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Relaxed);
    }

    /// The events logged since the last call.
    pub fn take(&self) -> Vec<Value> {
        let records = self.records.take().into_iter();
        records.map(|(_, record)| serde_json::from_slice(&record).unwrap()).collect()
    }
}

impl EventLog for Log {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        if self.is_down.load(Relaxed) { Err(Unavailable) } else { self.records.put(lane, record).await }
    }
}

pub struct Fixture {
    pub service: QuoteService<MemoryQuotes, QuoteKeys, Log>,
    pub store: MemoryQuotes,
    pub log: Log,
    pub maps: MapReader<MemoryMaps, NoOp, fn(Duration) -> Sleep>,
    pub map_store: MemoryMaps,
    pub policies: Arc<PolicySet>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::of(&cities())
    }

    pub fn of(policies: &[Value]) -> Self {
        let policies = policies.iter().map(|policy| Policy::from_json(policy).unwrap()).collect();
        let (map_store, store, log) = (MemoryMaps::default(), MemoryQuotes::default(), Log::default());
        Self {
            service: service(1, &store, &log),
            store,
            log,
            maps: MapReader::new(map_store.clone(), NoOp, tokio::time::sleep as _),
            map_store,
            policies: Arc::new(PolicySet::of(policies, ResourceLimits::default())),
        }
    }

    /// New York as of [`TICK`], with this published multiplier at the pickup.
    pub async fn priced(hundredths: u16) -> Self {
        let fixture = Self::new();
        fixture.publish(hundredths, Feed::Ok).await;
        fixture
    }

    pub async fn publish(&self, hundredths: u16, feed: Feed) {
        let (city, cell) = (CityId::new("nyc").unwrap(), cell(PICKUP));
        let parent = Cell(cell.h3().unwrap().parent(Resolution::Five).unwrap().into());
        let published = Published::new(hundredths).unwrap();
        let chunk = ChunkName::new(parent, 7);
        let rows = encode_chunk(&[Row { product: 0, cell, demand: 12, supply: 3, published }]);
        self.map_store.save_chunk(&city, chunk, &rows).await.unwrap();
        let head = MapHead {
            city,
            version: 7,
            as_of: TICK,
            lanes_reported: 4,
            lanes: 4,
            began_ms: 7,
            feed,
            resolution: 8,
            products: vec![ProductId::new("standard").unwrap()],
            chunks: vec![chunk],
        };
        self.map_store.save_head(&head).await.unwrap();
    }

    /// The same with an override of New York.
    pub fn with_override(mut self, document: &Value) -> Self {
        let policies = Arc::into_inner(self.policies).unwrap();
        let city = policies.city("nyc").unwrap();
        let request = OverrideRequest::read(&document.to_string(), &city.pricing.policy, TICK).unwrap();
        let one = request.create(Creation { id: "1", author: "local", now_ms: TICK });
        let set = OverrideSet { created: 1, overrides: vec![Arc::new(one)] };
        self.policies = Arc::new(policies.with_overrides(vec![(CityId::new("nyc").unwrap(), set)]));
        self
    }

    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        now_ms: i64,
    ) -> Response {
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect();
        let request = Request { method, path, query: "", headers: &headers, body: body.as_bytes() };
        let quoting = Quoting { service: &self.service, maps: &self.maps };
        let asked = (&request, Trust::Untrusted);
        let response = equilibrium_quote::respond(quoting, asked, &self.policies, now_ms).await;
        assert_conforms(&request, &response);
        response
    }

    pub async fn request(&self, body: &Value, now_ms: i64) -> Response {
        self.ask("POST", "/v1/quotes", &[], &body.to_string(), now_ms).await
    }

    /// A quote at [`TICK`].
    pub async fn quote(&self) -> Value {
        let response = self.request(&ride(), TICK).await;
        assert_eq!(response.status, 201, "{}", body(&response));
        body(&response)
    }

    pub async fn read(&self, id: &str, now_ms: i64) -> Response {
        self.ask("GET", &format!("/v1/quotes/{id}"), &[], "", now_ms).await
    }

    pub async fn confirm(&self, id: &str, key: Option<&str>, body: &str, now_ms: i64) -> Response {
        let headers: Vec<(&str, &str)> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        self.ask("POST", &format!("/v1/quotes/{id}/confirm"), &headers, body, now_ms).await
    }
}

/// A service whose key is made of one byte.
pub fn service(key: u8, store: &MemoryQuotes, log: &Log) -> QuoteService<MemoryQuotes, QuoteKeys, Log> {
    let keys = QuoteKeys { current: QuoteKey::new(&[key; 32]).unwrap(), previous: None };
    QuoteService::new(store.clone(), keys, (log.clone(), LaneCount::new(4).unwrap()))
}

pub fn cell((lat, lng): (f64, f64)) -> Cell {
    cell_at(Position { lat, lng }, Resolution::Eight)
}

/// A ride of 5 km and 15 minutes, whose great circle is 2 224 m.
pub fn ride() -> Value {
    json!({"pickup": {"lat": PICKUP.0, "lng": PICKUP.1}, "dropoff": {"lat": PICKUP.0 + 0.02, "lng": PICKUP.1},
        "distance_m": 5_000, "duration_s": 900})
}

pub fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body.bytes()).unwrap()
}

/// Status and code of a problem.
pub fn problem(response: &Response) -> (u16, String) {
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    (response.status, body(response)["code"].as_str().unwrap().to_owned())
}

pub fn rectangle(west: f64, south: f64, east: f64, north: f64) -> Value {
    let ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
    json!({"type": "Polygon", "coordinates": [ring]})
}

/// New York with the fares of CONTRACT §7, and a city whose currency is too coarse for them.
fn cities() -> [Value; 2] {
    [
        json!({"city": "nyc", "currency": "USD", "boundary": rectangle(-74.3, 40.45, -73.65, 41.0),
            "products": [{"id": "standard"}, {"id": "xl", "fare": {"base": "5.00"}}],
            "zones": [{"id": "jfk", "polygon": rectangle(-73.83, 40.62, -73.745, 40.668),
                "fare": {"minimum": "20.00", "booking_fee": "0.00"}}]}),
        json!({"city": "tokyo", "currency": "JPY", "boundary": rectangle(139.0, 35.0, 140.0, 36.0),
            "products": [{"id": "standard"}]}),
    ]
}
