//! The contract of the checkpoint log.

use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneCount};

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};

/// The contract of [`CheckpointLog`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn checkpoint_log(log: &impl CheckpointLog) {
    let range = LaneRange::new(LaneCount::new(64).expect("a power of two"), 7).expect("there are 16 ranges");
    let lanes = CheckpointKey::Lanes(range);
    let city = CheckpointKey::City(CityId::new("contract").expect("well-formed"));
    assert_eq!(log.load(&lanes, None).await, Ok(Loaded::default()), "an empty log can be loaded");

    log.append(&lanes, &Entry::new(0, b"zero")).await.expect("the first entry has number 0");
    log.append(&lanes, &Entry::new(1, b"")).await.expect("an entry may be empty");
    for taken in [0, 1] {
        let conflict = log.append(&lanes, &Entry::new(taken, b"other")).await;
        assert_eq!(conflict, Err(AppendError::Conflict), "entry {taken} is not overwritten");
    }
    assert_eq!(log.load(&lanes, None).await, Ok(entries(0, &[b"zero", b""])));
    assert_eq!(log.load(&lanes, Some(1)).await, Ok(entries(1, &[b""])), "the entries from a number on");
    assert_eq!(log.load(&lanes, Some(2)).await, Ok(entries(2, &[])), "nothing follows");
    assert_eq!(log.load(&city, None).await, Ok(Loaded::default()), "logs are separate");

    // Larger than one item of any store.
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
    log.append(&lanes, &Entry::new(2, large.as_slice())).await.expect("a large entry is appended");
    let conflict = log.append(&lanes, &Entry::new(2, large.as_slice())).await;
    assert_eq!(conflict, Err(AppendError::Conflict), "a large entry is not overwritten");
    log.append(&lanes, &Entry::new(3, b"three")).await.expect("appended");
    assert_eq!(log.load(&lanes, Some(2)).await, Ok(entries(2, &[&large, b"three"])));

    log.save_snapshot(&lanes, 2, b"before two").await.expect("a snapshot is saved");
    let loaded = Loaded { snapshot: Some(b"before two".to_vec()), ..entries(2, &[&large, b"three"]) };
    assert_eq!(log.load(&lanes, None).await, Ok(loaded), "the entries from the snapshot on");
    assert_eq!(log.load(&lanes, Some(3)).await, Ok(entries(3, &[b"three"])), "later entries alone");

    log.append(&lanes, &Entry::new(4, b"four")).await.expect("appended");
    log.save_snapshot(&lanes, 4, &large).await.expect("a large snapshot is saved");
    log.save_snapshot(&lanes, 3, b"before three").await.expect("an older snapshot changes nothing");
    let newest = Loaded { snapshot: Some(large), ..entries(4, &[b"four"]) };
    assert_eq!(log.load(&lanes, None).await, Ok(newest), "from the newest snapshot on");

    log.append(&city, &Entry::new(0, b"zero")).await.expect("appended");
    log.save_snapshot(&city, 0, b"before zero").await.expect("a log may begin with a snapshot");
    let loaded = Loaded { snapshot: Some(b"before zero".to_vec()), ..entries(0, &[b"zero"]) };
    assert_eq!(log.load(&city, None).await, Ok(loaded));
}

fn entries(first: u64, entries: &[&[u8]]) -> Loaded {
    Loaded { snapshot: None, first, entries: entries.iter().map(|entry| entry.to_vec()).collect() }
}
