//! Every error of the call, as RFC 9457 has it.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use equilibrium_ingest::Tally;
use http::{HeaderValue, Method};

use crate::world::{NOW, Reply, World, ping, post, sample, with_bytes};

async fn problem(request: &ApiGatewayV2httpRequest) -> Reply {
    let world = World::new();
    let reply = world.send(request).await;
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let json = reply.json();
    assert_eq!(json["status"].as_i64(), Some(reply.status()));
    for member in ["type", "title", "detail", "code"] {
        assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
    }
    assert!(world.log.lanes().is_empty());
    assert_eq!(reply.tally, Tally::default());
    reply
}

#[tokio::test]
async fn another_path_is_not_found_whatever_the_method() {
    for path in ["/v1/event", "/v1/events/", "/", "/V1/events"] {
        let mut request = sample("ndjson");
        request.raw_path = Some(path.into());
        request.request_context.http.method = Method::GET;
        assert_eq!(problem(&request).await.json()["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn another_method_is_told_which_is_allowed() {
    for method in [Method::GET, Method::PUT, Method::OPTIONS] {
        let mut request = sample("ndjson");
        request.request_context.http.method = method;
        let reply = problem(&request).await;
        assert_eq!((reply.status(), reply.header("allow")), (405, "POST"));
    }
}

#[tokio::test]
async fn another_media_type_is_told_which_are_taken() {
    let body = ping("d", NOW);
    let mut none = sample("ndjson");
    none.headers.remove("content-type");
    for request in [
        sample("wrong-type"),
        post("application/jsonl", &body),
        post("text/plain; charset=application/json", &body),
        none,
    ] {
        let reply = problem(&request).await;
        assert_eq!((reply.status(), reply.json()["code"].as_str()), (415, Some("unsupported_media_type")));
        assert_eq!(reply.header("accept-post"), "application/x-ndjson, application/json");
    }
}

#[tokio::test]
async fn another_encoding_is_told_which_is_taken() {
    for coding in ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "é"] {
        let mut request = sample("ndjson");
        let coding = HeaderValue::from_bytes(coding.as_bytes()).unwrap();
        request.headers.insert("content-encoding", coding);
        let reply = problem(&request).await;
        assert_eq!((reply.status(), reply.json()["code"].as_str()), (415, Some("unsupported_encoding")));
        assert_eq!(reply.header("accept-encoding"), "gzip");
    }
}

#[tokio::test]
async fn nothing_is_accepted_of_half_an_array() {
    let event = ping("d", NOW);
    let half = problem(&sample("half")).await;
    assert_eq!((half.status(), half.json()["code"].as_str()), (400, Some("malformed_json")));
    for body in [
        format!("[{event},]"),
        format!("[{event}]]"),
        event.clone(),
        format!("[{event}\n{event}]"),
        "[".into(),
    ] {
        assert_eq!(problem(&post("application/json", &body)).await.status(), 400, "{body}");
    }
    let text = format!("[{event},\"\u{e9}\"]");
    let cut = text.find('\u{e9}').unwrap();
    let latin = [&text.as_bytes()[..cut], &[0xe9], b"\"]"].concat();
    let request = with_bytes(post("application/json", ""), &latin);
    let detail = format!("the array cannot be read on from byte {cut}; nothing was accepted");
    assert_eq!(problem(&request).await.json()["detail"], detail);
}

#[tokio::test]
async fn what_is_no_base64_is_unreadable() {
    let mut request = sample("ndjson");
    request.is_base64_encoded = true;
    assert_eq!(problem(&request).await.json()["code"], "malformed_base64");
}
