//! Every scope at every route, tokens that are none, and rates.

use std::time::Duration;

use equilibrium_app::access::issuer::{Grant, TokenIssuer};
use equilibrium_app::access::ports::ConfiguredKeySet;
use equilibrium_app::rate_limit::memory_rates::MemoryRates;
use equilibrium_http::Response;
use equilibrium_http::routes::{ROUTES, RateClass, STREAM, Scope};
use serde_json::json;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

type LocalAdmission = Admission<ConfiguredKeySet, Option<MemoryRates>, fn(Duration) -> tokio::time::Sleep>;

fn issuer() -> TokenIssuer {
    TokenIssuer::from_hex(&"01".repeat(32)).unwrap()
}

fn admission(rates: Option<RateSettings>) -> LocalAdmission {
    let tokens = (TokenIssuer::expected(), ConfiguredKeySet(issuer().key_set()));
    Admission::new(Some(tokens), rates, (None, tokio::time::sleep))
}

fn without_tokens(rates: &str) -> LocalAdmission {
    Admission::new(None, Some(RateSettings::parse(rates).unwrap()), (None, tokio::time::sleep))
}

fn bearer_of(subject: &str, scope: &str) -> String {
    format!("Bearer {}", issuer().issue(Grant { subject, scope, from_ms: NOW_MS, ttl_ms: 60_000 }))
}

/// The status, the code and the challenge of the answer, 200 if the request is admitted.
async fn outcome(
    admission: &LocalAdmission,
    (path, authorization): (&str, Option<&str>),
    (address, now_ms): (&str, i64),
) -> (u16, &'static str, Option<String>) {
    let headers: Vec<_> =
        authorization.map(|value| ("Authorization".into(), value.into())).into_iter().collect();
    let request = Request { method: "GET", path, query: "", headers: &headers, body: b"" };
    match admission.admit(&request, address, now_ms).await {
        Ok(_) => (200, "", None),
        Err(problem) => {
            let code = problem.code;
            let response = Response::from(problem);
            (response.status, code, response.header("www-authenticate").map(str::to_owned))
        }
    }
}

async fn asked(admission: &LocalAdmission, path: &str, authorization: Option<&str>) -> (u16, &'static str) {
    let (status, code, _) = outcome(admission, (path, authorization), ("192.0.2.1", NOW_MS)).await;
    (status, code)
}

