//! Four cities, their maps in stores that can be slow or down, and requests for them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equilibrium_app::history::ports::Past;
use equilibrium_app::laws::ports::BoundStores;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryDays, MemoryHistory, MemoryMaps, MemoryOverrides};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::{Consistency, MapStore};
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::{Cell, cell_at};
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::overrides::Override;
use equilibrium_domain::policy::{Policy, Published};
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, encode_chunk};
use equilibrium_http::{Header, Request, Response};
use equilibrium_price::{EventSource, RenderedMaps};
use flate2::read::GzDecoder;
use futures_util::future::join_all;
use h3o::Resolution;
use serde_json::{Value, json};
use tokio::time::Instant;

/// 2026-02-25T06:13:20Z, a tick.
pub const TICK: i64 = 1_772_000_000_000;

/// The pickup point of most rides, in latitude and longitude.
pub const MANHATTAN: (f64, f64) = (40.7128, -74.006);

pub struct Fixture {
    pub store: Source,
    pub cache: Source,
    pub maps: MapReader<Source, Source, Sleep>,
    pub rendered: RenderedMaps,
    pub past: Past<MemoryCheckpoints, MemoryHistory, BoundStores<MemoryOverrides, MemoryDays>>,
    pub source: EventSource,
    pub policies: Arc<PolicySet>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::of(&policies())
    }

    pub fn of(policies: &[Value]) -> Self {
        let (store, cache) = (Source::default(), Source::default());
        let policies = policies.iter().map(|policy| Policy::from_json(policy).unwrap()).collect();
        let policies = Arc::new(PolicySet::of(policies, ResourceLimits::default()));
        let maps = MapReader::new(store.clone(), cache.clone(), Sleep);
        Self {
            maps,
            rendered: RenderedMaps::default(),
            past: Past { logs: MemoryCheckpoints::keeping_past(), ..Past::default() },
            source: EventSource::DEPLOYED,
            store,
            cache,
            policies,
        }
    }

    /// A fixture with version 7 of New York's map in store and cache.
    pub async fn priced() -> Self {
        let fixture = Self::new();
        fixture.publish(&new_york(7, TICK)).await;
        fixture
    }

    /// The same with an override of New York.
    pub fn with_override(mut self, one: Override) -> Self {
        let (city, overrides) = (CityId::new("nyc").unwrap(), vec![Arc::new(one)]);
        let set = OverrideSet { created: 1, overrides };
        let policies = Arc::into_inner(self.policies).unwrap();
        self.policies = Arc::new(policies.with_overrides(vec![(city, set)]));
        self
    }

    pub async fn publish(&self, map: &Map) {
        map.save(&self.store).await;
        map.save(&self.cache).await;
    }

    pub async fn get(&self, url: &str, now: i64) -> Response {
        self.ask("GET", url, &[], now).await
    }

    pub async fn ask(&self, method: &str, url: &str, headers: &[(&str, &str)], now: i64) -> Response {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect();
        let request = Request { method, path, query, headers: &headers, body: b"" };
        let reading = (&self.maps, &self.rendered, &self.source, &self.past);
        equilibrium_price::respond(reading, &request, &self.policies, now).await
    }
}

pub fn body(response: &Response) -> Value {
    let mut text = Vec::new();
    match response.header("content-encoding") {
        Some("gzip") => {
            GzDecoder::new(&*response.body.bytes()).read_to_end(&mut text).map(drop).unwrap();
        }
        _ => text.extend_from_slice(&response.body.bytes()),
    }
    serde_json::from_slice(&text).unwrap()
}

/// The content of a response that must be 200.
pub fn ok_body(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}", body(response));
    body(response)
}

pub fn rectangle(west: f64, south: f64, east: f64, north: f64) -> Value {
    let ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
    json!({"type": "Polygon", "coordinates": [ring]})
}

/// The policy of a city somewhere.
pub fn policy(city: &str) -> Value {
    json!({"city": city, "currency": "USD", "products": [{"id": "standard"}],
        "boundary": rectangle(0.0, 0.0, 1.0, 1.0)})
}

fn policies() -> [Value; 4] {
    let table: Vec<f64> = (0..168).map(|hour| f64::from(100 + hour) / 100.0).collect();
    [
        json!({"city": "nyc", "name": "New York", "timezone": "America/New_York", "currency": "USD",
            "boundary": rectangle(-74.3, 40.45, -73.65, 41.0), "products": [{"id": "standard"}, {"id": "XL"}],
            "limits": {"min_multiplier": 1.2, "max_multiplier": 5.0},
            "zones": [{"id": "jfk", "polygon": rectangle(-73.83, 40.62, -73.745, 40.668), "limits": {"max_multiplier": 1.1}}]}),
        json!({"city": "hoboken", "name": "Hoboken", "currency": "USD", "products": [{"id": "standard"}],
            "boundary": rectangle(-74.05, 40.73, -74.02, 40.76)}),
        json!({"city": "auckland", "name": "Auckland \"Tāmaki\"", "timezone": "Pacific/Auckland", "currency": "NZD",
            "boundary": rectangle(174.5, -37.1, 175.0, -36.6), "products": [{"id": "standard"}], "static": table,
            "limits": {"max_multiplier": 1.5}}),
        json!({"city": "suva", "name": "Suva", "timezone": "Pacific/Fiji", "currency": "FJD", "resolution": 5,
            "boundary": rectangle(177.0, -19.0, 180.0, -16.0), "products": [{"id": "standard"}]}),
    ]
}

pub fn cell(lat: f64, lng: f64, resolution: u8) -> Cell {
    cell_at(Position { lat, lng }, Resolution::try_from(resolution).unwrap())
}

