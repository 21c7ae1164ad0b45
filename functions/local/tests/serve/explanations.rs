//! Why a price was what it was, also before a restart; and how prices changed.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::fixture::Server;
use crate::harness::market::place;

/// The output of `equilibrium explain`, which must succeed.
fn explain(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    let output = command.arg("explain").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_price_is_explained_before_and_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let server = Server::unfed_from(folder.path());
    let map = server.fill(30);
    let (cell, at) = (server.cell(place(0)), map["as_of"].as_str().unwrap().to_owned());
    let listed =
        map["cells"].as_array().unwrap().iter().find(|listed| listed["cell"] == cell.as_str()).unwrap();
    let path = format!("/v1/cities/nyc/surge/{cell}/explain?at={at}");
    let explanation = server.json(&path);
    assert_eq!((&explanation["multiplier"], &explanation["at"]), (&listed["multiplier"], &map["as_of"]));
    assert_eq!(explanation["version"], map["version"]);
    let own = explanation["cells"].as_array().unwrap().iter().find(|around| around["ring"] == 0).unwrap();
    assert_eq!((&own["demand"], &own["supply"]), (&listed["demand"], &listed["supply"]));
    let history = server.json(&format!("/v1/cities/nyc/history?cell={cell}"));
    let first = &history["changes"][0];
    assert_eq!((&first["cell"], &first["multiplier"]), (&Value::from(cell.as_str()), &listed["multiplier"]));
    server.stop("TERM");

    let server = Server::unfed_from(folder.path());
    server.fill(3);
    assert_eq!(server.json(&path), explanation, "the same explanation of the same tick");
    let after = server.json(&format!("/v1/cities/nyc/history?cell={cell}"));
    assert_eq!(after["changes"][0], *first);
    let ticks = server.json(&format!("/v1/cities/nyc/history?cell={cell}&ticks=true"));
    assert!(ticks["changes"].as_array().unwrap().iter().any(|tick| tick["at"] == at.as_str()));

    let url = format!("http://{}", server.address);
    let arguments = ["--city", "nyc", "--cell", &cell, "--at", &at, "--url", &url];
    let json: Value = serde_json::from_str(&explain(&[&arguments[..], &["--json"]].concat())).unwrap();
    assert_eq!(json, explanation);
    let page = explain(&arguments);
    let price = format!("{:.2}×", listed["multiplier"].as_f64().unwrap());
    assert!(page.starts_with(explanation["text"].as_str().unwrap()), "{page}");
    for line in [format!("cell              {cell}"), format!("multiplier        {price}")] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }

    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    let output =
        command.args(["explain", "--city", "rome", "--cell", &cell, "--url", &url]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), error.as_str()),
        (Some(1), "equilibrium: no such city (unknown_city)\n")
    );
    server.stop("TERM");
}
