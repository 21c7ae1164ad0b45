//! Large, deeply nested and malicious request bodies.

use std::time::{Duration, Instant};

use crate::harness::fixture::Server;
use crate::harness::http_client::{Request, get, gzip, post, post_array};
use crate::harness::market::{driver, now_ms, place};

const MIB: usize = 1 << 20;

/// More memory than a server needs here, and less than one that buffers what it should refuse.
const MAX_MB: u64 = 100;

/// One event, padded with spaces to a length.
fn body_of(length: usize) -> String {
    let event = driver("d", place(0), now_ms());
    format!("{event}{}", " ".repeat(length - event.len()))
}

#[test]
fn a_body_of_one_mebibyte_is_accepted_and_one_byte_more_is_413() {
    let server = Server::unfed();
    for form in [|request| request, Request::chunked, Request::gzipped] {
        assert_eq!(server.request(&form(post(body_of(MIB)))).accepted(), 1);
        let refused = server.request(&form(post(body_of(MIB + 1))));
        assert_eq!(refused.problem(), (413, "body_too_large".into()));
    }
}

#[test]
fn a_body_far_too_large_is_413_before_it_was_received() {
    let server = Server::unfed();
    for body in [post(vec![b' '; 16 * MIB]), post(vec![b' '; 16 * MIB]).chunked()] {
        assert_eq!(server.request(&body).problem(), (413, "body_too_large".into()));
    }
    let mut connection = server.connect();
    connection
        .send(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n")
        .unwrap();
    connection.send(b"content-type: application/x-ndjson\r\n\r\n").unwrap();
    let response = connection.response(false).unwrap();
    assert_eq!(response.problem(), (413, "body_too_large".into()));
    assert_eq!(response.header("connection"), "close");
    assert!(server.process.peak_mb() < MAX_MB, "{} MB", server.process.peak_mb());
}

#[test]
fn ten_thousand_brackets_are_refused() {
    const DEEP: usize = 10_000;
    let server = Server::unfed();
    let mut connection = server.connect();
    let deep = "[".repeat(DEEP) + &"]".repeat(DEEP);
    let response = connection.request(&post_array(deep.clone())).unwrap();
    assert!(
        response.status == 400 || response.json()["refused"][0]["code"] == "too_large",
        "{}",
        response.text()
    );
    assert_eq!(
        connection.request(&post_array("[".repeat(DEEP))).unwrap().problem(),
        (400, "malformed_json".into())
    );
    assert_eq!(
        connection.request(&post_array("[".repeat(MIB))).unwrap().problem(),
        (400, "malformed_json".into())
    );
    assert_eq!(connection.request(&post(deep)).unwrap().json()["refused"][0]["code"], "too_large");

    // As deep as an event's length allows, in an unknown field.
    let field = format!("{{\"deep\":{}{},", "[".repeat(1_900), "]".repeat(1_900));
    let event = driver("d", place(0), now_ms()).replacen('{', &field, 1);
    let response = connection.request(&post(event)).unwrap();
    assert!(response.json()["accepted"] == 1 || response.json()["refused"][0]["code"] == "malformed_json");
    assert_eq!(connection.request(&get("/v1/cities")).unwrap().status, 200);
}

#[test]
fn a_compressed_gibibyte_is_413_at_once_and_takes_no_memory() {
    // Consecutive gzip members form one stream (RFC 1952).
    let bomb = gzip(&vec![0; 64 * MIB]).repeat(16);
    assert!(bomb.len() < MIB + 4_096, "{} bytes", bomb.len());
    let server = Server::unfed();
    let bomb = post(bomb).header("content-encoding", "gzip");
    let started = Instant::now();
    for _ in 0..8 {
        assert_eq!(server.request(&bomb).problem(), (413, "body_too_large".into()));
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(server.process.peak_mb() < MAX_MB, "{} MB", server.process.peak_mb());
}
