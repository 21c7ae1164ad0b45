//! Bodies of `POST /v1/events`, through the handler and into a log in memory.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::ingest::ports::Timer;
use equilibrium_app::memory::{MemoryWatermarkBoard, Recorder};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_domain::event::{self, Event, Lines, is_blank};
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_domain::wire;
use equilibrium_http::Request;
use equilibrium_ingest::{IngestMetrics, respond};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::select;

/// 2026-03-06T17:00:10Z, after the times of the seeds.
const NOW_MS: i64 = 1_772_816_410_000;

static POLICIES: LazyLock<Arc<PolicySet>> = LazyLock::new(|| {
    let square = "[[[-74.3,40.4],[-73.6,40.4],[-73.6,41],[-74.3,41],[-74.3,40.4]]]";
    let policy = format!(
        r#"{{"city":"nyc","currency":"USD","boundary":{{"type":"Polygon","coordinates":{square}}},
        "products":[{{"id":"standard"}},{{"id":"xl"}}]}}"#
    );
    let policies = Policy::list_from_json(&policy).expect("a valid policy");
    Arc::new(PolicySet::of(policies, ResourceLimits::default()))
});

/// A clock that does not advance: what is waited for is due at once.
struct StoppedClock;

impl Timer for StoppedClock {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }

    async fn wait_until(&self, _: i64) {}
}

/// Every event of a body is counted once, as accepted or refused, and each accepted one is in the log in its canonical
/// form.
pub fn target(input: &[u8]) {
    let (selected, body) = select(input);
    match selected % 4 {
        0 => {
            let accepted = ingest("application/x-ndjson", "", body);
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).count();
            assert_eq!(accepted.map(total), Some(lines as u64));
        }
        1 => {
            let accepted = ingest("application/json", "", body);
            let elements: Option<Vec<&RawValue>> = serde_json::from_slice(body).ok();
            assert_eq!(accepted.map(total), elements.map(|elements| elements.len() as u64));
        }
        2 => drop(ingest("application/x-ndjson", "gzip", body)),
        _ => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(body).expect("a vector accepts every write");
            let compressed = gzip.finish().expect("a vector accepts every write");
            let plain = ingest("application/x-ndjson", "", body);
            assert_eq!(ingest("application/x-ndjson", "gzip", &compressed), plain);
        }
    }
}

fn total(metrics: IngestMetrics) -> u64 {
    metrics.accepted + metrics.refused.iter().sum::<u64>()
}

/// Sends a body to a new instance; `None` if it is refused as a whole.
fn ingest(media_type: &str, coding: &str, body: &[u8]) -> Option<IngestMetrics> {
    let log = Recorder::default();
    let (key, board) = (PseudonymKey::new(*b"the key of tests"), MemoryWatermarkBoard::default());
    let ingester = Ingester::new(log.clone(), LaneCount::ONE, key, board, StoppedClock, Pace::ALONE);
    let headers = [("content-type".into(), media_type.into()), ("content-encoding".into(), coding.into())];
    let request = Request { method: "POST", path: "/v1/events", query: "", headers: &headers, body };
    let mut answer = Box::pin(respond(&ingester, &request, &*POLICIES, NOW_MS));
    // It is pending only to let other tasks go on.
    let (response, metrics) = loop {
        if let Some(answer) = (&mut answer).now_or_never() {
            break answer;
        }
    };
    serde_json::from_slice::<Value>(&response.body.bytes()).expect("the response is JSON");
    let mut events = 0;
    for (_, record) in log.take() {
        if wire::is_frame(&record) {
            continue;
        }
        for line in Lines::new(&record).filter(|line| !is_blank(line)) {
            assert!(matches!(event::read(line), Ok(Event::Market(_))), "{}", line.escape_ascii());
            events += 1;
        }
    }
    assert_eq!(events, metrics.accepted - metrics.unknown);
    match response.status {
        202 => Some(metrics),
        400 | 413 => None,
        status => panic!("answered with {status}"),
    }
}
