//! Clients that disconnect, that are slow or that are many: the others are served.

use std::thread;

use crate::harness::fixture::{SETTLED_MS, Server};
use crate::harness::http_client::{get, post};
use crate::harness::market::{counts, driver, now_ms, place};
use crate::harness::process::until;

/// Number of idle connections that the server must hold.
const IDLE_CONNECTIONS: u64 = 10_000;

/// File descriptors that other tests need.
const OTHER_FILES: u64 = 1_000;

#[test]
fn an_incomplete_request_has_no_effect() {
    let server = Server::unfed();
    let events = driver("never", place(100), now_ms() - SETTLED_MS);
    let whole = post(events.as_str()).bytes();
    let chunked = post(events.as_str()).chunked().bytes();
    let head = whole.len() - events.len();
    let parts = [
        &whole[..1],
        &whole[..head / 2],
        &whole[..head - 2],
        &whole[..head],
        &whole[..whole.len() - 1],
        // Complete except for the end of the last chunk.
        &chunked[..chunked.len() - 5],
    ];
    for part in parts {
        let mut dropped = server.connect();
        dropped.send(part).unwrap();
        drop(dropped);
        let mut half_closed = server.connect();
        half_closed.send(part).unwrap();
        half_closed.shutdown_write();
        let received = half_closed.read_to_close();
        let code = if part.len() < head { "malformed_request" } else { "incomplete_body" };
        assert!(received.starts_with("HTTP/1.1 400 ") && received.contains(code), "{received}");
    }
    let supply = counts(&server.fill(1), "supply");
    assert_eq!(supply.get(&server.cell(place(0))), Some(&3));
    assert_eq!(supply.get(&server.cell(place(100))), None);
}

#[test]
fn a_request_that_never_ends_times_out_and_others_do_not_wait() {
    let server = Server::unfed();
    let mut slow_body = server.connect();
    let mut slow_head = server.connect();
    slow_body.send(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n").unwrap();
    slow_body.send(b"content-type: application/x-ndjson\r\n\r\n").unwrap();
    slow_head.send(b"GET /v1/cities HTTP/1.1\r\nhost: localhost\r\nx: ").unwrap();
    let slow_body = thread::spawn(move || slow_body.drip(b" "));
    let slow_head = thread::spawn(move || slow_head.drip(b"x"));
    until("both to time out", || {
        server.assert_serves();
        (slow_body.is_finished() && slow_head.is_finished()).then_some(())
    });
    let received = slow_body.join().unwrap();
    assert!(received.starts_with("HTTP/1.1 408 ") && received.contains("request_timeout"), "{received}");
    let received = slow_head.join().unwrap();
    assert!(received.starts_with("HTTP/1.1 408 ") && received.contains("request_timeout"), "{received}");
}

#[test]
fn bodies_that_are_never_sent_do_not_delay_other_requests() {
    const SLOW: u64 = 200;
    let server = Server::unfed();
    let before = server.process.open_files();
    let mut slow: Vec<_> = (0..SLOW).map(|_| server.connect()).collect();
    for one in &mut slow {
        one.send(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1048576\r\n").unwrap();
        one.send(b"content-type: application/x-ndjson\r\n\r\n{").unwrap();
    }
    until("all bodies to be started", || (server.process.open_files() >= before + SLOW).then_some(()));
    server.fill(1);
    assert!(
        server.process.open_files() >= before + SLOW,
        "other requests waited until the slow ones timed out"
    );
}

#[test]
fn ten_thousand_idle_connections_do_not_delay_requests() {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let idle = IDLE_CONNECTIONS.min(files.saturating_sub(OTHER_FILES));
    assert!(idle >= 500, "{files} files are too few for this test");
    let server = Server::unfed();
    let before = server.process.open_files();

    let mut connections: Vec<_> = (0..idle).map(|_| server.connect()).collect();
    for half in connections.iter_mut().step_by(2) {
        half.send(b"GET /v1/cities HTTP/1.1\r\n").unwrap();
    }
    until("all connections to be accepted", || (server.process.open_files() >= before + idle).then_some(()));
    server.assert_serves();
    for one in connections.iter_mut().skip(1).step_by(100) {
        assert_eq!(one.request(&get("/v1/cities")).unwrap().status, 200);
    }
    for half in connections.iter_mut().step_by(100) {
        half.send(b"host: localhost\r\n\r\n").unwrap();
        assert_eq!(half.response(false).unwrap().status, 200);
    }
    let peak = server.process.peak_mb();
    assert!(peak < 50 + idle / 40, "{peak} MB for {idle} connections");

    drop(connections);
    until("all connections to be closed", || (server.process.open_files() <= before + 1).then_some(()));
    server.assert_serves();
    server.fill(1);
}
