//! The change stream: a client that applies its events to a map has the newest map.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::event_stream::{Event, EventStream};
use crate::harness::fixture::{SETTLED_MS, Server};
use crate::harness::http_client::get;
use crate::harness::market::{driver, fleet, now_ms, place};

/// A city's cells, as a client of the stream keeps them.
struct Copy {
    version: u64,
    cells: BTreeMap<String, Value>,
}

impl Copy {
    fn of(map: &Value) -> Self {
        let cells = map["cells"].as_array().unwrap().iter();
        let cells = cells.map(|cell| {
            let mut cell = cell.clone();
            cell.as_object_mut().unwrap().remove("product");
            (cell["cell"].as_str().unwrap().to_owned(), cell)
        });
        Self { version: map["version"].as_u64().unwrap(), cells: cells.collect() }
    }

    /// Applies an event, if it is newer.
    fn apply(&mut self, event: &Event) {
        let change = &event.data;
        let version = change["version"].as_u64().unwrap();
        if version <= self.version {
            return;
        }
        assert_eq!(change["from"].as_u64(), Some(self.version), "no version is missing");
        for cell in change["gone"].as_array().unwrap() {
            assert!(self.cells.remove(cell.as_str().unwrap()).is_some(), "only a reported cell is gone");
        }
        for cell in change["cells"].as_array().unwrap() {
            let before = self.cells.insert(cell["cell"].as_str().unwrap().to_owned(), cell.clone());
            assert_ne!(before.as_ref(), Some(cell), "only a changed cell is sent");
        }
        self.version = version;
    }
}

/// Follows the stream up to the version of `map`, and asserts that the copy is that map.
fn assert_follows(copy: &mut Copy, stream: &mut EventStream, map: &Value) {
    let newest = Copy::of(map);
    while copy.version < newest.version {
        copy.apply(&stream.next("surge_changed"));
    }
    assert_eq!(copy.cells, newest.cells);
}

#[test]
fn a_map_with_the_changes_applied_is_the_newest_map() {
    let server = Server::unfed();
    let mut copy = Copy::of(&server.map());
    let mut stream = EventStream::open(&server, "/v1/stream?city=nyc", None);
    assert_eq!(stream.head("content-type"), "text/event-stream");
    assert_eq!((stream.head("cache-control"), stream.retry_ms()), ("no-store", 1_000));
    let mut one_cell =
        EventStream::open(&server, &format!("/v1/stream?cells={}", server.cell(place(0))), None);
    for round in 0..3 {
        let events: String = (0..20).map(|number| fleet(number, 3 + round, now_ms() - SETTLED_MS)).collect();
        server.post(&events);
        let map = server.close_ticks();
        assert_follows(&mut copy, &mut stream, &map);
    }
    let first = one_cell.next("surge_changed");
    let cells = first.data["cells"].as_array().unwrap();
    assert!(cells.iter().all(|cell| cell["cell"] == server.cell(place(0)).as_str()), "{cells:?}");

    let pulse = stream.next("pulse");
    assert_eq!(pulse.data["cells"].as_u64(), Some(copy.cells.len() as u64));
    assert_eq!((pulse.id.as_str(), pulse.data["surging"].as_u64()), ("", Some(0)));
    server.stop("TERM");
}

#[test]
fn a_client_that_returns_gets_what_it_missed_or_a_reload() {
    let folder = TempDir::new().unwrap();
    let server = Server::unfed_from(folder.path());
    server.post(&fleet(0, 2, now_ms() - SETTLED_MS));
    let mut copy = Copy::of(&server.close_ticks());
    let target = "/v1/stream?city=nyc&product=standard";
    let mut stream = EventStream::open(&server, target, None);
    server.post(&fleet(1, 2, now_ms() - SETTLED_MS));
    server.close_ticks();
    let last = stream.next("surge_changed");
    copy.apply(&last);
    assert!(last.id.ends_with(&format!(".nyc.{}", copy.version)), "{}", last.id);
    drop(stream);

    server.post(&fleet(2, 2, now_ms() - SETTLED_MS));
    let map = server.close_ticks();
    let mut stream = EventStream::open(&server, target, Some(&last.id));
    assert_follows(&mut copy, &mut stream, &map);
    for unknown in ["nonsense", "1.nyc.1"] {
        let mut stream = EventStream::open(&server, target, Some(unknown));
        assert_eq!(stream.next_of_any_name().name, "reload");
    }
    server.stop("TERM");

    let server = Server::unfed_from(folder.path());
    let mut stream = EventStream::open(&server, target, Some(&last.id));
    assert_eq!(stream.next_of_any_name().name, "reload", "the changes were kept in memory");
    server.stop("TERM");
}

#[test]
fn what_is_not_a_stream_is_refused() {
    let server = Server::unfed();
    let refused = |target: &str| server.request(&get(target)).problem();
    for (query, status, code) in [
        ("city=atlantis", 404, "unknown_city"),
        ("product=helicopter", 422, "unknown_product"),
        ("city=nyc&product=helicopter", 422, "unknown_product"),
        ("cells=882a100d2dfffff,x", 422, "invalid_cell"),
        ("cells=", 422, "invalid_cell"),
    ] {
        assert_eq!(refused(&format!("/v1/stream?{query}")), (status, code.into()), "{query}");
    }
    let posted = server.request(&get("/v1/%73tream").method("POST"));
    assert_eq!(posted.problem(), (405, "method_not_allowed".into()));
    let accepting = server.request(&get("/v1/stream").header("accept", "text/event-stream;q=0"));
    assert_eq!(accepting.problem(), (406, "not_acceptable".into()));
    let head = server.request(&get("/v1/stream").method("HEAD"));
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    server.stop("TERM");
}

#[test]
fn open_streams_do_not_delay_the_shutdown() {
    let server = Server::unfed();
    let mut streams: Vec<_> = (0..50).map(|_| EventStream::open(&server, "/v1/stream", None)).collect();
    for stream in &mut streams {
        stream.next("pulse");
    }
    server.post(&driver("one", place(0), now_ms()));
    let stopped = Instant::now();
    server.stop("TERM");
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
    for stream in &mut streams {
        assert!(stream.reads_to_end());
    }
}
