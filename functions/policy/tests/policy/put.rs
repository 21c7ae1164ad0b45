//! Saving a policy: preconditions, faults, and changes that are too large.

use std::io::Write;

use equilibrium_app::policy::ports::{NewVersion, PolicyStore};
use equilibrium_domain::id::CityId;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::fixture::*;

async fn version(fixture: &Fixture) -> String {
    fixture.get(POLICY).await.header("etag").unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_version_replaces_the_one_that_if_match_lists() {
    let fixture = Fixture::new();
    let saved = fixture.put(&with(policy(), "name", json!("two")), "\"1\"").await;
    assert_eq!((saved.status, saved.header("etag")), (200, Some("\"2\"")));
    assert_eq!(body(&saved)["name"], "two");

    for stale in ["\"1\"", "W/\"2\"", "\"3\"", "2", ""] {
        let refused = fixture.put(&with(policy(), "name", json!("three")), stale).await;
        assert_eq!(problem(&refused), (412, "precondition_failed".to_owned()), "{stale}");
        assert_eq!(refused.header("etag"), Some("\"2\""), "{stale}");
    }
    assert_eq!(version(&fixture).await, "\"2\"");
    for listed in ["\"2\"", "\"9\", \"3\"", "*"] {
        assert_eq!(fixture.put(&policy(), listed).await.status, 200, "{listed}");
    }
}

#[tokio::test]
async fn a_put_without_a_precondition_is_refused() {
    let fixture = Fixture::new();
    for headers in [&[JSON][..], &[JSON, ("if-none-match", "\"1\"")]] {
        let refused = fixture.ask("PUT", POLICY, headers, policy().to_string().as_bytes(), TICK).await;
        assert_eq!(problem(&refused), (428, "precondition_required".to_owned()));
    }
    assert_eq!(version(&fixture).await, "\"1\"");
}

#[tokio::test]
async fn if_none_match_creates_a_city_once() {
    let fixture = Fixture::of(&[]);
    let create = async || {
        let headers = [JSON, ("if-none-match", "*")];
        fixture.ask("PUT", POLICY, &headers, policy().to_string().as_bytes(), TICK).await
    };
    assert_eq!(problem(&fixture.put(&policy(), "*").await).0, 412, "there is nothing to match");
    let created = create().await;
    assert_eq!((created.status, created.header("etag")), (201, Some("\"1\"")));
    let again = create().await;
    assert_eq!((problem(&again).0, again.header("etag")), (412, Some("\"1\"")));
}

#[tokio::test]
async fn the_loser_of_a_race_is_refused() {
    let fixture = Fixture::new();
    fixture.store.set_rival();
    assert_eq!(problem(&fixture.put(&policy(), "\"1\"").await), (412, "precondition_failed".to_owned()));
    assert_eq!(version(&fixture).await, "\"2\"");
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let fixture = Fixture::new();
    let mut wrong = with(policy(), "city", json!("suva"));
    wrong["limits"] = json!({"max_multiplier": 0, "min": 1});
    wrong["products"][1]["id"] = json!("a b");
    wrong["confirm_large_change"] = json!("2");
    let refused = fixture.put(&wrong, "\"1\"").await;
    assert_eq!(problem(&refused), (422, "invalid_policy".to_owned()));
    let mut found = pointers(&refused);
    found.sort_unstable();
    assert_eq!(
        found,
        ["/city", "/confirm_large_change", "/limits/max_multiplier", "/limits/min", "/products/1/id"]
    );
    let twice = policy().to_string().replacen('{', "{\"name\":\"a\",", 1);
    let refused = fixture.ask("PUT", POLICY, &[JSON, ("if-match", "*")], twice.as_bytes(), TICK).await;
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/name".to_owned()]));
    assert_eq!(version(&fixture).await, "\"1\"");
}

#[tokio::test]
async fn a_city_has_a_valid_id_and_the_one_of_the_path() {
    let fixture = Fixture::new();
    let put = async |city: &str, url: &str| {
        let headers = [JSON, ("if-none-match", "*")];
        let policy = with(policy(), "city", json!(city)).to_string();
        fixture.ask("PUT", url, &headers, policy.as_bytes(), TICK).await
    };
    for (city, url) in [
        ("NYC", "/v1/cities/NYC/policy"),
        ("suva", "/v1/cities/lima/policy"),
        ("S", "/v1/cities/suva/policy"),
    ] {
        let refused = put(city, url).await;
        assert_eq!((refused.status, pointers(&refused)), (422, vec!["/city".to_owned()]), "{url}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_malformed() {
    let fixture = Fixture::new();
    for (text, code) in [
        (&b"{\"city\":"[..], "malformed_json"),
        (b"", "malformed_json"),
        (b"\xff", "malformed_json"),
        (b"{} {}", "malformed_json"),
    ] {
        let refused = fixture.ask("PUT", POLICY, &[JSON, ("if-match", "*")], text, TICK).await;
        assert_eq!(problem(&refused), (400, code.to_owned()));
    }
    for text in ["[]", "null", "7"] {
        let refused = fixture.ask("PUT", POLICY, &[JSON, ("if-match", "*")], text.as_bytes(), TICK).await;
        assert_eq!((refused.status, pointers(&refused)), (422, vec![String::new()]), "{text}");
    }
}

#[tokio::test]
async fn the_head_of_a_request_is_checked_before_its_body() {
    let fixture = Fixture::new();
    let put = async |headers: &[(&str, &str)], query: &str| {
        let url = format!("{POLICY}{query}");
        fixture.ask("PUT", &url, headers, policy().to_string().as_bytes(), TICK).await
    };
    let if_match = ("if-match", "*");
    for (headers, query, status) in [
        (vec![if_match, ("content-type", "text/plain")], "", 415),
        (vec![if_match, ("content-encoding", "br")], "", 415),
        (vec![if_match, JSON, ("accept-encoding", "identity;q=0")], "", 406),
        (vec![if_match, JSON], "?dry_run=yes", 400),
        (vec![if_match, JSON], "?dry_run=true&dry_run=true", 400),
        (vec![if_match, ("content-type", "application/JSON; charset=utf-8")], "", 200),
        (vec![if_match], "?dry_run=false", 200),
    ] {
        assert_eq!(put(&headers, query).await.status, status, "{headers:?} {query}");
    }
}

#[tokio::test]
async fn a_body_may_be_compressed_and_has_at_most_a_mebibyte_inflated() {
    let fixture = Fixture::new();
    let put = async |text: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        let headers = [JSON, ("if-match", "*"), ("content-encoding", "gzip")];
        fixture.ask("PUT", POLICY, &headers, &gzip.finish().unwrap(), TICK).await
    };
    let padded = |length: usize| {
        let policy = policy().to_string();
        policy.clone() + &" ".repeat(length - policy.len())
    };
    assert_eq!(put(padded(1 << 20).as_bytes()).await.status, 200);
    assert_eq!(problem(&put(padded((1 << 20) + 1).as_bytes()).await), (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn a_document_that_no_store_takes_is_refused() {
    let fixture = Fixture::new();
    let ring: Vec<[f64; 2]> = (0..20_000).map(|i| [f64::from(i) / 1_000_003.0, f64::from(i % 2)]).collect();
    let ring = ring.iter().chain(&ring[..1]).collect::<Vec<_>>();
    let large = with(policy(), "boundary", json!({"type": "Polygon", "coordinates": [ring]}));
    let refused = fixture.put(&large, "*").await;
    assert_eq!((refused.status, pointers(&refused)), (422, vec![String::new()]));
}

#[tokio::test]
async fn a_large_change_needs_the_number_of_the_new_version() {
    let fixture = Fixture::new();
    let dear = |confirmed: Value| {
        let mut policy = with(policy(), "limits", json!({"max_multiplier": 8}));
        policy["surge"] = json!({"slope": 2});
        policy["products"][0]["fare"] = json!({"base": "5.00"});
        with(policy, "confirm_large_change", confirmed)
    };
    for confirmed in [Value::Null, json!(1), json!(3)] {
        let refused = fixture.put(&dear(confirmed), "\"1\"").await;
        assert_eq!(problem(&refused), (409, "change_too_large".to_owned()));
        let mut found = pointers(&refused);
        found.sort_unstable();
        assert_eq!(found, ["/limits/max_multiplier", "/products/0/fare/base", "/surge/slope"]);
    }
    let saved = fixture.put(&dear(json!(2)), "\"1\"").await;
    assert_eq!((saved.status, saved.header("etag")), (200, Some("\"2\"")));
    assert_eq!(body(&saved).get("confirm_large_change"), None, "it is not part of the policy");
    // The number of an earlier version confirms nothing.
    let cheap = with(policy(), "confirm_large_change", json!(2));
    assert_eq!(fixture.put(&cheap, "\"2\"").await.status, 409);
}

#[tokio::test]
async fn a_stored_document_that_is_no_policy_can_be_replaced() {
    let fixture = Fixture::of(&[]);
    let nyc = CityId::new("nyc").unwrap();
    // Its time zone may have been one to an earlier version of the program.
    let stored = with(policy(), "timezone", json!("America/Gotham"));
    fixture.store.save(&nyc, NewVersion::local(&stored.to_string()), None).await.unwrap();
    assert_eq!(body(&fixture.get(POLICY).await), stored);
    assert_eq!(fixture.put(&policy(), "\"1\"").await.header("etag"), Some("\"2\""));
}
