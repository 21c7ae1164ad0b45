//! The verdicts as clients read them.

use equilibrium_admission::Admission;
use equilibrium_app::access::issuer::{Grant, KEY_BYTES, TokenIssuer};
use equilibrium_app::access::ports::ConfiguredKeySet;
use equilibrium_app::rate_limit::memory_rates::MemoryRates;
use equilibrium_domain::health::component::Component;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fixture::{Fixture, NOW_MS, request};

#[tokio::test]
async fn every_component_has_its_verdict() {
    let fixture = Fixture::looked(&[]).await;
    let health = fixture.json("/v1/health").await;
    assert_eq!(
        (&health["status"], &health["checked_at"]),
        (&json!("healthy"), &json!("2026-02-25T06:13:20.000Z"))
    );
    let names: Vec<&str> =
        health["components"].as_array().unwrap().iter().map(|of| of["component"].as_str().unwrap()).collect();
    assert_eq!(names, Component::ALL.map(Component::as_str));
    for name in names {
        let component = fixture.json(&format!("/v1/health/{name}")).await;
        assert_eq!((&component["component"], &component["status"]), (&json!(name), &json!("healthy")));
        assert_eq!(component["response_time_ms"], 12);
        assert_eq!(component.get("error"), None);
    }
}

#[tokio::test]
async fn what_fails_is_named_and_so_is_what_depends_on_it() {
    let fixture = Fixture::looked(&[Component::ElastiCache]).await;
    let cache = fixture.json("/v1/health/elasticache").await;
    assert_eq!((&cache["kind"], &cache["status"]), (&json!("dependency"), &json!("unhealthy")));
    assert_eq!((&cache["error"], &cache["response_time_ms"]), (&json!("cache: no answer"), &Value::Null));
    let pricing = fixture.json("/v1/health/pricing").await;
    assert_eq!(pricing["status"], "degraded");
    assert_eq!(pricing["error"], "stream-processor is degraded");
    assert_eq!(pricing["dependencies"], json!(["stream-processor", "dynamodb", "elasticache"]));
    assert_eq!(fixture.json("/v1/health").await["status"], "degraded");
}

#[tokio::test]
async fn without_looks_everything_is_unknown_and_the_answer_is_200() {
    let fixture = Fixture::new(&[]);
    let health = fixture.json("/v1/health").await;
    assert_eq!((&health["status"], &health["checked_at"]), (&json!("degraded"), &Value::Null));
    let stale = Fixture::looked(&[]).await;
    let response = stale.get_at("/v1/health/kinesis", NOW_MS + 120_001).await;
    let kinesis: Value = serde_json::from_slice(&response.body.bytes()).unwrap();
    assert_eq!((response.status, &kinesis["status"]), (200, &json!("unknown")));
    assert_eq!(kinesis["since"], "2026-02-25T06:15:20.000Z");
}

#[tokio::test]
async fn what_is_no_component_or_no_get_is_refused() {
    let fixture = Fixture::new(&[]);
    let unknown = fixture.get_at("/v1/health/weather", NOW_MS).await;
    let problem: Value = serde_json::from_slice(&unknown.body.bytes()).unwrap();
    assert_eq!((unknown.status, &problem["code"]), (404, &json!("unknown_component")));
    let refused = fixture.send(&request("POST", "/v1/health"), NOW_MS).await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn without_the_scope_the_overall_verdict_is_shown_alone() {
    let fixture = Fixture::looked(&[]).await;
    let issuer = TokenIssuer::new(&[7; KEY_BYTES]).unwrap();
    let keys = ConfiguredKeySet(issuer.key_set());
    let admission = Admission::new(Some((TokenIssuer::expected(), keys)), None, (None::<MemoryRates>, sleep));
    let token = |scope| issuer.issue(Grant { subject: "operator", scope, from_ms: NOW_MS, ttl_ms: 60_000 });
    for (authorization, shown) in
        [(None, false), (Some(token("events:write")), false), (Some(token("prices:read")), true)]
    {
        let headers = match &authorization {
            Some(token) => json!({"authorization": format!("Bearer {token}")}),
            None => json!({}),
        };
        let payload = |path: &str| {
            let context = json!({"stage": "$default", "http": {"method": "GET"}});
            json!({"version": "2.0", "rawPath": path, "headers": headers, "requestContext": context})
                .to_string()
        };
        let (answer, _) = fixture.handle(&admission, payload("/v1/health").as_bytes()).await;
        let health: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!((&answer["statusCode"], &health["status"]), (&json!(200), &json!("healthy")));
        assert_eq!(health.get("components").is_some(), shown, "{authorization:?}");
        let (one, _) = fixture.handle(&admission, payload("/v1/health/kinesis").as_bytes()).await;
        let status = if shown {
            200
        } else if authorization.is_some() {
            403
        } else {
            401
        };
        assert_eq!(one["statusCode"], status);
    }
}
