//! The contract of the checkpoint log where its epoch is raised.

use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::parking::Epoch;

use crate::checkpoint::fence;
use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};

/// The contract of [`CheckpointLog`] for fencing.
///
/// # Panics
/// If the adapter breaks it.
pub async fn fencing(log: &impl CheckpointLog) {
    let range = LaneRange::new(LaneCount::new(64).expect("a power of two"), 9).expect("there are 16 ranges");
    let key = CheckpointKey::Lanes(range);
    assert_eq!(fence::raise(log, &key, Epoch(0)).await, Ok(Epoch(0)), "an empty log stays as it is");
    assert_eq!(log.load(&key, None).await.map(|loaded| loaded.next()), Ok(0));
    log.append(&key, &Entry::new(0, b"zero")).await.expect("appended");
    assert_eq!(fence::raise(log, &key, Epoch(0)).await, Ok(Epoch(1)));
    assert_eq!(fence::raise(log, &key, Epoch(0)).await, Ok(Epoch(1)), "a repeat raises nothing");
    assert_eq!(fence::current(log, &key).await, Ok(Epoch(1)));
    let late = log.append(&key, &Entry::new(1, b"late")).await;
    assert_eq!(late, Err(AppendError::Conflict), "the mark has taken the number of an instance of before");
    log.append(&key, &Entry::new(2, b"two")).await.expect("one of after goes on");
    assert_eq!(fence::raise(log, &key, Epoch(1)).await, Ok(Epoch(2)));
}
