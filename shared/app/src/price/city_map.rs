//! A city's surge map at one version, complete.

use std::sync::Arc;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row};

/// A city's map at one version, with all its chunks.
#[derive(Debug)]
pub struct CityMap {
    pub(super) head: MapHead,
    /// By parent.
    pub(super) chunks: Vec<Chunk>,
}

#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) name: ChunkName,
    /// By product and cell.
    pub(super) rows: Arc<[Row]>,
}

impl CityMap {
    /// Its head.
    #[must_use]
    pub fn head(&self) -> &MapHead {
        &self.head
    }

    /// The share of lanes that had reported the tick when it closed.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        f64::from(self.head.heard) / f64::from(self.head.lanes.max(1))
    }

    /// The index of the product with this id, as a row's `product` has it.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<u8> {
        u8::try_from(self.head.products.iter().position(|product| product.as_str() == id)?).ok()
    }

    /// The row of a product and cell, if the map has one.
    #[must_use]
    pub fn row(&self, product: u8, cell: Cell) -> Option<&Row> {
        let level = self.chunks.first()?.name.parent.h3()?.resolution();
        let parent = Cell(cell.h3()?.parent(level)?.into());
        let chunk = self.chunks.binary_search_by_key(&parent, |chunk| chunk.name.parent).ok()?;
        let rows = &self.chunks[chunk].rows;
        let at = rows.binary_search_by_key(&(product, cell), |row| (row.product, row.cell)).ok()?;
        Some(&rows[at])
    }

    /// The rows of a product, by cell.
    pub fn rows(&self, product: u8) -> impl Iterator<Item = &Row> {
        self.chunks.iter().flat_map(move |chunk| {
            let first = chunk.rows.partition_point(|row| row.product < product);
            let end = chunk.rows.partition_point(|row| row.product <= product);
            &chunk.rows[first..end]
        })
    }

    pub(super) fn chunk(&self, name: ChunkName) -> Option<&Chunk> {
        let at = self.chunks.binary_search_by_key(&name, |chunk| chunk.name).ok()?;
        Some(&self.chunks[at])
    }
}
