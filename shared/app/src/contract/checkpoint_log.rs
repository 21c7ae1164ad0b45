//! The contract of the checkpoint log.

use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneId};

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};

/// The contract of [`CheckpointLog`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn checkpoint_log(log: &impl CheckpointLog) {
    let lane = CheckpointKey::Lane(LaneId(7));
    let city = CheckpointKey::City(CityId::new("contract").expect("well-formed"));
    assert!(log.load(&lane).await.expect("an empty log can be loaded").is_empty());

    log.append(&lane, &entry(0, b"zero", false)).await.expect("the first entry has number 0");
    log.append(&lane, &entry(1, b"", false)).await.expect("an entry may be empty");
    assert_eq!(
        log.append(&lane, &entry(1, b"other", false)).await,
        Err(AppendError::Conflict),
        "overwritten"
    );
    assert_eq!(log.append(&lane, &entry(0, b"other", true)).await, Err(AppendError::Conflict), "overwritten");
    assert_eq!(log.load(&lane).await.expect("loaded"), [b"zero".to_vec(), vec![]]);
    assert!(log.load(&city).await.expect("loaded").is_empty(), "logs are separate");

    // Larger than one item of any store.
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[(i % 3) as usize]).collect();
    log.append(&lane, &entry(2, &large, true)).await.expect("a large snapshot is appended");
    log.append(&lane, &entry(3, b"three", false)).await.expect("appended");
    assert_eq!(log.load(&lane).await.expect("loaded"), [large, b"three".to_vec()], "from the snapshot on");

    log.append(&city, &entry(0, b"zero", false)).await.expect("appended");
    assert_eq!(log.load(&city).await.expect("loaded"), [b"zero".to_vec()]);
}

fn entry(number: u64, bytes: &[u8], has_snapshot: bool) -> Entry {
    Entry { number, bytes: bytes.to_vec(), has_snapshot }
}
