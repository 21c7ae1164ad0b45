//! Reading policies, their versions, their schema, and the description of the API.

use serde_json::{Value, json};

use crate::fixture::*;

#[tokio::test]
async fn a_policy_is_read_with_all_defaults_and_its_version_as_the_entity_tag() {
    let fixture = Fixture::new();
    let response = fixture.get(POLICY).await;
    assert_eq!((response.status, response.header("etag")), (200, Some("\"1\"")));
    assert_eq!(response.header("content-type"), Some("application/json"));
    let policy = body(&response);
    assert_eq!((&policy["city"], &policy["limits"]["max_multiplier"]), (&json!("nyc"), &json!(5.0)));

    for (tags, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("*", 304), ("\"2\"", 200)] {
        let response = fixture.ask("GET", POLICY, &[("if-none-match", tags)], b"", TICK).await;
        assert_eq!((response.status, response.header("etag")), (status, Some("\"1\"")), "{tags}");
    }
    let compressed = fixture.ask("GET", POLICY, &[("accept-encoding", "gzip")], b"", TICK).await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert_eq!(body(&compressed), policy);
    let head = fixture.ask("HEAD", POLICY, &[], b"", TICK).await;
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, Some("\"1\"")));
}

#[tokio::test]
async fn a_policy_that_was_saved_is_read_at_once() {
    let fixture = Fixture::new();
    for version in 2..5 {
        let policy = with(policy(), "name", json!(format!("version {version}")));
        let saved = fixture.put(&policy, "*").await;
        let read = fixture.get(POLICY).await;
        assert_eq!(read.header("etag"), saved.header("etag"));
        assert_eq!((body(&read), &body(&read)["name"]), (body(&saved), &policy["name"]));
    }
}

#[tokio::test]
async fn versions_are_listed_in_pages_the_newest_first_and_each_is_readable() {
    let fixture = Fixture::new();
    for version in 2..=5 {
        let policy = with(policy(), "name", json!(format!("version {version}")));
        let headers = [JSON, ("if-match", "*")];
        fixture.ask("PUT", POLICY, &headers, policy.to_string().as_bytes(), TICK + version).await;
    }
    let list = format!("{POLICY}/versions");
    let all = body(&fixture.get(&list).await);
    assert_eq!(all["versions"].as_array().unwrap().len(), 5);
    assert_eq!(
        all["versions"][0],
        json!({"version": 5, "saved_at": "2026-02-25T06:13:20.005Z", "author": "local"})
    );
    assert_eq!(all.get("next"), None);

    let (mut listed, mut url) = (Vec::new(), format!("{list}?limit=2"));
    loop {
        let page = body(&fixture.get(&url).await);
        listed.extend(page["versions"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        url = format!("{list}?limit=2&next={next}");
    }
    assert_eq!(Value::Array(listed), all["versions"]);
    for version in 2..=5 {
        let response = fixture.get(&format!("{list}/{version}")).await;
        assert_eq!(response.header("etag"), Some(format!("\"{version}\"").as_str()));
        assert_eq!(body(&response)["name"], json!(format!("version {version}")));
    }
}

#[tokio::test]
async fn a_version_can_be_saved_again() {
    let fixture = Fixture::new();
    fixture.put(&with(policy(), "name", json!("other")), "\"1\"").await;
    let first = body(&fixture.get(&format!("{POLICY}/versions/1")).await);
    assert_eq!(fixture.put(&first, "\"2\"").await.header("etag"), Some("\"3\""));
    assert_eq!(body(&fixture.get(POLICY).await), first);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let fixture = Fixture::new();
    for (url, code) in [
        ("/v1/cities/suva/policy", "unknown_city"),
        ("/v1/cities/NYC/policy", "unknown_city"),
        ("/v1/cities/suva/policy/versions", "unknown_city"),
        ("/v1/cities/nyc/policy/versions/2", "unknown_version"),
        ("/v1/cities/nyc/policy/versions/0", "unknown_version"),
        ("/v1/cities/nyc/policy/versions/+1", "unknown_version"),
        ("/v1/cities/nyc/policy/versions/99999999999999999999", "unknown_version"),
        ("/v1/schemas/other.json", "not_found"),
        ("/v1/cities/nyc/policy/versions/1/2", "not_found"),
        ("/v1/cities/nyc/policies", "not_found"),
    ] {
        assert_eq!(problem(&fixture.get(url).await), (404, code.to_owned()), "{url}");
    }
}

#[tokio::test]
async fn a_malformed_page_is_refused() {
    let fixture = Fixture::new();
    for (query, status) in [
        ("limit=0", 422),
        ("limit=101", 422),
        ("limit=x", 400),
        ("next=!", 400),
        ("next=YQ", 400),
        ("limit=1&limit=1", 400),
    ] {
        assert_eq!(fixture.get(&format!("{POLICY}/versions?{query}")).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn other_methods_are_answered_with_the_allowed_ones() {
    let fixture = Fixture::new();
    let versions = format!("{POLICY}/versions");
    for (method, url, allow) in [
        ("DELETE", POLICY, "GET, HEAD, PUT"),
        ("POST", POLICY, "GET, HEAD, PUT"),
        ("PUT", versions.as_str(), "GET, HEAD"),
        ("PUT", "/v1/schemas/policy.json", "GET, HEAD"),
    ] {
        let response = fixture.ask(method, url, &[], b"", TICK).await;
        assert_eq!((response.status, response.header("allow")), (405, Some(allow)), "{method} {url}");
    }
}

#[tokio::test]
async fn the_schema_of_a_policy_is_a_json_schema() {
    let response = Fixture::new().get("/v1/schemas/policy.json").await;
    assert_eq!(response.header("content-type"), Some("application/schema+json"));
    let schema = body(&response);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], json!(["city", "currency", "boundary", "products"]));
}

#[tokio::test]
async fn a_store_that_is_down_is_unavailable() {
    let fixture = Fixture::new();
    fixture.store.set_down(true);
    for url in [POLICY, "/v1/cities/nyc/policy/versions", "/v1/cities/nyc/policy/versions/1"] {
        let response = fixture.get(url).await;
        assert_eq!((response.status, response.header("retry-after")), (503, Some("1")), "{url}");
    }
    assert_eq!(fixture.put(&policy(), "\"1\"").await.status, 503);
}

#[tokio::test]
async fn the_api_is_described_in_openapi_with_the_schema_of_a_policy() {
    let (fixture, url) = (Fixture::new(), "/v1/openapi.json");
    let response = fixture.get(url).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    let document = body(&response);
    assert_eq!(document["openapi"], "3.1.0");
    let schema = body(&fixture.get("/v1/schemas/policy.json").await);
    assert_eq!(document["components"]["schemas"]["Policy"]["properties"], schema["properties"]);

    let tag = response.header("etag").unwrap();
    for (tags, status) in [(tag, 304), ("*", 304), ("W/\"0\"", 200)] {
        let response = fixture.ask("GET", url, &[("if-none-match", tags)], b"", TICK).await;
        assert_eq!((response.status, response.header("etag")), (status, Some(tag)), "{tags}");
        assert_eq!(response.body.is_empty(), status == 304);
    }
    let compressed = fixture.ask("GET", url, &[("accept-encoding", "gzip")], b"", TICK).await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() < response.body.len() / 4);
    assert_eq!(body(&compressed), document);
}
