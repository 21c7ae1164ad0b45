//! Overrides over HTTP: created, listed, read and ended.

use equilibrium_app::overrides::ports::{MAX_OVERRIDES, OverrideStore};
use equilibrium_domain::id::CityId;
use serde_json::{Value, json};

use crate::fixture::*;

const OVERRIDES: &str = "/v1/cities/nyc/overrides";

/// Valid for a minute from [`TICK`] on.
fn cap() -> Value {
    json!({"kind": "cap", "multiplier": 1.5, "ends_at": "2026-02-25T06:14:20Z", "reason": "a flooded underpass"})
}

async fn post(fixture: &Fixture, document: &Value, now_ms: i64) -> (u16, Value, Option<String>) {
    let response = fixture.ask("POST", OVERRIDES, &[JSON], document.to_string().as_bytes(), now_ms).await;
    (response.status, body(&response), response.header("location").map(str::to_owned))
}

async fn list(fixture: &Fixture, query: &str, now_ms: i64) -> (Vec<String>, Option<String>) {
    let response = fixture.ask("GET", &format!("{OVERRIDES}{query}"), &[], b"", now_ms).await;
    assert_eq!(response.status, 200);
    let page = body(&response);
    let ids = page["overrides"].as_array().unwrap().iter();
    let ids = ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    (ids, page["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn an_override_is_created_read_listed_and_ended() {
    let fixture = Fixture::new();
    let (status, created, location) = post(&fixture, &cap(), TICK).await;
    let id = created["id"].as_str().unwrap();
    assert_eq!(status, 201);
    assert_eq!(location.as_deref(), Some(&*format!("{OVERRIDES}/{id}")));
    assert_eq!(
        created,
        json!({"id": id, "kind": "cap", "multiplier": 1.5, "starts_at": "2026-02-25T06:13:20.000Z",
            "ends_at": "2026-02-25T06:14:20.000Z", "reason": "a flooded underpass", "author": "local",
            "created_at": "2026-02-25T06:13:20.000Z", "state": "active"})
    );
    let url = format!("{OVERRIDES}/{id}");
    assert_eq!(body(&fixture.get(&url).await), created);
    assert_eq!(list(&fixture, "", TICK).await, (vec![id.to_owned()], None));

    for now_ms in [TICK + 5_000, TICK + 9_000] {
        let ended = fixture.ask("DELETE", &url, &[], b"", now_ms).await;
        assert_eq!(ended.status, 200);
        let ended = body(&ended);
        assert_eq!(
            (&ended["state"], &ended["ended_at"]),
            (&json!("ended"), &json!("2026-02-25T06:13:25.000Z"))
        );
    }
    let at = |state| format!("?state={state}");
    assert_eq!(list(&fixture, "", TICK + 9_000).await, (vec![], None));
    assert_eq!(list(&fixture, &at("ended"), TICK + 9_000).await, (vec![id.to_owned()], None));
    assert_eq!(list(&fixture, &at("all"), TICK + 9_000).await, (vec![id.to_owned()], None));
}

#[tokio::test]
async fn overrides_are_paged_newest_first_and_end_by_the_time_alone() {
    let fixture = Fixture::new();
    let mut ids = Vec::new();
    for second in 0..5 {
        ids.push(post(&fixture, &cap(), TICK + second * 1_000).await.1["id"].as_str().unwrap().to_owned());
    }
    ids.reverse();
    let now_ms = TICK + 10_000;
    let (first, next) = list(&fixture, "?limit=2", now_ms).await;
    let (second, next) = list(&fixture, &format!("?limit=2&next={}", next.unwrap()), now_ms).await;
    let (third, none) = list(&fixture, &format!("?limit=2&next={}", next.unwrap()), now_ms).await;
    assert_eq!(([first, second, third].concat(), none), (ids.clone(), None));
    assert_eq!(list(&fixture, "", TICK + 60_000).await.0, Vec::<String>::new());
    assert_eq!(list(&fixture, "?state=ended", TICK + 60_000).await.0, ids);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let fixture = Fixture::new();
    let (status, problem, _) = post(&fixture, &json!({"kind": "kill", "multiplier": 2}), TICK).await;
    let pointers: Vec<&Value> =
        problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_override")));
    assert_eq!(pointers, ["/multiplier", "/ends_at", "/reason"]);

    let code = async |method: &str, url: &str, headers: &[(&str, &str)], sent: &[u8]| {
        let response = fixture.ask(method, url, headers, sent, TICK).await;
        (response.status, body(&response)["code"].as_str().unwrap().to_owned())
    };
    let known = |status: u16, code: &str| (status, code.to_owned());
    let paris = "/v1/cities/paris/overrides";
    assert_eq!(code("GET", paris, &[], b"").await, known(404, "unknown_city"));
    assert_eq!(code("POST", paris, &[JSON], b"{}").await, known(404, "unknown_city"));
    assert_eq!(code("POST", OVERRIDES, &[JSON], b"{").await, known(400, "malformed_json"));
    assert_eq!(
        code("POST", OVERRIDES, &[("content-type", "text/plain")], b"{}").await,
        known(415, "unsupported_media_type")
    );
    assert_eq!(code("PUT", OVERRIDES, &[JSON], b"{}").await, known(405, "method_not_allowed"));
    let one = format!("{OVERRIDES}/0123");
    for method in ["GET", "DELETE"] {
        assert_eq!(code(method, &one, &[], b"").await, known(404, "unknown_override"));
    }
    assert_eq!(code("POST", &one, &[JSON], b"{}").await, known(405, "method_not_allowed"));
    for query in ["?state=some", "?next=%21", "?limit=x"] {
        let url = format!("{OVERRIDES}{query}");
        assert_eq!(code("GET", &url, &[], b"").await, known(400, "malformed_parameter"), "{query}");
    }
    assert_eq!(code("GET", &format!("{OVERRIDES}?limit=0"), &[], b"").await, known(422, "out_of_range"));
}

#[tokio::test]
async fn a_city_has_so_many_overrides_that_have_not_ended() {
    let fixture = Fixture::new();
    for _ in 0..MAX_OVERRIDES {
        assert_eq!(post(&fixture, &cap(), TICK).await.0, 201);
    }
    let (status, problem, _) = post(&fixture, &cap(), TICK).await;
    assert_eq!((status, &problem["code"]), (409, &json!("too_many_overrides")));
    assert_eq!(
        post(
            &fixture,
            &json!({"kind": "freeze", "ends_at": "2026-02-25T06:20:00Z", "reason": "x"}),
            TICK + 60_000
        )
        .await
        .0,
        201
    );
    let nyc = CityId::new("nyc").unwrap();
    assert_eq!(fixture.bounds.not_ended(&nyc, TICK + 60_000).await.unwrap().overrides.len(), 1);
}
