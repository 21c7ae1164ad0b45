//! Clients that go away, dawdle, or are very many: the others are served all the same.

use std::fs;
use std::thread;

use crate::client::{get, post};
use crate::market::{counts, driver, now_ms, place};
use crate::world::{SETTLED_MS, Server, until};

/// Connections that a process must hold, and no more are tried.
const MAX_CONNECTIONS: u64 = 10_000;

/// Files that the tests beside need.
const OTHER_FILES: u64 = 1_000;

#[test]
fn half_a_request_is_nothing_and_harms_nobody() {
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
        // But for the end of the last chunk all has come.
        &chunked[..chunked.len() - 5],
    ];
    for part in parts {
        let mut gone = server.connect();
        gone.send(part).unwrap();
        drop(gone);
        let mut ended = server.connect();
        ended.send(part).unwrap();
        ended.finish();
        let said = ended.rest();
        let code = if part.len() < head { "" } else { "incomplete_body" };
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 ") && said.contains(code), "{said}");
        assert!(part.len() < head || !said.is_empty());
    }
    let supply = counts(&server.fill(1), "supply");
    assert_eq!(supply.get(&server.cell(place(0))), Some(&3));
    assert_eq!(supply.get(&server.cell(place(100))), None);
}

#[test]
fn whoever_never_comes_to_an_end_is_let_go_and_others_do_not_wait() {
    let server = Server::unfed();
    let mut slow_body = server.connect();
    let mut slow_head = server.connect();
    slow_body.send(b"POST /v1/events HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n").unwrap();
    slow_body.send(b"content-type: application/x-ndjson\r\n\r\n").unwrap();
    slow_head.send(b"GET /v1/cities HTTP/1.1\r\nhost: h\r\nx: ").unwrap();
    let slow_body = thread::spawn(move || slow_body.drip(b" "));
    let slow_head = thread::spawn(move || slow_head.drip(b"x"));
    until("both to be let go", || {
        server.assert_serves();
        (slow_body.is_finished() && slow_head.is_finished()).then_some(())
    });
    let said = slow_body.join().unwrap();
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("incomplete_body"), "{said}");
    let said = slow_head.join().unwrap();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[test]
fn bodies_that_do_not_come_keep_no_other_waiting() {
    const SLOW: u64 = 200;
    let server = Server::unfed();
    let files = || fs::read_dir(format!("/proc/{}/fd", server.process.id())).unwrap().count() as u64;
    let before = files();
    let mut slow: Vec<_> = (0..SLOW).map(|_| server.connect()).collect();
    for one in &mut slow {
        one.send(b"POST /v1/events HTTP/1.1\r\nhost: h\r\ncontent-length: 1048576\r\n").unwrap();
        one.send(b"content-type: application/x-ndjson\r\n\r\n{").unwrap();
    }
    until("every body to be begun", || (files() >= before + SLOW).then_some(()));
    server.fill(1);
    assert!(files() >= before + SLOW, "others waited until the slow were let go");
}

#[test]
fn ten_thousand_connections_that_rest_keep_nobody_waiting() {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let most = MAX_CONNECTIONS.min(files.saturating_sub(OTHER_FILES));
    assert!(most >= 500, "the system gives {files} files, too few to tell");
    let server = Server::unfed();
    let files = || fs::read_dir(format!("/proc/{}/fd", server.process.id())).unwrap().count() as u64;
    let before = files();

    let mut resting: Vec<_> = (0..most).map(|_| server.connect()).collect();
    for half in resting.iter_mut().step_by(2) {
        half.send(b"GET /v1/cities HTTP/1.1\r\n").unwrap();
    }
    until("every connection to be held", || (files() >= before + most).then_some(()));
    server.assert_serves();
    for one in resting.iter_mut().skip(1).step_by(100) {
        assert_eq!(one.ask(&get("/v1/cities")).unwrap().status, 200);
    }
    for half in resting.iter_mut().step_by(100) {
        half.send(b"host: h\r\n\r\n").unwrap();
        assert_eq!(half.reply(false).unwrap().status, 200);
    }
    let peak = server.process.peak_mb();
    assert!(peak < 50 + most / 40, "{peak} MB for {most} connections");

    drop(resting);
    until("every connection to be given back", || (files() <= before + 1).then_some(()));
    server.assert_serves();
    server.fill(1);
}
