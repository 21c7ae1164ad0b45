//! Bodies as large, as deep and as ill-meant as they come.

use std::time::{Duration, Instant};

use crate::client::{get, gzip, post, post_array};
use crate::market::{driver, now_ms, place};
use crate::world::Server;

const MIB: usize = 1 << 20;

/// More than any process here needs, and less than one that holds what it should refuse.
const MODEST_MB: u64 = 100;

/// One event, and spaces to fill so many bytes.
fn body_of(length: usize) -> String {
    let event = driver("d", place(0), now_ms());
    format!("{event}{}", " ".repeat(length - event.len()))
}

#[test]
fn a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_413() {
    let server = Server::unfed();
    for form in [|ask| ask, crate::client::Ask::chunked, crate::client::Ask::gzipped] {
        assert_eq!(server.ask(&form(post(body_of(MIB)))).accepted(), 1);
        let refused = server.ask(&form(post(body_of(MIB + 1))));
        assert_eq!(refused.problem(), (413, "body_too_large".into()));
    }
}

#[test]
fn a_body_far_too_large_is_413_before_it_has_come() {
    let server = Server::unfed();
    for body in [post(vec![b' '; 16 * MIB]), post(vec![b' '; 16 * MIB]).chunked()] {
        assert_eq!(server.ask(&body).problem(), (413, "body_too_large".into()));
    }
    let mut connection = server.connect();
    connection.send(b"POST /v1/events HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999\r\n\r\n").unwrap();
    let reply = connection.reply(false).unwrap();
    assert_eq!(reply.problem(), (413, "body_too_large".into()));
    assert_eq!(reply.header("connection"), "close");
    assert!(server.process.peak_mb() < MODEST_MB, "{} MB", server.process.peak_mb());
}

#[test]
fn ten_thousand_brackets_are_refused_without_harm() {
    const DEEP: usize = 10_000;
    let server = Server::unfed();
    let mut connection = server.connect();
    let deep = "[".repeat(DEEP) + &"]".repeat(DEEP);
    let reply = connection.ask(&post_array(deep.clone())).unwrap();
    assert!(reply.status == 400 || reply.json()["refused"][0]["code"] == "too_large", "{}", reply.text());
    assert_eq!(
        connection.ask(&post_array("[".repeat(DEEP))).unwrap().problem(),
        (400, "malformed_json".into())
    );
    assert_eq!(
        connection.ask(&post_array("[".repeat(MIB))).unwrap().problem(),
        (400, "malformed_json".into())
    );
    assert_eq!(connection.ask(&post(deep)).unwrap().json()["refused"][0]["code"], "too_large");

    // As deep as an event's length allows, in a field that nobody reads.
    let field = format!("{{\"deep\":{}{},", "[".repeat(1_900), "]".repeat(1_900));
    let event = driver("d", place(0), now_ms()).replacen('{', &field, 1);
    let reply = connection.ask(&post(event)).unwrap();
    assert!(reply.json()["accepted"] == 1 || reply.json()["refused"][0]["code"] == "malformed_json");
    assert_eq!(connection.ask(&get("/v1/cities")).unwrap().status, 200);
}

#[test]
fn a_gibibyte_packed_is_413_at_once_and_takes_no_memory() {
    // Members one behind the other are one stream (RFC 1952).
    let bomb = gzip(&vec![0; 64 * MIB]).repeat(16);
    assert!(bomb.len() < MIB + 4_096, "{} bytes", bomb.len());
    let server = Server::unfed();
    let bomb = post(bomb).with("content-encoding", "gzip");
    let asked = Instant::now();
    for _ in 0..8 {
        assert_eq!(server.ask(&bomb).problem(), (413, "body_too_large".into()));
    }
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(server.process.peak_mb() < MODEST_MB, "{} MB", server.process.peak_mb());
}
