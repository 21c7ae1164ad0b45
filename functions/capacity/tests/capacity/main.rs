//! The capacity over HTTP and by schedule, of a load that is measured, measured in part, or unknown.

#![allow(clippy::unwrap_used, reason = "a failure in a test's helper fails the test")]

use std::fs;
use std::path::Path;

use equilibrium_admission::Open;
use equilibrium_app::capacity::ports::LoadSource;
use equilibrium_app::memory::MemoryLoad;
use equilibrium_app::telemetry::emf::{Context, Measurements};
use equilibrium_capacity::{handle_event, respond};
use equilibrium_domain::capacity::Document;
use equilibrium_domain::capacity::growth::Scale;
use equilibrium_domain::capacity::system::{Observed, Settings};
use equilibrium_http::{Request, Response};
use equilibrium_openapi::conformance::assert_conforms;
use serde_json::{Value, json};

const NOW_MS: i64 = 1_800_000_000_000;

fn sample(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(path)).unwrap()
}

/// A payload of `../../events/http`.
fn http(name: &str) -> Vec<u8> {
    sample(&format!("http/{name}.json"))
}

/// A payload of `../../events/schedule`.
fn schedule(name: &str) -> Vec<u8> {
    sample(&format!("schedule/{name}.json"))
}

/// A document of `../../events/capacity`.
fn figures(name: &str) -> String {
    String::from_utf8(sample(&format!("capacity/{name}.json"))).unwrap()
}

async fn get(source: &impl LoadSource, query: &str) -> Response {
    let request = Request { method: "GET", path: "/v1/capacity", query, headers: &[], body: b"" };
    let response = respond((source, Settings::DEFAULT), &request, NOW_MS).await;
    assert_conforms(&request, &response);
    response
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body.bytes()).unwrap()
}

async fn invoke(payload: &[u8]) -> (Value, Measurements) {
    let source = MemoryLoad::default();
    let (response, measurements) =
        handle_event(&Open, (&source, Settings::DEFAULT), payload, NOW_MS).await.unwrap();
    (serde_json::from_slice(&response).unwrap(), measurements)
}

fn figure<'a>(report: &'a Value, component: &str, name: &str) -> &'a Value {
    let components = report["components"].as_array().unwrap();
    let component = components.iter().find(|it| it["component"] == component).unwrap();
    component["metrics"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap()
}

#[tokio::test]
async fn each_sample_has_its_response() {
    for (name, status) in [("get-capacity", 200), ("get-capacity-out-of-range", 422)] {
        let (answer, _) = invoke(&http(name)).await;
        assert_eq!(answer["statusCode"], status, "{name}");
    }
}

#[tokio::test]
async fn a_schedule_measures_and_is_answered_with_nothing() {
    let (answer, measurements) = invoke(&schedule("capacity")).await;
    assert_eq!(answer, Value::Null);
    let context = Context { deployment: "d", function: "capacity", request_id: "r", now_ms: NOW_MS };
    let line: Value = serde_json::from_str(&measurements.document(&context)).unwrap();
    assert!(
        line["capacity_bottlenecks"].is_u64() && line["capacity_utilisation"].as_u64() > Some(0),
        "{line}"
    );
}

#[tokio::test]
async fn another_payload_fails_the_invocation() {
    let source = MemoryLoad::default();
    handle_event(&Open, (&source, Settings::DEFAULT), b"{}", NOW_MS).await.unwrap_err();
}

#[tokio::test]
async fn a_load_without_a_measurement_is_assumed_and_said_to_be() {
    for source in [MemoryLoad::default(), MemoryLoad::unavailable()] {
        let report = json_of(&get(&source, "").await);
        assert_eq!(report["scale"], 10);
        assert_eq!(report["load"]["assumed"].as_array().unwrap().len(), 7);
        let bases = report["components"].as_array().unwrap().iter();
        let bases = bases.flat_map(|component| component["metrics"].as_array().unwrap());
        assert!(bases.into_iter().all(|metric| metric["basis"] == "assumed"), "{report}");
    }
}

