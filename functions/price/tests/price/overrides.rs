//! Overrides bind in prices and maps, whether or not ticks close.

use equilibrium_app::price::ports::MapStore;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::policy::overrides::{Override, OverrideKind};
use equilibrium_domain::surge::frozen_map::FrozenMap;
use serde_json::{Value, json};

use crate::fixture::*;

const IN_MANHATTAN: &str = "/v1/price?lat=40.7128&lng=-74.006";
const MAP: &str = "/v1/cities/nyc/surge?product=standard";

/// An override in force from 10 s to 20 s after the tick.
fn one(kind: OverrideKind) -> Override {
    Override {
        id: "o1".into(),
        kind,
        product: None,
        polygon: None,
        starts_at: TICK + 10_000,
        ends_at: TICK + 20_000,
        reason: "a flooded underpass".into(),
        author: "local".into(),
        created_at: TICK,
        ended_at: None,
    }
}

fn hundredths(value: u16) -> Multiplier {
    Multiplier::new(value).unwrap()
}

async fn price(fixture: &Fixture, now: i64) -> Value {
    ok_body(&fixture.get(IN_MANHATTAN, now).await)["multiplier"].clone()
}

async fn map(fixture: &Fixture, now: i64) -> (Value, String) {
    let response = fixture.get(MAP, now).await;
    (ok_body(&response), response.header("etag").unwrap().to_owned())
}

fn multiplier_of(map: &Value, cell: &str) -> Value {
    let cells = map["cells"].as_array().unwrap();
    cells.iter().find(|one| one["cell"] == cell).map_or(Value::Null, |one| one["multiplier"].clone())
}

#[tokio::test]
async fn an_override_binds_from_its_start_to_its_end_while_no_tick_closes() {
    let fixture = Fixture::priced().await.with_override(one(OverrideKind::Cap(hundredths(125))));
    for (after, expected) in [(9_999, 1.37), (10_000, 1.25), (19_999, 1.25), (20_000, 1.37)] {
        assert_eq!(price(&fixture, TICK + after).await, expected, "{after}");
    }
    let (before, first) = map(&fixture, TICK).await;
    let (during, second) = map(&fixture, TICK + 10_000).await;
    let (after, third) = map(&fixture, TICK + 20_000).await;
    let manhattan = "882a107289fffff";
    let multipliers = [&before, &during, &after].map(|map| multiplier_of(map, manhattan));
    assert_eq!(multipliers, [json!(1.37), json!(1.25), json!(1.37)]);
    let bounds = [&before, &during, &after].map(|map| map["bounds"].as_u64().unwrap());
    assert_eq!((bounds[1] - bounds[0], bounds[2] - bounds[1]), (1, 1), "a start and an end are changes");
    assert_eq!([&before, &during, &after].map(|map| map["version"].clone()), [json!(7), json!(7), json!(7)]);
    assert!(first != second && second != third && first != third, "validators differ as the bodies do");
}

#[tokio::test]
async fn a_kill_sets_one_and_a_floor_raises_cells_that_the_map_does_not_list() {
    let fixture = Fixture::priced().await.with_override(one(OverrideKind::Kill));
    assert_eq!(price(&fixture, TICK + 10_000).await, 1.0);
    let fixture = Fixture::priced().await.with_override(one(OverrideKind::Floor(hundredths(180))));
    let elsewhere = ok_body(&fixture.get("/v1/price?lat=40.5&lng=-74.2", TICK + 10_000).await);
    assert_eq!(elsewhere["multiplier"], 1.8);
    // Also when the map is too old: the bounds are the same in every mode.
    let fixture = Fixture::new().with_override(one(OverrideKind::Floor(hundredths(180))));
    let degraded = ok_body(&fixture.get(IN_MANHATTAN, TICK + 10_000).await);
    assert_eq!((&degraded["mode"], &degraded["multiplier"]), (&json!("degraded"), &json!(1.8)));
}

#[tokio::test]
async fn a_frozen_cell_keeps_the_multiplier_of_the_start_and_stays_in_the_map() {
    let fixture = Fixture::priced().await.with_override(one(OverrideKind::Freeze));
    // No tick after the start has closed: the newest map is that of the start.
    assert_eq!(price(&fixture, TICK + 10_000).await, 1.37);

    let nyc = CityId::new("nyc").unwrap();
    let (manhattan, elsewhere) = (cell(MANHATTAN.0, MANHATTAN.1, 8), cell(40.5, -74.2, 8));
    let products = vec![ProductId::new("standard").unwrap()];
    let rows = vec![row(0, manhattan, 1, 1, 160), row(0, elsewhere, 1, 1, 130)];
    fixture.store.save_frozen(&nyc, TICK + 10_000, &FrozenMap::new(products, rows)).await.unwrap();
    fixture.publish(&new_york(9, TICK + 15_000)).await;
    let now = TICK + 16_000;
    let map = ok_body(&fixture.get(MAP, now).await);
    assert_eq!((&map["version"], multiplier_of(&map, &manhattan.to_string())), (&json!(9), json!(1.6)));
    let listed = map["cells"].as_array().unwrap().iter().find(|one| one["cell"] == elsewhere.to_string());
    assert_eq!(
        listed.unwrap(),
        &json!({"cell": elsewhere.to_string(), "multiplier": 1.3, "demand": 0, "supply": 0})
    );
    let cells: Vec<&Value> = map["cells"].as_array().unwrap().iter().map(|one| &one["cell"]).collect();
    assert!(cells.is_sorted_by_key(|cell| cell.as_str().unwrap().to_owned()));
    assert_eq!(price(&fixture, now).await, 1.6);
    assert_eq!(price(&fixture, TICK + 20_000).await, 1.39, "the freeze has ended");
}
