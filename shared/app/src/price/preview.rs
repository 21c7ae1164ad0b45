//! What a new version of a policy would change in the prices of a map.

use std::cmp::Reverse;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::ProductId;
use equilibrium_domain::policy::{Multiplier, Policy};
use equilibrium_domain::surge::fallback::{Fallback, Mode};

use crate::policy::bounds::BoundsInForce;
use crate::price::city_map::CityMap;
use crate::price::report::{FrozenMaps, Reporting};

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
/// replace it, each with its bounds. The counts and the published values are those of the map: what they become under other
/// parameters, only ticks show.
#[must_use]
pub fn preview(
    (map, frozen): (Option<&CityMap>, &FrozenMaps),
    [(before, old_bounds), (after, new_bounds)]: [(&Policy, &BoundsInForce); 2],
    now_ms: i64,
) -> Preview {
    let as_of = map.map(|map| map.head().as_of);
    let [old, new] = [before, after].map(|policy| Fallback::new(policy, as_of, now_ms));
    let old_reporting = Reporting { bounds: old_bounds, fallback: &old, frozen };
    let new_reporting = Reporting { bounds: new_bounds, fallback: &new, frozen };
    let mut changed = Vec::new();
    let mut reported = 0;
    for (at, product) in before.products.iter().enumerate() {
        let id = product.id.as_str();
        let index = map.and_then(|map| map.product(id));
        let rows = map.into_iter().zip(index).flat_map(|(map, index)| map.rows(index));
        let stays = after.products.iter().position(|other| other.id == product.id);
        for cell in old_reporting.list((at, id), rows) {
            reported += 1;
            let row = map.zip(index).and_then(|(map, index)| map.row(index, cell.cell));
            let after = stays.map(|at| new_reporting.cell((at, id), cell.cell, row).multiplier);
            if after != Some(cell.multiplier) {
                let before = cell.multiplier;
                changed.push(CellChange { product: product.id.clone(), cell: cell.cell, before, after });
            }
        }
    }
    // The order of equal changes is that of products and cells.
    changed.sort_by_key(|change| Reverse(change.difference()));
    // A cell that is none lies in no zone and no polygon.
    let unreported =
        [old_reporting, new_reporting].map(|reporting| reporting.cell((0, ""), Cell(0), None).multiplier);
    Preview { mode: old.mode, reported, changed, unreported: unreported.into() }
}

impl CellChange {
    fn difference(&self) -> u16 {
        self.after.map_or(u16::MAX, |after| after.hundredths().abs_diff(self.before.hundredths()))
    }
}
