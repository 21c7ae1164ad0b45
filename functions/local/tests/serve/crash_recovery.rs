//! A server that is killed repeatedly loses no acknowledged event and counts none twice.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use equilibrium_simulator::city::{City, Settings, policy};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::{Connection, post};
use crate::harness::market::now_ms;
use crate::harness::process::until;

const KILLS: usize = 20;
const BODY_EVENTS: usize = 500;
const PAST_MS: i64 = 240_000;

/// Demand, supply and multiplier by cell, of a map or of a replay.
type Cells = BTreeMap<String, (u64, u64, f64)>;

fn start(folder: &Path) -> Server {
    let mut command = serve(&["--feed", "none", "--max-hold-ms", "1000000000"]);
    Server::start(command.arg("--data").arg(folder))
}

/// The map's tick and cells; `None` before the first tick.
fn map(server: &Server) -> Option<(String, Cells)> {
    let map = server.json("/v1/cities/nyc/surge?product=standard");
    let as_of = map["as_of"].as_str()?.to_owned();
    assert_eq!(map["completeness"], 1.0);
    assert!(map["mode"] == "fresh" || map["mode"] == "cached", "{}", map["mode"]);
    let cells = map["cells"].as_array().unwrap().iter().map(cell).collect();
    Some((as_of, cells))
}

fn cell(row: &Value) -> (String, (u64, u64, f64)) {
    let values = (
        row["demand"].as_u64().unwrap(),
        row["supply"].as_u64().unwrap(),
        row["multiplier"].as_f64().unwrap(),
    );
    (row["cell"].as_str().unwrap().to_owned(), values)
}

/// The rows of a replay, by tick.
fn replayed(folder: &Path, events: &[u8]) -> BTreeMap<String, Cells> {
    let [file, city, out] = ["events.ndjson", "nyc.json", "ticks.ndjson"].map(|name| folder.join(name));
    fs::write(&file, events).unwrap();
    fs::write(&city, policy::JSON).unwrap();
    let replay = Command::new(env!("CARGO_BIN_EXE_equilibrium"))
        .arg("replay")
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .arg("--city")
        .arg(&city)
        .output()
        .unwrap();
    assert!(replay.status.success());
    let mut ticks: BTreeMap<String, Cells> = BTreeMap::new();
    for line in fs::read_to_string(&out).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        ticks.entry(row["at"].as_str().unwrap().to_owned()).or_default().extend([cell(&row)]);
    }
    ticks
}

/// Minutes of the simulated city until now, in bodies.
fn bodies() -> Vec<Vec<u8>> {
    let now_ms = now_ms();
    let mut events = Vec::new();
    City::new(&Settings::new(7, now_ms - PAST_MS), &policy::policy()).advance(now_ms, &mut events);
    let lines: Vec<&[u8]> = events.split_inclusive(|byte| *byte == b'\n').collect();
    lines.chunks(BODY_EVENTS).map(<[&[u8]]>::concat).collect()
}

#[test]
fn every_acknowledged_event_counts_once_whenever_the_server_is_killed() {
    let folder = TempDir::new().unwrap();
    let bodies = bodies();
    let ticks = replayed(folder.path(), &bodies.concat());
    let data = folder.path().join("data");
    let agrees = |server: &Server| {
        let (as_of, cells) = map(server)?;
        assert!(cells == ticks[&as_of], "the map as of {as_of} is not the replay's");
        Some(as_of)
    };

    let mut server = start(&data);
    let (address, restarted) = (Mutex::new(server.address), Condvar::new());
    let (acknowledge, acknowledged) = channel();
    thread::scope(|scope| {
        let (bodies, address, restarted) = (&bodies, &address, &restarted);
        scope.spawn(move || {
            for body in bodies {
                post_until_acknowledged(body, address, restarted);
                acknowledge.send(()).unwrap();
            }
        });
        // The first kill is before the first tick, the last one before the last tick.
        let between = bodies.len() * 9 / 10 / KILLS;
        for kill in 0..KILLS {
            let more = if kill == 0 { 1 } else { between };
            assert_eq!(acknowledged.iter().take(more).count(), more);
            // Each kill is at another point of a request, from its first byte to its response.
            thread::sleep(Duration::from_micros(700 * kill as u64));
            server.process.signal("KILL");
            server.process.wait();
            server = start(&data);
            agrees(&server);
            *address.lock() = server.address;
            restarted.notify_all();
        }
    });
    // The last served tick is the one before the last of the replay.
    let last = *ticks.keys().nth_back(1).as_ref().unwrap();
    until("the last tick", || agrees(&server).filter(|as_of| as_of >= last));
}

/// Posts a body to the current address until it is acknowledged.
fn post_until_acknowledged(body: &[u8], address: &Mutex<SocketAddr>, restarted: &Condvar) {
    loop {
        let current = *address.lock();
        match Connection::connect(current).and_then(|mut connection| connection.request(&post(body))) {
            Ok(response) if response.status == 202 => {
                let events = body.split(|byte| *byte == b'\n').count() as u64 - 1;
                assert_eq!(response.accepted(), events);
                return;
            }
            Ok(response) => assert_eq!(response.status, 503),
            Err(_) => {
                let is_unchanged = |address: &mut SocketAddr| *address == current;
                let mut address = address.lock();
                restarted.wait_while_for(&mut address, is_unchanged, Duration::from_millis(200));
            }
        }
    }
}
