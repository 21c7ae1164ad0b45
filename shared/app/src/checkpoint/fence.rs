//! Fencing: an instance that still runs is kept from a checkpoint log (HOUSE: "An epoch in the log shuts out writers of an
//! older one").
//!
//! A mark raises the epoch of the log. An instance that has a state from before the mark fails to append, because the mark has
//! taken the number of its entry; it loads the log, finds a higher epoch than the one that it adopted when it first loaded it,
//! and gives the log up for good. An instance that loads the log for the first time adopts its epoch.

use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::event_sourced::{Entry, EventSourced};
use equilibrium_domain::parking::{Epoch, LogMark};
use equilibrium_domain::surge::city_pricing::CityPricing;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use crate::checkpoint::replay::epoch_before;
use crate::unavailable::Unavailable;

/// How often raising an epoch is tried against an instance that appends meanwhile.
const MAX_ATTEMPTS: u32 = 32;

/// The epoch at which an instance first loaded each log.
#[derive(Debug, Default)]
pub(super) struct AdoptedEpochs(Mutex<HashMap<CheckpointKey, Epoch>>);

impl AdoptedEpochs {
    /// Adopts the epoch of a log that has not been loaded before. Returns whether this instance may append to it.
    pub(super) fn admits(&self, key: &CheckpointKey, epoch: Epoch) -> bool {
        *self.0.lock().entry_ref(key).or_insert(epoch) >= epoch
    }
}

/// The epoch of a log with this content.
#[must_use]
pub fn epoch(key: &CheckpointKey, loaded: &Loaded) -> Epoch {
    let before = match (key, &loaded.snapshot) {
        (CheckpointKey::Lanes(range), Some(snapshot)) => {
            epoch_before(&LaneRangeState::restore(range, snapshot).map(Some), loaded)
        }
        (CheckpointKey::City(city), Some(snapshot)) => {
            epoch_before(&CityPricing::restore(city, snapshot).map(Some), loaded)
        }
        _ => Epoch::default(),
    };
    let raised = loaded.entries.iter().filter_map(|entry| match LogMark::decode(entry)? {
        LogMark::Fenced(epoch) => Some(epoch),
        _ => None,
    });
    raised.fold(before, Epoch::max)
}

/// The epoch of a log.
///
/// # Errors
/// [`Unavailable`].
pub async fn current(log: &impl CheckpointLog, key: &CheckpointKey) -> Result<Epoch, Unavailable> {
    Ok(epoch(key, &log.load(key, None).await?))
}

/// Raises the epoch of a log above `above`, unless it is higher already, and returns it. A log without entries is left as it
/// is: an append to it has nothing to conflict with but another first entry.
///
/// # Errors
/// [`Unavailable`]: it is unknown whether the epoch was raised, or other instances append all the time.
pub async fn raise(
    log: &impl CheckpointLog,
    key: &CheckpointKey,
    above: Epoch,
) -> Result<Epoch, Unavailable> {
    for _ in 0..MAX_ATTEMPTS {
        let loaded = log.load(key, None).await?;
        let current = epoch(key, &loaded);
        if current > above || loaded.next() == 0 {
            return Ok(current);
        }
        let raised = above.next();
        match log.append(key, &Entry::new(loaded.next(), LogMark::Fenced(raised).encode())).await {
            Ok(()) => return Ok(raised),
            Err(AppendError::Conflict) => {}
            Err(AppendError::Unavailable(unavailable)) => return Err(unavailable),
        }
    }
    Err(Unavailable)
}
