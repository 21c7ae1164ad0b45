//! The function as API Gateway invokes it, with the samples of `events/http`.

use equilibrium_admission::Open;
use std::fs;
use std::path::Path;

use equilibrium_quote::Quoting;
use serde_json::{Value, json};

use crate::fixture::*;

#[tokio::test]
async fn each_sample_has_its_response() {
    for (name, status, media_type) in [
        ("post-quote", 201, "application/json"),
        ("post-quote-invalid", 422, "application/problem+json"),
        ("get-quote-unknown", 404, "application/problem+json"),
        ("post-quote-confirm-unknown", 404, "application/problem+json"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/http").join(name);
        let payload = fs::read(path.with_extension("json")).unwrap();
        let fixture = Fixture::priced(120).await;
        let quoting = Quoting { service: &fixture.service, maps: &fixture.maps };
        let answer = equilibrium_quote::handle_event(&Open, quoting, &payload, &fixture.policies, TICK).await;
        let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["content-type"]),
            (&json!(status), &json!(media_type)),
            "{name}: {answer}"
        );
    }
}