#[tokio::test]
async fn a_measured_load_scales_what_it_drives() {
    let observed = Observed { events_per_s: Some(672_000.0), ..Observed::default() };
    let source = MemoryLoad::of(observed);
    let report = json_of(&get(&source, "scale=1").await);
    let bytes = figure(&report, "kinesis-events", "bytes_in_per_s_of_a_shard");
    assert_eq!(bytes["basis"], "measured");
    assert_eq!(figure(&report, "dynamodb-quotes", "write_units_per_s")["basis"], "assumed");
    let bottlenecks = report["bottlenecks"].as_array().unwrap();
    let named = bottlenecks.iter().any(|it| it["metric"] == "bytes_in_per_s_of_a_shard");
    assert!(named, "{bottlenecks:?}");
    for bottleneck in bottlenecks {
        assert!(!bottleneck["remedies"].as_array().unwrap().is_empty(), "{bottleneck}");
        assert!(bottleneck["impact"].is_string(), "{bottleneck}");
    }
}

#[tokio::test]
async fn a_measured_figure_takes_the_place_of_the_models() {
    let figures = vec![("dynamodb-quotes", "write_units_per_s", 1_234.5)];
    let source = MemoryLoad::of(Observed { figures, ..Observed::default() });
    let report = json_of(&get(&source, "scale=2").await);
    let units = figure(&report, "dynamodb-quotes", "write_units_per_s");
    assert_eq!((&units["now"], &units["basis"]), (&json!(1_234.5), &json!("measured")));
    assert_eq!(units["projected"], 2_469);
}

#[tokio::test]
async fn costs_carry_the_date_of_their_prices() {
    let report = json_of(&get(&MemoryLoad::default(), "scale=10").await);
    assert_eq!(report["prices_region"], "us-east-1");
    assert!(report["prices_as_of"].is_string());
    for cost in ["cost_now", "cost_projected"] {
        let amount = |name: &str| report[cost][name]["amount"].as_str().unwrap().parse::<f64>().unwrap();
        assert!(amount("month") > 0.0);
        assert!(amount("per_million_events") > 0.0 && amount("per_million_quotes") > 0.0);
    }
}

#[tokio::test]
async fn a_scale_that_is_none_is_refused() {
    for (query, status, code) in [
        ("scale=0", 422, "out_of_range"),
        ("scale=-10", 422, "out_of_range"),
        ("scale=0.5", 422, "out_of_range"),
        ("scale=1000001", 422, "out_of_range"),
        ("scale=ten", 400, "malformed_parameter"),
        ("scale=", 400, "malformed_parameter"),
        ("scale=NaN", 400, "malformed_parameter"),
        ("scale=10&scale=20", 400, "repeated_parameter"),
    ] {
        let response = get(&MemoryLoad::default(), query).await;
        assert_eq!((response.status, &json_of(&response)["code"]), (status, &json!(code)), "{query}");
    }
    assert_eq!(get(&MemoryLoad::default(), "scale=2.5").await.status, 200);
}

#[tokio::test]
async fn only_get_of_the_path_is_answered() {
    for (method, path, status) in
        [("POST", "/v1/capacity", 405), ("HEAD", "/v1/capacity", 200), ("GET", "/v1/capacity/x", 404)]
    {
        let request = Request { method, path, query: "", headers: &[], body: b"" };
        let source = MemoryLoad::default();
        assert_eq!(
            respond((&source, Settings::DEFAULT), &request, NOW_MS).await.status,
            status,
            "{method} {path}"
        );
    }
}

#[test]
fn the_figures_of_the_original_design_are_a_document() {
    let document = Document::read(&figures("reference")).unwrap();
    assert_eq!(document.project(Scale::TEN).bottlenecks.len(), 5);
}
