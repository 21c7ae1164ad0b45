//! A city's map, as JSON and as GeoJSON hexagons.

use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::MapHead;
use serde_json::{Value, json};

use crate::fixture::*;

const MAP: &str = "/v1/cities/nyc/surge";
const STANDARD: &str = "/v1/cities/nyc/surge?product=standard";

fn in_manhattan() -> String {
    format!("{:x}", cell(MANHATTAN.0, MANHATTAN.1, 8).0)
}

fn in_the_bronx() -> String {
    format!("{:x}", cell(40.9, -73.86, 8).0)
}

#[tokio::test]
async fn a_products_map_lists_its_cells() {
    let fixture = Fixture::priced().await;
    let response = fixture.get(STANDARD, TICK + 2_000).await;
    let mut map = ok_body(&response);
    map["cells"].as_array_mut().unwrap().sort_by_key(|cell| cell["supply"].as_u64());
    assert_eq!(
        map,
        json!({"city": "nyc", "product": "standard", "as_of": "2026-02-25T06:13:20.000Z", "version": 7,
            "bounds": 0, "age_ms": 2000, "mode": "fresh", "feed": "ok", "completeness": 0.75,
            "cells": [
                {"cell": in_manhattan(), "multiplier": 1.37, "demand": 12, "supply": 3},
                {"cell": in_the_bronx(), "multiplier": 1.2, "demand": 0, "supply": 5}]})
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("vary"), Some("accept, accept-encoding"));
}

