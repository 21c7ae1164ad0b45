//! What a version would change, before it is saved.

use equilibrium_app::price::ports::MapStore;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::{Cell, cell_at};
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Published;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, encode_chunk};
use equilibrium_policy::MAX_LISTED_CELLS;
use h3o::{CellIndex, Resolution};
use serde_json::{Value, json};

use crate::fixture::*;

fn manhattan() -> CellIndex {
    cell_at(Position { lat: 40.7128, lng: -74.006 }, Resolution::Eight).h3().unwrap()
}

fn row(product: u8, cell: CellIndex, hundredths: u16) -> Row {
    Row {
        product,
        cell: Cell(cell.into()),
        demand: 1,
        supply: 1,
        published: Published::new(hundredths).unwrap(),
    }
}

/// Saves version 7 of the city's map, as of [`TICK`].
async fn publish(fixture: &Fixture, rows: &[Row]) {
    let city = CityId::new("nyc").unwrap();
    let mut rows = rows.to_vec();
    rows.sort_unstable_by_key(|row| (row.product, row.cell));
    let mut parents: Vec<u64> =
        rows.iter().map(|row| row.cell.h3().unwrap().parent(Resolution::Five).unwrap().into()).collect();
    parents.sort_unstable();
    parents.dedup();
    for parent in &parents {
        let of_parent =
            |row: &&Row| u64::from(row.cell.h3().unwrap().parent(Resolution::Five).unwrap()) == *parent;
        let chunk: Vec<Row> = rows.iter().filter(of_parent).copied().collect();
        fixture
            .map_store
            .save_chunk(&city, ChunkName::new(Cell(*parent), 7), &encode_chunk(&chunk))
            .await
            .unwrap();
    }
    let head = MapHead {
        city,
        version: 7,
        as_of: TICK,
        lanes_reported: 4,
        lanes: 4,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: ["standard", "XL"].iter().map(|id| ProductId::new(id).unwrap()).collect(),
        chunks: parents.iter().map(|parent| ChunkName::new(Cell(*parent), 7)).collect(),
    };
    fixture.map_store.save_head(&head).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_shows_the_changes_of_document_and_map_and_saves_nothing() {
    let fixture = Fixture::new();
    let cells: Vec<CellIndex> = manhattan().grid_disk::<Vec<_>>(1);
    publish(
        &fixture,
        &[row(0, cells[0], 350), row(0, cells[1], 210), row(1, cells[0], 240), row(0, cells[2], 150)],
    )
    .await;

    let capped = with(policy(), "limits", json!({"max_multiplier": 2.2, "min_multiplier": 1.2}));
    let answer = fixture.try_out(&capped).await;
    assert_eq!(
        (&answer["dry_run"], &answer["city"], &answer["version"]),
        (&json!(true), &json!("nyc"), &json!(2))
    );
    assert_eq!(
        answer["changes"],
        json!([
            {"pointer": "/limits/max_multiplier", "before": 5.0, "after": 2.2},
            {"pointer": "/limits/min_multiplier", "before": 1.0, "after": 1.2},
        ])
    );
    assert_eq!(answer["too_large"][0]["pointer"], "/limits/max_multiplier");
    let cell = Cell(cells[0].into());
    assert_eq!(
        answer["map"],
        json!({
            "as_of": "2026-02-25T06:13:20.000Z", "version": 7, "mode": "fresh", "cells_reported": 4, "cells_changed": 2,
            "cells": [
                {"product": "standard", "cell": cell, "before": 3.5, "after": 2.2},
                {"product": "XL", "cell": cell, "before": 2.4, "after": 2.2},
            ],
            "unreported": {"before": 1.0, "after": 1.2},
        })
    );
    assert_eq!(answer["notes"], json!([]));
    assert_eq!(fixture.get(POLICY).await.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn the_limits_of_a_zone_and_products_that_end_show_in_the_map() {
    let fixture = Fixture::new();
    let cells: Vec<CellIndex> = manhattan().grid_disk::<Vec<_>>(1);
    let bronx = cell_at(Position { lat: 40.9, lng: -73.86 }, Resolution::Eight).h3().unwrap();
    publish(&fixture, &[row(0, cells[0], 350), row(0, bronx, 360), row(1, bronx, 120)]).await;
    let mut zoned = with(
        policy(),
        "zones",
        json!([{
            "id": "bronx", "polygon": rectangle(-73.9, 40.85, -73.8, 40.95), "limits": {"max_multiplier": 2},
        }]),
    );
    zoned["products"] = json!([{"id": "standard"}]);
    let map = fixture.try_out(&zoned).await;
    let bronx = Cell(bronx.into());
    assert_eq!(
        map["map"]["cells"],
        json!([
            {"product": "XL", "cell": bronx, "before": 1.2, "after": null},
            {"product": "standard", "cell": bronx, "before": 3.6, "after": 2.0},
        ])
    );
    assert_eq!(map["notes"].as_array().unwrap().len(), 1, "{}", map["notes"]);
}

#[tokio::test]
async fn the_cells_of_an_answer_are_bounded_and_the_greatest_changes_come_first() {
    let fixture = Fixture::new();
    let cells: Vec<CellIndex> = manhattan().grid_disk::<Vec<_>>(20);
    let hundredths = |index: usize| 301 + u16::try_from(index % 100).unwrap();
    let rows: Vec<Row> =
        cells.iter().enumerate().map(|(index, cell)| row(0, *cell, hundredths(index))).collect();
    publish(&fixture, &rows).await;
    let map = fixture.try_out(&with(policy(), "limits", json!({"max_multiplier": 3}))).await["map"].clone();
    assert_eq!((&map["cells_reported"], &map["cells_changed"]), (&json!(rows.len()), &json!(rows.len())));
    let listed = map["cells"].as_array().unwrap();
    assert!(rows.len() > MAX_LISTED_CELLS && listed.len() == MAX_LISTED_CELLS);
    let before: Vec<f64> = listed.iter().map(|cell| cell["before"].as_f64().unwrap()).collect();
    assert!(before.is_sorted_by(|a, b| a >= b) && listed[0]["before"] == 4.0);
}

#[tokio::test]
async fn what_only_ticks_show_is_said() {
    let fixture = Fixture::new();
    for (member, value, notes) in [
        ("surge", json!({"slope": 0.6}), 1),
        ("clock", json!({"window_ms": 60_000}), 1),
        ("resolution", json!(9), 1),
        ("products", json!([{"id": "standard"}]), 1),
        ("name", json!("other"), 0),
    ] {
        let answer = fixture.try_out(&with(policy(), member, value)).await;
        assert_eq!(answer["notes"].as_array().unwrap().len(), notes, "{member}");
        assert!(
            answer["changes"]
                .as_array()
                .unwrap()
                .iter()
                .all(|change| { change["pointer"].as_str().unwrap().starts_with(&format!("/{member}")) })
        );
        assert_eq!(answer["map"]["version"], 0, "no tick has closed");
    }
}

#[tokio::test]
async fn a_city_that_does_not_exist_can_be_tried() {
    let fixture = Fixture::of(&[]);
    let answer = fixture.try_out(&policy()).await;
    assert_eq!((&answer["version"], &answer["changes"][0]["pointer"]), (&json!(1), &json!("")));
    assert_eq!((&answer["changes"][0]["before"], &answer["map"]["cells"]), (&Value::Null, &json!([])));
    assert_eq!(fixture.get(POLICY).await.status, 404);
}

#[tokio::test]
async fn a_dry_run_has_the_refusals_of_a_save() {
    let fixture = Fixture::new();
    let url = format!("{POLICY}?dry_run=true");
    let put = async |headers: &[(&str, &str)], policy: &Value| {
        fixture.ask("PUT", &url, headers, policy.to_string().as_bytes(), TICK).await
    };
    assert_eq!(put(&[JSON, ("if-match", "\"2\"")], &policy()).await.status, 412);
    assert_eq!(put(&[JSON, ("if-match", "\"1\"")], &policy()).await.status, 200);
    let refused = put(&[JSON], &with(policy(), "resolution", json!(16))).await;
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/resolution".to_owned()]));
}
