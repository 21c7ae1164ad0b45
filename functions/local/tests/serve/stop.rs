//! Told to stop, a process ends soon and well, whatever its clients are doing.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Connection, get, post};
use crate::market::{driver, now_ms, place};
use crate::world::{Process, Server, serve, until};

/// How long an end may take.
const SOON: Duration = Duration::from_secs(2);

/// So fast a clock that the simulated city cannot be made up in time.
const TOO_FAST: [&str; 2] = ["--speed", "1000"];

fn assert_stops(mut server: Server, signal: &str) {
    let told = Instant::now();
    server.process.signal(signal);
    let status = server.process.ended();
    let said = server.process.all_said();
    assert_eq!(status.code(), Some(0), "{signal}: {said}");
    assert!(told.elapsed() < SOON, "{signal} took {:?}", told.elapsed());
    assert!(said.ends_with("stopped"), "{said}");
}

#[test]
fn a_process_that_rests_stops_at_once() {
    for signal in ["INT", "TERM"] {
        assert_stops(Server::start(&mut serve(&[])), signal);
    }
}

#[test]
fn connections_that_rest_do_not_delay_the_end() {
    for signal in ["INT", "TERM"] {
        let server = Server::unfed();
        let mut kept: Vec<Connection> = (0..50).map(|_| server.connect()).collect();
        for connection in kept.iter_mut().step_by(2) {
            assert_eq!(connection.ask(&get("/v1/cities")).unwrap().status, 200);
        }
        assert_stops(server, signal);
        for mut connection in kept {
            assert_eq!(connection.rest(), "", "nothing more is said");
        }
    }
}

#[test]
fn a_client_that_dawdles_does_not_delay_the_end() {
    let server = Server::unfed();
    let whole = post(driver("d", place(0), now_ms())).bytes();
    let mut clients: Vec<Connection> = (0..10).map(|_| server.connect()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(&whole[..whole.len() * (at + 1) / 11]).unwrap();
    }
    server.assert_serves();
    assert_stops(server, "TERM");
}

#[test]
fn events_that_are_posted_do_not_delay_the_end() {
    for signal in ["INT", "TERM"] {
        let server = Server::unfed();
        let posting = (0..4).map(|_| {
            let mut connection = server.connect();
            let body: String = (0..500).map(|i| driver(&format!("d{i}"), place(i), now_ms())).collect();
            thread::spawn(move || {
                let posts = (0..).take_while(|_| {
                    connection.ask(&post(body.as_str())).is_ok_and(|reply| reply.status == 202)
                });
                posts.count()
            })
        });
        let posting: Vec<_> = posting.collect();
        server.process.hear("that events come", |line| {
            let events = line.strip_prefix("events/s")?.split_whitespace().next()?;
            (events != "0").then_some(())
        });
        assert_stops(server, signal);
        assert!(posting.into_iter().all(|posts| posts.join().unwrap() > 0));
    }
}

#[test]
fn a_start_can_be_stopped() {
    let mut process = Process::start(&mut serve(&TOO_FAST));
    let handles = |process: &Process, signal: u32| {
        let caught = u64::from_str_radix(&process.fact("SigCgt"), 16).unwrap();
        caught & 1 << (signal - 1) != 0
    };
    until("signals to be handled", || (handles(&process, 2) && handles(&process, 15)).then_some(()));
    let told = Instant::now();
    process.signal("INT");
    let status = process.ended();
    assert_eq!(status.code(), Some(0), "{}", process.all_said());
    assert!(told.elapsed() < SOON, "{:?}", told.elapsed());
}

#[test]
fn a_market_that_nobody_keeps_up_with_is_served_and_can_be_stopped() {
    let server = Server::start(&mut serve(&TOO_FAST));
    server.assert_serves();
    assert_stops(server, "TERM");
}
