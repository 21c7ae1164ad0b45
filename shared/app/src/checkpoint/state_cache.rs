//! What a function instance remembers between batches, and when it must not trust its memory.

use parking_lot::Mutex;
use std::hash::Hash;

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::id::CityId;
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Memory older than this is loaded anew: entries are kept for a day at least, so nobody can have
/// forgotten an entry of which this memory knows nothing (HOUSE, "The checkpoint").
pub const STATE_MAX_AGE_MS: i64 = 3_600_000;

/// A snapshot is due this long after the last, so that a replacement has little to load.
pub const SNAPSHOT_INTERVAL_MS: i64 = 30_000;

/// State that ends at the newest entry of its log, as far as this instance knows.
#[derive(Debug)]
pub struct CachedState<T> {
    /// The state.
    pub state: T,
    /// Whether what the newest entry owes may not have been sent.
    pub has_pending_output: bool,
    /// When the log was last read or written.
    verified_at: i64,
    snapshot_at: i64,
}

impl<T> CachedState<T> {
    /// State just loaded.
    pub fn loaded(state: T, now: i64) -> Self {
        Self { state, has_pending_output: true, verified_at: now, snapshot_at: now }
    }

    /// Notes that an entry was written.
    pub fn entry_appended(&mut self, now: i64, snapshot: bool) {
        self.has_pending_output = true;
        self.verified_at = now;
        if snapshot {
            self.snapshot_at = now;
        }
    }

    /// Whether the next entry should hold a snapshot.
    pub fn is_snapshot_due(&self, now: i64) -> bool {
        now - self.snapshot_at >= SNAPSHOT_INTERVAL_MS
    }
}

/// What an instance remembers, by lane or city. While a batch works on one it is taken out: a batch that
/// does not end leaves nothing behind that could be wrong.
#[derive(Debug)]
pub struct StateCache<K, T>(Mutex<HashMap<K, CachedState<T>>>);

impl<K, T> Default for StateCache<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> StateCache<K, T> {
    /// Takes the state out, if it is there and can be trusted.
    pub fn take(&self, key: &K, now: i64) -> Option<CachedState<T>> {
        let held = self.0.lock().remove(key)?;
        (now - held.verified_at < STATE_MAX_AGE_MS).then_some(held)
    }

    /// Puts the state back.
    pub fn put_back(&self, key: K, held: CachedState<T>) {
        self.0.lock().insert(key, held);
    }

    /// Adds up something of every state.
    pub fn sum(&self, of: impl Fn(&T) -> usize) -> usize {
        self.0.lock().values().map(|held| of(&held.state)).sum()
    }
}

/// What a batch came to.
#[derive(Clone, Debug)]
pub struct BatchOutcome<T> {
    /// The first record of each lane or city that failed: from there on the batch must come again.
    pub failed: Vec<Sequence>,
    /// What was done, for metrics.
    pub metrics: T,
}

/// The group of cities whose counts travel together.
#[must_use]
pub fn group_of(city: &CityId, groups: u32) -> u32 {
    // A remainder of 32 bits.
    #[expect(clippy::cast_possible_truncation)]
    let group = (xxh3_64(city.as_str().as_bytes()) % u64::from(groups)) as u32;
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_trusted_for_an_hour() {
        let memory = StateCache::default();
        for (age, trusted) in [(STATE_MAX_AGE_MS - 1, true), (STATE_MAX_AGE_MS, false)] {
            memory.put_back("lane", CachedState::loaded((), 1000));
            assert_eq!(memory.take(&"lane", 1000 + age).is_some(), trusted);
            assert!(memory.take(&"lane", 1000).is_none());
        }
    }

    #[test]
    fn writing_renews_trust_and_owes() {
        let memory = StateCache::default();
        let mut held = CachedState::loaded((), 0);
        held.has_pending_output = false;
        held.entry_appended(STATE_MAX_AGE_MS, false);
        assert!(held.has_pending_output);
        assert!(held.is_snapshot_due(STATE_MAX_AGE_MS));
        held.entry_appended(STATE_MAX_AGE_MS, true);
        assert!(!held.is_snapshot_due(STATE_MAX_AGE_MS + SNAPSHOT_INTERVAL_MS - 1));
        assert!(held.is_snapshot_due(STATE_MAX_AGE_MS + SNAPSHOT_INTERVAL_MS));
        memory.put_back((), held);
        assert!(memory.take(&(), 2 * STATE_MAX_AGE_MS - 1).is_some());
    }

    #[test]
    fn a_city_stays_in_its_group() {
        let groups: Vec<u32> =
            ["nyc", "suva", "quito", "oslo"].map(|city| group_of(&CityId::new(city).unwrap(), 16)).into();
        assert!(groups.iter().all(|group| *group < 16));
        assert!(groups.iter().any(|group| *group != groups[0]));
        assert_eq!(group_of(&CityId::new("nyc").unwrap(), 1), 0);
    }
}
