//! Requests answered without API Gateway's envelope, as the local host has them.

use crate::world::{NOW, World, gzip, ping, sample};

const NDJSON: [(&str, &str); 1] = [("Content-Type", "application/x-ndjson")];

#[tokio::test]
async fn a_request_without_its_envelope_has_the_same_answer_and_the_same_records() {
    for (name, content_type) in [
        ("ndjson", "application/x-ndjson"),
        ("array", "application/json"),
        ("refused", "application/x-ndjson"),
        ("half", "application/json"),
        ("wrong-type", "text/csv"),
    ] {
        let (bare, wrapped) = (World::new(), World::new());
        let call = sample(name);
        let headers = [("content-type", content_type)];
        let reply = bare.ask("POST", "/v1/events", &headers, call.text().as_bytes()).await;
        assert_eq!(reply, wrapped.send(&call).await, "{name}");
        assert_eq!(bare.log.lanes(), wrapped.log.lanes(), "{name}");
    }
}

#[tokio::test]
async fn a_body_is_taken_as_it_was_sent() {
    let line = ping("d", NOW);
    let packed = gzip(line.as_bytes());
    let world = World::new();
    let headers = [NDJSON[0], ("CONTENT-ENCODING", "gzip")];
    assert_eq!(world.ask("POST", "/v1/events", &headers, &packed).await.tally.accepted, 1);
    // What would be base 64 is no event.
    let encoded = base64_simd::STANDARD.encode_to_string(&line);
    let reply = world.ask("POST", "/v1/events", &NDJSON, encoded.as_bytes()).await;
    assert_eq!(reply.refused(), [(0, "malformed_json".to_owned())]);
}

#[tokio::test]
async fn a_line_that_is_no_utf_8_costs_no_neighbour() {
    let world = World::new();
    let body = [ping("d1", NOW).as_bytes(), b"\n{\"type\":\"\xff\"}\n", ping("d2", NOW).as_bytes()].concat();
    let reply = world.ask("POST", "/v1/events", &NDJSON, &body).await;
    assert_eq!((reply.status, reply.tally.accepted), (202, 2));
    assert_eq!(reply.refused(), [(1, "malformed_json".to_owned())]);
}

#[tokio::test]
async fn who_looks_at_the_path_is_told_to_post() {
    for (method, has_content) in [("GET", true), ("HEAD", false), ("DELETE", true)] {
        let world = World::new();
        let reply = world.ask(method, "/v1/events", &NDJSON, ping("d", NOW).as_bytes()).await;
        assert_eq!((reply.status, reply.header("allow")), (405, "POST"), "{method}");
        assert_eq!(!reply.body.is_empty(), has_content, "{method}");
        assert!(world.log.lanes().is_empty());
    }
    let nowhere = World::new().ask("HEAD", "/v1/event", &[], b"").await;
    assert_eq!((nowhere.status, nowhere.body.as_str()), (404, ""));
}

#[tokio::test]
async fn the_limit_holds_for_the_body_and_not_for_its_envelope() {
    let world = World::new();
    let line = ping("d", NOW);
    let body = |length: usize| format!("{line}{}", "\n".repeat(length - line.len()));
    assert_eq!(world.ask("POST", "/v1/events", &NDJSON, body(1 << 20).as_bytes()).await.status, 202);
    assert_eq!(world.ask("POST", "/v1/events", &NDJSON, body((1 << 20) + 1).as_bytes()).await.status, 413);
}