pub fn row(product: u8, cell: Cell, demand: u32, supply: u32, hundredths: u16) -> Row {
    Row { product, cell, demand, supply, published: Published::new(hundredths).unwrap() }
}

pub struct Map {
    pub head: MapHead,
    pub chunks: BTreeMap<u64, Vec<Row>>,
}

impl Map {
    pub fn new(city: &str, version: u64, as_of: i64, resolution: u8, rows: &[Row]) -> Self {
        let mut chunks: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let level = Resolution::try_from(resolution - 3).unwrap();
            chunks.entry(row.cell.h3().unwrap().parent(level).unwrap().into()).or_default().push(*row);
        }
        let head = MapHead {
            city: CityId::new(city).unwrap(),
            version,
            as_of,
            lanes_reported: 3,
            lanes: 4,
            began_ms: 7,
            feed: Feed::Ok,
            resolution,
            products: ["standard", "XL"].iter().map(|id| ProductId::new(id).unwrap()).collect(),
            chunks: chunks.keys().map(|parent| ChunkName::new(Cell(*parent), version)).collect(),
        };
        Self { head, chunks }
    }

    pub async fn save(&self, source: &Source) {
        for (parent, rows) in &self.chunks {
            let bytes = encode_chunk(rows);
            source
                .0
                .maps
                .save_chunk(&self.head.city, ChunkName::new(Cell(*parent), self.head.version), &bytes)
                .await
                .unwrap();
        }
        source.0.maps.save_head(&self.head).await.unwrap();
    }
}

/// Two products in Manhattan, and one of them also in the Bronx, in another chunk.
pub fn new_york(version: u64, as_of: i64) -> Map {
    let (manhattan, bronx) = (cell(MANHATTAN.0, MANHATTAN.1, 8), cell(40.9, -73.86, 8));
    let rows = [
        row(1, manhattan, 2, 1, 120),
        row(0, manhattan, 12, 3, 137 + u16::try_from(version).unwrap() - 7),
        row(0, bronx, 0, 5, 120),
    ];
    Map::new("nyc", version, as_of, 8, &rows)
}

/// A map store that can be slow or down, and counts the reads.
#[derive(Clone, Debug, Default)]
pub struct Source(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    maps: MemoryMaps,
    down: AtomicBool,
    delay_ms: AtomicU64,
    heads: AtomicUsize,
    chunks: AtomicUsize,
    requests: Mutex<Vec<Instant>>,
    /// Whether eventually consistent reads find no chunk.
    lags: AtomicBool,
}

impl Source {
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Relaxed);
    }

    pub fn set_delay(&self, delay_ms: u64) {
        self.0.delay_ms.store(delay_ms, Relaxed);
    }

    /// Heads and chunks read.
    pub fn reads(&self) -> (usize, usize) {
        (self.0.heads.load(Relaxed), self.0.chunks.load(Relaxed))
    }

    /// Reads, of however many heads or chunks each.
    pub fn requests(&self) -> usize {
        self.0.requests.lock().unwrap().len()
    }

    /// The most reads in a second.
    pub fn most_in_a_second(&self) -> usize {
        let requests = self.0.requests.lock().unwrap();
        let in_second = |from: &Instant| {
            let until = *from + Duration::from_secs(1);
            requests.iter().filter(|at| (*from..until).contains(at)).count()
        };
        requests.iter().map(in_second).max().unwrap_or(0)
    }

    pub fn set_lagging(&self, lags: bool) {
        self.0.lags.store(lags, Relaxed);
    }

    pub fn maps(&self) -> &MemoryMaps {
        &self.0.maps
    }

    async fn answer(&self) -> Result<(), Unavailable> {
        let delay_ms = self.0.delay_ms.load(Relaxed);
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        if self.0.down.load(Relaxed) { Err(Unavailable) } else { Ok(()) }
    }
}

impl MapStore for Source {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.answer().await?;
        self.0.maps.save_chunk(city, name, chunk).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.answer().await?;
        self.0.maps.save_head(head).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.0.heads.fetch_add(1, Relaxed);
        self.answer().await?;
        self.0.maps.head(city).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.0.chunks.fetch_add(1, Relaxed);
        self.answer().await?;
        self.0.maps.chunk(city, name).await
    }

    async fn save_frozen(&self, city: &CityId, start_ms: i64, map: &FrozenMap) -> Result<(), Unavailable> {
        self.0.maps.save_frozen(city, start_ms, map).await
    }

    async fn frozen(&self, city: &CityId, start_ms: i64) -> Result<Option<FrozenMap>, Unavailable> {
        self.answer().await?;
        self.0.maps.frozen(city, start_ms).await
    }

    async fn heads(&self, cities: &[CityId]) -> Result<Vec<Option<MapHead>>, Unavailable> {
        self.0.requests.lock().unwrap().push(Instant::now());
        join_all(cities.iter().map(|city| self.head(city))).await.into_iter().collect()
    }

    async fn chunks(
        &self,
        names: &[(CityId, ChunkName)],
        consistency: Consistency,
    ) -> Result<Vec<Option<Vec<u8>>>, Unavailable> {
        self.0.requests.lock().unwrap().push(Instant::now());
        if self.0.lags.load(Relaxed) && consistency == Consistency::Eventual {
            return Ok(vec![None; names.len()]);
        }
        join_all(names.iter().map(|(city, name)| self.chunk(city, *name))).await.into_iter().collect()
    }
}

/// Tokio's time, which tests pause.
#[derive(Debug)]
pub struct Sleep;

impl Timer for Sleep {
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
