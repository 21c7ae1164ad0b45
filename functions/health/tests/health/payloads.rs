//! The function as Lambda invokes it, with the samples of `events/http` and `events/schedule`.

use std::fs;
use std::path::Path;

use equilibrium_admission::Open;
use equilibrium_app::health::ports::VerdictStore;
use serde_json::json;

use crate::fixture::Fixture;

fn sample(folder: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    fs::read(path.with_extension("json")).unwrap()
}

#[tokio::test]
async fn each_sample_has_its_response() {
    for (name, status, media_type) in [
        ("get-health", 200, "application/json"),
        ("get-health-component", 200, "application/json"),
        ("get-health-unknown", 404, "application/problem+json"),
    ] {
        let fixture = Fixture::looked(&[]).await;
        let (answer, looks) = fixture.handle(&Open, &sample("../../events/http", name)).await;
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["content-type"], looks),
            (&json!(status), &json!(media_type), 0),
            "{name}: {answer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_event_of_the_schedule_is_a_run_of_looks_that_are_stored() {
    let fixture = Fixture::new(&[]);
    let (answer, looks) = fixture.handle(&Open, &sample("../../events/schedule", "health")).await;
    assert_eq!((answer, looks), (json!({}), 6));
    assert_eq!(fixture.store.verdicts().await.unwrap().len(), 8);
}

#[tokio::test]
async fn what_is_neither_a_request_nor_a_schedule_fails_the_invocation() {
    let fixture = Fixture::new(&[]);
    let parts = (&fixture.reader, &fixture.run);
    for payload in ["{}", "", r#"{"source": "aws.events"}"#] {
        let handled = equilibrium_health::handle_event(&Open, parts, payload.as_bytes(), || 0).await;
        assert!(handled.is_err(), "{payload}");
    }
}
