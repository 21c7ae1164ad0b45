//! A city with a policy and a map, and requests for them.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use equilibrium_app::laws::ports::BoundStores;
use equilibrium_app::memory::{MemoryDays, MemoryMaps, MemoryOverrides, MemoryPolicies, NoOp};
use equilibrium_app::policy::ports::LOCAL_AUTHOR;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore, ReplaceError, SavedVersion, StoredPolicy};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use equilibrium_http::{Header, Request, Response};
use equilibrium_openapi::conformance::assert_conforms;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tokio::time::Sleep;

/// 2026-02-25T06:13:20Z, a tick.
pub const TICK: i64 = 1_772_000_000_000;

pub const POLICY: &str = "/v1/cities/nyc/policy";

pub const JSON: (&str, &str) = ("content-type", "application/json");

pub type Maps = MapReader<MemoryMaps, NoOp, fn(Duration) -> Sleep>;

pub struct Fixture {
    pub store: Store,
    pub maps: Maps,
    pub map_store: MemoryMaps,
    pub bounds: BoundStores<MemoryOverrides, MemoryDays>,
}

impl Fixture {
    /// A deployment with version 1 of New York's policy.
    pub fn new() -> Self {
        Self::of(&[policy()])
    }

    pub fn of(policies: &[Value]) -> Self {
        let policies: Vec<Policy> =
            policies.iter().map(|policy| Policy::from_json(policy).unwrap()).collect();
        let store = Store { policies: MemoryPolicies::of(&policies), ..Store::default() };
        let map_store = MemoryMaps::default();
        let maps = MapReader::new(map_store.clone(), NoOp, tokio::time::sleep as _);
        Self { store, maps, map_store, bounds: BoundStores::default() }
    }

    pub async fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        now_ms: i64,
    ) -> Response {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect();
        let request = Request { method, path, query, headers: &headers, body };
        let stores = (&self.store, &self.bounds, &self.maps);
        let response = equilibrium_policy::respond(stores, (&request, LOCAL_AUTHOR), now_ms).await;
        assert_conforms(&request, &response);
        response
    }

    pub async fn get(&self, url: &str) -> Response {
        self.ask("GET", url, &[], b"", TICK).await
    }

    /// Puts a policy of New York in place of the version with this entity tag.
    pub async fn put(&self, policy: &Value, if_match: &str) -> Response {
        let headers = [JSON, ("if-match", if_match)];
        self.ask("PUT", POLICY, &headers, policy.to_string().as_bytes(), TICK).await
    }

    /// What a policy would change.
    pub async fn try_out(&self, policy: &Value) -> Value {
        let url = format!("{POLICY}?dry_run=true");
        let response = self.ask("PUT", &url, &[JSON], policy.to_string().as_bytes(), TICK).await;
        assert_eq!(response.status, 200, "{}", body(&response));
        body(&response)
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

/// Status and code of a problem.
pub fn problem(response: &Response) -> (u16, String) {
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    (response.status, body(response)["code"].as_str().unwrap().to_owned())
}

/// The pointers of a problem's errors.
pub fn pointers(response: &Response) -> Vec<String> {
    let body = body(response);
    let errors = body["errors"].as_array().unwrap();
    assert!(errors.iter().all(|error| error["message"].is_string()));
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

pub fn rectangle(west: f64, south: f64, east: f64, north: f64) -> Value {
    let ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
    json!({"type": "Polygon", "coordinates": [ring]})
}

pub fn policy() -> Value {
    json!({
        "city": "nyc", "name": "New York", "currency": "USD", "boundary": rectangle(-74.3, 40.45, -73.65, 41.0),
        "products": [{"id": "standard"}, {"id": "XL"}],
    })
}

/// The policy with `value` in place of a member.
pub fn with(mut policy: Value, member: &str, value: Value) -> Value {
    policy[member] = value;
    policy
}

/// A policy store that can be down, and that another client can save to just before a save.
#[derive(Clone, Default)]
pub struct Store {
    pub policies: MemoryPolicies,
    down: Arc<AtomicBool>,
    has_rival: Arc<AtomicBool>,
}

impl Store {
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Relaxed);
    }

    pub fn set_rival(&self) {
        self.has_rival.store(true, Relaxed);
    }

    fn answer(&self) -> Result<(), Unavailable> {
        if self.down.load(Relaxed) { Err(Unavailable) } else { Ok(()) }
    }
}

impl PolicyStore for Store {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        self.answer()?;
        self.policies.versions().await
    }

    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        self.answer()?;
        self.policies.read(cities).await
    }

    async fn save(
        &self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> Result<u64, ReplaceError> {
        self.answer()?;
        if self.has_rival.load(Relaxed) {
            let rival = policy().to_string();
            self.policies.save(city, NewVersion::local(&rival), after).await?;
        }
        self.policies.save(city, new, after).await
    }

    async fn saved_versions(
        &self,
        city: &CityId,
        below: Option<u64>,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<SavedVersion>, Unavailable> {
        self.answer()?;
        self.policies.saved_versions(city, below, limit, now_ms).await
    }

    async fn version(
        &self,
        city: &CityId,
        version: u64,
        now_ms: i64,
    ) -> Result<Option<StoredPolicy>, Unavailable> {
        self.answer()?;
        self.policies.version(city, version, now_ms).await
    }
}
