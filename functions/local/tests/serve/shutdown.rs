//! A signal stops the server quickly and with status 0, whatever its clients do.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::{Connection, get, post};
use crate::harness::market::{driver, now_ms, place};
use crate::harness::process::{Process, until};

/// Maximum duration of a shutdown.
const MAX_SHUTDOWN: Duration = Duration::from_secs(2);

/// A clock so fast that the simulation cannot keep up.
const TOO_FAST: [&str; 2] = ["--speed", "1000"];

fn assert_stops(mut server: Server, signal: &str) {
    let signalled = Instant::now();
    server.process.signal(signal);
    let status = server.process.wait();
    let output = server.process.output();
    assert_eq!(status.code(), Some(0), "{signal}: {output}");
    assert!(signalled.elapsed() < MAX_SHUTDOWN, "{signal} took {:?}", signalled.elapsed());
    assert!(output.ends_with("stopped"), "{output}");
}

#[test]
fn an_idle_server_stops_at_once() {
    for signal in ["INT", "TERM"] {
        assert_stops(Server::start(&mut serve(&[])), signal);
    }
}

#[test]
fn idle_connections_do_not_delay_the_shutdown() {
    for signal in ["INT", "TERM"] {
        let server = Server::unfed();
        let mut connections: Vec<Connection> = (0..50).map(|_| server.connect()).collect();
        for connection in connections.iter_mut().step_by(2) {
            assert_eq!(connection.request(&get("/v1/cities")).unwrap().status, 200);
        }
        assert_stops(server, signal);
        for mut connection in connections {
            assert_eq!(connection.read_to_close(), "", "nothing more is sent");
        }
    }
}

#[test]
fn slow_clients_do_not_delay_the_shutdown() {
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
fn posted_events_do_not_delay_the_shutdown() {
    for signal in ["INT", "TERM"] {
        let server = Server::unfed();
        let posting = (0..4).map(|_| {
            let mut connection = server.connect();
            let body: String = (0..500).map(|i| driver(&format!("d{i}"), place(i), now_ms())).collect();
            thread::spawn(move || {
                let posts = (0..).take_while(|_| {
                    connection.request(&post(body.as_str())).is_ok_and(|response| response.status == 202)
                });
                posts.count()
            })
        });
        let posting: Vec<_> = posting.collect();
        server.process.wait_for_line("accepted events", |line| {
            let (events, _) = line.split_once(" events/s, ")?;
            (events != "0").then_some(())
        });
        assert_stops(server, signal);
        assert!(posting.into_iter().all(|posts| posts.join().unwrap() > 0));
    }
}

#[test]
fn a_startup_can_be_stopped() {
    let mut process = Process::start(&mut serve(&TOO_FAST));
    let handles = |process: &Process, signal: u32| {
        let caught = u64::from_str_radix(&process.proc_status("SigCgt"), 16).unwrap();
        caught & 1 << (signal - 1) != 0
    };
    until("signals to be handled", || (handles(&process, 2) && handles(&process, 15)).then_some(()));
    let signalled = Instant::now();
    process.signal("INT");
    let status = process.wait();
    assert_eq!(status.code(), Some(0), "{}", process.output());
    assert!(signalled.elapsed() < MAX_SHUTDOWN, "{:?}", signalled.elapsed());
}

#[test]
fn a_simulation_that_cannot_keep_up_is_served_and_can_be_stopped() {
    let server = Server::start(&mut serve(&TOO_FAST));
    server.assert_serves();
    assert_stops(server, "TERM");
}

#[test]
fn a_pipe_whose_writer_rests_delays_neither_start_nor_stop() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let feed = ["--feed", pipe.to_str().unwrap()];
    let without_writer = Server::start(&mut serve(&feed));
    without_writer.assert_serves();
    assert_stops(without_writer, "TERM");

    let server = Server::start(&mut serve(&feed));
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    let lines: String = (0..40).map(|i| driver(&format!("d{i}"), place(i), now_ms())).collect();
    // The last line is not whole.
    writer.write_all((lines + "{\"type\":").as_bytes()).unwrap();
    server.process.wait_for_line("accepted events", |line| {
        let (events, _) = line.split_once(" events/s, ")?;
        (events != "0").then_some(())
    });
    server.assert_serves();
    assert_stops(server, "INT");
    drop(writer);
}
