//! One instance of `ingest`, the log behind it, and requests to it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use equilibrium_app::book::{Bounds, PolicyBook};
use equilibrium_app::ingesting::Ingester;
use equilibrium_app::ports::{EventLog, Unavailable};
use equilibrium_domain::id::{Lane, LaneCount};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::time::Timestamp;
use equilibrium_ingest::{Tally, handle};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// 2026-03-06T17:00:10Z, when the samples are received.
pub const NOW: i64 = 1_772_816_410_000;

/// Lanes of the log.
pub const LANES: u32 = 4;

/// A log in memory that takes a while; it panics if a lane is put to while it is.
#[derive(Clone, Debug, Default)]
pub struct SlowLog(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
pub struct Held {
    /// Every record taken, in order.
    pub records: Vec<(Lane, Vec<u8>)>,
    /// The lane that fails, and how many records it takes before.
    pub fails: Option<(Lane, usize)>,
    /// Most lanes that were put to at once.
    pub most_at_once: usize,
    in_flight: HashSet<Lane>,
}

impl SlowLog {
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    /// Lets go of the lanes that an abandoned request was putting to.
    pub fn free(&self) {
        self.held().in_flight.clear();
    }

    /// Each lane's records.
    pub fn lanes(&self) -> BTreeMap<Lane, Vec<Vec<u8>>> {
        let mut lanes: BTreeMap<Lane, Vec<Vec<u8>>> = BTreeMap::new();
        for (lane, record) in &self.held().records {
            lanes.entry(*lane).or_default().push(record.clone());
        }
        lanes
    }
}

impl EventLog for SlowLog {
    async fn put(&self, lane: Lane, record: Vec<u8>) -> Result<(), Unavailable> {
        {
            let mut held = self.held();
            assert!(held.in_flight.insert(lane), "lane {lane} is being put to already");
            held.most_at_once = held.most_at_once.max(held.in_flight.len());
        }
        // The higher the lane the faster, so that lanes overtake each other.
        for _ in lane.0..8 {
            tokio::task::yield_now().await;
        }
        let mut held = self.held();
        held.in_flight.remove(&lane);
        let before = held.records.iter().filter(|(taken, _)| *taken == lane).count();
        if held.fails == Some((lane, before)) {
            return Err(Unavailable);
        }
        held.records.push((lane, record));
        Ok(())
    }
}

/// An instance and its log.
pub struct World {
    pub log: SlowLog,
    pub ingester: Ingester<SlowLog>,
    pub book: Arc<PolicyBook>,
}

impl World {
    pub fn new() -> Self {
        let square = "[[[-74.3,40.4],[-73.6,40.4],[-73.6,41],[-74.3,41],[-74.3,40.4]]]";
        let policies = ["nyc", "suva"].map(|city| {
            format!(
                r#"{{"city":"{city}","currency":"USD","boundary":{{"type":"Polygon","coordinates":{square}}},
                "products":[{{"id":"standard"}},{{"id":"xl"}}]}}"#
            )
        });
        let policies = Policy::list_from_json(&format!("[{}]", policies.join(","))).unwrap();
        let log = SlowLog::default();
        let ingester = Ingester::new(log.clone(), lanes());
        Self { log, ingester, book: Arc::new(PolicyBook::of(policies, Bounds::default())) }
    }

    pub async fn send(&self, request: &ApiGatewayV2httpRequest) -> Reply {
        let (response, tally) = handle(&self.ingester, request, &self.book, NOW).await;
        Reply { response, tally }
    }

    pub async fn send_lines(&self, lines: &[String]) -> Reply {
        self.send(&post("application/x-ndjson", &lines.join("\n"))).await
    }
}

/// What came back.
pub struct Reply {
    pub response: ApiGatewayV2httpResponse,
    pub tally: Tally,
}

impl Reply {
    pub fn status(&self) -> i64 {
        self.response.status_code
    }

    pub fn header(&self, name: &str) -> &str {
        self.response.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(self.response.body.as_deref().unwrap()).unwrap()
    }

    /// The index and code of each refusal.
    pub fn refused(&self) -> Vec<(u64, String)> {
        let json = self.json();
        let refused = json["refused"].as_array().unwrap().iter();
        refused.map(|one| (one["index"].as_u64().unwrap(), one["code"].as_str().unwrap().into())).collect()
    }
}

pub fn lanes() -> LaneCount {
    LaneCount::new(LANES).unwrap()
}

/// The lane of a driver.
pub fn lane_of(driver: &str) -> Lane {
    lanes().lane_of(driver.as_bytes())
}

/// A payload of `events/http`.
pub fn sample(name: &str) -> ApiGatewayV2httpRequest {
    let path = format!("{}/../../events/http/post-events-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The sample of lines with another body.
pub fn post(content_type: &str, body: &str) -> ApiGatewayV2httpRequest {
    let mut request = sample("ndjson");
    request.headers.insert("content-type", content_type.parse().unwrap());
    request.body = Some(body.into());
    request
}

/// The same request with its body packed.
pub fn packed(mut request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpRequest {
    let bytes = gzip(request.body.take().unwrap().as_bytes());
    request.headers.insert("content-encoding", "gzip".parse().unwrap());
    with_bytes(request, &bytes)
}

/// The same request with a body that is no text.
pub fn with_bytes(mut request: ApiGatewayV2httpRequest, bytes: &[u8]) -> ApiGatewayV2httpRequest {
    request.body = Some(base64_simd::STANDARD.encode_to_string(bytes));
    request.is_base64_encoded = true;
    request
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A driver of New York at `ms` since the epoch.
pub fn ping(driver: &str, ms: i64) -> String {
    let time = Timestamp::from_ms(ms).unwrap();
    format!(
        r#"{{"type":"driver_location","id":"e","time":"{time}","city":"nyc","driver_id":"{driver}","lat":40.75,"lng":-73.97,"status":"available"}}"#
    )
}

/// `line` with as much of an unknown field as it takes to make it `length` bytes long.
pub fn padded(line: &str, length: usize) -> String {
    let pad = "x".repeat(length - line.len() - r#""pad":"","#.len());
    line.replacen('{', &format!(r#"{{"pad":"{pad}","#), 1)
}
