//! `equilibrium` as a command: arguments, files, exit statuses and stderr.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// A folder for one test, in which the program runs.
struct Shell(TempDir);

impl Shell {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
        command.args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn replay(&self, arguments: &[&str]) -> Output {
        self.run(&[&["replay", "events", "--out", "ticks"], arguments].concat())
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn last_line(output: &Output) -> String {
    stderr(output).lines().last().unwrap_or_default().to_owned()
}

fn sample() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/replay-sample.ndjson")).unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_sample_surges_as_the_document_shows() {
    let shell = Shell::new();
    shell.write("events", sample());
    let output = shell.replay(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(last_line(&output), "events=41 refused=0 late=0 ticks=23");
    let ticks = fs::read_to_string(shell.path("ticks")).unwrap();
    assert!(
        ticks.contains(r#""at":"2026-03-06T17:01:40.000Z","product":"standard","cell":"882a107289fffff","#)
    );
    assert!(ticks.contains(r#""demand":8,"supply":0,"multiplier":1.6}"#));
}

#[test]
fn lanes_and_compression_do_not_change_the_ticks() {
    let shell = Shell::new();
    shell.write("events", sample());
    shell.replay(&[]);
    let plain = fs::read(shell.path("ticks")).unwrap();
    assert!(!plain.is_empty());
    let half = sample().len() / 2;
    // Two gzip members form one file (RFC 1952); the name does not matter.
    shell.write("events", [gzip(&sample()[..half]), gzip(&sample()[half..])].concat());
    for lanes in ["1", "2", "64", "1024"] {
        let output = shell.replay(&["--lanes", lanes]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(fs::read(shell.path("ticks")).unwrap() == plain, "{lanes} lanes");
    }
}

#[test]
fn every_refused_line_is_named_by_number_and_code_and_others_are_processed() {
    let shell = Shell::new();
    let valid = String::from_utf8(sample()).unwrap();
    let first = valid.lines().next().unwrap();
    let bad = [
        "{\"type\":\"driver_location\"",
        "{\"type\":\"driver_location\"}",
        &first.replace("\"available\"", "\"idle\""),
        &first.replace("\"nyc\"", "\"oslo\""),
        &first.replace("\"status\"", "\"products\":[\"boat\"],\"status\""),
        &format!("{{\"type\":\"x\",\"pad\":\"{}\"}}", "x".repeat(10 << 20)),
    ];
    let mut events = valid.clone().into_bytes();
    for line in bad {
        events.extend_from_slice(b"\r\n");
        events.extend_from_slice(line.as_bytes());
        events.extend_from_slice(b"\r\n");
    }
    events.extend_from_slice(b"\xff\xfe\n{\"type\":\"weather\"}\n");
    shell.write("events", events);
    let boundary = "{\"type\":\"Polygon\",\"coordinates\":[[[-75,40],[-73,40],[-73,42],[-75,42],[-75,40]]]}";
    shell.write(
        "city",
        format!("{{\"city\":\"nyc\",\"currency\":\"USD\",\"boundary\":{boundary},\"products\":[{{\"id\":\"standard\"}}]}}"),
    );
    let output = shell.replay(&["--city", "city", "--lanes", "4"]);
    let text = stderr(&output);
    let codes: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("line "))
        .map(|line| {
            let mut parts = line.split(": ");
            (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned())
        })
        .collect();
    let expected = [
        "malformed_json",
        "missing_field",
        "bad_field",
        "unknown_city",
        "unknown_product",
        "too_large",
        "malformed_json",
    ];
    assert_eq!(codes.iter().map(|(_, code)| code.as_str()).collect::<Vec<_>>(), expected, "{text}");
    assert_eq!(codes[0].0, "43");
    assert_eq!(last_line(&output), "events=49 refused=7 late=0 ticks=23");
    let ticks = fs::read(shell.path("ticks")).unwrap();
    shell.write("events", valid);
    shell.replay(&["--city", "city"]);
    assert!(fs::read(shell.path("ticks")).unwrap() == ticks);
}

#[test]
fn unusable_arguments_are_status_2_with_the_cause() {
    let shell = Shell::new();
    shell.write("events", sample());
    shell.write("empty", "");
    shell.write(
        "wrong",
        r#"[{"city":"A B","currency":"USD","boundary":1,"products":[],"clock":{"tick_ms":0},"surplus":1}]"#,
    );
    for (arguments, cause) in [
        (&["replay", "nowhere", "--out", "ticks"][..], "EVENTS nowhere: "),
        (&["replay", ".", "--out", "ticks"], ".: "),
        (&["replay", "events"], "--out"),
        (&["replay", "events", "--out", "no/such/folder"], "--out no/such/folder: "),
        (&["replay", "events", "--out", "ticks", "--lanes", "3"], "power of two"),
        (&["replay", "events", "--out", "ticks", "--lanes", "0"], "power of two"),
        (&["replay", "events", "--out", "ticks", "--lanes", "131072"], "power of two"),
        (&["replay", "events", "--out", "ticks", "--city", "nowhere"], "--city nowhere: "),
        (&["replay", "events", "--out", "ticks", "--city", "empty"], "empty: not JSON: "),
        (&["replay", "events", "--out", "ticks", "--city", "wrong"], "/0/clock/tick_ms"),
        (&["replay", "events", "--out", "ticks", "--wind", "3"], "--wind"),
        (&["city", "--seed", "1", "--minutes", "1", "--out", "no/such/folder"], "--out no/such/folder: "),
        (&["forecast"], "forecast"),
    ] {
        let output = shell.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(cause), "{arguments:?}: {}", stderr(&output));
    }
    let faults = stderr(&shell.replay(&["--city", "wrong"]));
    for pointer in ["/0/city", "/0/boundary", "/0/products", "/0/clock/tick_ms", "/0/surplus"] {
        assert!(faults.contains(pointer), "{pointer}: {faults}");
    }
}

#[test]
fn a_failure_midway_is_status_1() {
    let shell = Shell::new();
    let whole = gzip(&sample());
    shell.write("events", &whole[..whole.len() - 20]);
    let output = shell.replay(&[]);
    assert_eq!(output.status.code(), Some(1), "a truncated gzip: {}", stderr(&output));
    assert!(stderr(&output).contains("events: reading failed"));
    shell.write("events", sample());
    let output = shell.run(&["replay", "events", "--out", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1), "a full disk: {}", stderr(&output));
    assert!(stderr(&output).contains("/dev/full: writing failed"));
}

#[test]
fn a_jump_of_centuries_over_empty_ticks_is_replayed_at_once() {
    let shell = Shell::new();
    let far = r#"{"type":"driver_location","id":"far","time":"9999-03-06T17:00:05Z","city":"nyc","driver_id":"d","lat":40.7,"lng":-74.0,"status":"available"}"#;
    shell.write("events", [&sample(), far.as_bytes()].concat());
    let output = shell.replay(&["--lanes", "64"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(last_line(&output).starts_with("events=42 refused=0 late=0 "));
    let ticks = fs::read_to_string(shell.path("ticks")).unwrap();
    assert!(ticks.lines().last().unwrap().contains("9999-03-06"), "{}", ticks.lines().last().unwrap());
}

#[test]
fn an_empty_file_is_replayed() {
    let shell = Shell::new();
    for content in ["", "\n\r\n  \n"] {
        shell.write("events", content);
        let output = shell.replay(&[]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(last_line(&output), "events=0 refused=0 late=0 ticks=0");
    }
}

#[test]
fn the_simulated_city_can_be_replayed() {
    let shell = Shell::new();
    let output = shell.run(&["city", "--seed", "3", "--minutes", "1", "--out", "events"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let events = fs::read_to_string(shell.path("events")).unwrap().lines().count();
    assert!(events > 10_000, "{events}");
    let output = shell.replay(&["--lanes", "64"]);
    assert!(
        last_line(&output).starts_with(&format!("events={events} refused=0 late=0 ticks=")),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_input_file_is_not_overwritten_under_any_of_its_names() {
    let shell = Shell::new();
    shell.write("events", sample());
    fs::hard_link(shell.path("events"), shell.path("link")).unwrap();
    shell.write("city", equilibrium_simulator::city::policy::JSON);
    for (out, city) in [("events", None), ("link", None), ("city", Some("city"))] {
        let mut arguments = vec!["replay", "events", "--out", out];
        arguments.extend(city.iter().flat_map(|city| ["--city", *city]));
        let output = shell.run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{out}");
        let reason = format!("--out {out}: is an input file, too");
        assert!(last_line(&output).ends_with(&reason), "{}", last_line(&output));
    }
    assert_eq!(fs::read(shell.path("events")).unwrap(), sample());
    assert_eq!(fs::read_to_string(shell.path("city")).unwrap(), equilibrium_simulator::city::policy::JSON);
}

#[test]
fn a_city_file_without_a_city_is_unusable() {
    let shell = Shell::new();
    shell.write("events", sample());
    shell.write("none", "[]");
    let output = shell.replay(&["--city", "none"]);
    assert_eq!((output.status.code(), shell.path("ticks").exists()), (Some(2), false));
    assert!(last_line(&output).contains("no city"), "{}", last_line(&output));
}

#[test]
fn no_valid_line_is_refused_after_a_write_error() {
    let shell = Shell::new();
    assert!(shell.run(&["city", "--seed", "7", "--minutes", "2", "--out", "events"]).status.success());
    let output = shell.run(&["replay", "events", "--out", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
}