#[tokio::test]
async fn without_a_product_each_cell_has_its_own() {
    let fixture = Fixture::priced().await;
    let map = ok_body(&fixture.get(MAP, TICK).await);
    assert_eq!(map.get("product"), None);
    let cells = map["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 3);
    assert_eq!(
        cells[2],
        json!({"cell": in_manhattan(), "product": "XL", "multiplier": 1.2, "demand": 2, "supply": 1})
    );
    assert!(cells[..2].iter().all(|cell| cell["product"] == "standard"));
}

#[tokio::test]
async fn before_the_first_tick_the_map_is_empty() {
    let fixture = Fixture::new();
    assert_eq!(
        ok_body(&fixture.get(MAP, TICK).await),
        json!({"city": "nyc", "as_of": null, "version": 0, "bounds": 0, "age_ms": null,
            "mode": "degraded", "feed": "ok", "completeness": 0.0, "cells": []})
    );
}

#[tokio::test]
async fn cells_of_a_map_that_is_too_old_have_the_fallback_multiplier() {
    let fixture = Fixture::priced().await;
    let map = ok_body(&fixture.get(STANDARD, TICK + 300_001).await);
    assert_eq!((&map["mode"], &map["version"]), (&json!("degraded"), &json!(7)));
    let cells = map["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2);
    assert!(cells.iter().all(|cell| cell["multiplier"] == 1.2));
}

async fn tag(fixture: &Fixture, url: &str, accept: &str, now: i64) -> String {
    let response = fixture.ask("GET", url, &[("accept", accept)], now).await;
    response.header("etag").unwrap().to_owned()
}

#[tokio::test]
async fn an_entity_tag_covers_all_of_the_body_but_the_age() {
    let fixture = Fixture::priced().await;
    let first = tag(&fixture, STANDARD, "*/*", TICK).await;
    assert_eq!(tag(&fixture, STANDARD, "*/*", TICK + 30_000).await, first);
    assert_ne!(tag(&fixture, STANDARD, "*/*", TICK + 30_001).await, first);
    assert_ne!(tag(&fixture, MAP, "*/*", TICK).await, first);
    assert_ne!(tag(&fixture, STANDARD, "application/geo+json", TICK).await, first);
    fixture.publish(&new_york(8, TICK + 5_000)).await;
    assert_ne!(tag(&fixture, STANDARD, "*/*", TICK + 10_000).await, first);
}

/// Version 7 of New York's map with another head.
fn changed(change: impl FnOnce(&mut MapHead)) -> Map {
    let mut map = new_york(7, TICK);
    change(&mut map.head);
    map
}

#[tokio::test]
async fn an_entity_tag_covers_the_run_of_the_store_and_the_policy() {
    let first = tag(&Fixture::priced().await, STANDARD, "*/*", TICK).await;
    assert_eq!(tag(&Fixture::priced().await, STANDARD, "*/*", TICK).await, first);
    let other_run = Fixture::new();
    other_run.publish(&changed(|head| head.began_ms = 8)).await;
    assert_ne!(tag(&other_run, STANDARD, "*/*", TICK).await, first);
    let other_policy = Fixture::of(&[json!({"city": "nyc", "currency": "USD", "static": vec![1.5; 168],
        "boundary": rectangle(-74.3, 40.45, -73.65, 41.0), "products": [{"id": "standard"}]})]);
    other_policy.publish(&new_york(7, TICK)).await;
    assert_ne!(tag(&other_policy, STANDARD, "*/*", TICK).await, first);
}

#[tokio::test]
async fn a_suspect_feed_is_named_in_map_and_price() {
    let fixture = Fixture::new();
    fixture.publish(&changed(|head| head.feed = Feed::Suspect)).await;
    assert_eq!(ok_body(&fixture.get(STANDARD, TICK).await)["feed"], "suspect");
    let (lat, lng) = MANHATTAN;
    let price = fixture.get(&format!("/v1/price?lat={lat}&lng={lng}"), TICK).await;
    assert_eq!(ok_body(&price)["feed"], "suspect");
}

#[tokio::test]
async fn in_mode_static_the_entity_tag_covers_the_hour() {
    let fixture = Fixture::new();
    let auckland = "/v1/cities/auckland/surge";
    let first = tag(&fixture, auckland, "*/*", TICK).await;
    assert_eq!(tag(&fixture, auckland, "*/*", TICK + 60_000).await, first);
    assert_ne!(tag(&fixture, auckland, "*/*", TICK + 3_600_000).await, first);
}

#[tokio::test]
async fn a_map_that_the_client_has_is_not_sent_again() {
    let fixture = Fixture::priced().await;
    let tag = tag(&fixture, STANDARD, "*/*", TICK).await;
    let strong = tag.trim_start_matches("W/");
    for known in [tag.clone(), strong.to_owned(), format!("\"x\", {tag}"), "*".to_owned()] {
        let response = fixture.ask("GET", STANDARD, &[("If-None-Match", &known)], TICK + 1).await;
        assert_eq!((response.status, response.body.len()), (304, 0), "{known}");
        assert_eq!(response.header("etag"), Some(tag.as_str()));
        assert_eq!(response.header("vary"), Some("accept, accept-encoding"));
        assert_eq!(response.header("content-type"), None);
    }
    let response =
        fixture.ask("GET", STANDARD, &[("if-none-match", "\"6.fresh.standard.json\"")], TICK).await;
    assert_eq!(response.status, 200);
    let response = fixture.ask("GET", MAP, &[("if-none-match", &tag)], TICK).await;
    assert_eq!(response.status, 200, "the tag is that of another product");
}

#[tokio::test]
async fn without_an_acceptable_media_type_the_map_is_sent_as_json() {
    let fixture = Fixture::priced().await;
    for accept in [
        "text/html",
        "",
        "application/json",
        "application/geo+json;q=0.1, application/json",
        "text/html,application/xhtml+xml,*/*;q=0.8",
    ] {
        let response = fixture.ask("GET", MAP, &[("accept", accept)], TICK).await;
        assert_eq!(response.header("content-type"), Some("application/json"), "{accept}");
    }
}

#[tokio::test]
async fn a_client_that_excludes_every_media_type_or_coding_of_the_map_is_refused() {
    let fixture = Fixture::priced().await;
    for headers in [("accept", "application/json;q=0"), ("accept", "*/*;q=0"), ("accept-encoding", "*;q=0")] {
        let response = fixture.ask("GET", MAP, &[headers], TICK).await;
        assert_eq!(
            (response.status, &body(&response)["code"]),
            (406, &"not_acceptable".into()),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn a_short_answer_is_compressed_for_a_client_that_excludes_identity() {
    let fixture = Fixture::priced().await;
    for url in ["/v1/cities", "/v1/cities/nyc", "/v1/price?lat=40.7128&lng=-74.006", "/v1/nothing"] {
        let gzip = fixture.ask("GET", url, &[("accept-encoding", "gzip, identity;q=0")], TICK).await;
        assert_eq!(gzip.header("content-encoding"), Some("gzip"), "{url}");
        assert_eq!(body(&gzip), body(&fixture.get(url, TICK).await));
    }
}

#[tokio::test]
async fn each_answer_of_a_version_has_its_own_age_and_the_same_cells() {
    let fixture = Fixture::priced().await;
    for accept in ["application/json", "application/geo+json"] {
        let mut first = ok_body(&fixture.ask("GET", MAP, &[("accept", accept)], TICK + 1).await);
        let later = ok_body(&fixture.ask("GET", MAP, &[("accept", accept)], TICK + 2).await);
        assert_eq!((&first["age_ms"], &later["age_ms"]), (&json!(1), &json!(2)));
        first["age_ms"] = json!(2);
        assert_eq!(first, later);
    }
    fixture.publish(&new_york(8, TICK + 5_000)).await;
    let next = ok_body(&fixture.get(MAP, TICK + 10_000).await);
    assert_eq!(next["version"], 8);
    assert!(next["cells"].as_array().unwrap().iter().any(|cell| cell["multiplier"] == 1.38), "{next}");
}

#[tokio::test]
async fn a_long_map_is_compressed() {
    let fixture = Fixture::new();
    let rows: Vec<_> =
        (0..40).map(|step| row(0, cell(40.5 + f64::from(step) / 100.0, -73.9, 8), 1, 1, 120)).collect();
    fixture.publish(&Map::new("nyc", 1, TICK, 8, &rows)).await;
    let plain = fixture.get(MAP, TICK).await;
    let gzip = fixture.ask("GET", MAP, &[("accept-encoding", "br, gzip")], TICK).await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert!(gzip.body.len() * 2 < plain.body.len());
    assert_eq!(body(&gzip), body(&plain));
    assert_eq!(gzip.header("etag"), plain.header("etag"));
}

async fn features(fixture: &Fixture, city: &str, now: i64) -> Value {
    let url = format!("/v1/cities/{city}/surge");
    let response = fixture.ask("GET", &url, &[("accept", "application/geo+json")], now).await;
    assert_eq!(response.header("content-type"), Some("application/geo+json"));
    ok_body(&response)
}

/// Asserts a ring of GeoJSON: closed, anticlockwise, within the ranges, without an edge around the globe.
fn assert_ring(ring: &Value) {
    let ring: Vec<[f64; 2]> = serde_json::from_value(ring.clone()).unwrap();
    assert!(ring.len() >= 4);
    assert_eq!(ring.first(), ring.last());
    assert!(ring.iter().all(|[lng, lat]| lng.abs() <= 180.0 && lat.abs() <= 90.0));
    let [x, y] = ring[0];
    let turns = ring.windows(2).map(|edge| {
        let [a, b] = [[edge[0][0] - x, edge[0][1] - y], [edge[1][0] - x, edge[1][1] - y]];
        assert!((a[0] - b[0]).abs() < 180.0);
        a[0] * b[1] - b[0] * a[1]
    });
    assert!(turns.sum::<f64>() > 0.0, "clockwise");
}

#[tokio::test]
async fn hexagons_are_polygons_with_the_properties_of_their_cell() {
    let fixture = Fixture::priced().await;
    let map = features(&fixture, "nyc", TICK).await;
    assert_eq!(
        (&map["type"], &map["version"], &map["mode"]),
        (&json!("FeatureCollection"), &json!(7), &json!("fresh"))
    );
    let features = map["features"].as_array().unwrap();
    assert_eq!(features.len(), 3);
    for feature in features {
        assert_eq!((&feature["type"], &feature["geometry"]["type"]), (&json!("Feature"), &json!("Polygon")));
        let rings = feature["geometry"]["coordinates"].as_array().unwrap();
        assert_eq!((rings.len(), rings[0].as_array().unwrap().len()), (1, 7));
        assert_ring(&rings[0]);
    }
    assert_eq!(
        features[2]["properties"],
        json!({"cell": in_manhattan(), "product": "XL", "multiplier": 1.2, "demand": 2, "supply": 1})
    );
}

#[tokio::test]
async fn a_hexagon_across_the_antimeridian_is_two_polygons() {
    let fixture = Fixture::new();
    let over = row(0, cell(-17.5, 179.9999, 5), 1, 0, 150);
    fixture.publish(&Map::new("suva", 1, TICK, 5, &[over])).await;
    let map = features(&fixture, "suva", TICK).await;
    let geometry = &map["features"][0]["geometry"];
    assert_eq!(geometry["type"], "MultiPolygon");
    let polygons = geometry["coordinates"].as_array().unwrap();
    assert_eq!(polygons.len(), 2);
    for polygon in polygons {
        assert_ring(&polygon[0]);
    }
}
