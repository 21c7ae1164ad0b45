//! Requests that are not HTTP/1.1, not for this server, or refused by their head: each has one answer, a problem document.

use crate::harness::fixture::Server;
use crate::harness::http_client::{Connection, Request, get, gzip, post};
use crate::harness::market::{driver, now_ms, place};

/// Sends bytes on a connection of their own, which is closed after the answer; returns the status and code.
fn problem(server: &Server, bytes: &[u8]) -> (u16, String) {
    let mut connection = server.connect();
    connection.send(bytes).unwrap();
    let response = connection.response(false).unwrap();
    assert_eq!(response.header("content-type"), "application/problem+json");
    assert_eq!(response.header("connection"), "close");
    assert_eq!(connection.read_to_close(), "");
    response.problem()
}

fn head(lines: &str) -> Vec<u8> {
    format!("GET /v1/cities HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

#[test]
fn a_request_without_one_loopback_host_is_refused() {
    let server = Server::unfed();
    for (lines, status, code) in [
        ("", 400, "malformed_request"),
        ("host: localhost\r\nhost: other.example\r\n", 400, "malformed_request"),
        ("host: attacker.example\r\n", 421, "misdirected_request"),
        ("host: attacker.example:8080\r\n", 421, "misdirected_request"),
    ] {
        assert_eq!(problem(&server, &head(lines)), (status, code.into()), "{lines}");
    }
    for host in ["127.0.0.1", "localhost:8080", "[::1]:8080"] {
        let mut connection = server.connect();
        connection.send(&head(&format!("host: {host}\r\n"))).unwrap();
        assert_eq!(connection.response(false).unwrap().status, 200, "{host}");
    }
}

#[test]
fn what_is_not_http_or_too_long_is_answered_with_a_problem_document() {
    let server = Server::unfed();
    let many = "x: 1\r\n".repeat(110);
    let long = "y".repeat(70_000);
    for (bytes, status, code) in [
        (b"GET /v1/cities?q=a b HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400, "malformed_request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400, "malformed_request"),
        (head(&format!("host: localhost\r\n{many}")), 431, "headers_too_large"),
        (head(&format!("host: localhost\r\nx: {long}\r\n")), 431, "headers_too_large"),
        (format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes(), 414, "target_too_long"),
        (head("host: localhost\r\nexpect: a-miracle\r\n"), 417, "expectation_failed"),
    ] {
        assert_eq!(problem(&server, &bytes), (status, code.into()));
    }
    let mut connection = server.connect();
    connection.send(b"HEAD / HTTP/1.1\r\nhost: other.example\r\n\r\n").unwrap();
    assert_eq!(connection.response(true).unwrap().status, 421);
    assert_eq!(connection.read_to_close(), "", "an answer to HEAD has no content");
    server.assert_serves();
}

#[test]
fn a_transfer_coding_other_than_chunked_is_not_implemented() {
    let server = Server::unfed();
    let events = gzip(driver("d", place(0), now_ms()).as_bytes());
    let coded = |coding: &str| {
        let request = post(events.clone()).header("transfer-encoding", coding);
        problem(&server, &request.bytes())
    };
    assert_eq!(coded("gzip, chunked"), (501, "unsupported_transfer_encoding".into()));
    assert_eq!(coded("gzip"), (400, "malformed_request".into()));
}

#[test]
fn an_escaped_letter_is_the_letter_for_every_method() {
    let server = Server::unfed();
    let escaped = Request { target: "/v1/%65vents".into(), ..post(driver("d", place(0), now_ms())) };
    assert_eq!(server.request(&escaped).accepted(), 1);
    assert_eq!(server.request(&get("/v1/%63ities")).status, 200);
    assert_eq!(server.request(&get("/v1/%65vents")).status, 405);
}

#[test]
fn a_client_that_excludes_identity_gets_gzip() {
    let response =
        Server::unfed().request(&get("/v1/cities").header("accept-encoding", "gzip, identity;q=0"));
    assert_eq!((response.status, response.header("content-encoding")), (200, "gzip"));
}

/// A connection that has sent the head of a request that expects `100 Continue`.
fn expecting(server: &Server, request: &str, lines: &str) -> Connection {
    let mut connection = server.connect();
    let head = format!("{request} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n{lines}\r\n");
    connection.send(head.as_bytes()).unwrap();
    connection
}

#[test]
fn a_request_that_is_refused_by_its_head_is_not_asked_to_continue() {
    let server = Server::unfed();
    let lines = "content-type: application/x-ndjson\r\n";
    for (request, lines, status) in [
        ("POST /v1/events", "content-type: text/plain\r\ncontent-length: 10\r\n".to_owned(), 415),
        ("POST /v1/events", format!("{lines}content-length: 99999999\r\n"), 413),
        ("POST /v1/events", format!("{lines}content-encoding: br\r\ncontent-length: 10\r\n"), 415),
        ("POST /v1/event", format!("{lines}content-length: 10\r\n"), 404),
        ("PUT /v1/events", format!("{lines}transfer-encoding: chunked\r\n"), 405),
        ("POST /v1/price", format!("{lines}content-length: 10\r\n"), 405),
    ] {
        let response = expecting(&server, request, &lines).response(false).unwrap();
        assert_eq!((response.status, response.header("connection")), (status, "close"), "{request} {lines}");
    }
    let event = driver("d", place(0), now_ms());
    let length = event.len();
    let mut connection =
        expecting(&server, "POST /v1/events", &format!("{lines}content-length: {length}\r\n"));
    assert_eq!(connection.response(true).unwrap().status, 100);
    connection.send(event.as_bytes()).unwrap();
    assert_eq!(connection.response(false).unwrap().accepted(), 1);
    assert_eq!(connection.request(&get("/v1/cities")).unwrap().status, 200);
}

#[test]
fn a_client_that_closes_its_sending_half_gets_its_answers() {
    let server = Server::unfed();
    let mut connection = server.connect();
    let request = post(driver("d", place(0), now_ms())).bytes();
    connection.send(&[request, get("/v1/cities").bytes()].concat()).unwrap();
    connection.shutdown_write();
    assert_eq!(connection.response(false).unwrap().accepted(), 1);
    assert_eq!(connection.response(false).unwrap().status, 200);
    assert_eq!(connection.read_to_close(), "");
}

#[test]
fn pipelined_requests_are_answered_in_order_and_chunks_in_any_pieces() {
    let server = Server::unfed();
    let event = driver("d", place(0), now_ms());
    let chunks: Vec<String> =
        event.bytes().map(|byte| format!("1;x=y\r\n{}\r\n", char::from(byte))).collect();
    let chunks = chunks.concat();
    let lines = "host: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n";
    let chunked = format!("POST /v1/events HTTP/1.1\r\n{lines}\r\n{chunks}0\r\ntrailer: t\r\n\r\n");
    let all = [chunked.as_bytes(), &get("/v1/cities").bytes(), &get("/nowhere").bytes()].concat();
    for piece in [all.len(), 7] {
        let mut connection = server.connect();
        for piece in all.chunks(piece) {
            connection.send(piece).unwrap();
        }
        assert_eq!(connection.response(false).unwrap().accepted(), 1);
        assert_eq!(connection.response(false).unwrap().status, 200);
        assert_eq!(connection.response(false).unwrap().status, 404);
    }
    for broken in
        ["x\r\n", "1\n", "+1\r\na\r\n", "1\r\nab\r\n", "-0\r\n\r\n", "fffffffffffffffff\r\n", " 1\r\n"]
    {
        let bytes = format!("POST /v1/events HTTP/1.1\r\n{lines}\r\n{broken}");
        assert_eq!(problem(&server, bytes.as_bytes()), (400, "incomplete_body".into()), "{broken:?}");
    }
}
