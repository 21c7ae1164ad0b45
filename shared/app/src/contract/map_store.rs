//! The contract of the map store.

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Published;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row};

use crate::price::ports::MapStore;

/// The contract of [`MapStore`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn map_store(maps: &impl MapStore) {
    let city = CityId::new("contract").expect("well-formed");
    assert_eq!(maps.head(&city).await, Ok(None));
    assert_eq!(maps.chunk(&city, ChunkName::new(Cell(1), 1)).await, Ok(None));

    let head = |version, chunks| MapHead {
        city: city.clone(),
        version,
        as_of: 5000,
        lanes_reported: 1,
        lanes: 1,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: Vec::new(),
        chunks,
    };
    maps.save_chunk(&city, ChunkName::new(Cell(1), 3), b"three").await.expect("saved");
    maps.save_chunk(&city, ChunkName::new(Cell(2), 3), b"other").await.expect("saved");
    let third = head(3, vec![ChunkName::new(Cell(1), 3), ChunkName::new(Cell(2), 3)]);
    maps.save_head(&third).await.expect("saved");
    assert_eq!(maps.head(&city).await, Ok(Some(third.clone())));
    assert_eq!(maps.chunk(&city, ChunkName::new(Cell(1), 3)).await, Ok(Some(b"three".to_vec())));

    for version in [2, 3] {
        maps.save_head(&head(version, Vec::new())).await.expect("an older head is not an error");
        assert_eq!(maps.head(&city).await, Ok(Some(third.clone())), "the newer head stays");
    }

    maps.save_chunk(&city, ChunkName::new(Cell(1), 4), b"four").await.expect("saved");
    let fourth = head(4, vec![ChunkName::new(Cell(1), 4), ChunkName::new(Cell(2), 3)]);
    maps.save_head(&fourth).await.expect("saved");
    assert_eq!(maps.head(&city).await, Ok(Some(fourth)));
    assert_eq!(maps.chunk(&city, ChunkName::new(Cell(1), 4)).await, Ok(Some(b"four".to_vec())));
    assert_eq!(
        maps.chunk(&city, ChunkName::new(Cell(2), 3)).await,
        Ok(Some(b"other".to_vec())),
        "a chunk that the head names stays"
    );
    let previous = maps.chunk(&city, ChunkName::new(Cell(1), 3)).await;
    assert_eq!(previous, Ok(Some(b"three".to_vec())), "readers of the previous head still need its chunks");
}

/// The contract of the maps of freezes in a [`MapStore`] that is not a cache.
///
/// # Panics
/// If the adapter breaks it.
pub async fn frozen_maps(maps: &impl MapStore) {
    let city = CityId::new("frozen").expect("well-formed");
    assert_eq!(maps.frozen(&city, 7_000).await, Ok(None));
    let [small, large] = [1, 60_000].map(frozen);
    maps.save_frozen(&city, 7_000, &large).await.expect("saved");
    maps.save_frozen(&city, 7_000, &small).await.expect("the first stays");
    maps.save_frozen(&city, 7_001, &small).await.expect("saved");
    assert_eq!(maps.frozen(&city, 7_000).await, Ok(Some(large)));
    assert_eq!(maps.frozen(&city, 7_001).await, Ok(Some(small)));
}

/// The map of a freeze in a city with so many cells.
fn frozen(cells: u64) -> FrozenMap {
    let published = Published::ONE;
    let row = |cell| Row { product: 0, cell: Cell(cell << 20), demand: 1, supply: 1, published };
    FrozenMap::new(vec![ProductId::new("standard").expect("well-formed")], (0..cells).map(row).collect())
}
