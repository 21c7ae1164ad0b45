//! The published multipliers of a city at the start of a freeze (CONTRACT §9).

use crate::geo::locate::Cell;
use crate::id::ProductId;
use crate::policy::Published;
use crate::surge::map::{Row, put_rows, read_row};
use crate::wire::products::{read_products, write_products};
use crate::wire::{self, Corrupt, Kind};

/// The rows of the last tick up to the start of a freeze.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenMap {
    products: Vec<ProductId>,
    /// By product and cell.
    rows: Vec<Row>,
}

impl FrozenMap {
    /// The map of these rows, in any order, whose products are those of `products`.
    #[must_use]
    pub fn new(products: Vec<ProductId>, mut rows: Vec<Row>) -> Self {
        rows.retain(|row| usize::from(row.product) < products.len());
        rows.sort_unstable_by_key(|row| (row.product, row.cell));
        Self { products, rows }
    }

    /// The rows of a product, by cell.
    #[must_use]
    pub fn rows(&self, product: &str) -> &[Row] {
        let Some(product) = self.products.iter().position(|known| known.as_str() == product) else {
            return &[];
        };
        let first = self.rows.partition_point(|row| usize::from(row.product) < product);
        let end = self.rows.partition_point(|row| usize::from(row.product) <= product);
        &self.rows[first..end]
    }

    /// The published multiplier of a cell; 1.0 if the cell was not reported.
    #[must_use]
    pub fn published(&self, product: &str, cell: Cell) -> Published {
        let rows = self.rows(product);
        rows.binary_search_by_key(&cell, |row| row.cell).map_or(Published::ONE, |at| rows[at].published)
    }

    /// Encodes the map as it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.rows.len() * 8);
        wire::begin(&mut out, Kind::FrozenMap);
        write_products(&mut out, &self.products);
        put_rows(&mut out, &self.rows);
        wire::seal(&mut out);
        out
    }

    /// Decodes bytes that [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if `bytes` are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::FrozenMap)?;
        let products = read_products(&mut input)?;
        let mut rows = Vec::new();
        let mut last = 0;
        while !input.is_done() {
            let row = read_row(&mut input, &mut last)?;
            if usize::from(row.product) >= products.len() {
                return Err(input.invalid("a product"));
            }
            rows.push(row);
        }
        Ok(Self::new(products, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(product: u8, cell: u64, hundredths: u16) -> Row {
        Row {
            product,
            cell: Cell(cell),
            demand: 1,
            supply: 2,
            published: Published::new(hundredths).unwrap(),
        }
    }

    #[test]
    fn a_frozen_map_has_the_published_multipliers_of_its_products() {
        let products = ["xl", "standard"].map(|id| ProductId::new(id).unwrap()).to_vec();
        let map =
            FrozenMap::new(products, vec![row(1, 9, 170), row(0, 9, 120), row(1, 3, 150), row(7, 1, 100)]);
        let again = FrozenMap::decode(&map.encode()).unwrap();
        assert_eq!(again, map);
        assert_eq!(map.rows("standard"), [row(1, 3, 150), row(1, 9, 170)]);
        assert_eq!(map.published("xl", Cell(9)).hundredths(), 120);
        for (product, cell) in [("xl", 3), ("standard", 4), ("van", 9)] {
            assert_eq!(map.published(product, Cell(cell)), Published::ONE);
        }
        assert_eq!(FrozenMap::decode(&FrozenMap::default().encode()), Ok(FrozenMap::default()));
        for cut in 0..map.encode().len() {
            assert!(FrozenMap::decode(&map.encode()[..cut]).is_err());
        }
    }
}
