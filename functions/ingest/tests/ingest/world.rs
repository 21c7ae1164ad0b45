//! One instance of `ingest`, the log behind it, and requests to it.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::sync::Arc;

use equilibrium_app::contract;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Header, Request};
use equilibrium_ingest::{IngestMetrics, handle_event, respond};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

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
    pub records: Vec<(LaneId, Vec<u8>)>,
    /// The lane that fails, and how many records it takes before.
    pub fails: Option<(LaneId, usize)>,
    /// Most lanes that were put to at once.
    pub most_at_once: usize,
    in_flight: HashSet<LaneId>,
}

impl SlowLog {
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock()
    }

    /// Lets go of the lanes that an abandoned request was putting to.
    pub fn free(&self) {
        self.held().in_flight.clear();
    }

    /// Each lane's records.
    pub fn lanes(&self) -> BTreeMap<LaneId, Vec<Vec<u8>>> {
        let mut lanes: BTreeMap<LaneId, Vec<Vec<u8>>> = BTreeMap::new();
        for (lane, record) in &self.held().records {
            lanes.entry(*lane).or_default().push(record.clone());
        }
        lanes
    }
}

impl EventLog for SlowLog {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        {
            let mut held = self.held();
            assert!(held.in_flight.insert(lane), "lane {lane} is being put to already");
            held.most_at_once = held.most_at_once.max(held.in_flight.len());
        }
        // The higher the lane the faster, so that lanes overtake each other.
        for _ in lane.0..contract::STREAM_PARTS {
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
    pub book: Arc<PolicySet>,
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
        Self { log, ingester, book: Arc::new(PolicySet::of(policies, ResourceLimits::default())) }
    }

    /// A world whose city has begun: every lane knows its first tick, and none is due.
    pub async fn begun() -> Self {
        let world = Self::new();
        assert_eq!(world.send_lines(&[ping("first", NOW)]).await.status, 202);
        let mut held = world.log.held();
        held.records.clear();
        held.most_at_once = 0;
        drop(held);
        world
    }

    /// Has the function handle a payload.
    pub async fn send(&self, call: &Call) -> Reply {
        let (answer, tally) = handle_event(&self.ingester, &call.payload(), &self.book, NOW).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["isBase64Encoded"], false);
        let headers = answer["headers"].as_object().unwrap().iter();
        Reply {
            status: answer["statusCode"].as_u64().unwrap(),
            headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect(),
            body: answer["body"].as_str().unwrap().into(),
            tally,
        }
    }

    /// Has the function answer a request without the envelope.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let headers: Vec<Header> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let request = Request { method, path, query: "", headers: &headers, body };
        let (response, tally) = respond(&self.ingester, &request, &self.book, NOW).await;
        let headers = response.headers.into_iter();
        Reply {
            status: response.status.into(),
            headers: headers.map(|(name, value)| (name.into(), value.into())).collect(),
            body: String::from_utf8(response.body).unwrap(),
            tally,
        }
    }

    pub async fn send_lines(&self, lines: &[String]) -> Reply {
        self.send(&post("application/x-ndjson", &lines.join("\n"))).await
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u64,
    headers: BTreeMap<String, String>,
    pub body: String,
    pub tally: IngestMetrics,
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

/// The lane of a driver.
pub fn lane_of(driver: &str) -> LaneId {
    lanes().lane_of(driver.as_bytes())
}

/// A payload to be.
#[derive(Clone, Debug)]
pub struct Call(Value);

impl Call {
    pub fn payload(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    /// The body's text, as it stands in the payload.
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

    /// With a body that may be no text.
    pub fn with_bytes(self, bytes: &[u8]) -> Self {
        self.with_text(&base64_simd::STANDARD.encode_to_string(bytes)).said_to_be_base64()
    }

    pub fn said_to_be_base64(mut self) -> Self {
        self.0["isBase64Encoded"] = json!(true);
        self
    }

    pub fn without_body(mut self) -> Self {
        self.0["body"] = Value::Null;
        self
    }

    /// With its text packed.
    pub fn packed(self) -> Self {
        let bytes = gzip(self.text().as_bytes());
        self.with_header("content-encoding", "gzip").with_bytes(&bytes)
    }
}

/// A payload of `events/http`.
pub fn sample(name: &str) -> Call {
    let path = format!("{}/../../events/http/post-events-{name}.json", env!("CARGO_MANIFEST_DIR"));
    Call(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

/// The sample of lines with another body.
pub fn post(content_type: &str, body: &str) -> Call {
    sample("ndjson").with_header("content-type", content_type).with_text(body)
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
