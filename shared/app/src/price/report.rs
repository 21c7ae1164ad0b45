//! What is reported of published multipliers: within the bounds in force, and frozen while a freeze is (CONTRACT §9).

use std::sync::Arc;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::{Multiplier, Policy, Published};
use equilibrium_domain::surge::bounds::{Bounds, Decided};
use equilibrium_domain::surge::fallback::Fallback;
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::map::Row;

use crate::policy::bounds::BoundsInForce;
use crate::price::ports::MapStore;
use crate::unavailable::Unavailable;

/// What is reported of a cell and product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedCell {
    /// The cell.
    pub cell: Cell,
    /// The zone that it lies in, by its index in the policy.
    pub zone: Option<usize>,
    /// The multiplier within all bounds.
    pub multiplier: Multiplier,
    /// What decided it.
    pub decided: Decided,
    /// Riders in the cell itself.
    pub demand: u32,
    /// Drivers in the cell itself.
    pub supply: u32,
}

/// The maps of freezes in force, by their starts in milliseconds since the epoch. One that is not here has the multipliers of
/// the newest map, which is that of its start until another tick closes.
#[derive(Clone, Debug, Default)]
pub struct FrozenMaps(Vec<(i64, Arc<FrozenMap>)>);

impl FrozenMaps {
    /// The maps of the freezes in force that began before the tick `as_of`, in milliseconds since the epoch. The pipeline has
    /// saved them before that tick.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn read(
        maps: &impl MapStore,
        city: &CityId,
        bounds: &Bounds,
        as_of: i64,
    ) -> Result<Self, Unavailable> {
        let mut frozen = Self::default();
        for start_ms in bounds.freezes().filter(|start| *start < as_of) {
            if let Some(map) = maps.frozen(city, start_ms).await? {
                frozen.add(start_ms, Arc::new(map));
            }
        }
        Ok(frozen)
    }

    /// Adds the map of a freeze.
    pub fn add(&mut self, start_ms: i64, map: Arc<FrozenMap>) {
        self.0.push((start_ms, map));
    }

    /// The map of the freeze that began at `start_ms`.
    #[must_use]
    pub fn get(&self, start_ms: i64) -> Option<&FrozenMap> {
        self.0.iter().find(|(start, _)| *start == start_ms).map(|(_, map)| &**map)
    }
}

/// A city at one moment, as far as it decides what is reported of a row.
#[derive(Clone, Copy, Debug)]
pub struct Reporting<'a> {
    /// The bounds in force.
    pub bounds: &'a BoundsInForce,
    /// The fallback by the age of the map.
    pub fallback: &'a Fallback<'a>,
    /// The maps of the freezes in force.
    pub frozen: &'a FrozenMaps,
}

/// A product, by its index in the policy and its id.
pub type OfPolicy<'a> = (usize, &'a str);

impl Reporting<'_> {
    /// What is reported of a cell, given its row of the map, if there is one.
    #[must_use]
    #[inline]
    pub fn cell(&self, product: OfPolicy<'_>, cell: Cell, row: Option<&Row>) -> ReportedCell {
        let bounds = self.bounds.at(product.0, cell);
        let frozen = bounds.freeze.and_then(|start_ms| self.frozen.get(start_ms));
        let published: Published = match frozen {
            Some(frozen) => frozen.published(product.1, cell),
            None => self.fallback.published(row),
        };
        let (multiplier, decided) = bounds.report(published);
        let (demand, supply) = row.map_or((0, 0), |row| (row.demand, row.supply));
        ReportedCell { cell, zone: bounds.zone, multiplier, decided, demand, supply }
    }

    /// What is listed of a product, by cell: the rows of the map, and frozen cells that it does not have any more.
    #[must_use]
    pub fn list<'r>(&self, product: OfPolicy<'_>, rows: impl Iterator<Item = &'r Row>) -> Vec<ReportedCell> {
        let mut listed: Vec<ReportedCell> = rows.map(|row| self.cell(product, row.cell, Some(row))).collect();
        let reported = listed.len();
        for (start_ms, frozen) in &self.frozen.0 {
            for Row { cell, .. } in frozen.rows(product.1) {
                let is_frozen = self.bounds.at(product.0, *cell).freeze == Some(*start_ms);
                if is_frozen && listed[..reported].binary_search_by_key(cell, |listed| listed.cell).is_err() {
                    listed.push(self.cell(product, *cell, None));
                }
            }
        }
        if listed.len() > reported {
            listed.sort_unstable_by_key(|listed| listed.cell);
        }
        listed
    }
}

/// A tick, as far as it decides what is reported of its rows.
#[derive(Clone, Copy, Debug)]
pub struct ReportedTick<'a> {
    /// The tick, in milliseconds since the epoch.
    pub at: i64,
    /// The bounds in force at it.
    pub bounds: &'a BoundsInForce,
    /// The maps of the freezes in force at it.
    pub frozen: &'a FrozenMaps,
}

impl ReportedTick<'_> {
    /// What is reported of the rows of the tick under a policy, by the index of its product in `products` and by cell. Rows
    /// are ordered by product in any order of products, and by cell.
    #[must_use]
    pub fn cells(&self, policy: &Policy, products: &[ProductId], rows: &[Row]) -> Vec<Vec<ReportedCell>> {
        let fallback = Fallback::new(policy, Some(self.at), self.at);
        let reporting = Reporting { bounds: self.bounds, fallback: &fallback, frozen: self.frozen };
        reporting.lists(policy, products, rows)
    }
}

impl Reporting<'_> {
    /// What is listed of rows under a policy, by the index of its product in `products` and by cell. Rows are ordered by
    /// product in any order of products, and by cell.
    #[must_use]
    pub fn lists(&self, policy: &Policy, products: &[ProductId], rows: &[Row]) -> Vec<Vec<ReportedCell>> {
        let lists = products.iter().enumerate().map(|(index, id)| {
            let in_policy = policy.products.iter().position(|product| product.id == *id);
            in_policy.map_or_else(Vec::new, |at| self.list((at, id.as_str()), of_product(rows, index).iter()))
        });
        lists.collect()
    }
}

/// The rows of a product, of rows ordered by product in any order of products.
fn of_product(rows: &[Row], index: usize) -> &[Row] {
    let is_of = |row: &Row| usize::from(row.product) == index;
    let Some(first) = rows.iter().position(is_of) else { return &[] };
    let length = rows[first..].iter().take_while(|row| is_of(row)).count();
    &rows[first..first + length]
}
