//! Policies that are changed while the server runs, and kept in its folder.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::fixture::{Server, serve, serve_unfed_from};
use crate::harness::http_client::{Request, Response, get};
use crate::harness::market::place;
use crate::harness::process::until;

const POLICY: &str = "/v1/cities/nyc/policy";

/// A place without drivers and riders.
const EMPTY: usize = 60;

/// Puts a policy in place of the version with this entity tag.
fn put(policy: &Value, if_match: &str) -> Request {
    let request = Request { body: policy.to_string().into_bytes(), ..get(POLICY) }.method("PUT");
    request.header("content-type", "application/json").header("if-match", if_match)
}

fn saved(server: &Server) -> (Value, String) {
    let response = server.request(&get(POLICY));
    (response.json(), response.header("etag").to_owned())
}

/// The policy in force with another floor, and a confirmation of whatever that changes.
fn with_floor(server: &Server, floor: f64) -> Value {
    let (mut policy, _) = saved(server);
    policy["limits"]["min_multiplier"] = json!(floor);
    policy
}

fn price(server: &Server) -> Value {
    let (lat, lng) = place(EMPTY);
    server.json(&format!("/v1/price?lat={lat}&lng={lng}"))["multiplier"].clone()
}

fn tag(response: &Response) -> &str {
    assert_eq!(response.status, 200, "{}", response.text());
    response.header("etag")
}

#[test]
fn a_saved_policy_is_in_force_within_five_seconds_and_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::unfed_from(folder.path());
    server.fill(3);
    assert_eq!((price(&server), saved(&server).1), (json!(1.0), "\"1\"".to_owned()));

    let tried = server.request(&Request {
        target: format!("{POLICY}?dry_run=true"),
        ..put(&with_floor(&server, 1.5), "*")
    });
    let tried = tried.json();
    assert_eq!(tried["changes"], json!([{"pointer": "/limits/min_multiplier", "before": 1.0, "after": 1.5}]));
    assert_eq!(tried["map"]["unreported"], json!({"before": 1.0, "after": 1.5}));
    assert_eq!(saved(&server).1, "\"1\"", "a dry run saves nothing");

    assert_eq!(tag(&server.request(&put(&with_floor(&server, 1.5), "\"1\""))), "\"2\"");
    let saved_at = Instant::now();
    until("the new price", || (price(&server) == json!(1.5)).then_some(()));
    assert!(saved_at.elapsed() < Duration::from_secs(5), "{:?}", saved_at.elapsed());

    // What was acknowledged is on disk.
    assert_eq!(tag(&server.request(&put(&with_floor(&server, 1.25), "\"2\""))), "\"3\"");
    server.process.signal("KILL");
    server.process.wait();
    let server = Server::unfed_from(folder.path());
    let versions = server.json(&format!("{POLICY}/versions"));
    let authors: Vec<&Value> =
        versions["versions"].as_array().unwrap().iter().map(|version| &version["author"]).collect();
    assert_eq!(authors, [&json!("local"), &json!("local"), &json!("city file")]);
    assert_eq!(price(&server), json!(1.25));
    server.stop("TERM");
}

/// A server in `folder` with this city file.
fn server_of(folder: &TempDir, file: &Value) -> Server {
    let path = folder.path().join("city.json");
    fs::write(&path, file.to_string()).unwrap();
    let mut command: Command = serve(&["--feed", "none", "--city", path.to_str().unwrap()]);
    command.arg("--data").arg(folder.path());
    Server::start(&mut command)
}

#[test]
fn what_was_saved_stays_in_force_until_the_city_file_is_edited() {
    let folder = TempDir::new().unwrap();
    let server = server_of(
        &folder,
        &json!({
            "city": "nyc", "currency": "USD", "products": [{"id": "standard"}],
            "boundary": {"type": "Polygon", "coordinates": [[[-75, 40], [-73, 40], [-73, 42], [-75, 42], [-75, 40]]]},
        }),
    );
    let (file, _) = saved(&server);
    assert_eq!(tag(&server.request(&put(&with_floor(&server, 1.5), "\"1\""))), "\"2\"");
    server.stop("TERM");

    let server = server_of(&folder, &file);
    assert_eq!(saved(&server).1, "\"2\"", "the file is as it was");
    server.stop("TERM");
    let mut edited = file;
    edited["name"] = json!("Gotham");
    let server = server_of(&folder, &edited);
    assert_eq!((saved(&server).0["name"].clone(), saved(&server).1), (json!("Gotham"), "\"3\"".to_owned()));
    server.stop("TERM");
    // Without a file the folder's own cities are served.
    let mut command = serve(&["--feed", "none"]);
    command.arg("--data").arg(folder.path());
    let server = Server::start(&mut command);
    assert_eq!(saved(&server).0["name"], "Gotham");
    server.stop("TERM");
}

#[test]
fn a_body_is_read_where_a_policy_is_put_and_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&mut serve_unfed_from(folder.path()));
    let policy = with_floor(&server, 1.0);
    let body = |target: &str, method| {
        let request = Request { target: target.to_owned(), ..put(&policy, "\"9\"") };
        server.request(&request.method(method)).problem()
    };
    assert_eq!(body(POLICY, "PUT").0, 412);
    assert_eq!(body(POLICY, "POST").0, 405);
    assert_eq!(body("/v1/cities/nyc/policy/versions", "PUT").0, 405);
    assert_eq!(body("/v1/cities/nyc", "PUT").0, 405);
    let large = Request { body: vec![b' '; 3 << 20], ..put(&policy, "\"1\"") };
    assert_eq!(server.request(&large).problem(), (413, "body_too_large".to_owned()));
    let text = put(&policy, "\"1\"").header("content-encoding", "br");
    assert_eq!(server.request(&text).problem().0, 415);
    server.stop("TERM");
}
