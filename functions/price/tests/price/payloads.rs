//! The function as API Gateway invokes it, with the samples of `events/http`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use equilibrium_admission::Open;
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_lambda::api_gateway::MAX_RESPONSE_BYTES;
use serde_json::{Value, json};

use crate::fixture::*;

fn sample(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/http").join(name).with_extension("json");
    fs::read(path).unwrap()
}

/// Invokes the function with a sample; returns the response and its JSON content.
async fn call(name: &str) -> (ApiGatewayV2httpResponse, Value) {
    answer_to(&sample(name)).await
}

async fn answer_to(payload: &[u8]) -> (ApiGatewayV2httpResponse, Value) {
    let fixture = Fixture::priced().await;
    let answer = equilibrium_price::handle_event(
        &Open,
        (&fixture.maps, &fixture.rendered, &fixture.past),
        payload,
        &fixture.policies,
        TICK,
    )
    .await
    .unwrap();
    let mut answer: Value = serde_json::from_slice(&answer).unwrap();
    // API Gateway does not require it, but this type does.
    answer["cookies"] = json!([]);
    let answer: ApiGatewayV2httpResponse = serde_json::from_value(answer).unwrap();
    let content = match &answer.body {
        Some(Body::Text(text)) if !text.is_empty() && !answer.is_base64_encoded => {
            serde_json::from_str(text).unwrap()
        }
        _ => Value::Null,
    };
    (answer, content)
}

#[tokio::test]
async fn each_sample_has_its_response() {
    for (name, status, media_type) in [
        ("get-price", 200, "application/json"),
        ("get-price-outside", 404, "application/problem+json"),
        ("get-price-repeated-parameter", 400, "application/problem+json"),
        ("get-cities", 200, "application/json"),
        ("get-city", 200, "application/json"),
        ("get-map", 200, "application/json"),
        ("get-map-if-none-match", 200, "application/json"),
        ("get-map-geojson", 200, "application/geo+json"),
        ("delete-city", 405, "application/problem+json"),
    ] {
        let (answer, _) = call(name).await;
        assert_eq!(answer.status_code, status, "{name}");
        let sent = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        assert_eq!(sent, media_type, "{name}");
        let request: ApiGatewayV2httpRequest = serde_json::from_slice(&sample(name)).unwrap();
        assert!(request.raw_path.unwrap().starts_with("/v1/"));
    }
}

#[tokio::test]
async fn a_conditional_request_is_answered_by_the_entity_tag() {
    let (answer, _) = call("get-map").await;
    let tag = answer.headers["etag"].to_str().unwrap();
    let mut payload: Value = serde_json::from_slice(&sample("get-map-if-none-match")).unwrap();
    payload["headers"]["if-none-match"] = tag.into();
    let (answer, _) = answer_to(payload.to_string().as_bytes()).await;
    assert_eq!((answer.status_code, answer.body), (304, Some(Body::Text(String::new()))));
}

#[tokio::test]
async fn a_price_is_sent_as_text() {
    let (answer, price) = call("get-price").await;
    assert!(!answer.is_base64_encoded);
    assert_eq!((&price["city"], &price["multiplier"]), (&"nyc".into(), &1.37.into()));
}

#[tokio::test]
async fn a_compressed_map_is_sent_in_base64() {
    let fixture = Fixture::new();
    let rows: Vec<_> =
        (0..40).map(|step| row(0, cell(40.5 + f64::from(step) / 100.0, -73.9, 8), 1, 1, 120)).collect();
    fixture.publish(&Map::new("nyc", 1, TICK, 8, &rows)).await;
    let answer = equilibrium_price::handle_event(
        &Open,
        (&fixture.maps, &fixture.rendered, &fixture.past),
        &sample("get-map"),
        &fixture.policies,
        TICK,
    )
    .await
    .unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&answer["isBase64Encoded"], &answer["headers"]["content-encoding"]),
        (&true.into(), &"gzip".into())
    );
    // The first three bytes of a gzip member (RFC 1952).
    assert!(answer["body"].as_str().unwrap().starts_with("H4sI"));
}

#[tokio::test]
async fn an_invalid_payload_fails_the_invocation() {
    let fixture = Fixture::new();
    let failed = equilibrium_price::handle_event(
        &Open,
        (&fixture.maps, &fixture.rendered, &fixture.past),
        b"{}",
        &fixture.policies,
        TICK,
    )
    .await;
    assert!(failed.is_err());
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
    let fixture = Fixture::priced().await;
    equilibrium_price::read_at_start(&fixture.maps, &NoPolicies, TICK).await;
    let (maps, payload) = ((&fixture.maps, &fixture.rendered, &fixture.past), sample("get-price"));
    let answer = equilibrium_price::handle_event(&Open, maps, &payload, &NoPolicies, TICK).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&answer["statusCode"], &answer["headers"]["retry-after"]), (&json!(503), &json!("1")));
    assert_eq!(answer["headers"]["content-type"], "application/problem+json");
    assert_eq!(problem["code"], "unavailable");
}

#[tokio::test]
async fn the_handlers_future_is_send() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let fixture = Fixture::priced().await;
    let payload = sample("get-price");
    let handled = is_send(equilibrium_price::handle_event(
        &Open,
        (&fixture.maps, &fixture.rendered, &fixture.past),
        &payload,
        &fixture.policies,
        TICK,
    ))
    .await;
    assert!(handled.is_ok());
}

#[tokio::test]
async fn a_map_too_long_for_lambda_is_refused_in_words_unless_the_client_accepts_gzip() {
    let fixture = Fixture::new();
    let places = (0..450).flat_map(|north| (0..170).map(move |east| (north, east)));
    let rows: Vec<_> = places
        .map(|(north, east)| cell(40.46 + f64::from(north) * 0.001, -74.2 + f64::from(east) * 0.003, 10))
        .map(|cell| row(0, cell, 1, 1, 120))
        .collect();
    fixture.publish(&Map::new("nyc", 1, TICK, 10, &rows)).await;

    let mut payload: Value = serde_json::from_slice(&sample("get-map")).unwrap();
    payload["rawQueryString"] = "".into();
    for (accept_encoding, status) in [(None, 406), (Some("identity"), 406), (Some("gzip"), 200)] {
        match accept_encoding {
            Some(codings) => payload["headers"]["accept-encoding"] = codings.into(),
            None => drop(payload["headers"].as_object_mut().unwrap().remove("accept-encoding")),
        }
        let (maps, payload) = ((&fixture.maps, &fixture.rendered, &fixture.past), payload.to_string());
        let answer =
            equilibrium_price::handle_event(&Open, maps, payload.as_bytes(), &fixture.policies, TICK);
        let answer = answer.await.unwrap();
        assert!(answer.len() <= MAX_RESPONSE_BYTES, "{} bytes", answer.len());
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["statusCode"], status, "{accept_encoding:?}");
        if status == 406 {
            let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            assert_eq!(problem["code"], "response_too_large");
            assert!(problem["detail"].as_str().unwrap().contains("`Accept-Encoding: gzip`"), "{problem}");
            assert_eq!(answer["headers"]["accept-encoding"], "gzip");
        }
    }
}

#[tokio::test]
async fn a_city_without_a_log_has_no_past() {
    let (answer, problem) = call("get-explanation").await;
    assert_eq!((answer.status_code, &problem["code"]), (404, &json!("not_retained")));
    let (answer, page) = call("get-history").await;
    assert_eq!((answer.status_code, page), (200, json!({"changes": []})));
}
