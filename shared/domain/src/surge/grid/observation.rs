//! What the grid holds of one cell and product, for an observer.

use h3o::CellIndex;
use serde::Serialize;

use super::Grid;
use crate::geo::locate::Cell;
use crate::surge::multiplier::MultiplierState;

/// A cell around another one, and its own counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Around {
    /// The cell.
    pub cell: Cell,
    /// Its grid distance.
    pub ring: u8,
    /// Its riders.
    pub demand: u32,
    /// Its drivers.
    pub supply: u32,
}

impl Grid {
    /// The multiplier of a cell and product; that of a cell before its first tick, where no entity counts around it.
    #[must_use]
    pub fn multiplier(&self, cell: Cell, product: usize) -> MultiplierState {
        let slot = self.index.get(&cell.0);
        slot.map_or(MultiplierState::BASE, |slot| self.states[self.state_index(*slot, product)].multiplier)
    }

    /// The cells around a cell in which an entity counts, itself included, ring by ring and ordered within a ring.
    #[must_use]
    pub fn around(&self, cell: Cell, product: usize) -> Vec<Around> {
        let rings = self.formula.rings();
        let Some(h3) = cell.h3() else { return Vec::new() };
        let reach = u32::try_from(rings - 1).expect("a policy has few rings");
        let mut disk: Vec<(CellIndex, u32)> = h3.grid_disk_distances(reach);
        disk.sort_by_key(|(cell, ring)| (*ring, u64::from(*cell)));
        let counts = |(cell, ring): (CellIndex, u32)| {
            let cell = Cell(cell.into());
            let index = self.state_index(*self.index.get(&cell.0)?, product);
            // The counts of the cell itself are those of ring 0 around it.
            let sums = &self.sums[index * 2 * rings..(index + 1) * 2 * rings];
            let (demand, supply) = (sums[0], sums[rings]);
            let ring = u8::try_from(ring).expect("a policy has few rings");
            (demand > 0 || supply > 0).then_some(Around { cell, ring, demand, supply })
        };
        disk.into_iter().filter_map(counts).collect()
    }
}
