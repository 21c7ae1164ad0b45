//! Arguments that cannot be used: status 2, and the message names what is wrong.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::world::{Process, Server, serve};

/// The database in a folder.
const DATABASE: &str = "equilibrium.redb";

/// What a process says that cannot use what it was given.
fn refused(command: &mut Command) -> String {
    let mut process = Process::start(command);
    let status = process.ended();
    let said = process.all_said();
    assert_eq!(status.code(), Some(2), "{said}");
    said
}

fn assert_refused(arguments: &[&str], reasons: &[&str]) {
    let said = refused(&mut serve(arguments));
    for reason in reasons {
        assert!(said.contains(reason), "{reason}: {said}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_no_argument_is_named() {
    for (arguments, reason) in [
        (["--lanes", "3"], "power of two"),
        (["--lanes", "0"], "power of two"),
        (["--lanes", "131072"], "power of two"),
        (["--speed", "0"], "1 to 1000"),
        (["--speed", "1001"], "1 to 1000"),
        (["--speed", "1.5"], "1 to 1000"),
        (["--seed", "dice"], "--seed"),
        (["--max-hold-ms", "ever"], "--max-hold-ms"),
        (["--auth", "on"], "--auth on"),
        (["--auth", "maybe"], "--auth"),
        (["--wind", "3"], "--wind"),
    ] {
        assert_refused(&arguments, &[reason]);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    assert!(refused(command.args(["--port", "65536"])).contains("--port"));
}

#[test]
fn a_port_in_use_is_named_and_its_owner_goes_on() {
    let owner = Server::unfed();
    let port = owner.address.port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    let said = refused(command.args(["--port", &port, "--feed", "none"]));
    assert!(said.contains(&format!("port {port}: ")), "{said}");
    owner.assert_serves();
}

#[test]
fn a_city_file_that_cannot_be_used_is_named_with_every_fault() {
    let folder = TempDir::new().unwrap();
    let city = folder.path().join("city.json");
    assert_refused(&["--city", text(&city)], &[text(&city)]);
    fs::write(&city, "{\"city\":").unwrap();
    assert_refused(&["--city", text(&city)], &[text(&city)]);
    fs::write(&city, "[]").unwrap();
    assert_refused(&["--city", text(&city)], &[text(&city), "no city"]);
    let faulty =
        r#"[{"city":"A B","currency":"USD","boundary":1,"products":[],"clock":{"tick_ms":0},"surplus":1}]"#;
    fs::write(&city, faulty).unwrap();
    let faults = ["/0/city", "/0/boundary", "/0/products", "/0/clock/tick_ms", "/0/surplus"];
    assert_refused(&["--city", text(&city)], &faults);
}

#[test]
fn a_feed_that_cannot_be_read_is_named() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing.ndjson");
    for feed in [&missing, folder.path()] {
        assert_refused(&["--feed", text(feed)], &[&format!("{}: ", text(feed))]);
    }
}

#[test]
fn a_folder_that_is_none_or_cannot_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for data in [&file, &file.join("below")] {
        assert_refused(&["--feed", "none", "--data", text(data)], &[&format!("{}: ", text(data))]);
    }
}

#[test]
fn a_folder_in_use_is_refused_and_its_owner_goes_on() {
    let folder = TempDir::new().unwrap();
    let owner = Server::keeping(folder.path());
    assert_refused(&["--feed", "none", "--data", text(folder.path())], &[DATABASE, "in use"]);
    owner.fill(1);
    owner.stop("INT");
}

#[test]
fn a_folder_of_other_lanes_is_refused_and_kept_as_it_is() {
    let folder = TempDir::new().unwrap();
    let owner = Server::keeping(folder.path());
    let map = owner.fill(1);
    owner.stop("INT");
    let arguments = ["--feed", "none", "--lanes", "32", "--data", text(folder.path())];
    assert_refused(&arguments, &[DATABASE, "--lanes 64, not 32"]);
    assert_eq!(Server::keeping(folder.path()).map()["cells"], map["cells"]);
}

#[test]
fn a_database_that_is_none_or_was_cut_off_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let owner = Server::keeping(folder.path());
    owner.fill(20);
    owner.stop("INT");
    let database = folder.path().join(DATABASE);
    let whole = fs::read(&database).unwrap();
    for unusable in [&b"no database\n".repeat(1_000), &whole[..whole.len() / 2], &whole[..4_096]] {
        fs::write(&database, unusable).unwrap();
        assert_refused(&["--feed", "none", "--data", text(folder.path())], &[text(&database)]);
        assert_eq!(fs::read(&database).unwrap(), unusable);
    }
    fs::write(&database, whole).unwrap();
    Server::keeping(folder.path()).fill(20);
}
