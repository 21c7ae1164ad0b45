//! A restarted server continues from its folder, however the previous process ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::fixture::{SETTLED_MS, Server, serve, serve_unfed_from};
use crate::harness::http_client::post;
use crate::harness::market::{TICK_MS, counts, driver, fleet, ms, now_ms, place};
use crate::harness::process::until;

/// Drivers of a body.
const DRIVERS: usize = 50;

#[test]
fn after_a_stop_the_server_continues_with_the_same_map() {
    let folder = TempDir::new().unwrap();
    for (round, signal) in (1..).zip(["INT", "TERM"]) {
        let server = Server::unfed_from(folder.path());
        let before = server.fill(30);
        server.stop(signal);

        let server = Server::unfed_from(folder.path());
        let after = server.map();
        for field in ["as_of", "version", "completeness", "cells"] {
            assert_eq!(after[field], before[field], "{field}");
        }
        assert_eq!(server.json("/v1/cities/nyc")["as_of"], before["as_of"]);

        // Drivers from before the stop are counted together with new ones.
        server.post(&driver(signal, place(0), now_ms() - SETTLED_MS));
        let next = server.close_ticks();
        assert!(next["version"].as_i64() > before["version"].as_i64());
        assert_eq!(counts(&next, "supply").get(&server.cell(place(0))), Some(&(3 + round)));
        assert_eq!(counts(&next, "supply").get(&server.cell(place(29))), Some(&3));
        server.stop(signal);
    }
}

#[test]
fn a_city_starts_with_its_first_event_if_the_server_is_killed_before_the_first_tick() {
    let folder = TempDir::new().unwrap();
    let at_ms = now_ms() - SETTLED_MS;
    let mut server = Server::unfed_from(folder.path());
    server.post(&driver("early", place(0), at_ms));
    server.process.signal("KILL");
    server.process.wait();

    let server = Server::unfed_from(folder.path());
    let map = server.close_ticks();
    let first_ms = (at_ms + TICK_MS - 1).div_euclid(TICK_MS) * TICK_MS;
    let ticks = (ms(&map["as_of"]).unwrap() - first_ms) / TICK_MS + 1;
    assert_eq!(map["version"].as_i64(), Some(ticks), "every tick since the first event has closed");
    server.stop("TERM");
}

#[test]
fn an_acknowledged_event_is_counted_after_a_kill() {
    let folder = TempDir::new().unwrap();
    for (round, signal) in ["KILL", "TERM"].into_iter().enumerate() {
        let mut server = Server::unfed_from(folder.path());
        let at_ms = now_ms() - SETTLED_MS;
        let enough = Arc::new(AtomicBool::new(false));
        let posting = (0..4).map(|poster| {
            let (mut connection, enough) = (server.connect(), Arc::clone(&enough));
            thread::spawn(move || {
                let numbers = (0..20).map(|number| round * 80 + poster * 20 + number);
                let accepted = numbers.take_while(|number| {
                    let response = connection.request(&post(fleet(*number, DRIVERS, at_ms)));
                    let is_accepted = response.is_ok_and(|response| response.status == 202);
                    enough.fetch_or(is_accepted && *number % 20 == 5, Ordering::Relaxed);
                    is_accepted
                });
                accepted.collect::<Vec<usize>>()
            })
        });
        let posting: Vec<_> = posting.collect();
        until("acknowledged events", || enough.load(Ordering::Relaxed).then_some(()));
        server.process.signal(signal);
        server.process.wait();
        let acknowledged: Vec<usize> =
            posting.into_iter().flat_map(|posted| posted.join().unwrap()).collect();
        assert!(acknowledged.len() >= 5);

        let server = Server::unfed_from(folder.path());
        let supply = counts(&server.close_ticks(), "supply");
        for number in acknowledged {
            assert_eq!(
                supply.get(&server.cell(place(number))),
                Some(&(DRIVERS as u64)),
                "{signal}: {number}"
            );
        }
        server.stop("TERM");
    }
}

#[test]
fn a_folder_that_is_ahead_of_the_clock_says_so_and_is_priced_at_once() {
    const HOUR_MS: i64 = 3_600_000;
    let folder = TempDir::new().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    let fast = Server::start(serve(&["--speed", "1000"]).args(data));
    let ahead = |map: &Value| ms(&map["as_of"]).map(|as_of_ms| as_of_ms - now_ms());
    until("a map far ahead", || ahead(&fast.map()).filter(|ahead_ms| *ahead_ms > HOUR_MS / 10));
    fast.stop("TERM");

    let server = Server::start(serve(&[]).args(data));
    assert!(server.process.lines().iter().any(|line| line.contains("ahead of this machine's clock")));
    let first = server.map();
    let newer = until("a newer map", || Some(server.map()).filter(|map| map["as_of"] != first["as_of"]));
    for map in [first, newer] {
        assert_eq!(map["mode"], "fresh", "{map}");
        assert!((0..=30_000).contains(&map["age_ms"].as_i64().unwrap()), "{map}");
    }
    server.stop("TERM");
}

#[test]
fn a_folder_can_be_continued_with_more_lanes() {
    let folder = TempDir::new().unwrap();
    let with_lanes = |lanes: &str| Server::start(serve_unfed_from(folder.path()).args(["--lanes", lanes]));
    let server = with_lanes("4");
    server.fill(40);
    // Events that were acknowledged and may not have been counted.
    server.post(&fleet(7, DRIVERS, now_ms() - SETTLED_MS));
    let before = server.map();
    let mut server = server;
    server.process.signal("KILL");
    server.process.wait();
    for lanes in ["8", "32"] {
        let server = with_lanes(lanes);
        server.post(&fleet(8, DRIVERS, now_ms() - SETTLED_MS));
        let after = server.close_ticks();
        assert!(after["version"].as_i64() > before["version"].as_i64());
        let counts = counts(&after, "supply");
        for (number, drivers) in [(0, 3), (7, 3 + DRIVERS as u64), (8, 3 + DRIVERS as u64), (39, 3)] {
            assert_eq!(
                counts.get(&server.cell(place(number))),
                Some(&drivers),
                "{lanes} lanes, place {number}"
            );
        }
        assert_eq!(after["completeness"].as_f64(), Some(1.0));
        server.stop("TERM");
    }
}
