//! Overrides while the server runs: in force within seconds while no tick closes, and kept in its folder.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::event_stream::EventStream;
use crate::harness::fixture::Server;
use crate::harness::http_client::{Request, get};
use crate::harness::market::{ms, now_ms, place, rfc3339, rider, total};
use crate::harness::process::until;

const OVERRIDES: &str = "/v1/cities/nyc/overrides";

/// A place that the map lists.
const LISTED: usize = 1;

fn create(server: &Server, one: &Value) -> Value {
    let request = Request { body: one.to_string().into_bytes(), ..get(OVERRIDES) }.method("POST");
    let response = server.request(&request.header("content-type", "application/json"));
    assert_eq!(response.status, 201, "{}", response.text());
    response.json()
}

/// The fields of every override here.
fn of(kind: &str, multiplier: Option<f64>) -> Value {
    json!({"kind": kind, "multiplier": multiplier, "ends_at": rfc3339(now_ms() + 600_000), "reason": "test"})
}

fn price(server: &Server) -> Value {
    let (lat, lng) = place(LISTED);
    server.json(&format!("/v1/price?lat={lat}&lng={lng}"))["multiplier"].clone()
}

#[test]
fn an_override_binds_in_price_map_and_stream_while_the_stream_stands_still() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::unfed_from(folder.path());
    let before = server.fill(3);
    let mut stream = EventStream::open(&server, "/v1/stream?city=nyc", None);

    let created_at = Instant::now();
    let floor = create(&server, &of("floor", Some(1.7)));
    until("the new price", || (price(&server) == json!(1.7)).then_some(()));
    let change = loop {
        let change = stream.next("surge_changed");
        if change.data["bounds"] != before["bounds"] {
            break change;
        }
    };
    assert!(created_at.elapsed() < Duration::from_secs(5), "{:?}", created_at.elapsed());
    let map = server.map();
    assert_eq!((&map["version"], &map["bounds"]), (&before["version"], &json!(2)));
    assert!(map["cells"].as_array().unwrap().iter().all(|cell| cell["multiplier"] == 1.7));
    assert_eq!((&change.data["version"], &change.data["from"]), (&map["version"], &map["version"]));
    assert_eq!(change.data["cells"].as_array().unwrap().len(), map["cells"].as_array().unwrap().len());

    // What was acknowledged is on disk.
    let kill = create(&server, &of("kill", None));
    server.process.signal("KILL");
    server.process.wait();
    let server = Server::unfed_from(folder.path());
    assert_eq!(price(&server), json!(1.0));
    let listed = server.json(OVERRIDES);
    let ids: Vec<&Value> = listed["overrides"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&kill["id"], &floor["id"]]);

    let id = kill["id"].as_str().unwrap();
    let ended = server.request(&get(&format!("{OVERRIDES}/{id}")).method("DELETE"));
    assert_eq!((ended.status, &ended.json()["state"]), (200, &json!("ended")));
    until("the floor again", || (price(&server) == json!(1.7)).then_some(()));
    assert_eq!(server.map()["bounds"], json!(4), "the policy, two starts and an end");
    server.stop("TERM");
}

#[test]
fn a_freeze_keeps_the_prices_of_its_start_while_ticks_close() {
    let server = Server::unfed();
    server.fill(3);
    let freeze = create(&server, &of("freeze", None));
    let starts_at = ms(&freeze["starts_at"]);
    let frozen = loop {
        let map = server.close_ticks();
        if ms(&map["as_of"]) > starts_at {
            break map;
        }
    };
    let at_ms = now_ms() - 6_000;
    let crowd: Vec<String> = (0..200).map(|id| rider(&format!("r{id}"), place(LISTED), at_ms)).collect();
    server.post(&crowd.concat());
    let after = server.close_ticks();
    assert!(after["version"].as_u64() > frozen["version"].as_u64());
    let cells = |map: &Value| -> Vec<(Value, Value)> {
        let cells = map["cells"].as_array().unwrap().iter();
        cells.map(|cell| (cell["cell"].clone(), cell["multiplier"].clone())).collect()
    };
    for (cell, multiplier) in cells(&frozen) {
        assert!(cells(&after).contains(&(cell.clone(), multiplier)), "{cell} is frozen and stays in the map");
    }
    for (cell, multiplier) in cells(&after) {
        let was_reported = cells(&frozen).iter().any(|(other, _)| *other == cell);
        assert!(was_reported || multiplier == 1.0, "{cell} was not reported at the start");
    }
    assert!(total(&after, "demand") >= 200, "counts go on");
    server.stop("TERM");
}
