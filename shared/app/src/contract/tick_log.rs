//! The contract of the tick log.

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::{Multiplier, Published};
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ClosedTick, MapHead, Row};

use super::without_repeats;
use crate::surge::ports::TickLog;

/// A row of a closed tick, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRow {
    /// The tick, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The product.
    pub product: ProductId,
    /// The cell.
    pub cell: Cell,
    /// Riders in the cell.
    pub demand: u32,
    /// Drivers in the cell.
    pub supply: u32,
    /// The multiplier.
    pub multiplier: Multiplier,
}

/// The contract of [`TickLog`]. `read` returns all rows of a city, in order, without limits on their multipliers.
///
/// # Panics
/// If the adapter breaks it.
pub async fn tick_log(log: &impl TickLog, read: impl AsyncFn(&CityId) -> Vec<RecordedRow>) {
    let [lima, oslo] = ["lima", "oslo"].map(map);
    let first = tick(5_000, vec![row(0, 0x08a2_a107_2b59_ffff, 100), row(0, 0x08a2_a107_2b5a_7fff, 125)]);
    let second = tick(10_000, vec![row(0, 0x08a2_a107_2b59_ffff, 110), row(1, 0x08a2_a107_2b59_ffff, 500)]);
    let empty = tick(15_000, Vec::new());
    let third = tick(20_000, vec![row(1, 0x08a2_a107_2b59_ffff, 1_005)]);

    log.record(&lima, &[]).await.expect("recorded");
    assert_eq!(read(&lima.city).await, []);
    log.record(&lima, std::slice::from_ref(&first)).await.expect("recorded");
    log.record(&oslo, std::slice::from_ref(&third)).await.expect("recorded");
    log.record(&lima, &[second.clone(), empty.clone(), third.clone()]).await.expect("recorded");
    let all = [first, second, empty, third];
    assert_eq!(without_repeats(read(&lima.city).await), recorded_rows(&lima, &all), "ticks in order");
    assert_eq!(
        without_repeats(read(&oslo.city).await),
        recorded_rows(&oslo, &all[3..]),
        "cities are separate"
    );

    log.record(&lima, &all[1..]).await.expect("recorded");
    assert_eq!(
        without_repeats(read(&lima.city).await),
        recorded_rows(&lima, &all),
        "a repeat adds nothing new"
    );
}

fn map(city: &str) -> MapHead {
    MapHead {
        city: CityId::new(city).expect("well-formed"),
        version: 4,
        as_of: 20_000,
        lanes_reported: 1,
        lanes: 1,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 10,
        products: ["standard", "xl"].map(|product| ProductId::new(product).expect("well-formed")).to_vec(),
        chunks: Vec::new(),
    }
}

fn tick(at: i64, rows: Vec<Row>) -> ClosedTick {
    let version = at.unsigned_abs() / 5_000;
    ClosedTick {
        from: at,
        at,
        tick_ms: 5_000,
        version,
        lanes_reported: 1,
        feed: Feed::Ok,
        rows,
        changes: Vec::new(),
        edges: Vec::new(),
    }
}

fn row(product: u8, cell: u64, hundredths: u16) -> Row {
    let published = Published::new(hundredths).expect("within bounds");
    Row { product, cell: Cell(cell), demand: u32::from(hundredths), supply: u32::MAX, published }
}

/// The rows of ticks of a map.
#[must_use]
pub fn recorded_rows(map: &MapHead, ticks: &[ClosedTick]) -> Vec<RecordedRow> {
    let rows = ticks.iter().flat_map(|tick| tick.rows.iter().map(|row| (tick.at, row)));
    rows.map(|(at_ms, row)| RecordedRow {
        at_ms,
        product: map.products[usize::from(row.product)].clone(),
        cell: row.cell,
        demand: row.demand,
        supply: row.supply,
        multiplier: Multiplier::new(row.published.hundredths()).expect("within limits"),
    })
    .collect()
}
