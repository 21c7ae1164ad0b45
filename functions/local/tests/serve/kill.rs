//! A process that is killed again and again loses no acknowledged event and counts none twice.

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

use crate::client::{Connection, post};
use crate::market::now_ms;
use crate::world::{Server, serve, until};

const KILLS: usize = 20;
const BODY_EVENTS: usize = 500;
const PAST_MS: i64 = 240_000;

/// What a map or a replay says of a cell: demand, supply and multiplier.
type Cells = BTreeMap<String, (u64, u64, f64)>;

fn start(folder: &Path) -> Server {
    let mut command = serve(&["--feed", "none", "--max-hold-ms", "1000000000"]);
    Server::start(command.arg("--data").arg(folder))
}

/// The map's tick and cells; none before the first tick.
fn map(server: &Server) -> Option<(String, Cells)> {
    let map = server.json("/v1/cities/nyc/surge?product=standard");
    let as_of = map["as_of"].as_str()?.to_owned();
    assert_eq!(map["completeness"], 1.0);
    assert!(map["mode"] == "fresh" || map["mode"] == "cached", "{}", map["mode"]);
    let cells = map["cells"].as_array().unwrap().iter().map(cell).collect();
    Some((as_of, cells))
}

fn cell(row: &Value) -> (String, (u64, u64, f64)) {
    let facts = (
        row["demand"].as_u64().unwrap(),
        row["supply"].as_u64().unwrap(),
        row["multiplier"].as_f64().unwrap(),
    );
    (row["cell"].as_str().unwrap().to_owned(), facts)
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

/// Minutes of the simulated city that end now, in bodies.
fn bodies() -> Vec<Vec<u8>> {
    let now_ms = now_ms();
    let mut events = Vec::new();
    City::new(&Settings::new(7, now_ms - PAST_MS), &policy::policy()).advance(now_ms, &mut events);
    let lines: Vec<&[u8]> = events.split_inclusive(|byte| *byte == b'\n').collect();
    lines.chunks(BODY_EVENTS).map(<[&[u8]]>::concat).collect()
}

#[test]
fn every_acknowledged_event_counts_once_whenever_the_process_is_killed() {
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
    let (address, moved) = (Mutex::new(server.address), Condvar::new());
    let (acknowledge, acknowledged) = channel();
    thread::scope(|scope| {
        let (bodies, address, moved) = (&bodies, &address, &moved);
        scope.spawn(move || {
            for body in bodies {
                post_until_acknowledged(body, address, moved);
                acknowledge.send(()).unwrap();
            }
        });
        // The first before the first tick, the last before the last.
        let between = bodies.len() * 9 / 10 / KILLS;
        for kill in 0..KILLS {
            let more = if kill == 0 { 1 } else { between };
            assert_eq!(acknowledged.iter().take(more).count(), more);
            // Each time at another moment of a request, from its first byte to its answer.
            thread::sleep(Duration::from_micros(700 * kill as u64));
            server.process.signal("KILL");
            server.process.ended();
            server = start(&data);
            agrees(&server);
            *address.lock() = server.address;
            moved.notify_all();
        }
    });
    // A served tick is five seconds older than a replay's last.
    let last = *ticks.keys().nth_back(1).as_ref().unwrap();
    until("the last tick", || agrees(&server).filter(|as_of| as_of >= last));
}

/// Posts at full speed, wherever the process listens, and again what nobody acknowledged.
fn post_until_acknowledged(body: &[u8], address: &Mutex<SocketAddr>, moved: &Condvar) {
    loop {
        let here = *address.lock();
        match Connection::to(here).and_then(|mut connection| connection.ask(&post(body))) {
            Ok(reply) if reply.status == 202 => {
                let events = body.split(|byte| *byte == b'\n').count() as u64 - 1;
                assert_eq!(reply.accepted(), events);
                return;
            }
            Ok(reply) => assert_eq!(reply.status, 503),
            Err(_) => {
                let gone = |held: &mut SocketAddr| *held == here;
                let mut held = address.lock();
                moved.wait_while_for(&mut held, gone, Duration::from_millis(200));
            }
        }
    }
}
