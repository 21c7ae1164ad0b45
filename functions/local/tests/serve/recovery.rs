//! A pipeline that fails is recovered; recoveries are started by hand, listed and read.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::event_stream::EventStream;
use crate::harness::fixture::{SETTLED_MS, Server, serve_unfed_from};
use crate::harness::http_client::{Request, get, post_array};
use crate::harness::market::{drivers_and_riders, ms, now_ms, total};
use crate::harness::process::until;

/// When the pipeline fails, in milliseconds after the start.
const FAILS_AFTER_MS: u64 = 2_000;

/// Steps of a recovery, in order.
const STEPS: [&str; 6] = [
    "detect_failure",
    "isolate_failed_instance",
    "start_replacement_instance",
    "restore_processing_state",
    "validate_data_consistency",
    "resume_normal_operations",
];

fn start(key: &str, body: &Value) -> Request {
    Request { target: "/v1/recoveries".into(), ..post_array(body.to_string()) }.header("idempotency-key", key)
}

fn failing_server(folder: &Path) -> Server {
    let mut command = serve_unfed_from(folder);
    Server::start(command.args(["--fail-pipeline-after-ms", &FAILS_AFTER_MS.to_string()]))
}

#[test]
fn a_pipeline_that_ends_is_recovered_within_seconds_and_loses_and_doubles_nothing() {
    let folder = TempDir::new().unwrap();
    let started = Instant::now();
    let server = failing_server(folder.path());
    let mut stream = EventStream::open(&server, "/v1/stream", None);
    server.post(&drivers_and_riders(20, now_ms() - SETTLED_MS));
    let before = server.close_ticks();
    assert_eq!((total(&before, "supply"), total(&before, "demand")), (60, 40));

    // The next event after this is in the batch in which the pipeline ends.
    std::thread::sleep(Duration::from_millis(FAILS_AFTER_MS + 200).saturating_sub(started.elapsed()));
    let crash_ms = now_ms();
    server.post(&drivers_and_riders(30, now_ms() - SETTLED_MS));
    let running = stream.next("recovery_changed");
    let id = running.data["id"].as_str().unwrap().to_owned();
    let refused = server.request(&start("by-hand", &json!({"reason": "a person noticed"})));
    assert_eq!(refused.problem(), (409, "recovery_running".into()));
    assert_eq!(refused.json()["id"], id);

    let path = format!("/v1/recoveries/{id}");
    let recovery = until("the end of the recovery", || {
        server.assert_serves();
        Some(server.json(&path)).filter(|recovery| recovery["status"] != "running")
    });
    assert_eq!(recovery["status"], "success", "{recovery:#}");
    let steps: Vec<&str> =
        recovery["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, STEPS);
    assert_eq!(recovery["component"], "stream-processor");
    assert_eq!(recovery["impact"]["services"][0], "pricing");
    let took_ms = ms(&recovery["ended_at"]).unwrap() - crash_ms;
    assert!(took_ms <= 10_000, "{took_ms} ms from the crash to the end of the recovery");
    eprintln!("crash to resumed: {took_ms} ms; {}", recovery["steps"][5]["details"]["account"]);

    // The map is that of a run without a fault; the driver that closed ticks before is in it.
    let after = server.close_ticks();
    assert_eq!((total(&after, "supply"), total(&after, "demand")), (91, 60));
    assert_eq!(server.json("/v1/recoveries")["recoveries"][0]["id"], id);
    server.stop("TERM");
    let server = Server::unfed_from(folder.path());
    assert_eq!(server.json(&path)["status"], "success", "it survives a restart");
}

#[test]
fn a_recovery_that_is_started_by_hand_looks_first_and_has_one_name() {
    let server = Server::unfed();
    server.fill(2);
    let body = json!({"component": "stream-processor", "reason": "a drill"});
    let first = server.request(&start("drill-1", &body));
    assert_eq!((first.status, first.header("location")), (202, "/v1/recoveries/drill-1"), "{}", first.text());
    let ended = until("its end", || {
        Some(server.json("/v1/recoveries/drill-1")).filter(|recovery| recovery["status"] != "running")
    });
    assert_eq!((&ended["status"], ended["steps"].as_array().unwrap().len()), (&"no_failure".into(), 1));
    assert_eq!(ended["steps"][0]["details"]["result"], "no_failure");
    let again = server.request(&start("drill-1", &body));
    assert_eq!((again.status, again.json()), (202, ended.clone()), "the same key is the same recovery");

    let second = server.request(&start("drill-2", &body));
    assert_eq!(second.status, 202);
    until("its end", || (server.json("/v1/recoveries/drill-2")["status"] != "running").then_some(()));
    let page = server.json("/v1/recoveries?limit=1");
    assert_eq!(page["recoveries"][0]["id"], "drill-2", "the newest first");
    let next = page["next"].as_str().unwrap();
    let page = server.json(&format!("/v1/recoveries?limit=1&next={next}"));
    assert_eq!((&page["recoveries"][0]["id"], &page["next"]), (&"drill-1".into(), &Value::Null));
}

#[test]
fn a_request_that_cannot_start_a_recovery_starts_none() {
    let server = Server::unfed();
    for (body, status, code) in [
        (json!({}), 422, "invalid_recovery"),
        (json!({"reason": ""}), 422, "invalid_recovery"),
        (json!({"reason": "x".repeat(501)}), 422, "invalid_recovery"),
        (json!({"reason": "x", "component": "dynamodb"}), 422, "invalid_recovery"),
        (json!({"reason": "x", "force": true}), 422, "invalid_recovery"),
        (json!([]), 422, "invalid_recovery"),
    ] {
        let refused = server.request(&start("key", &body));
        assert_eq!(refused.problem(), (status, code.into()), "{body}");
    }
    let bad_key = server.request(&start("a/b", &json!({"reason": "x"})));
    assert_eq!(bad_key.problem(), (400, "malformed_header".into()));
    assert_eq!(server.json("/v1/recoveries")["recoveries"], json!([]));
    let unknown = server.request(&get("/v1/recoveries/none"));
    assert_eq!(unknown.problem(), (404, "unknown_recovery".into()));
    let method = server.request(&get("/v1/recoveries/none").method("DELETE"));
    assert_eq!(method.problem(), (405, "method_not_allowed".into()));
}
