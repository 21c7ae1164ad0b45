//! The cities.

use equilibrium_domain::id::CityId;
use equilibrium_price::{EventFeed, EventSource};
use serde_json::{Value, json};

use crate::fixture::*;

fn names(page: &Value) -> Vec<&str> {
    page["cities"].as_array().unwrap().iter().map(|city| city["city"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_city_has_the_mode_and_age_of_its_prices() {
    let fixture = Fixture::priced().await;
    let cities = ok_body(&fixture.get("/v1/cities", TICK + 31_000).await);
    assert_eq!(
        cities["cities"][2],
        json!({"city": "nyc", "name": "New York", "products": ["standard", "XL"], "mode": "cached",
            "as_of": "2026-02-25T06:13:20.000Z", "age_ms": 31_000})
    );
    assert_eq!(
        cities["cities"][0],
        json!({"city": "auckland", "name": "Auckland \"Tāmaki\"", "products": ["standard"], "mode": "static",
            "as_of": null, "age_ms": null})
    );
    assert_eq!(ok_body(&fixture.get("/v1/cities/%61uckland", TICK).await)["city"], "auckland");
}

#[tokio::test]
async fn one_city_has_what_draws_it_and_explains_its_prices() {
    let fixture = Fixture::priced().await;
    let city = ok_body(&fixture.get("/v1/cities/nyc", TICK).await);
    let summary = ok_body(&fixture.get("/v1/cities", TICK).await)["cities"][2].take();
    for (member, value) in summary.as_object().unwrap() {
        assert_eq!(city[member], *value, "{member}");
    }
    let config = fixture.policies.city("nyc").unwrap();
    let policy = config.pricing.policy.to_json();
    for member in ["resolution", "boundary", "currency", "timezone", "zones", "surge", "limits"] {
        assert_eq!(city[member], policy[member], "{member}");
        assert_ne!(city[member], Value::Null, "{member}");
    }
    for member in ["tick_ms", "lateness_ms"] {
        assert_eq!(city[member], policy["clock"][member], "{member}");
    }
    assert_eq!(city["source"], json!({"kind": "live", "started_at": null}));
}

#[tokio::test]
async fn the_simulator_is_the_source_of_one_city_and_a_file_of_all() {
    let mut fixture = Fixture::priced().await;
    let simulated = EventFeed::Simulated(CityId::new("nyc").unwrap());
    for (feed, of_nyc, of_suva) in [(simulated, "simulated", "live"), (EventFeed::File, "file", "file")] {
        fixture.source = EventSource { feed, started_at_ms: Some(TICK) };
        for (city, kind) in [("nyc", of_nyc), ("suva", of_suva)] {
            let city = ok_body(&fixture.get(&format!("/v1/cities/{city}"), TICK).await);
            assert_eq!(city["source"], json!({"kind": kind, "started_at": "2026-02-25T06:13:20.000Z"}));
        }
    }
}

#[tokio::test]
async fn pages_list_every_city_once_in_order() {
    let fixture = Fixture::priced().await;
    let all = ok_body(&fixture.get("/v1/cities", TICK).await);
    assert_eq!(names(&all), ["auckland", "hoboken", "nyc", "suva"]);
    assert_eq!(all.get("next"), None);

    for limit in 1..=5 {
        let mut found = Vec::new();
        let mut url = format!("/v1/cities?limit={limit}");
        loop {
            let page = ok_body(&fixture.get(&url, TICK).await);
            assert!(!names(&page).is_empty() && names(&page).len() <= limit);
            found.extend(names(&page).iter().map(|name| (*name).to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            url = format!("/v1/cities?limit={limit}&next={next}");
        }
        assert_eq!(found, names(&all), "{limit}");
    }
}

#[tokio::test]
async fn a_page_token_of_a_city_that_was_removed_continues_after_it() {
    let fixture = Fixture::priced().await;
    // "kyiv", which is not defined.
    let page = ok_body(&fixture.get("/v1/cities?next=a3lpdg", TICK).await);
    assert_eq!(names(&page), ["nyc", "suva"]);
}
