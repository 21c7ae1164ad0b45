//! What changed in what is reported, from tick to tick: the rows of the history (CONTRACT §10).

use std::sync::Arc;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Published;
use equilibrium_domain::surge::city_pricing::{Output, PricingConfig};
use equilibrium_domain::surge::history::{HistoryRow, HistoryTick};
use equilibrium_domain::surge::map::{ClosedTick, Row};
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::policy::bounds::{BoundsInForce, CityBounds};
use crate::price::ports::MapStore;
use crate::price::report::{FrozenMaps, ReportedCell, ReportedTick};
use crate::unavailable::Unavailable;

/// The bounds at the newest tick of each city that this instance has recorded.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<HashMap<CityId, Recorded>>);

#[derive(Clone, Debug)]
struct Recorded {
    at: i64,
    pricing: Arc<PricingConfig>,
    bounds: Arc<BoundsInForce>,
}

impl Recorder {
    /// The ticks of an output at which something changed: a cell's reported multiplier, its appearance or its end, the last
    /// two also where the multiplier stays. Rows are ordered by product name and cell.
    ///
    /// # Errors
    /// [`Unavailable`] if the map of a freeze cannot be read.
    pub async fn changed_ticks(
        &self,
        maps: &impl MapStore,
        output: &Output,
        bounds: &CityBounds,
    ) -> Result<Vec<HistoryTick>, Unavailable> {
        let city = &output.map.city;
        let mut last = self.0.lock().get(city).cloned();
        let mut changed = Vec::new();
        for tick in &output.ticks {
            let before_ms = tick.from - tick.tick_ms;
            // The earlier one first: where nothing changes in between, both are the same.
            let before = last.take().filter(|last| last.at == before_ms);
            let before = before.unwrap_or_else(|| Recorded::of(bounds, before_ms));
            let now = Recorded::of(bounds, tick.at);
            let has_freeze = now.bounds.bounds().freezes().next().is_some();
            let rows = if Arc::ptr_eq(&before.bounds, &now.bounds) && !has_freeze {
                moved_rows(&now, output, tick)
            } else {
                compared_rows(output, tick, [&before.with(maps, city).await?, &now.with(maps, city).await?])
            };
            if !rows.is_empty() {
                changed.push(HistoryTick { at: tick.at, version: tick.version, rows });
            }
            last = Some(now);
        }
        if let Some(last) = last {
            self.0.lock().insert(city.clone(), last);
        }
        Ok(changed)
    }
}

impl Recorded {
    fn of(bounds: &CityBounds, at: i64) -> Self {
        Self { at, pricing: Arc::clone(bounds.pricing()), bounds: bounds.in_force(at) }
    }

    async fn with(&self, maps: &impl MapStore, city: &CityId) -> Result<(&Self, FrozenMaps), Unavailable> {
        Ok((self, FrozenMaps::read(maps, city, self.bounds.bounds(), self.at).await?))
    }

    /// The index in the policy of each of these products.
    fn in_policy(&self, products: &[ProductId]) -> Vec<Option<usize>> {
        let known = &self.pricing.policy.products;
        products.iter().map(|id| known.iter().position(|product| product.id == *id)).collect()
    }
}

/// The rows of a tick with the bounds of the tick before.
fn moved_rows(recorded: &Recorded, output: &Output, tick: &ClosedTick) -> Vec<HistoryRow> {
    let products = &output.map.products;
    let in_policy = recorded.in_policy(products);
    let rows = tick.moved_rows(products).into_iter().filter_map(|(row, before)| {
        let bounds = recorded.bounds.at(in_policy[usize::from(row.product)]?, row.cell);
        let report = |published| bounds.report(published).0;
        let multiplier = report(row.published);
        let is_kept = before.is_none_or(|before| report(before) != multiplier);
        let Row { product, cell, demand, supply, .. } = row;
        is_kept.then_some(HistoryRow { product, cell, demand, supply, multiplier })
    });
    rows.collect()
}

/// The rows of a tick with other bounds than the tick before, or with a freeze: everything is compared.
fn compared_rows(
    output: &Output,
    tick: &ClosedTick,
    [before, now]: [&(&Recorded, FrozenMaps); 2],
) -> Vec<HistoryRow> {
    let products = &output.map.products;
    let cells = |(recorded, frozen): &(&Recorded, FrozenMaps), rows: &[Row]| {
        let reported = ReportedTick { at: recorded.at, bounds: &recorded.bounds, frozen };
        reported.cells(&recorded.pricing.policy, products, rows)
    };
    let before = cells(before, &rows_before(tick, products));
    let after = cells(now, &tick.rows);
    let in_policy = now.0.in_policy(products);
    let mut rows = Vec::new();
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        let Ok(product) = u8::try_from(index) else { continue };
        let row_of = |cell: &ReportedCell| HistoryRow {
            product,
            cell: cell.cell,
            demand: cell.demand,
            supply: cell.supply,
            multiplier: cell.multiplier,
        };
        let find = |list: &[ReportedCell], cell: Cell| {
            list.binary_search_by_key(&cell, |listed| listed.cell).ok().map(|at| list[at].multiplier)
        };
        let is_changed = |cell: &&ReportedCell| find(before, cell.cell) != Some(cell.multiplier);
        rows.extend(after.iter().filter(is_changed).map(row_of));
        let Some(in_policy) = in_policy[index] else { continue };
        for ended in before.iter().filter(|cell| find(after, cell.cell).is_none()) {
            let (multiplier, _) = now.0.bounds.at(in_policy, ended.cell).report(Published::ONE);
            rows.push(HistoryRow { demand: 0, supply: 0, multiplier, ..row_of(ended) });
        }
    }
    rows.sort_by_key(|row| (&products[usize::from(row.product)], row.cell));
    rows
}

/// The rows of the tick before, as far as what is reported depends on them, ordered as those of the tick.
fn rows_before(tick: &ClosedTick, products: &[ProductId]) -> Vec<Row> {
    let moved: HashMap<(u8, Cell), (Row, Option<Published>)> = tick
        .moved_rows(products)
        .into_iter()
        .map(|(row, before)| ((row.product, row.cell), (row, before)))
        .collect();
    let mut rows = Vec::with_capacity(tick.rows.len());
    let mut listed = 0;
    for row in &tick.rows {
        match moved.get(&(row.product, row.cell)) {
            None => rows.push(*row),
            Some((_, before)) => {
                listed += 1;
                // One that appeared was not there.
                rows.extend(before.map(|published| Row { published, ..*row }));
            }
        }
    }
    if listed < moved.len() {
        let is_listed = |row: &Row| {
            let key = |row: &Row| (&products[usize::from(row.product)], row.cell);
            tick.rows.binary_search_by_key(&key(row), key).is_ok()
        };
        rows.extend(moved.values().map(|(row, _)| *row).filter(|row| !is_listed(row)));
        rows.sort_by_key(|row| (&products[usize::from(row.product)], row.cell));
    }
    rows
}
