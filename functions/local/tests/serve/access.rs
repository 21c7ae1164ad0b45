//! `--auth on`: tokens of `equilibrium token`, scopes, authors and rates, over HTTP.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::fixture::{Server, serve_unfed, serve_unfed_from};
use crate::harness::http_client::{Request, Response, get, post};
use crate::harness::market::{driver, now_ms, place, rfc3339};

const SCOPES: [&str; 6] =
    ["events:write", "prices:read", "quotes:write", "quotes:trusted", "policy:write", "ops:write"];

fn secured(folder: &Path) -> Server {
    Server::start(serve_unfed_from(folder).args(["--auth", "on"]))
}

pub fn token(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    let output = command.arg("token").arg("--data").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn with(request: Request, token: &str) -> Request {
    request.header("authorization", &format!("Bearer {token}"))
}

fn send_json(method: &'static str, target: &str, body: &Value) -> Request {
    let request = Request { body: body.to_string().into_bytes(), ..get(target) };
    request.method(method).header("content-type", "application/json")
}

/// A quote of a ride whose given length is a small part of the distance.
fn detour() -> Request {
    let ((lat, lng), (to_lat, to_lng)) = (place(1), place(9));
    let (pickup, dropoff) = (json!({"lat": lat, "lng": lng}), json!({"lat": to_lat, "lng": to_lng}));
    send_json(
        "POST",
        "/v1/quotes",
        &json!({"pickup": pickup, "dropoff": dropoff, "distance_m": 2, "duration_s": 600}),
    )
}

fn outcome(response: &Response) -> (u16, String) {
    if response.status < 400 { (response.status, String::new()) } else { response.problem() }
}

#[test]
fn each_call_needs_its_scope_and_the_page_needs_none() {
    let folder = TempDir::new().unwrap();
    let server = secured(folder.path());
    let events = post(driver("d", place(1), now_ms()));
    let override_ =
        json!({"kind": "floor", "multiplier": 1.5, "ends_at": rfc3339(now_ms() + 600_000), "reason": "t"});
    let calls = [
        (events, "events:write"),
        (get("/v1/cities"), "prices:read"),
        (get("/v1/price?lat=40.7549&lng=-73.984"), "prices:read"),
        (get("/v1/cities/nyc/surge"), "prices:read"),
        (get("/v1/cities/nyc/history"), "prices:read"),
        (get("/v1/stream?city=nyc").method("HEAD"), "prices:read"),
        (get("/v1/quotes/a.b.c"), "quotes:write"),
        (get("/v1/cities/nyc/policy"), "policy:write"),
        (get("/v1/cities/nyc/policy/versions"), "policy:write"),
        (send_json("POST", "/v1/cities/nyc/overrides", &override_), "ops:write"),
    ];
    let tokens = SCOPES.map(|scope| (scope, token(folder.path(), &["--scope", scope])));
    for (request, needed) in calls {
        // The answer to HEAD has no content.
        if request.method != "HEAD" {
            assert_eq!(outcome(&server.request(&request)), (401, "unauthenticated".into()), "{request:?}");
        }
        for (scope, token) in &tokens {
            let response = server.request(&with(request.clone(), token));
            if *scope == needed {
                assert!(!matches!(response.status, 401 | 403), "{request:?}: {}", response.text());
            } else {
                assert_eq!(response.status, 403, "{request:?} with {scope}");
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
                assert_eq!(response.header("www-authenticate"), challenge);
            }
        }
    }
    for open in ["/", "/v1/schemas/policy.json"] {
        assert_eq!(server.request(&get(open)).status, 200, "{open}");
    }
    assert_eq!(server.request(&get("/nowhere")).problem(), (404, "not_found".into()));
}

#[test]
fn a_token_that_is_none_is_401_before_the_body_is_sent() {
    let folder = TempDir::new().unwrap();
    let server = secured(folder.path());
    let good = token(folder.path(), &["--scope", "events:write"]);
    let other = TempDir::new().unwrap();
    drop(secured(other.path()));
    let of_another_key = token(other.path(), &["--scope", "events:write"]);
    for bad in [&good[..good.len() - 2], &of_another_key, "a.b.c", "", &good.replacen('.', "", 1)] {
        let response = server.request(&with(post(driver("d", place(1), now_ms())), bad));
        assert_eq!(outcome(&response), (401, "unauthenticated".into()), "{bad}");
        assert!(response.header("www-authenticate").starts_with("Bearer"));
    }
    let mut connection = server.connect();
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
                content-length: 1000000\r\nexpect: 100-continue\r\n\r\n";
    connection.send(head.as_bytes()).unwrap();
    assert_eq!(connection.response(false).unwrap().status, 401);
}

#[test]
fn the_subject_of_a_token_is_the_author_and_a_trusted_client_gives_any_distance() {
    let folder = TempDir::new().unwrap();
    let server = secured(folder.path());
    let operator =
        token(folder.path(), &["--subject", "ada", "--scope", "ops:write", "policy:write", "prices:read"]);
    let override_ =
        json!({"kind": "cap", "multiplier": 1.5, "ends_at": rfc3339(now_ms() + 600_000), "reason": "t"});
    let created = server.request(&with(send_json("POST", "/v1/cities/nyc/overrides", &override_), &operator));
    assert_eq!((created.status, created.json()["author"].clone()), (201, json!("ada")));

    let policy = server.request(&with(get("/v1/cities/nyc/policy"), &operator));
    let put = send_json("PUT", "/v1/cities/nyc/policy", &policy.json());
    let saved = server.request(&with(put.header("if-match", policy.header("etag")), &operator));
    assert_eq!(saved.status, 200, "{}", saved.text());
    let versions = server.request(&with(get("/v1/cities/nyc/policy/versions"), &operator)).json();
    assert!(versions.to_string().contains("\"author\":\"ada\""), "{versions}");

    let client = token(folder.path(), &["--scope", "quotes:write"]);
    let refused = server.request(&with(detour(), &client));
    assert_eq!(refused.problem(), (422, "implausible_distance".into()));
    let trusted = token(folder.path(), &["--scope", "quotes:write", "quotes:trusted"]);
    let issued = server.request(&with(detour(), &trusted));
    assert_eq!(issued.status, 201, "{}", issued.text());
}

#[test]
fn a_client_that_calls_too_often_is_429_and_others_are_not() {
    let folder = TempDir::new().unwrap();
    let rates = folder.path().join("rates.json");
    std::fs::write(&rates, r#"{"default": {"prices": 3}, "clients": {"dispatch": {"prices": 1000}}}"#)
        .unwrap();
    let mut command = serve_unfed_from(folder.path());
    let server = Server::start(command.args(["--auth", "on", "--rate-limits", rates.to_str().unwrap()]));
    let token = |subject| token(folder.path(), &["--subject", subject, "--scope", "prices:read"]);
    let (ada, grace, dispatch) = (token("ada"), token("grace"), token("dispatch"));
    let price = |token: &str| server.request(&with(get("/v1/price?lat=40.7549&lng=-73.984"), token));
    for _ in 0..3 {
        assert_eq!(price(&ada).status, 200);
    }
    let limited = price(&ada);
    assert_eq!(limited.problem(), (429, "rate_limited".into()));
    assert_eq!(limited.header("retry-after"), "20");
    assert_eq!(price(&grace).status, 200);
    for _ in 0..20 {
        assert_eq!(price(&dispatch).status, 200);
    }
    assert_eq!(server.request(&with(get("/v1/cities/nyc/surge"), &ada)).status, 200);
}

#[test]
fn the_default_rates_are_those_of_the_contract_and_need_no_tokens() {
    let server = Server::start(serve_unfed().args(["--rate-limits", "on"]));
    let mut connection = server.connect();
    let mut admitted = 0;
    let map = get("/v1/cities/nyc/surge");
    while connection.request(&map).unwrap().status == 200 {
        admitted += 1;
    }
    // One more for each second that this took.
    assert!((60..80).contains(&admitted), "{admitted}");
    assert_eq!(connection.request(&get("/v1/cities")).unwrap().status, 200);
    assert_eq!(connection.request(&get("/")).unwrap().status, 200);
}

#[test]
fn the_key_stays_in_its_folder_and_a_server_without_one_prints_a_token() {
    let folder = TempDir::new().unwrap();
    drop(secured(folder.path()));
    let kept = token(folder.path(), &["--scope", "prices:read", "--ttl", "2m"]);
    let server = secured(folder.path());
    assert_eq!(server.request(&with(get("/v1/cities"), &kept)).status, 200);

    let server = Server::start(serve_unfed().args(["--auth", "on"]));
    let own = server
        .process
        .wait_for_line("a token", |line| line.trim().strip_prefix("export TOKEN=").map(str::to_owned));
    assert_eq!(server.request(&with(get("/v1/cities"), &own)).status, 200);
    assert_eq!(server.request(&with(get("/v1/cities"), &kept)).status, 401);
}

#[test]
fn a_token_needs_a_key_a_scope_and_a_time() {
    let folder = TempDir::new().unwrap();
    let refused = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
        let output = command.arg("token").arg("--data").arg(folder.path()).args(arguments).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["--scope", "prices:read"]).contains("serve --auth on --data"));
    assert!(refused(&[]).contains("--scope"));
    assert!(refused(&["--scope", "prices:write"]).contains("prices:read"));
    assert!(refused(&["--scope", "prices:read", "--ttl", "0h"]).contains("--ttl"));
    assert!(refused(&["--scope", "prices:read", "--subject", ""]).contains("--subject"));
}
