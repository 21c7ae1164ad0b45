//! The `ingest` function: request in, records out. A body of events that count, beside bodies that are meant to be dear.

use std::sync::Arc;
use std::time::Instant;

use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::memory::MemoryWatermarkBoard;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::system_timer::SystemTimer;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_http::Request;
use equilibrium_ingest::{IngestMetrics, MAX_BODY_BYTES, respond};
use equilibrium_simulator::city::{City, Settings, policy};

use crate::{figure, median, run};

const START_MS: i64 = 1_772_816_400_000;
const MINUTES: i64 = 5;
/// Events of a request in the figure of the usual case.
const BODY_EVENTS: usize = 500;

/// A log that discards its records.
struct NoLog;

impl EventLog for NoLog {
    async fn put(&self, _: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        std::hint::black_box(record);
        Ok(())
    }
}

struct Function {
    ingester: Ingester<NoLog, MemoryWatermarkBoard, SystemTimer>,
    policies: Arc<PolicySet>,
}

impl Function {
    fn new() -> Self {
        let (lanes, key) = (LaneCount::new(64).expect("a power of two"), PseudonymKey::new([7; 16]));
        let ingester =
            Ingester::new(NoLog, lanes, key, MemoryWatermarkBoard::default(), SystemTimer, Pace::ALONE);
        let policies = Arc::new(PolicySet::of(vec![policy::policy()], ResourceLimits::default()));
        Self { ingester, policies }
    }

    /// Seconds that a body takes, and what became of its events.
    fn post(&self, media_type: &str, body: &[u8]) -> (f64, IngestMetrics) {
        let headers = [("content-type".into(), media_type.into())];
        let request = Request { method: "POST", path: "/v1/events", query: "", headers: &headers, body };
        let start = Instant::now();
        let now_ms = START_MS + MINUTES * 60_000;
        let (response, metrics) = run(respond(&self.ingester, &request, &self.policies, now_ms));
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(response.status, 202);
        (seconds, metrics)
    }
}

/// The events of the first minutes of the simulated city.
fn city() -> Vec<u8> {
    let mut lines = Vec::new();
    let mut city = City::new(&Settings::new(5, START_MS), &policy::policy());
    city.advance(START_MS + MINUTES * 60_000, &mut lines);
    lines
}

/// As many whole copies of `unit` as fit a body, between `start` and `end`.
fn filled(start: &str, unit: &str, end: &str) -> Vec<u8> {
    let copies = (MAX_BODY_BYTES - start.len() - end.len()) / unit.len();
    format!("{start}{}{end}", unit.repeat(copies)).into_bytes()
}

fn event(fields: &str) -> String {
    format!(
        r#"{{"type":"driver_location","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","driver_id":"d","lat":40.75,"lng":-73.97,"status":"available"{fields}}}"#
    )
}

/// Bodies of the greatest size, by what is in them.
fn dear_bodies() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    const LINES: &str = "application/x-ndjson";
    const ARRAY: &str = "application/json";
    let products =
        |name: &str| event(&format!(",\"products\":[{}]", vec![format!("\"{name}\""); 300].join(",")));
    let escaped = "\\u0073\\u0074\\u0061\\u006e\\u0064\\u0061\\u0072\\u0064";
    vec![
        ("lines `x`", LINES, filled("", "x\n", "")),
        ("lines `{}`", LINES, filled("", "{}\n", "")),
        ("lines `{\"type\":\"\"}`", LINES, filled("", "{\"type\":\"\"}\n", "")),
        ("blank lines", LINES, filled("", "\n", "")),
        ("elements `1`", ARRAY, filled("[", "1,", "1]")),
        ("elements `\"\"`", ARRAY, filled("[", "\"\",", "1]")),
        ("300 products an event", LINES, filled("", &format!("{}\n", products("standard")), "")),
        ("75 escaped products an event", LINES, {
            let list = vec![format!("\"{escaped}\""); 75].join(",");
            filled("", &format!("{}\n", event(&format!(",\"products\":[{list}]"))), "")
        }),
        ("1,000 products `\"\"` an event", LINES, {
            filled(
                "",
                &format!("{}\n", event(&format!(",\"products\":[{}]", vec!["\"\""; 1_000].join(",")))),
                "",
            )
        }),
        ("an unknown city", LINES, filled("", &format!("{}\n", event("").replace("nyc", "gone")), "")),
        ("an unknown product", LINES, filled("", &format!("{}\n", products("boat")), "")),
        ("deep nesting", LINES, {
            let nested = format!(",\"x\":{}1{}", "[".repeat(1_900), "]".repeat(1_900));
            filled("", &format!("{}\n", event(&nested)), "")
        }),
        ("long numbers", LINES, {
            filled("", &format!("{}\n", event(&format!(",\"lat\":40.{}", "7".repeat(3_900)))), "")
        }),
        ("numbers of 17 digits", LINES, {
            filled(
                "",
                &format!("{}\n", event(",\"lat\":40.123456789012345678,\"lng\":-73.123456789012345678")),
                "",
            )
        }),
    ]
}

pub fn figures() {
    let function = Function::new();
    let lines = city();
    let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    let mut times = Vec::new();
    for _ in 0..4 {
        for body in lines.chunks_exact(BODY_EVENTS) {
            let (seconds, metrics) = function.post("application/x-ndjson", &body.concat());
            assert_eq!(metrics.accepted, BODY_EVENTS as u64);
            times.push(seconds * 1e9 / BODY_EVENTS as f64);
        }
    }
    let event_ns = median(times);
    figure("`ingest`, 500 events a request", &format!("{:.2} M events/s ({event_ns:.0} ns)", 1e3 / event_ns));
}

/// What bodies cost that are meant to be dear, against a mebibyte of events that count.
pub fn bodies() {
    let function = Function::new();
    let good = whole_lines(&city());
    let seconds = |media_type, body: &[u8]| {
        // The least of several: what else the machine does only adds to it.
        (0..15).map(|_| function.post(media_type, body).0).fold(f64::INFINITY, f64::min)
    };
    let usual = seconds("application/x-ndjson", &good);
    figure("`ingest`, a body of 1 MiB", &format!("{:.1} ms", usual * 1e3));
    for (what, media_type, body) in dear_bodies() {
        let (_, metrics) = function.post(media_type, &body);
        let refused: u64 = metrics.refused.iter().sum();
        let took = seconds(media_type, &body);
        let share = took / usual * good.len() as f64 / body.len() as f64;
        figure(
            &format!("the same of {what} ({} accepted, {refused} refused)", metrics.accepted),
            &format!("{:.1} ms ({share:.2}×)", took * 1e3),
        );
    }
}

/// The lines that fit a body.
fn whole_lines(lines: &[u8]) -> Vec<u8> {
    let end = lines[..MAX_BODY_BYTES].iter().rposition(|byte| *byte == b'\n');
    lines[..=end.expect("an event is shorter than a body")].to_vec()
}
