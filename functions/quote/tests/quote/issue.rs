//! `POST /v1/quotes`.

use equilibrium_app::quote::token::MAX_TOKEN_BYTES;
use equilibrium_domain::surge::feed_guard::Feed;
use serde_json::{Value, json};

use crate::fixture::*;

fn usd(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

fn reason(quote: &Value) -> &str {
    quote["explanation"]["reason"].as_str().unwrap()
}

#[tokio::test]
async fn a_quote_has_the_fare_to_the_last_cent_and_all_that_it_was_worked_out_from() {
    let fixture = Fixture::priced(240).await;
    let response = fixture.request(&ride(), TICK + 3_000).await;
    let mut quote = body(&response);
    assert_eq!(response.status, 201, "{quote}");
    let token = quote["quote_id"].as_str().unwrap().to_owned();
    assert!(token.len() <= MAX_TOKEN_BYTES);
    assert_eq!(response.header("location"), Some(format!("/v1/quotes/{token}").as_str()));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    quote.as_object_mut().unwrap().remove("quote_id");
    let cell = cell(PICKUP);
    assert_eq!(
        quote,
        json!({
            "status": "valid", "city": "nyc", "product": "standard", "cell": cell, "fare": usd("35.60"),
            "breakdown": [
                {"item": "base", "amount": usd("2.50")},
                {"item": "distance", "amount": usd("6.25")},
                {"item": "time", "amount": usd("5.25")},
                {"item": "surge", "amount": usd("19.60")},
                {"item": "booking_fee", "amount": usd("2.00")},
            ],
            "multiplier": 2.4, "distance_m": 5_000, "duration_s": 900, "mode": "fresh", "feed": "ok",
            "as_of": "2026-02-25T06:13:20.000Z", "age_ms": 3_000,
            "issued_at": "2026-02-25T06:13:23.000Z", "expires_at": "2026-02-25T06:15:23.000Z",
            "requires_ack": true, "policy_version": 0, "map_version": 7,
            "explanation": {"reason": "demand_above_supply", "href": format!(
                "/v1/cities/nyc/surge/{cell}/explain?product=standard&at=2026-02-25T06:13:20.000Z")},
        })
    );
    // The token holds all of it, and issuing has written nothing.
    let read = body(&fixture.read(&token, TICK + 4_000).await);
    quote["quote_id"] = token.into();
    assert_eq!(read, quote);
    assert_eq!(fixture.log.take(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_client_leaves_out_is_estimated_and_the_first_product_is_quoted() {
    let fixture = Fixture::priced(100).await;
    let mut request = ride();
    for key in ["distance_m", "duration_s"] {
        request.as_object_mut().unwrap().remove(key);
    }
    let quote = body(&fixture.request(&request, TICK).await);
    // 2 223.9 m of great circle, times 1.3, at 24 km/h.
    assert_eq!((&quote["distance_m"], &quote["duration_s"]), (&json!(2_891), &json!(434)));
    assert_eq!((&quote["product"], reason(&quote)), (&json!("standard"), "balanced"));
    request["product"] = "xl".into();
    let quote = body(&fixture.request(&request, TICK).await);
    assert_eq!(quote["breakdown"][0], json!({"item": "base", "amount": usd("5.00")}));
}

#[tokio::test]
async fn the_fare_is_that_of_the_zone_of_the_pickup() {
    let fixture = Fixture::priced(100).await;
    let mut request = ride();
    request["pickup"] = json!({"lat": 40.645, "lng": -73.79});
    request["dropoff"] = json!({"lat": 40.665, "lng": -73.79});
    let quote = body(&fixture.request(&request, TICK).await);
    assert_eq!(quote["fare"], usd("20.00"));
    assert_eq!(quote["breakdown"][3], json!({"item": "minimum_adjustment", "amount": usd("6.00")}));
    // The zone of the dropoff has no part in it.
    let ends = request["pickup"].take();
    request["pickup"] = json!({"lat": 40.69, "lng": -73.79});
    request["dropoff"] = ends;
    request["distance_m"] = 6_000.into();
    let quote = body(&fixture.request(&request, TICK).await);
    assert_eq!(quote["breakdown"].as_array().unwrap().last().unwrap()["item"], "booking_fee");
}

#[tokio::test]
async fn the_reason_is_the_first_that_holds() {
    let cap = json!({"kind": "cap", "multiplier": 1.5, "ends_at": "2026-02-25T07:00:00Z", "reason": "storm"});
    let capped = Fixture::priced(240).await.with_override(&cap);
    let quote = capped.quote().await;
    assert_eq!((&quote["multiplier"], reason(&quote)), (&json!(1.5), "overridden"));

    let limited = Fixture::priced(1_000).await;
    let quote = limited.quote().await;
    assert_eq!((&quote["multiplier"], reason(&quote)), (&json!(5.0), "at_limit"));

    let suspect = Fixture::new();
    suspect.publish(240, Feed::Suspect).await;
    let quote = suspect.quote().await;
    assert_eq!((&quote["feed"], reason(&quote)), (&json!("suspect"), "feed_suspect"));
    let quote = body(&suspect.request(&ride(), TICK + 31_000).await);
    assert_eq!((&quote["mode"], reason(&quote)), (&json!("cached"), "not_fresh"));

    // Before the first tick a ride is quoted all the same.
    let quote = Fixture::new().quote().await;
    assert_eq!((&quote["mode"], reason(&quote)), (&json!("degraded"), "not_fresh"));
    assert_eq!(
        (&quote["as_of"], &quote["age_ms"], &quote["map_version"]),
        (&json!(null), &json!(null), &json!(0))
    );
    assert_eq!(quote["fare"], usd("16.00"));
}

#[tokio::test]
async fn a_ride_that_cannot_be_quoted_is_refused_with_its_field() {
    let fixture = Fixture::priced(100).await;
    let outside = json!({"lat": 51.5, "lng": 0.0});
    let tokyo = json!({"lat": 35.5, "lng": 139.5});
    for (member, value, status, code, pointer) in [
        ("pickup", outside.clone(), 404, "outside_service_area", None),
        ("dropoff", outside, 422, "too_far", Some("/dropoff")),
        ("product", json!("limousine"), 422, "unknown_product", Some("/product")),
        ("distance_m", json!(2_223), 422, "implausible_distance", Some("/distance_m")),
        ("distance_m", json!(6_672), 422, "implausible_distance", Some("/distance_m")),
        ("distance_m", json!("far"), 422, "invalid_quote_request", Some("/distance_m")),
        ("distance_m", json!(10_000_001), 422, "invalid_quote_request", Some("/distance_m")),
        ("duration_s", json!(604_801), 422, "invalid_quote_request", Some("/duration_s")),
        ("duration_s", json!(-1), 422, "invalid_quote_request", Some("/duration_s")),
        ("pickup", json!({"lat": 40.7}), 422, "invalid_quote_request", Some("/pickup/lng")),
    ] {
        let mut request = ride();
        request[member] = value;
        let response = fixture.request(&request, TICK).await;
        assert_eq!(problem(&response), (status, code.to_owned()), "{request}");
        assert_eq!(body(&response)["errors"][0]["pointer"].as_str(), pointer, "{request}");
    }
    let near = json!({"pickup": tokyo, "dropoff": tokyo});
    assert_eq!(problem(&fixture.request(&near, TICK).await), (422, "no_fare".to_owned()));
}

#[tokio::test]
async fn a_body_is_read_strictly() {
    let fixture = Fixture::priced(100).await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let large = format!("{}{}", ride(), " ".repeat(1 << 20));
    let twice = r#"{"pickup": {"lat": 1, "lng": 2}, "dropoff": {"lat": 1, "lng": 2}, "pickup": {}}"#;
    for (headers, text, status, code) in [
        (&[][..], "", 400, "malformed_json"),
        (&[], "{", 400, "malformed_json"),
        (&[], deep.as_str(), 400, "unreadable"),
        (&[], twice, 422, "invalid_quote_request"),
        (&[], large.as_str(), 413, "body_too_large"),
        (&[("content-type", "text/plain")], "{}", 415, "unsupported_media_type"),
        (&[("content-encoding", "br")], "{}", 415, "unsupported_encoding"),
        (&[("content-encoding", "gzip")], "{}", 400, "malformed_gzip"),
    ] {
        let response = fixture.ask("POST", "/v1/quotes", headers, text, TICK).await;
        assert_eq!(problem(&response), (status, code.to_owned()), "{}", &text[..text.len().min(40)]);
    }
    let mut request = ride();
    request["rider_id"] = json!({"unknown": [1, 2]});
    assert_eq!(fixture.request(&request, TICK).await.status, 201, "unknown fields are ignored");
}

#[tokio::test]
async fn other_methods_are_refused() {
    let fixture = Fixture::new();
    for (method, path, allow) in [
        ("GET", "/v1/quotes", "POST"),
        ("DELETE", "/v1/quotes/x", "GET, HEAD"),
        ("GET", "/v1/quotes/x/confirm", "POST"),
    ] {
        let response = fixture.ask(method, path, &[], "", TICK).await;
        assert_eq!(problem(&response), (405, "method_not_allowed".to_owned()), "{method} {path}");
        assert_eq!(response.header("allow"), Some(allow));
    }
    assert_eq!(problem(&fixture.ask("GET", "/v1/quotes/x/cancel", &[], "", TICK).await).0, 404);
}
