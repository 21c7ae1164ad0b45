//! The function as API Gateway calls it, with the samples of `events/http`.

use std::fs;
use std::path::Path;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use serde_json::{Value, json};

use crate::world::*;

fn sample(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/http").join(name).with_extension("json");
    fs::read(path).unwrap()
}

/// What API Gateway makes of the answer.
async fn call(name: &str) -> (ApiGatewayV2httpResponse, Value) {
    let town = Town::priced().await;
    let answer = equilibrium_price::handle_event(&town.maps, &sample(name), &town.book, TICK).await.unwrap();
    let mut answer: Value = serde_json::from_slice(&answer).unwrap();
    // Optional for API Gateway, though not for this type.
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
async fn each_sample_has_its_answer() {
    for (name, status, media_type) in [
        ("get-price", 200, "application/json"),
        ("get-price-outside", 404, "application/problem+json"),
        ("get-price-repeated-parameter", 400, "application/problem+json"),
        ("get-cities", 200, "application/json"),
        ("get-city", 200, "application/json"),
        ("get-map", 200, "application/json"),
        ("get-map-if-none-match", 304, ""),
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
async fn a_price_goes_out_as_text() {
    let (answer, price) = call("get-price").await;
    assert!(!answer.is_base64_encoded);
    assert_eq!((&price["city"], &price["multiplier"]), (&"nyc".into(), &1.37.into()));
}

#[tokio::test]
async fn a_compressed_map_goes_out_in_base_64() {
    let town = Town::new();
    let rows: Vec<_> =
        (0..40).map(|step| row(0, cell(40.5 + f64::from(step) / 100.0, -73.9, 8), 1, 1, 120)).collect();
    town.publish(&Map::new("nyc", 1, TICK, 8, &rows)).await;
    let answer =
        equilibrium_price::handle_event(&town.maps, &sample("get-map"), &town.book, TICK).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&answer["isBase64Encoded"], &answer["headers"]["content-encoding"]),
        (&true.into(), &"gzip".into())
    );
    // A gzip member's first three bytes (RFC 1952).
    assert!(answer["body"].as_str().unwrap().starts_with("H4sI"));
}

#[tokio::test]
async fn what_is_no_payload_is_an_error() {
    let town = Town::new();
    assert!(equilibrium_price::handle_event(&town.maps, b"{}", &town.book, TICK).await.is_err());
}
