//! The cities.

use serde_json::{Value, json};

use crate::fixture::*;

fn names(page: &Value) -> Vec<&str> {
    page["cities"].as_array().unwrap().iter().map(|city| city["city"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_city_has_the_mode_and_age_of_its_prices() {
    let fixture = Fixture::priced().await;
    assert_eq!(
        ok_body(&fixture.get("/v1/cities/nyc", TICK + 31_000).await),
        json!({"city": "nyc", "name": "New York", "products": ["standard", "XL"], "mode": "cached",
            "as_of": "2026-02-25T06:13:20.000Z", "age_ms": 31_000})
    );
    assert_eq!(
        ok_body(&fixture.get("/v1/cities/%61uckland", TICK).await),
        json!({"city": "auckland", "name": "Auckland \"Tāmaki\"", "products": ["standard"], "mode": "static",
            "as_of": null, "age_ms": null})
    );
}

#[tokio::test]
async fn pages_list_every_city_once_in_order() {
    let fixture = Fixture::priced().await;
    let all = ok_body(&fixture.get("/v1/cities", TICK).await);
    assert_eq!(names(&all), ["auckland", "hoboken", "nyc", "suva"]);
    assert_eq!(all.get("next"), None);
    assert_eq!(all["cities"][2], ok_body(&fixture.get("/v1/cities/nyc", TICK).await));

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
