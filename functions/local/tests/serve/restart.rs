//! What a process kept is there for the next one, however the first has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::client::post;
use crate::market::{counts, driver, fleet, ms, now_ms, place};
use crate::world::{SETTLED_MS, Server, until};

/// The city's ticks.
const TICK_MS: i64 = 1_000;

/// Drivers of a body.
const DRIVERS: usize = 50;

#[test]
fn after_a_stop_everything_goes_on_as_it_was() {
    let folder = TempDir::new().unwrap();
    for (round, signal) in (1..).zip(["INT", "TERM"]) {
        let server = Server::keeping(folder.path());
        let before = server.fill(30);
        server.stop(signal);

        let server = Server::keeping(folder.path());
        let after = server.map();
        for field in ["as_of", "version", "completeness", "cells"] {
            assert_eq!(after[field], before[field], "{field}");
        }
        assert_eq!(server.json("/v1/cities/nyc")["as_of"], before["as_of"]);

        // It goes on from there: who was known is counted with who comes.
        server.post(&driver(signal, place(0), now_ms() - SETTLED_MS));
        let next = server.close_ticks();
        assert!(next["version"].as_i64() > before["version"].as_i64());
        assert_eq!(counts(&next, "supply").get(&server.cell(place(0))), Some(&(3 + round)));
        assert_eq!(counts(&next, "supply").get(&server.cell(place(29))), Some(&3));
        server.stop(signal);
    }
}

#[test]
fn a_city_begins_with_its_first_event_though_the_process_was_killed_before_its_first_tick() {
    let folder = TempDir::new().unwrap();
    let at_ms = now_ms() - SETTLED_MS;
    let mut server = Server::keeping(folder.path());
    server.post(&driver("early", place(0), at_ms));
    server.process.signal("KILL");
    server.process.ended();

    let server = Server::keeping(folder.path());
    let map = server.close_ticks();
    let first_ms = (at_ms + TICK_MS - 1).div_euclid(TICK_MS) * TICK_MS;
    let ticks = (ms(&map["as_of"]).unwrap() - first_ms) / TICK_MS + 1;
    assert_eq!(map["version"].as_i64(), Some(ticks), "every tick from the first event's on has closed");
    server.stop("TERM");
}

#[test]
fn what_was_acknowledged_is_counted_though_the_process_was_killed() {
    let folder = TempDir::new().unwrap();
    for (round, signal) in ["KILL", "TERM"].into_iter().enumerate() {
        let mut server = Server::keeping(folder.path());
        let at_ms = now_ms() - SETTLED_MS;
        let enough = Arc::new(AtomicBool::new(false));
        let posting = (0..4).map(|poster| {
            let (mut connection, enough) = (server.connect(), Arc::clone(&enough));
            thread::spawn(move || {
                let numbers = (0..20).map(|number| round * 80 + poster * 20 + number);
                let taken = numbers.take_while(|number| {
                    let reply = connection.ask(&post(fleet(*number, DRIVERS, at_ms)));
                    let taken = reply.is_ok_and(|reply| reply.status == 202);
                    enough.fetch_or(taken && *number % 20 == 5, Ordering::Relaxed);
                    taken
                });
                taken.collect::<Vec<usize>>()
            })
        });
        let posting: Vec<_> = posting.collect();
        until("many to be acknowledged", || enough.load(Ordering::Relaxed).then_some(()));
        server.process.signal(signal);
        server.process.ended();
        let acknowledged: Vec<usize> =
            posting.into_iter().flat_map(|posted| posted.join().unwrap()).collect();
        assert!(acknowledged.len() >= 5);

        let server = Server::keeping(folder.path());
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
