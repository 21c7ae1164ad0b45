//! Every code of a problem that the description of the API lists is seen once, with its status.

use std::collections::BTreeSet;
use std::fs;

use equilibrium_openapi::{CODES, Code, Origin};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::token;
use crate::full_disk::with_file_limit;
use crate::harness::fixture::{SETTLED_MS, Server, serve_unfed_from};
use crate::harness::http_client::{Connection, Request, get, post, post_array};
use crate::harness::market::{fleet, now_ms, place, rfc3339};
use crate::harness::process::until;

type Seen = BTreeSet<(u16, String)>;

const POLICY: &str = "/v1/cities/nyc/policy";

/// More drivers than files of the limited size take.
const MANY: usize = 2_000;

/// The most overrides of a city that have not ended.
const MAX_OVERRIDES: usize = 1_000;

/// A request with a body of JSON.
fn send(method: &'static str, target: &str, body: &Value) -> Request {
    let request = Request { body: body.to_string().into_bytes(), ..get(target) }.method(method);
    request.header("content-type", "application/json")
}

fn see(seen: &mut Seen, connection: &mut Connection, request: &Request) {
    seen.insert(connection.request(request).unwrap().problem());
}

/// The problem that is the answer to these bytes.
fn see_bytes(seen: &mut Seen, server: &Server, bytes: &str) {
    let mut connection = server.connect();
    connection.send(bytes.as_bytes()).unwrap();
    seen.insert(connection.response(false).unwrap().problem());
}

fn ride() -> Value {
    let (pickup, dropoff) = (place(0), place(1));
    json!({"pickup": {"lat": pickup.0, "lng": pickup.1}, "dropoff": {"lat": dropoff.0, "lng": dropoff.1}})
}

fn issue(server: &Server, ride: &Value) -> Request {
    let quote = server.request(&send("POST", "/v1/quotes", ride)).json();
    confirmation(quote["quote_id"].as_str().unwrap())
}

fn confirmation(id: &str) -> Request {
    send("POST", &format!("/v1/quotes/{id}/confirm"), &json!({}))
}

