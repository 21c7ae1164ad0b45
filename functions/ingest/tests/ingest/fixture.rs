//! One instance of `ingest` with its log, and requests to it.

use equilibrium_admission::Open;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::sync::Arc;

use equilibrium_app::contract;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::ingest::ports::{EventLog, Timer};
use equilibrium_app::memory::MemoryWatermarkBoard;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Header, Request};
use equilibrium_ingest::{IngestMetrics, handle_event, respond};
use equilibrium_openapi::conformance::assert_conforms;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// 2026-03-06T17:00:10Z, when the samples arrive.
pub const NOW: i64 = 1_772_816_410_000;

/// Lanes of the log.
pub const LANES: u32 = 4;

/// A log in memory whose puts take a while; it panics if two puts to a lane overlap.
#[derive(Clone, Debug, Default)]
pub struct SlowLog(Arc<Mutex<LogState>>);

#[derive(Debug, Default)]
pub struct LogState {
    /// Every record, in order.
    pub records: Vec<(LaneId, Vec<u8>)>,
    /// The lane that fails, and how many records it accepts before.
    pub fails: Option<(LaneId, usize)>,
    /// The greatest number of lanes with a put in flight.
    pub most_at_once: usize,
    in_flight: HashSet<LaneId>,
}

impl SlowLog {
    pub fn state(&self) -> MutexGuard<'_, LogState> {
        self.0.lock()
    }

    /// Releases the lanes of the puts of an abandoned request.
    pub fn release_lanes(&self) {
        self.state().in_flight.clear();
    }

    /// Each lane's records.
    pub fn lanes(&self) -> BTreeMap<LaneId, Vec<Vec<u8>>> {
        let mut lanes: BTreeMap<LaneId, Vec<Vec<u8>>> = BTreeMap::new();
        for (lane, record) in &self.state().records {
            lanes.entry(*lane).or_default().push(record.clone());
        }
        lanes
    }
}

impl EventLog for SlowLog {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        {
            let mut state = self.state();
            assert!(state.in_flight.insert(lane), "two puts to lane {lane} overlap");
            state.most_at_once = state.most_at_once.max(state.in_flight.len());
        }
        // Higher lanes are faster, so that lanes overtake each other.
        for _ in lane.0..contract::STREAM_PARTS {
            tokio::task::yield_now().await;
        }
        let mut state = self.state();
        state.in_flight.remove(&lane);
        let before = state.records.iter().filter(|(of, _)| *of == lane).count();
        if state.fails == Some((lane, before)) {
            return Err(Unavailable);
        }
        state.records.push((lane, record));
        Ok(())
    }
}

/// A clock that goes forward only while it is waited for, or when a test sets it.
#[derive(Clone, Debug)]
pub struct ManualTimer(Arc<Mutex<i64>>);

impl ManualTimer {
    pub fn advance(&self, ms: i64) {
        *self.0.lock() += ms;
    }
}

impl Timer for ManualTimer {
    fn now_ms(&self) -> i64 {
        *self.0.lock()
    }

    async fn wait_until(&self, at_ms: i64) {
        let mut now_ms = self.0.lock();
        *now_ms = at_ms.max(*now_ms);
    }
}

/// An instance and its log.
pub struct Fixture {
    pub log: SlowLog,
    pub timer: ManualTimer,
    pub ingester: Ingester<SlowLog, MemoryWatermarkBoard, ManualTimer>,
    pub policies: Arc<PolicySet>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with_products(&["standard", "xl"].map(str::to_owned))
    }

    pub fn with_products(products: &[String]) -> Self {
        let products: Vec<Value> = products.iter().map(|id| json!({"id": id})).collect();
        let products = Value::from(products);
        let square = "[[[-74.3,40.4],[-73.6,40.4],[-73.6,41],[-74.3,41],[-74.3,40.4]]]";
        let policies = ["nyc", "suva"].map(|city| {
            format!(
                r#"{{"city":"{city}","currency":"USD","boundary":{{"type":"Polygon","coordinates":{square}}},
                "products":{products}}}"#
            )
        });
        let policies = Policy::list_from_json(&format!("[{}]", policies.join(","))).unwrap();
        let log = SlowLog::default();
        let timer = ManualTimer(Arc::new(Mutex::new(NOW)));
        let board = MemoryWatermarkBoard::default();
        let ingester = Ingester::new(log.clone(), lanes(), key(), board, timer.clone(), Pace::FLEET);
        let policies = Arc::new(PolicySet::of(policies, ResourceLimits::default()));
        Self { log, timer, ingester, policies }
    }

    /// A fixture whose city has begun: every lane has its first tick, and no watermark is due.
    pub async fn begun() -> Self {
        let fixture = Self::new();
        assert_eq!(fixture.send_lines(&[ping("first", NOW)]).await.status, 202);
        let mut state = fixture.log.state();
        state.records.clear();
        state.most_at_once = 0;
        drop(state);
        fixture
    }

    /// Invokes the function with a payload.
    pub async fn send(&self, call: &Call) -> Reply {
        let (answer, metrics) =
            handle_event(&Open, &self.ingester, &call.payload(), &self.policies, NOW).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["isBase64Encoded"], false);
        let headers = answer["headers"].as_object().unwrap().iter();
        Reply {
            status: answer["statusCode"].as_u64().unwrap(),
            headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect(),
            body: answer["body"].as_str().unwrap().into(),
            metrics,
        }
    }

    /// Passes a request to the function without a payload.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let headers: Vec<Header> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let request = Request { method, path, query: "", headers: &headers, body };
        let (response, metrics) = respond(&self.ingester, &request, &self.policies, NOW).await;
        assert_conforms(&request, &response);
        let headers = response.headers.clone().into_iter();
        Reply {
            status: response.status.into(),
            headers: headers.map(|(name, value)| (name.into(), value.into())).collect(),
            body: String::from_utf8(response.body.bytes().into_owned()).unwrap(),
            metrics,
        }
    }

    pub async fn send_lines(&self, lines: &[String]) -> Reply {
        self.send(&post("application/x-ndjson", &lines.join("\n"))).await
    }
}

