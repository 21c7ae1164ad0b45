//! Unusable arguments: status 2 and a message that names the cause.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::fixture::{Server, serve};
use crate::harness::process::Process;

/// Name of the database file in its folder.
const DATABASE: &str = "equilibrium.redb";

/// The output of a process that exits with status 2.
fn output_of_refused(command: &mut Command) -> String {
    let mut process = Process::start(command);
    let status = process.wait();
    let output = process.output();
    assert_eq!(status.code(), Some(2), "{output}");
    output
}

fn assert_refused(arguments: &[&str], reasons: &[&str]) {
    let output = output_of_refused(&mut serve(arguments));
    for reason in reasons {
        assert!(output.contains(reason), "{reason}: {output}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_invalid_argument_is_named() {
    for (arguments, reason) in [
        (["--lanes", "3"], "power of two"),
        (["--lanes", "0"], "power of two"),
        (["--lanes", "131072"], "power of two"),
        (["--speed", "0"], "1 to 1000"),
        (["--speed", "1001"], "1 to 1000"),
        (["--speed", "1.5"], "1 to 1000"),
        (["--seed", "random"], "'--seed <N>': not a whole number from 0 to 18446744073709551615"),
        (["--max-hold-ms", "ever"], "'--max-hold-ms <MS>': not a whole number from 0 to 9223372036854775807"),
        (["--auth", "maybe"], "--auth"),
        (["--rate-limits", "/nowhere/rates.json"], "--rate-limits /nowhere/rates.json"),
        (["--wind", "3"], "--wind"),
    ] {
        assert_refused(&arguments, &[reason]);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    let output = output_of_refused(command.args(["--port", "65536"]));
    assert!(output.contains("'--port <PORT>': not a whole number from 0 to 65535"), "{output}");
}

#[test]
fn a_port_in_use_is_named_and_its_server_keeps_running() {
    let owner = Server::unfed();
    let port = owner.address.port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    let output = output_of_refused(command.args(["--port", &port, "--feed", "none"]));
    assert!(output.contains(&format!("--port {port}: ")), "{output}");
    owner.assert_serves();
}

#[test]
fn an_unusable_city_file_is_named_with_all_its_faults() {
    let folder = TempDir::new().unwrap();
    let city = folder.path().join("city.json");
    assert_refused(&["--city", text(&city)], &[&format!("--city {}: ", text(&city))]);
    fs::write(&city, "{\"city\":").unwrap();
    let reason = "not JSON: EOF while parsing a value at line 1 column 8";
    assert_refused(&["--city", text(&city)], &[&format!("{}: {reason}", text(&city))]);
    fs::write(&city, "7").unwrap();
    assert_refused(&["--city", text(&city)], &[&format!("{}: must be an object", text(&city))]);
    fs::write(&city, "[]").unwrap();
    assert_refused(&["--city", text(&city)], &[text(&city), "no city"]);
    let faulty =
        r#"[{"city":"A B","currency":"USD","boundary":1,"products":[],"clock":{"tick_ms":0},"surplus":1}]"#;
    fs::write(&city, faulty).unwrap();
    let faults = ["/0/city", "/0/boundary", "/0/products", "/0/clock/tick_ms", "/0/surplus"];
    assert_refused(&["--city", text(&city)], &faults);
}

#[test]
fn an_unreadable_feed_file_is_named() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing.ndjson");
    for feed in [&missing, folder.path()] {
        assert_refused(&["--feed", text(feed)], &[&format!("--feed {}: ", text(feed))]);
    }
}

#[test]
fn a_folder_that_cannot_be_created_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for data in [&file, &file.join("below")] {
        assert_refused(
            &["--feed", "none", "--data", text(data)],
            &[&format!("{}: cannot be created: ", text(data))],
        );
    }
}

#[test]
fn a_folder_in_use_is_refused_and_its_server_keeps_running() {
    let folder = TempDir::new().unwrap();
    let owner = Server::unfed_from(folder.path());
    assert_refused(&["--feed", "none", "--data", text(folder.path())], &[DATABASE, "in use"]);
    owner.fill(1);
    owner.stop("INT");
}

#[test]
fn a_folder_with_another_number_of_lanes_is_refused_and_not_changed() {
    let folder = TempDir::new().unwrap();
    let owner = Server::unfed_from(folder.path());
    let map = owner.fill(1);
    owner.stop("INT");
    let arguments = ["--feed", "none", "--lanes", "32", "--data", text(folder.path())];
    assert_refused(&arguments, &[DATABASE, "--lanes 64, not 32"]);
    assert_eq!(Server::unfed_from(folder.path()).map()["cells"], map["cells"]);
}

#[test]
fn an_invalid_or_truncated_database_is_refused_and_not_changed() {
    let folder = TempDir::new().unwrap();
    let owner = Server::unfed_from(folder.path());
    owner.fill(20);
    owner.stop("INT");
    let database = folder.path().join(DATABASE);
    let whole = fs::read(&database).unwrap();
    for unusable in [&b"not a database\n".repeat(1_000), &whole[..whole.len() / 2], &whole[..4_096]] {
        fs::write(&database, unusable).unwrap();
        assert_refused(&["--feed", "none", "--data", text(folder.path())], &[text(&database)]);
        assert_eq!(fs::read(&database).unwrap(), unusable);
    }
    fs::write(&database, whole).unwrap();
    Server::unfed_from(folder.path()).fill(20);
}
