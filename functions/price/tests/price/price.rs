//! The multiplier of a ride.

use serde_json::{Value, json};

use crate::fixture::*;

const IN_MANHATTAN: &str = "/v1/price?lat=40.7128&lng=-74.006";

async fn multiplier(fixture: &Fixture, url: &str, now: i64) -> (Value, Value) {
    let price = ok_body(&fixture.get(url, now).await);
    (price["multiplier"].clone(), price["mode"].clone())
}

#[tokio::test]
async fn a_price_is_that_of_its_cell_on_the_map() {
    let fixture = Fixture::priced().await;
    let response = fixture.get(IN_MANHATTAN, TICK + 1_234).await;
    assert_eq!(
        ok_body(&response),
        json!({"city": "nyc", "cell": "882a107289fffff", "product": "standard", "multiplier": 1.37,
            "as_of": "2026-02-25T06:13:20.000Z", "age_ms": 1234, "mode": "fresh", "feed": "ok"})
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(cell(MANHATTAN.0, MANHATTAN.1, 8).0, 0x0882_a107_289f_ffff);
}

#[tokio::test]
async fn each_product_has_its_own_price() {
    let fixture = Fixture::priced().await;
    let price = ok_body(&fixture.get(&format!("{IN_MANHATTAN}&product=XL"), TICK).await);
    assert_eq!((&price["product"], &price["multiplier"]), (&json!("XL"), &json!(1.2)));
}

#[tokio::test]
async fn a_cell_that_the_map_does_not_list_has_one_under_the_limits_of_its_place() {
    let fixture = Fixture::priced().await;
    assert_eq!(
        multiplier(&fixture, "/v1/price?lat=40.5&lng=-74.2", TICK).await,
        (json!(1.2), json!("fresh"))
    );
    let jfk = "/v1/price?lat=40.64&lng=-73.78";
    assert_eq!(multiplier(&fixture, jfk, TICK).await, (json!(1.1), json!("fresh")), "the cap applies");
}

#[tokio::test]
async fn an_ageing_price_passes_through_the_modes() {
    let fixture = Fixture::priced().await;
    for (age_ms, expected, mode) in [
        (30_000, 1.37, "fresh"),
        (30_001, 1.37, "cached"),
        (300_000, 1.37, "cached"),
        (300_001, 1.2, "degraded"),
    ] {
        let price = ok_body(&fixture.get(IN_MANHATTAN, TICK + age_ms).await);
        assert_eq!(price["multiplier"], expected, "{age_ms}");
        assert_eq!((&price["mode"], &price["age_ms"]), (&json!(mode), &json!(age_ms)));
    }
}

#[tokio::test]
async fn before_the_first_tick_the_fallback_gives_the_price() {
    let fixture = Fixture::new();
    let price = ok_body(&fixture.get(IN_MANHATTAN, TICK).await);
    assert_eq!(price["multiplier"], 1.2);
    assert_eq!((&price["as_of"], &price["age_ms"]), (&Value::Null, &Value::Null));
    assert_eq!(price["mode"], "degraded");

    // Wednesday, 19:13 in Auckland: hour 67 of the week, limited to the city's cap.
    let auckland = "/v1/price?lat=-36.85&lng=174.76";
    assert_eq!(multiplier(&fixture, auckland, TICK).await, (json!(1.5), json!("static")));
    // Monday, 04:59 and 05:00.
    let monday = TICK - 2 * 86_400_000 - 15 * 3_600_000 - 800_000;
    assert_eq!(multiplier(&fixture, auckland, monday + 3_600_000 - 1).await.0, json!(1.04));
    assert_eq!(multiplier(&fixture, auckland, monday + 3_600_000).await.0, json!(1.05));
}

#[tokio::test]
async fn where_cities_overlap_the_first_by_id_serves() {
    let fixture = Fixture::priced().await;
    let place = "/v1/price?lat=40.745&lng=-74.03";
    assert_eq!(ok_body(&fixture.get(place, TICK).await)["city"], "hoboken");
    assert_eq!(ok_body(&fixture.get(&format!("{place}&city=nyc"), TICK).await)["city"], "nyc");
}
