//! The function as API Gateway invokes it, with the samples of `events/http`.

use equilibrium_admission::Open;
use std::fs;
use std::path::Path;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use serde_json::{Value, json};

use crate::fixture::*;

fn sample(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/http").join(name).with_extension("json");
    fs::read(path).unwrap()
}

/// The response to a payload.
async fn answer_to(payload: &[u8]) -> Value {
    let fixture = Fixture::new();
    let answer = equilibrium_policy::handle_event(
        &Open,
        (&fixture.store, &fixture.bounds, &fixture.maps),
        payload,
        TICK,
    )
    .await
    .unwrap();
    serde_json::from_slice(&answer).unwrap()
}

#[tokio::test]
async fn each_sample_has_its_response() {
    for (name, status, media_type) in [
        ("get-policy", 200, "application/json"),
        ("get-policy-versions", 200, "application/json"),
        ("get-policy-version", 200, "application/json"),
        ("get-openapi", 200, "application/json"),
        ("get-policy-schema", 200, "application/schema+json"),
        ("put-policy", 200, "application/json"),
        ("put-policy-dry-run", 200, "application/json"),
        ("put-policy-without-if-match", 428, "application/problem+json"),
        ("put-policy-too-large", 409, "application/problem+json"),
        ("put-policy-invalid", 422, "application/problem+json"),
        ("post-override", 201, "application/json"),
        ("post-override-invalid", 422, "application/problem+json"),
        ("get-overrides", 200, "application/json"),
        ("get-override", 404, "application/problem+json"),
        ("delete-override", 404, "application/problem+json"),
    ] {
        let answer = answer_to(&sample(name)).await;
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["content-type"]),
            (&json!(status), &json!(media_type)),
            "{name}"
        );
        let request: ApiGatewayV2httpRequest = serde_json::from_slice(&sample(name)).unwrap();
        assert!(request.raw_path.unwrap().starts_with("/v1/"));
    }
}

#[tokio::test]
async fn a_body_that_is_not_base64_is_the_clients_fault() {
    let mut payload: Value = serde_json::from_slice(&sample("put-policy")).unwrap();
    payload["isBase64Encoded"] = json!(true);
    assert_eq!(answer_to(payload.to_string().as_bytes()).await["statusCode"], 400);
}

#[tokio::test]
async fn an_invalid_payload_fails_the_invocation() {
    let fixture = Fixture::new();
    let failed = equilibrium_policy::handle_event(
        &Open,
        (&fixture.store, &fixture.bounds, &fixture.maps),
        b"{}",
        TICK,
    )
    .await;
    failed.unwrap_err();
}