/// The function's response and metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u64,
    headers: BTreeMap<String, String>,
    pub body: String,
    pub metrics: IngestMetrics,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
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

pub fn key() -> PseudonymKey {
    PseudonymKey::new(*b"a key for a test")
}

/// What the log has in place of the id of a person.
pub fn pseudonym(id: &str) -> String {
    String::from_utf8(key().pseudonym(id.as_bytes()).as_bytes().to_vec()).unwrap()
}

/// The lane of a driver, whatever id the client sent.
pub fn lane_of(driver: &str) -> LaneId {
    lanes().lane_of(pseudonym(driver).as_bytes())
}

/// A payload of API Gateway.
#[derive(Clone, Debug)]
pub struct Call(Value);

impl Call {
    pub fn payload(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    /// The body as the payload has it.
    pub fn text(&self) -> &str {
        self.0["body"].as_str().unwrap()
    }

    pub fn with_path(mut self, path: &str) -> Self {
        self.0["rawPath"] = path.into();
        self
    }

    pub fn with_method(mut self, method: &str) -> Self {
        self.0["requestContext"]["http"]["method"] = method.into();
        self
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = value.into();
        self
    }

    pub fn without_header(mut self, name: &str) -> Self {
        self.0["headers"].as_object_mut().unwrap().remove(name);
        self
    }

    pub fn with_text(mut self, text: &str) -> Self {
        self.0["body"] = text.into();
        self
    }

    /// With a body in Base64.
    pub fn with_bytes(self, bytes: &[u8]) -> Self {
        self.with_text(&base64_simd::STANDARD.encode_to_string(bytes)).marked_base64()
    }

    pub fn marked_base64(mut self) -> Self {
        self.0["isBase64Encoded"] = json!(true);
        self
    }

    pub fn without_body(mut self) -> Self {
        self.0["body"] = Value::Null;
        self
    }

    /// With its body compressed.
    pub fn gzipped(self) -> Self {
        let bytes = gzip(self.text().as_bytes());
        self.with_header("content-encoding", "gzip").with_bytes(&bytes)
    }
}

/// A sample of `events/http`.
pub fn sample(name: &str) -> Call {
    let path = format!("{}/../../events/http/{name}.json", env!("CARGO_MANIFEST_DIR"));
    Call(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

/// The sample of lines with another body.
pub fn post(content_type: &str, body: &str) -> Call {
    sample("post-events-ndjson").with_header("content-type", content_type).with_text(body)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An event of a driver in New York at `ms` since the epoch.
pub fn ping(driver: &str, ms: i64) -> String {
    let time = Timestamp::from_ms(ms).unwrap();
    format!(
        r#"{{"type":"driver_location","id":"e","time":"{time}","city":"nyc","driver_id":"{driver}","lat":40.75,"lng":-73.97,"status":"available"}}"#
    )
}

/// The event with the canonical form `line`, but for its driver's pseudonym, as the log has it.
pub fn logged_ping(line: &str, driver: &str) -> String {
    line.replace(&format!("\"driver_id\":\"{driver}\""), &format!("\"driver_id\":\"{}\"", pseudonym(driver)))
}

/// `line` with an unknown field that makes it `length` bytes long.
pub fn padded(line: &str, length: usize) -> String {
    let pad = "x".repeat(length - line.len() - r#""pad":"","#.len());
    line.replacen('{', &format!(r#"{{"pad":"{pad}","#), 1)
}