#[tokio::test]
async fn each_route_is_open_to_its_scope_alone() {
    let admission = admission(None);
    for route in ROUTES.iter().chain([&STREAM]) {
        let path = route.path.replace(['{', '}'], "");
        for scope in Scope::ALL {
            let token = bearer_of("ada", scope.name());
            let expected = match route.scope {
                Some(needed) if needed != scope => (403, "missing_scope"),
                _ => (200, ""),
            };
            assert_eq!(asked(&admission, &path, Some(&token)).await, expected, "{} {path}", scope.name());
        }
        let all = Scope::ALL.map(Scope::name).join(" ");
        assert_eq!(asked(&admission, &path, Some(&bearer_of("ada", &all))).await.0, 200, "{path}");
        assert_eq!(
            asked(&admission, &path, Some(&bearer_of("ada", ""))).await.0 == 200,
            route.scope.is_none()
        );
        let expected = if route.scope.is_some() { (401, "unauthenticated") } else { (200, "") };
        assert_eq!(asked(&admission, &path, None).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_path_in_another_form_needs_the_same_scope() {
    let admission = admission(None);
    for path in ["/v1/%70rice", "/%76%31/price", "/v1/cities/", "/v1/cities/%6eyc/%73urge"] {
        assert_eq!(asked(&admission, path, None).await, (401, "unauthenticated"), "{path}");
    }
    for path in ["v1/price", "", "v1/cities"] {
        assert_eq!(asked(&admission, path, None).await, (404, "not_found"), "{path}");
    }
    assert_eq!(asked(&admission, "/v1/nothing", None).await.0, 200);
}

#[tokio::test]
async fn a_refused_client_learns_what_it_lacks() {
    let admission = admission(None);
    let challenge = async |path: &str, authorization: Option<&str>| {
        outcome(&admission, (path, authorization), ("", NOW_MS)).await.2
    };
    assert_eq!(challenge("/v1/price", None).await.as_deref(), Some("Bearer"));
    assert_eq!(challenge("/v1/price", Some("Basic YTpi")).await.as_deref(), Some("Bearer"));
    for token in ["Bearer", "Bearer ", "bearer a.b.c", "Bearer  x y"] {
        let found = challenge("/v1/price", Some(token)).await.unwrap();
        assert!(found.starts_with("Bearer error=\"invalid_token\""), "{token}: {found}");
    }
    let found = challenge("/v1/quotes", Some(&bearer_of("ada", "prices:read"))).await;
    assert_eq!(found.as_deref(), Some("Bearer error=\"insufficient_scope\", scope=\"quotes:write\""));
    let token = bearer_of("ada", "prices:read");
    let expired = outcome(&admission, ("/v1/price", Some(&token)), ("", NOW_MS + 60_000 + 61_000));
    let (status, code, challenge) = expired.await;
    assert_eq!((status, code), (401, "unauthenticated"));
    assert!(challenge.unwrap().contains("error_description=\"the token has expired\""));
}

#[tokio::test]
async fn the_scheme_is_in_any_case_and_a_token_on_an_open_route_is_valid() {
    let admission = admission(None);
    let token = bearer_of("ada", "prices:read");
    let lower = token.replacen("Bearer", "bEARER", 1);
    assert_eq!(asked(&admission, "/v1/price", Some(&lower)).await.0, 200);
    assert_eq!(asked(&admission, "/v1/schemas/policy.json", Some("Bearer a.b.c")).await.0, 401);
    assert_eq!(asked(&admission, "/v1/schemas/policy.json", Some(&token)).await.0, 200);
}

#[tokio::test]
async fn the_caller_is_the_subject_of_the_token() {
    let admission = admission(None);
    let headers = [("authorization".into(), bearer_of("ada", "quotes:write quotes:trusted").into())];
    let request = Request { method: "POST", path: "/v1/quotes", query: "", headers: &headers, body: b"" };
    let caller = admission.admit(&request, "", NOW_MS).await.unwrap();
    assert_eq!(
        (caller.author(), caller.has(Scope::QuotesTrusted), caller.has(Scope::OpsWrite)),
        ("ada", true, false)
    );
    let open = Open.admit(&request, "", NOW_MS).await.unwrap();
    assert_eq!((open.author(), open.has(Scope::QuotesTrusted)), ("local", false));
}

#[tokio::test]
async fn without_keys_it_is_unknown_whether_a_token_is_valid() {
    let tokens = (TokenIssuer::expected(), ConfiguredKeySet(b"{}".to_vec()));
    let admission: LocalAdmission = Admission::new(Some(tokens), None, (None, tokio::time::sleep));
    let token = bearer_of("ada", "prices:read");
    assert_eq!(asked(&admission, "/v1/price", Some(&token)).await, (503, "unavailable"));
    assert_eq!(asked(&admission, "/v1/price", None).await, (401, "unauthenticated"));
}

#[tokio::test]
async fn each_client_and_class_of_calls_has_its_own_rate() {
    let rates = r#"{"default": {"prices": 2, "maps": 1}, "clients": {"dispatch": {"prices": 5}}}"#;
    let admission = admission(Some(RateSettings::parse(rates).unwrap()));
    let admitted = async |subject: &str, path: &str| {
        let token = bearer_of(subject, "prices:read");
        let mut admitted = 0;
        while asked(&admission, path, Some(&token)).await.0 == 200 {
            admitted += 1;
        }
        assert_eq!(asked(&admission, path, Some(&token)).await, (429, "rate_limited"));
        admitted
    };
    assert_eq!(admitted("ada", "/v1/price").await, 2);
    assert_eq!(admitted("ada", "/v1/cities/nyc/surge").await, 1);
    assert_eq!(admitted("grace", "/v1/price").await, 2);
    assert_eq!(admitted("dispatch", "/v1/cities").await, 5);
}

#[tokio::test]
async fn a_client_without_a_token_is_its_address() {
    let admission = without_tokens(r#"{"default": {"prices": 1}}"#);
    let status = async |address: &str| outcome(&admission, ("/v1/price", None), (address, NOW_MS)).await.0;
    for (address, expected) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("::ffff:192.0.2.2", 429),
        ("2001:db8:1:2::1", 200),
        ("2001:db8:1:2:ffff::9", 429),
        ("2001:db8:1:3::1", 200),
        ("", 200),
        ("", 429),
    ] {
        assert_eq!(status(address).await, expected, "{address}");
    }
}

#[tokio::test]
async fn a_limited_client_is_admitted_after_the_time_in_retry_after() {
    let admission = without_tokens(r#"{"default": {"quotes": 7}}"#);
    let request = Request { method: "POST", path: "/v1/quotes", query: "", headers: &[], body: b"" };
    let mut refused = None;
    for _ in 0..8 {
        refused = admission.admit(&request, "", NOW_MS).await.err();
    }
    let response = Response::from(refused.unwrap());
    let seconds: i64 = response.header("retry-after").unwrap().parse().unwrap();
    assert_eq!((response.status, seconds), (429, 9));
    assert!(admission.admit(&request, "", NOW_MS + (seconds - 1) * 1_000).await.is_err());
    assert!(admission.admit(&request, "", NOW_MS + seconds * 1_000).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_not_authenticated_uses_up_no_rate() {
    let admission = admission(Some(RateSettings::parse(r#"{"default": {"prices": 1}}"#).unwrap()));
    for _ in 0..3 {
        assert_eq!(asked(&admission, "/v1/price", None).await.0, 401);
        assert_eq!(asked(&admission, "/v1/price", Some(&bearer_of("ada", "ops:write"))).await.0, 403);
    }
    assert_eq!(asked(&admission, "/v1/price", Some(&bearer_of("ada", "prices:read"))).await.0, 200);
}

#[test]
fn every_class_of_calls_has_a_default_rate() {
    for class in [RateClass::Quotes, RateClass::Maps, RateClass::Prices, RateClass::Events] {
        assert!(RateSettings::default().rate(class.name(), None).is_some(), "{}", class.name());
    }
}

#[tokio::test]
async fn the_gateways_payload_is_admitted_by_its_token_and_address() {
    let admission = admission(Some(RateSettings::parse(r#"{"default": {"prices": 1}}"#).unwrap()));
    let payload = |authorization: &str| {
        json!({
            "version": "2.0", "rawPath": "/v1/price", "rawQueryString": "",
            "headers": {"authorization": authorization},
            "requestContext": {"http": {"method": "GET", "sourceIp": "192.0.2.1"}}, "isBase64Encoded": false,
        })
        .to_string()
    };
    let status = async |authorization: &str| {
        let respond = async |request: &Request<'_>, caller: &Caller| {
            assert_eq!((request.path, caller.subject()), ("/v1/price", Some("ada")));
            (Response::empty(204), 7)
        };
        let handled = handle(&admission, payload(authorization).as_bytes(), NOW_MS, respond).await.unwrap();
        let response: serde_json::Value = serde_json::from_slice(&handled.0).unwrap();
        (response["statusCode"].as_u64().unwrap(), handled.1)
    };
    assert_eq!(status("Bearer x").await, (401, 0));
    assert_eq!(status(&bearer_of("ada", "ops:write")).await, (403, 0));
    assert_eq!(status(&bearer_of("ada", "prices:read")).await, (204, 7));
    assert_eq!(status(&bearer_of("ada", "prices:read")).await, (429, 0));
}
