//! What a new version of a policy would change in the prices of a map.

use std::cmp::Reverse;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::ProductId;
use equilibrium_domain::policy::{Multiplier, Policy};
use equilibrium_domain::surge::fallback::{Fallback, Mode};

use crate::price::city_map::CityMap;

/// The prices of a map under another policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// How the map's prices are found.
    pub mode: Mode,
    /// The cells that the map reports, of every product.
    pub reported: usize,
    /// The cells whose multiplier changes, the greatest change first; those without a multiplier afterwards before all
    /// others.
    pub changed: Vec<CellChange>,
    /// The multiplier of a cell that the map does not report and that lies in no zone, before and after.
    pub unreported: (Multiplier, Multiplier),
}

/// The multiplier of a cell before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellChange {
    /// The product.
    pub product: ProductId,
    /// The cell.
    pub cell: Cell,
    /// Its multiplier under the policy in force.
    pub before: Multiplier,
    /// Its multiplier under the new policy; `None` if that does not have the product.
    pub after: Option<Multiplier>,
}

/// The multipliers at `now_ms`, in milliseconds since the epoch, under the policy in force and under the one that may
/// replace it. The counts and the values before limits are those of the map: what they become under other parameters, only
/// ticks show.
#[must_use]
pub fn preview(map: Option<&CityMap>, (before, after): (&Policy, &Policy), now_ms: i64) -> Preview {
    let as_of = map.map(|map| map.head().as_of);
    let [old, new] = [before, after].map(|policy| Fallback::new(policy, as_of, now_ms));
    let mut changed = Vec::new();
    let mut reported = 0;
    for (map, product) in
        map.into_iter().flat_map(|map| before.products.iter().map(move |product| (map, product)))
    {
        let Some(index) = map.product(product.id.as_str()) else { continue };
        let stays = after.products.iter().any(|other| other.id == product.id);
        for row in map.rows(index) {
            reported += 1;
            let before = old.multiplier(row.cell, Some(row));
            let limited = || new.limited(row.cell, new.multiplier(row.cell, Some(row)));
            let after = stays.then(limited);
            if after != Some(before) {
                changed.push(CellChange { product: product.id.clone(), cell: row.cell, before, after });
            }
        }
    }
    // The order of equal changes is that of products and cells.
    changed.sort_by_key(|change| Reverse(change.difference()));
    // A cell that is none lies in no zone.
    let unreported = [old, new].map(|fallback| fallback.multiplier(Cell(0), None));
    Preview { mode: old.mode, reported, changed, unreported: unreported.into() }
}

impl CellChange {
    fn difference(&self) -> u16 {
        self.after.map_or(u16::MAX, |after| after.hundredths().abs_diff(self.before.hundredths()))
    }
}
