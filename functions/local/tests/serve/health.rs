//! Health of a running server: its own probes find it healthy, and name the hop that stops.

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::event_stream::EventStream;
use crate::harness::fixture::{Server, serve_unfed_from};
use crate::harness::http_client::get;
use crate::harness::process::until;
use crate::parked_logs;

/// The verdict on a component, once it is this.
fn verdict(server: &Server, component: &str, status: &str) -> Value {
    let path = format!("/v1/health/{component}");
    until(&format!("{component} to be {status}"), || {
        let verdict = server.json(&path);
        (verdict["status"] == status).then_some(verdict)
    })
}

#[test]
fn a_server_is_healthy_within_a_minute_after_its_start() {
    let server = Server::unfed();
    let began = Instant::now();
    let health = until("the whole to be healthy", || {
        let health = server.json("/v1/health");
        (health["status"] == "healthy").then_some(health)
    });
    assert!(began.elapsed() < Duration::from_mins(1));
    for component in health["components"].as_array().unwrap() {
        let expected = if component["component"] == "analytics" { "unknown" } else { "healthy" };
        assert_eq!(component["status"], expected, "{component}");
    }
    assert_eq!(server.json("/v1/health/pricing")["dependencies"][0], "stream-processor");

    let cities = server.json("/v1/cities");
    let ids: Vec<&str> =
        cities["cities"].as_array().unwrap().iter().map(|of| of["city"].as_str().unwrap()).collect();
    assert!(!ids.contains(&"_probe"), "{ids:?}");
    let quoted = server.request(&get("/v1/price?lat=-48.876&lng=-123.393"));
    assert_eq!(quoted.status, 404, "the place of the probes is in no city");
}

#[test]
fn a_pipeline_that_stops_is_unhealthy_and_degrades_prices() {
    let folder = TempDir::new().unwrap();
    parked_logs::park(folder.path());
    let server = Server::start(serve_unfed_from(folder.path()).args(["--lanes", "1"]));
    let mut stream = EventStream::open(&server, "/v1/stream", None);
    let stopped = verdict(&server, "stream-processor", "unhealthy");
    assert_eq!(stopped["error"], "count: not reached within 4800 ms");
    let pricing = verdict(&server, "pricing", "degraded");
    assert_eq!(pricing["error"], "stream-processor is unhealthy");
    assert_eq!(server.json("/v1/health")["status"], "degraded");
    assert_eq!(server.json("/v1/health/dynamodb")["status"], "healthy");

    let change = loop {
        let change = stream.next("health_changed");
        if change.data["component"] == "stream-processor" {
            break change.data;
        }
    };
    assert_eq!((&change["from"], &change["status"]), (&"unknown".into(), &"unhealthy".into()));
    assert!(change["now"].is_string() && change["error"].is_string(), "{change}");
}

#[test]
fn no_event_of_a_probe_reaches_the_stream_of_changes() {
    let server = Server::unfed();
    let mut stream = EventStream::open(&server, "/v1/stream", None);
    verdict(&server, "stream-processor", "healthy");
    let mut pulses = 0;
    while pulses < 2 {
        let event = stream.next_of_any_name();
        assert_ne!(event.data["city"], "_probe", "{event:?}");
        assert!(event.name != "pulse" || event.data["events_per_s"] == 0, "{event:?}");
        pulses += u32::from(event.name == "pulse");
    }
}
