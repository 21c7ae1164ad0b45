//! A map's head and city, for the tests of map stores.

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ChunkName, MapHead};

/// The city of the maps.
#[must_use]
pub fn nyc() -> CityId {
    CityId::new("nyc").expect("a valid id")
}

/// The head of a version that names these chunks, by parent cell and version.
#[must_use]
pub fn head(version: u64, chunks: &[(u64, u64)]) -> MapHead {
    MapHead {
        city: nyc(),
        version,
        as_of: 5000,
        lanes_reported: 1,
        lanes: 1,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: Vec::new(),
        chunks: chunks.iter().map(|(parent, version)| ChunkName::new(Cell(*parent), *version)).collect(),
    }
}
