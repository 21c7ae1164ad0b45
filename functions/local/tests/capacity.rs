//! `equilibrium capacity` as a command: figures of a file, of this system's model, and files that cannot be used.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    command.arg("capacity").args(arguments).output().unwrap()
}

/// The output of a command that must succeed.
fn page(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

/// The status of a command that must fail, and its lines on stderr.
fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(arguments);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/capacity/reference.json")
}

#[test]
fn the_original_design_has_five_critical_bottlenecks_at_ten_times_its_load() {
    let file = reference();
    let file = file.to_str().unwrap();
    let projection: Value =
        serde_json::from_str(&page(&["--metrics", file, "--scale", "10", "--json"])).unwrap();
    let bottlenecks = projection["bottlenecks"].as_array().unwrap();
    let rows: Vec<Value> = bottlenecks
        .iter()
        .map(|it| json!([it["component"], it["metric"], it["projected"], it["threshold"], it["severity"]]))
        .collect();
    let expected = json!([
        ["Kafka", "disk_usage", 240, 80, "critical"],
        ["Flink", "memory_usage", 200, 80, "critical"],
        ["Redis", "memory_usage", 120, 80, "critical"],
        ["Kafka", "partition_utilization", 100, 80, "critical"],
        ["PostgreSQL", "connection_pool_utilization", 100, 90, "critical"],
    ]);
    assert_eq!(Value::from(rows), expected);
    let text = page(&["--metrics", file, "--scale", "10"]);
    assert!(text.starts_with("At 10 times the load: 5 bottlenecks\n"), "{text}");
    assert!(text.contains("larger volumes"), "{text}");
    let text = page(&["--metrics", file, "--scale", "1"]);
    assert!(text.starts_with("At 1 times the load: every figure stays within its threshold\n"), "{text}");
    let text = page(&["--metrics", file, "--scale", "11"]);
    assert!(text.contains("an extrapolation"), "{text}");
}

#[test]
fn without_a_file_the_model_of_this_system_is_projected() {
    let text = page(&["--scale", "10"]);
    for part in ["kinesis-events", "records_per_s_of_a_shard", "-c shards=N", "a million events", "Assumed"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let report: Value = serde_json::from_str(&page(&["--scale", "10", "--json"])).unwrap();
    assert_eq!(report["cost_now"]["month"]["currency"], "USD");
}

#[test]
fn a_fitted_law_is_printed_with_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.json");
    let points = [(1, 100.0), (2, 180.0), (4, 290.0), (8, 380.0)]
        .map(|(n, throughput)| json!({"n": n, "throughput": throughput}));
    let metrics = json!([{"name": "events_per_s", "value": 380, "threshold": 1000, "law": "linear", "basis": "measured", "points": points}]);
    let document = json!({"components": [{"component": "replay", "kind": "threads", "metrics": metrics}]});
    fs::write(&file, document.to_string()).unwrap();
    let text = page(&["--metrics", file.to_str().unwrap(), "--scale", "3"]);
    assert!(text.contains("universal scalability law") && text.contains('±'), "{text}");
    assert!(text.contains("none: beyond the peak"), "{text}");
}

#[test]
fn every_fault_of_a_file_is_on_stderr_by_its_pointer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.json");
    let file = path.to_str().unwrap();
    let metrics = json!([
        {"name": "a", "value": -1, "threshold": 0, "law": "linear", "basis": "measured"},
        {"name": "b", "value": 1e300, "threshold": 80, "law": "guess", "basis": "measured"},
        {"name": "c", "threshold": 80, "law": "power", "basis": "measured"},
    ]);
    let document = json!({"components": [{"component": "store", "kind": "table", "metrics": metrics}]});
    fs::write(&path, document.to_string()).unwrap();
    let (status, errors) = failure(&["--metrics", file, "--scale", "10"]);
    assert_eq!(status, Some(2));
    for pointer in ["0/value", "0/threshold", "1/value", "1/law", "2/value", "2/exponent"] {
        assert!(errors.contains(&format!("/components/0/metrics/{pointer}: ")), "{pointer} in {errors}");
    }
    for text in ["", "{", "null", "\u{feff}{}", "[1, 2]"] {
        fs::write(&path, text).unwrap();
        assert_eq!(failure(&["--metrics", file, "--scale", "10"]).0, Some(2), "{text}");
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(failure(&["--metrics", file, "--scale", "10"]).0, Some(2));
}

#[test]
fn arguments_that_cannot_be_used_are_refused() {
    let file = reference();
    let file = file.to_str().unwrap();
    let cases: [&[&str]; 8] = [
        &["--scale", "0"],
        &["--scale", "-1"],
        &["--scale", "ten"],
        &["--scale", "1000001"],
        &[],
        &["--metrics", file],
        &["--metrics", "/nowhere/metrics.json", "--scale", "10"],
        &["--metrics", file, "--url", "http://127.0.0.1:1", "--scale", "10"],
    ];
    for arguments in cases {
        assert_eq!(failure(arguments).0, Some(2), "{arguments:?}");
    }
    let (status, error) = failure(&["--url", "http://127.0.0.1:1", "--scale", "10"]);
    assert_eq!(status, Some(1), "{error}");
}
