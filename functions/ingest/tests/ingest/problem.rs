//! Every problem that the call is answered with (RFC 9457).

use equilibrium_admission::Open;
use std::sync::Arc;

use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_http::Request;
use equilibrium_ingest::{IngestError, IngestMetrics, handle_event, respond};
use equilibrium_lambda::api_gateway::ApiGatewayError;

use crate::fixture::{Call, Fixture, NOW, Reply, ping, post, sample};

async fn problem(call: &Call) -> Reply {
    let fixture = Fixture::new();
    let reply = fixture.send(call).await;
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let json = reply.json();
    assert_eq!(json["status"].as_u64(), Some(reply.status));
    for member in ["type", "title", "detail", "code"] {
        assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
    }
    assert!(fixture.log.lanes().is_empty());
    assert_eq!(reply.metrics, IngestMetrics::default());
    reply
}

#[tokio::test]
async fn another_path_is_not_found_whatever_the_method() {
    for path in ["/v1/event", "/v1/events/", "/", "/V1/events"] {
        let reply = problem(&sample("post-events-ndjson").with_path(path).with_method("GET")).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("not_found")), "{path}");
    }
}

#[tokio::test]
async fn another_method_is_answered_with_the_allowed_one() {
    for method in ["GET", "PUT", "OPTIONS", "post"] {
        let reply = problem(&sample("post-events-ndjson").with_method(method)).await;
        assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    }
}

#[tokio::test]
async fn another_media_type_is_answered_with_the_accepted_ones() {
    let body = ping("d", NOW);
    for call in [
        sample("post-events-wrong-type"),
        post("application/jsonl", &body),
        post("text/plain; charset=application/json", &body),
        sample("post-events-ndjson").without_header("content-type"),
    ] {
        let reply = problem(&call).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (415, Some("unsupported_media_type")));
        assert_eq!(reply.header("accept-post"), "application/x-ndjson, application/json");
    }
}

#[tokio::test]
async fn another_encoding_is_answered_with_the_accepted_one() {
    for coding in ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "é"] {
        let reply = problem(&sample("post-events-ndjson").with_header("content-encoding", coding)).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (415, Some("unsupported_encoding")));
        assert_eq!(reply.header("accept-encoding"), "gzip");
    }
}

#[tokio::test]
async fn a_client_that_excludes_every_coding_of_the_answer_is_refused_before_its_events_are_accepted() {
    let reply = problem(&sample("post-events-ndjson").with_header("accept-encoding", "br, *;q=0")).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (406, Some("not_acceptable")));
}

#[tokio::test]
async fn a_malformed_array_is_refused_as_a_whole() {
    let event = ping("d", NOW);
    let half = problem(&sample("post-events-half")).await;
    assert_eq!((half.status, half.json()["code"].as_str()), (400, Some("malformed_json")));
    for body in [
        format!("[{event},]"),
        format!("[{event}]]"),
        event.clone(),
        format!("[{event}\n{event}]"),
        "[".into(),
        String::new(),
        " \r\n".into(),
    ] {
        assert_eq!(problem(&post("application/json", &body)).await.status, 400, "{body}");
    }
    let text = format!("[{event},\"\u{e9}\"]");
    let cut = text.find('\u{e9}').unwrap();
    let latin = [&text.as_bytes()[..cut], &[0xe9], b"\"]"].concat();
    let call = post("application/json", "").with_bytes(&latin);
    let detail = format!("the JSON array is malformed at byte {cut}; nothing was accepted");
    assert_eq!(problem(&call).await.json()["detail"], detail);
}

#[tokio::test]
async fn an_invalid_base64_body_is_malformed() {
    let reply = problem(&sample("post-events-ndjson").marked_base64()).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("malformed_base64")));
}

#[tokio::test]
async fn an_invalid_payload_fails_the_invocation() {
    let fixture = Fixture::new();
    for payload in ["", "{}", "[]", "{"] {
        let error = handle_event(&Open, &fixture.ingester, payload.as_bytes(), &fixture.policies, NOW)
            .await
            .unwrap_err();
        assert!(matches!(error, IngestError::Payload(ApiGatewayError::Shape(_))), "{payload}");
    }
    let first =
        String::from_utf8(sample("post-events-ndjson").payload()).unwrap().replace("\"2.0\"", "\"1.0\"");
    let error =
        handle_event(&Open, &fixture.ingester, first.as_bytes(), &fixture.policies, NOW).await.unwrap_err();
    assert!(matches!(error, IngestError::Payload(ApiGatewayError::Version)));
}

/// A policy store that cannot be read.
struct NoPolicies;

impl PolicySource for NoPolicies {
    async fn policies(&self, _: i64) -> Result<Arc<PolicySet>, Unavailable> {
        Err(Unavailable)
    }

    async fn newest(&self, _: i64) -> Option<Arc<PolicySet>> {
        None
    }
}

#[tokio::test]
async fn without_policies_a_request_is_answered_with_503() {
    let (fixture, call) = (Fixture::new(), sample("post-events-ndjson"));
    let (answer, _) =
        handle_event(&Open, &fixture.ingester, &call.payload(), &NoPolicies, NOW).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&answer["statusCode"], &answer["headers"]["retry-after"]), (&503.into(), &"1".into()));

    let headers = [("content-type".into(), "application/x-ndjson".into())];
    let body = call.text().as_bytes();
    let request = Request { method: "POST", path: "/v1/events", query: "", headers: &headers, body };
    let (response, metrics) = respond(&fixture.ingester, &request, &NoPolicies, NOW).await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    assert_eq!(metrics, IngestMetrics::default());
    assert!(fixture.log.lanes().is_empty());
}
