//! Requests without API Gateway's payload, as the local host passes them.

use crate::fixture::{Fixture, NOW, gzip, ping, sample};

const NDJSON: [(&str, &str); 1] = [("Content-Type", "application/x-ndjson")];

#[tokio::test]
async fn a_request_without_a_payload_gives_the_same_response_and_records() {
    for (name, content_type) in [
        ("post-events-ndjson", "application/x-ndjson"),
        ("post-events-array", "application/json"),
        ("post-events-refused", "application/x-ndjson"),
        ("post-events-half", "application/json"),
        ("post-events-wrong-type", "text/csv"),
    ] {
        let (direct, via_payload) = (Fixture::new(), Fixture::new());
        let call = sample(name);
        let headers = [("content-type", content_type)];
        let reply = direct.ask("POST", "/v1/events", &headers, call.text().as_bytes()).await;
        assert_eq!(reply, via_payload.send(&call).await, "{name}");
        assert_eq!(direct.log.lanes(), via_payload.log.lanes(), "{name}");
    }
}

#[tokio::test]
async fn a_body_outside_a_payload_is_not_base64_decoded() {
    let line = ping("d", NOW);
    let compressed = gzip(line.as_bytes());
    let fixture = Fixture::new();
    let headers = [NDJSON[0], ("CONTENT-ENCODING", "gzip")];
    assert_eq!(fixture.ask("POST", "/v1/events", &headers, &compressed).await.metrics.accepted, 1);
    // Base64 is not an event.
    let encoded = base64_simd::STANDARD.encode_to_string(&line);
    let reply = fixture.ask("POST", "/v1/events", &NDJSON, encoded.as_bytes()).await;
    assert_eq!(reply.refused(), [(0, "malformed_json".to_owned())]);
}

#[tokio::test]
async fn a_line_that_is_not_utf_8_leaves_its_neighbours_accepted() {
    let fixture = Fixture::new();
    let body = [ping("d1", NOW).as_bytes(), b"\n{\"type\":\"\xff\"}\n", ping("d2", NOW).as_bytes()].concat();
    let reply = fixture.ask("POST", "/v1/events", &NDJSON, &body).await;
    assert_eq!((reply.status, reply.metrics.accepted), (202, 2));
    assert_eq!(reply.refused(), [(1, "malformed_json".to_owned())]);
}

#[tokio::test]
async fn other_methods_are_answered_with_the_allowed_one() {
    for (method, has_content) in [("GET", true), ("HEAD", false), ("DELETE", true)] {
        let fixture = Fixture::new();
        let reply = fixture.ask(method, "/v1/events", &NDJSON, ping("d", NOW).as_bytes()).await;
        assert_eq!((reply.status, reply.header("allow")), (405, "POST"), "{method}");
        assert_eq!(!reply.body.is_empty(), has_content, "{method}");
        assert!(fixture.log.lanes().is_empty());
    }
    let nowhere = Fixture::new().ask("HEAD", "/v1/event", &[], b"").await;
    assert_eq!((nowhere.status, nowhere.body.as_str()), (404, ""));
}

#[tokio::test]
async fn the_size_limit_applies_to_the_body_alone() {
    let fixture = Fixture::new();
    let line = ping("d", NOW);
    let body = |length: usize| format!("{line}{}", "\n".repeat(length - line.len()));
    assert_eq!(fixture.ask("POST", "/v1/events", &NDJSON, body(1 << 20).as_bytes()).await.status, 202);
    assert_eq!(fixture.ask("POST", "/v1/events", &NDJSON, body((1 << 20) + 1).as_bytes()).await.status, 413);
}