/// Problems of the head of a request and of its body, before any operation.
fn see_those_of_messages(seen: &mut Seen, server: &Server) {
    let get = "GET /v1/cities HTTP/1.1\r\n";
    let long = "y".repeat(70_000);
    let events = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n";
    for bytes in [
        format!("{get}\r\n"),
        format!("{get}host: attacker.example\r\n\r\n"),
        format!("{get}host: localhost\r\nexpect: a-miracle\r\n\r\n"),
        format!("{get}host: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("{events}transfer-encoding: gzip, chunked\r\n\r\n"),
        format!("{events}transfer-encoding: chunked\r\n\r\nx\r\n"),
        format!("{events}content-length: 99999999\r\n\r\n"),
    ] {
        see_bytes(seen, server, &bytes);
    }
}

/// Problems of requests that read.
fn see_those_of_reads(seen: &mut Seen, connection: &mut Connection, server: &Server) {
    let cell = server.cell(place(0));
    for request in [
        get("/nowhere"),
        get("/v1/events"),
        get("/v1/cities").header("accept-encoding", "br, *;q=0"),
        get("/v1/cities/%ff"),
        get("/v1/cities/atlantis"),
        get("/v1/price?lat=40.7&lng=%zz"),
        get("/v1/price?lat=40.7&lat=40.7"),
        get(&format!("/v1/price?{}", ["a=1"; 51].join("&"))),
        get("/v1/price?lat=north&lng=-74"),
        get("/v1/price?lng=-74"),
        get("/v1/price?lat=91&lng=-74"),
        get("/v1/price?lat=0&lng=0"),
        get("/v1/price?lat=40.7&lng=-74&product=sedan-chair"),
        get("/v1/cities/nyc/surge/800000000000000/explain"),
        get(&format!("/v1/cities/nyc/surge/{cell}/explain")),
        get("/v1/cities/nyc/policy/versions/99"),
        get("/v1/cities/nyc/overrides/0"),
        get("/v1/quotes/a.forged.token"),
    ] {
        see(seen, connection, &request);
    }
}

/// Problems of requests with a body.
fn see_those_of_bodies(seen: &mut Seen, connection: &mut Connection) {
    let far = json!({"pickup": ride()["pickup"], "dropoff": {"lat": 0, "lng": 0}});
    let mut short = ride();
    short["distance_m"] = 1.into();
    let mut dear: Value = connection.request(&get(POLICY)).unwrap().json();
    dear["limits"]["max_multiplier"] = 50.into();
    let put = |policy: &Value, if_match| send("PUT", POLICY, policy).header("if-match", if_match);
    for request in [
        post("").header("content-encoding", "br"),
        post("{}").header("content-encoding", "gzip"),
        Request { headers: Vec::new(), ..post("") }.header("content-type", "text/plain"),
        post_array("[{}"),
        Request {
            body: ("[".repeat(101) + &"]".repeat(101)).into(),
            ..send("POST", "/v1/quotes", &json!({}))
        },
        send("POST", "/v1/quotes", &json!({})),
        send("POST", "/v1/quotes", &far),
        send("POST", "/v1/quotes", &short),
        send("PUT", POLICY, &dear),
        put(&dear, "\"99\""),
        put(&dear, "\"1\""),
        put(&json!({}), "\"1\""),
        send("POST", "/v1/cities/nyc/overrides", &json!({})),
    ] {
        see(seen, connection, &request);
    }
}

/// Puts the policy with other terms of quotes in force.
fn change_quotes(server: &Server, terms: &Value) {
    let mut policy = server.json(POLICY);
    for (name, value) in terms.as_object().unwrap() {
        policy["quote"][name] = value.clone();
    }
    let saved = server.request(&send("PUT", POLICY, &policy).header("if-match", "*"));
    assert_eq!(saved.status, 200, "{}", saved.text());
}

/// Problems of quotes that were issued.
fn see_those_of_quotes(seen: &mut Seen, connection: &mut Connection, server: &Server) {
    let confirm = issue(server, &ride());
    see(seen, connection, &confirm.clone().header("idempotency-key", &"k".repeat(65)));
    assert_eq!(connection.request(&confirm).unwrap().status, 200);
    see(seen, connection, &confirm);

    change_quotes(server, &json!({"ack_above": 0.5}));
    let required = until("a quote that requires an acknowledgement", || {
        let problem = server.request(&issue(server, &ride()));
        (problem.status != 200).then(|| problem.problem())
    });
    seen.insert(required);
    change_quotes(server, &json!({"ttl_ms": 1}));
    let expired = until("a quote that has expired", || {
        let (status, code) = server.request(&issue(server, &ride())).problem();
        (status == 410).then_some((status, code))
    });
    seen.insert(expired);
}

/// The problem of a product without a fare: the currency has no digits for the default one.
fn see_no_fare(seen: &mut Seen, server: &Server) {
    let ring = [[139.0, 35.0], [140.0, 35.0], [140.0, 36.0], [139.0, 36.0], [139.0, 35.0]];
    let tokyo = json!({
        "city": "tokyo", "currency": "JPY", "products": [{"id": "standard"}],
        "boundary": {"type": "Polygon", "coordinates": [ring]},
    });
    let saved = server.request(&send("PUT", "/v1/cities/tokyo/policy", &tokyo).header("if-none-match", "*"));
    assert_eq!(saved.status, 201, "{}", saved.text());
    let end = json!({"lat": 35.5, "lng": 139.5});
    let ride = send("POST", "/v1/quotes", &json!({"pickup": end, "dropoff": end}));
    let problem = until("the new city", || {
        let (status, code) = server.request(&ride).problem();
        (status != 404).then_some((status, code))
    });
    seen.insert(problem);
}

fn see_too_many_overrides(seen: &mut Seen, connection: &mut Connection) {
    let one = json!({"kind": "freeze", "ends_at": rfc3339(now_ms() + 3_600_000), "reason": "test"});
    let request = send("POST", "/v1/cities/nyc/overrides", &one);
    for _ in 0..MAX_OVERRIDES {
        assert_eq!(connection.request(&request).unwrap().status, 201);
    }
    see(seen, connection, &request);
}

/// The problem of events that cannot be written.
fn see_unavailable(seen: &mut Seen) {
    let folder = TempDir::new().unwrap();
    let server = with_file_limit(&serve_unfed_from(folder.path()));
    let at_ms = now_ms() - SETTLED_MS;
    let mut number = 0;
    let problem = until("the disk to be full", || {
        number += 1;
        let response = server.request(&post(fleet(number, MANY, at_ms)));
        (response.status != 202).then(|| response.problem())
    });
    seen.insert(problem);
}

/// Problems of clients that are not admitted.
fn see_those_of_admission(seen: &mut Seen) {
    let folder = TempDir::new().unwrap();
    let rates = folder.path().join("rates.json");
    fs::write(&rates, r#"{"default": {"prices": 1}}"#).unwrap();
    let mut command = serve_unfed_from(folder.path());
    let server = Server::start(command.args(["--auth", "on", "--rate-limits", rates.to_str().unwrap()]));
    let token = token(folder.path(), &["--scope", "prices:read"]);
    let with_token = |target: &str| get(target).header("authorization", &format!("Bearer {token}"));
    let mut connection = server.connect();
    see(seen, &mut connection, &get("/v1/cities"));
    see(seen, &mut connection, &with_token("/v1/cities/nyc/policy"));
    assert_eq!(connection.request(&with_token("/v1/cities")).unwrap().status, 200);
    see(seen, &mut connection, &with_token("/v1/cities"));
}

#[test]
fn every_code_of_the_description_is_seen_with_its_status() {
    let (server, mut seen) = (Server::unfed(), Seen::new());
    // It waits while the others are answered.
    let mut stalled = server.connect();
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n";
    stalled.send(format!("{head}content-length: 9\r\n\r\n").as_bytes()).unwrap();

    see_those_of_messages(&mut seen, &server);
    let mut connection = server.connect();
    see_those_of_reads(&mut seen, &mut connection, &server);
    see_those_of_bodies(&mut seen, &mut connection);
    see_those_of_quotes(&mut seen, &mut connection, &server);
    see_no_fare(&mut seen, &server);
    see_too_many_overrides(&mut seen, &mut connection);
    see_those_of_admission(&mut seen);
    see_unavailable(&mut seen);
    seen.insert(stalled.response(false).unwrap().problem());

    // The others are of a payload of API Gateway; the functions' tests see them.
    let served = CODES.iter().filter(|code| code.origin != Origin::Gateway);
    let listed: Seen = served.map(|Code { status, code, .. }| (*status, (*code).to_owned())).collect();
    assert_eq!(seen, listed);
}
