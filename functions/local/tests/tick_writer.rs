//! The tick writer of `replay` meets the contract of the tick log.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use equilibrium_app::contract::{self, RecordedRow};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::{Multiplier, Policy};
use equilibrium_domain::time::Timestamp;
use equilibrium_local::commands::replay::tick_writer::TickWriter;
use serde_json::{Value, json};

/// The row of a line, if it is one of this city.
fn parse(line: &str, city: &str) -> Option<RecordedRow> {
    let line: Value = serde_json::from_str(line).unwrap();
    let text = |field: &str| line[field].as_str().unwrap();
    let count = |field: &str| u32::try_from(line[field].as_u64().unwrap()).unwrap();
    let row = || RecordedRow {
        at_ms: Timestamp::parse(text("at").as_bytes()).unwrap().ms(),
        product: ProductId::new(text("product")).unwrap(),
        cell: Cell(u64::from_str_radix(text("cell"), 16).unwrap()),
        demand: count("demand"),
        supply: count("supply"),
        multiplier: multiplier(&line["multiplier"].to_string()),
    };
    (text("city") == city).then(row)
}

/// A multiplier from its decimals.
fn multiplier(text: &str) -> Multiplier {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    Multiplier::new(format!("{whole}{decimals:0<2}").parse().unwrap()).unwrap()
}

#[tokio::test]
async fn the_writer_meets_the_contract_of_the_tick_log() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let square = json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]});
    let policy = |city: &str| {
        let document = json!({
            "city": city, "currency": "USD", "boundary": square, "limits": {"max_multiplier": 100},
            "products": [{"id": "standard"}, {"id": "xl"}],
        });
        Policy::from_json(&document).unwrap()
    };
    let policies = PolicySet::of(["lima", "oslo"].map(policy).to_vec(), ResourceLimits::default());
    let writer = TickWriter::new(file.reopen().unwrap(), Arc::new(policies));
    let read = async |city: &CityId| {
        writer.end().unwrap();
        let lines = std::fs::read_to_string(file.path()).unwrap();
        lines.lines().filter_map(|line| parse(line, city.as_str())).collect()
    };
    contract::tick_log(&writer, read).await;
}
