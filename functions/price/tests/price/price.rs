//! What a ride is multiplied by.

use serde_json::{Value, json};

use crate::world::*;

const IN_MANHATTAN: &str = "/v1/price?lat=40.7128&lng=-74.006";

async fn multiplier(town: &Town, url: &str, now: i64) -> (Value, Value) {
    let price = priced(&town.get(url, now).await);
    (price["multiplier"].clone(), price["mode"].clone())
}

#[tokio::test]
async fn a_price_is_its_cells_of_the_map() {
    let town = Town::priced().await;
    let response = town.get(IN_MANHATTAN, TICK + 1_234).await;
    assert_eq!(
        priced(&response),
        json!({"city": "nyc", "cell": "882a107289fffff", "product": "standard", "multiplier": 1.37,
            "as_of": "2026-02-25T06:13:20.000Z", "age_ms": 1234, "mode": "fresh"})
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(cell(MANHATTAN.0, MANHATTAN.1, 8).0, 0x0882_a107_289f_ffff);
}

#[tokio::test]
async fn a_product_has_a_price_of_its_own() {
    let town = Town::priced().await;
    let price = priced(&town.get(&format!("{IN_MANHATTAN}&product=XL"), TICK).await);
    assert_eq!((&price["product"], &price["multiplier"]), (&json!("XL"), &json!(1.2)));
}

#[tokio::test]
async fn a_cell_that_is_not_on_the_map_costs_what_the_limits_make_of_one() {
    let town = Town::priced().await;
    assert_eq!(multiplier(&town, "/v1/price?lat=40.5&lng=-74.2", TICK).await, (json!(1.2), json!("fresh")));
    let jfk = "/v1/price?lat=40.64&lng=-73.78";
    assert_eq!(multiplier(&town, jfk, TICK).await, (json!(1.1), json!("fresh")), "the cap wins");
}

#[tokio::test]
async fn a_price_grows_old_rung_by_rung() {
    let town = Town::priced().await;
    for (age_ms, expected, mode) in [
        (30_000, 1.37, "fresh"),
        (30_001, 1.37, "cached"),
        (300_000, 1.37, "cached"),
        (300_001, 1.2, "degraded"),
    ] {
        let price = priced(&town.get(IN_MANHATTAN, TICK + age_ms).await);
        assert_eq!(price["multiplier"], expected, "{age_ms}");
        assert_eq!((&price["mode"], &price["age_ms"]), (&json!(mode), &json!(age_ms)));
    }
}

#[tokio::test]
async fn before_the_first_tick_there_is_a_price_all_the_same() {
    let town = Town::new();
    let price = priced(&town.get(IN_MANHATTAN, TICK).await);
    assert_eq!(price["multiplier"], 1.2);
    assert_eq!((&price["as_of"], &price["age_ms"]), (&Value::Null, &Value::Null));
    assert_eq!(price["mode"], "degraded");

    // Wednesday, 19:13 in Auckland: hour 67 of the week, held to the city's cap.
    let auckland = "/v1/price?lat=-36.85&lng=174.76";
    assert_eq!(multiplier(&town, auckland, TICK).await, (json!(1.5), json!("static")));
    // Monday, 04:59 and 05:00.
    let monday = TICK - 2 * 86_400_000 - 15 * 3_600_000 - 800_000;
    assert_eq!(multiplier(&town, auckland, monday + 3_600_000 - 1).await.0, json!(1.04));
    assert_eq!(multiplier(&town, auckland, monday + 3_600_000).await.0, json!(1.05));
}

#[tokio::test]
async fn where_cities_overlap_the_first_by_id_serves() {
    let town = Town::priced().await;
    let place = "/v1/price?lat=40.745&lng=-74.03";
    assert_eq!(priced(&town.get(place, TICK).await)["city"], "hoboken");
    assert_eq!(priced(&town.get(&format!("{place}&city=nyc"), TICK).await)["city"], "nyc");
}
