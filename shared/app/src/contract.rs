//! What every adapter of a port must do, wherever it keeps things: one suite a port.
//!
//! Each function panics where the adapter breaks the port's contract; it expects a store in which the
//! names it uses are free.

use equilibrium_domain::id::{CityId, Lane};
use equilibrium_domain::locate::Cell;
use equilibrium_domain::map::MapHead;

use crate::ports::{AppendError, CheckpointLog, LogName, MapStore};

/// The contract of [`CheckpointLog`].
///
/// # Panics
/// Where the adapter breaks it.
pub async fn checkpoint_log(log: &impl CheckpointLog) {
    let lane = LogName::Lane(Lane(7));
    let city = LogName::City(CityId::new("contract").expect("well-formed"));
    assert!(log.load(&lane).await.expect("an empty log can be read").is_empty());

    log.append(&lane, 0, b"zero", false).await.expect("the first entry is numbered 0");
    log.append(&lane, 1, b"", false).await.expect("an entry may be empty");
    assert_eq!(log.append(&lane, 1, b"other", false).await, Err(AppendError::Taken), "written over");
    assert_eq!(log.append(&lane, 0, b"other", true).await, Err(AppendError::Taken), "written over");
    assert_eq!(log.load(&lane).await.expect("readable"), [b"zero".to_vec(), vec![]]);
    assert!(log.load(&city).await.expect("readable").is_empty(), "logs are apart");

    // Beyond what one item of any store holds.
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[(i % 3) as usize]).collect();
    log.append(&lane, 2, &large, true).await.expect("a large snapshot is written");
    log.append(&lane, 3, b"three", false).await.expect("written");
    assert_eq!(log.load(&lane).await.expect("readable"), [large, b"three".to_vec()], "from the snapshot on");

    log.append(&city, 0, b"zero", false).await.expect("written");
    assert_eq!(log.load(&city).await.expect("readable"), [b"zero".to_vec()]);
}

/// The contract of [`MapStore`].
///
/// # Panics
/// Where the adapter breaks it.
pub async fn map_store(maps: &impl MapStore) {
    let city = CityId::new("contract").expect("well-formed");
    assert_eq!(maps.head(&city).await, Ok(None));
    assert_eq!(maps.chunk(&city, 1, 1).await, Ok(None));

    let head = |version, chunks| MapHead {
        city: city.clone(),
        version,
        as_of: 5000,
        heard: 1,
        lanes: 1,
        resolution: 8,
        products: Vec::new(),
        chunks,
    };
    maps.save_chunk(&city, 1, 3, b"three").await.expect("saved");
    maps.save_chunk(&city, 2, 3, b"other").await.expect("saved");
    let third = head(3, vec![(Cell(1), 3), (Cell(2), 3)]);
    maps.save_head(&third).await.expect("saved");
    assert_eq!(maps.head(&city).await, Ok(Some(third.clone())));
    assert_eq!(maps.chunk(&city, 1, 3).await, Ok(Some(b"three".to_vec())));

    for version in [2, 3] {
        maps.save_head(&head(version, Vec::new())).await.expect("an older head is no error");
        assert_eq!(maps.head(&city).await, Ok(Some(third.clone())), "a newer head stays");
    }

    maps.save_chunk(&city, 1, 4, b"four").await.expect("saved");
    let fourth = head(4, vec![(Cell(1), 4), (Cell(2), 3)]);
    maps.save_head(&fourth).await.expect("saved");
    assert_eq!(maps.head(&city).await, Ok(Some(fourth)));
    assert_eq!(maps.chunk(&city, 1, 4).await, Ok(Some(b"four".to_vec())));
    assert_eq!(maps.chunk(&city, 2, 3).await, Ok(Some(b"other".to_vec())), "what a head names stays");
    assert_eq!(
        maps.chunk(&city, 1, 3).await,
        Ok(Some(b"three".to_vec())),
        "for who still reads the last head"
    );
}
