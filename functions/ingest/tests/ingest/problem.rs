//! Every error of the call, as RFC 9457 has it.

use equilibrium_ingest::{IngestMetrics, handle_event};
use equilibrium_lambda::api_gateway::ApiGatewayError;

use crate::world::{Call, NOW, Reply, World, ping, post, sample};

async fn problem(call: &Call) -> Reply {
    let world = World::new();
    let reply = world.send(call).await;
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let json = reply.json();
    assert_eq!(json["status"].as_u64(), Some(reply.status));
    for member in ["type", "title", "detail", "code"] {
        assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
    }
    assert!(world.log.lanes().is_empty());
    assert_eq!(reply.tally, IngestMetrics::default());
    reply
}

#[tokio::test]
async fn another_path_is_not_found_whatever_the_method() {
    for path in ["/v1/event", "/v1/events/", "/", "/V1/events"] {
        let reply = problem(&sample("ndjson").with_path(path).with_method("GET")).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("not_found")), "{path}");
    }
}

#[tokio::test]
async fn another_method_is_told_which_is_allowed() {
    for method in ["GET", "PUT", "OPTIONS", "post"] {
        let reply = problem(&sample("ndjson").with_method(method)).await;
        assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    }
}

#[tokio::test]
async fn another_media_type_is_told_which_are_taken() {
    let body = ping("d", NOW);
    for call in [
        sample("wrong-type"),
        post("application/jsonl", &body),
        post("text/plain; charset=application/json", &body),
        sample("ndjson").without_header("content-type"),
    ] {
        let reply = problem(&call).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (415, Some("unsupported_media_type")));
        assert_eq!(reply.header("accept-post"), "application/x-ndjson, application/json");
    }
}

#[tokio::test]
async fn another_encoding_is_told_which_is_taken() {
    for coding in ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "é"] {
        let reply = problem(&sample("ndjson").with_header("content-encoding", coding)).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (415, Some("unsupported_encoding")));
        assert_eq!(reply.header("accept-encoding"), "gzip");
    }
}

#[tokio::test]
async fn nothing_is_accepted_of_half_an_array() {
    let event = ping("d", NOW);
    let half = problem(&sample("half")).await;
    assert_eq!((half.status, half.json()["code"].as_str()), (400, Some("malformed_json")));
    for body in [
        format!("[{event},]"),
        format!("[{event}]]"),
        event.clone(),
        format!("[{event}\n{event}]"),
        "[".into(),
    ] {
        assert_eq!(problem(&post("application/json", &body)).await.status, 400, "{body}");
    }
    let text = format!("[{event},\"\u{e9}\"]");
    let cut = text.find('\u{e9}').unwrap();
    let latin = [&text.as_bytes()[..cut], &[0xe9], b"\"]"].concat();
    let call = post("application/json", "").with_bytes(&latin);
    let detail = format!("the array cannot be read on from byte {cut}; nothing was accepted");
    assert_eq!(problem(&call).await.json()["detail"], detail);
}

#[tokio::test]
async fn what_is_no_base64_is_unreadable() {
    let reply = problem(&sample("ndjson").said_to_be_base64()).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("malformed_base64")));
}

#[tokio::test]
async fn what_is_no_payload_is_an_error() {
    let world = World::new();
    for payload in ["", "{}", "[]", "{"] {
        let error = handle_event(&world.ingester, payload.as_bytes(), &world.book, NOW).await.unwrap_err();
        assert!(matches!(error, ApiGatewayError::Shape(_)), "{payload}");
    }
    let first = String::from_utf8(sample("ndjson").payload()).unwrap().replace("\"2.0\"", "\"1.0\"");
    let error = handle_event(&world.ingester, first.as_bytes(), &world.book, NOW).await.unwrap_err();
    assert!(matches!(error, ApiGatewayError::Version));
}
