//! The contract of the map store.

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ChunkName, MapHead};

use crate::surge::ports::MapStore;

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
