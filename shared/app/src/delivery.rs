//! What a function instance remembers between batches, and when it must not trust its memory.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use equilibrium_domain::id::CityId;
use equilibrium_domain::sequence::Sequence;
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Memory older than this is loaded anew: entries are kept for a day at least, so nobody can have
/// forgotten an entry of which this memory knows nothing (HOUSE, "The checkpoint").
pub const TRUST_MS: i64 = 3_600_000;

/// A snapshot is due this long after the last, so that a replacement has little to load.
pub const SNAPSHOT_MS: i64 = 30_000;

/// State that ends at the newest entry of its log, as far as this instance knows.
#[derive(Debug)]
pub struct Held<T> {
    /// The state.
    pub state: T,
    /// Whether what the newest entry owes may not have been sent.
    pub owes: bool,
    /// When the log was last read or written.
    verified_at: i64,
    snapshot_at: i64,
}

impl<T> Held<T> {
    /// State just loaded.
    pub fn loaded(state: T, now: i64) -> Self {
        Self { state, owes: true, verified_at: now, snapshot_at: now }
    }

    /// Notes that an entry was written.
    pub fn written(&mut self, now: i64, snapshot: bool) {
        self.owes = true;
        self.verified_at = now;
        if snapshot {
            self.snapshot_at = now;
        }
    }

    /// Whether the next entry should hold a snapshot.
    pub fn is_snapshot_due(&self, now: i64) -> bool {
        now - self.snapshot_at >= SNAPSHOT_MS
    }
}

/// What an instance remembers, by lane or city. While a batch works on one it is taken out: a batch that
/// does not end leaves nothing behind that could be wrong.
#[derive(Debug)]
pub struct Memory<K, T>(Mutex<HashMap<K, Held<T>>>);

impl<K, T> Default for Memory<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> Memory<K, T> {
    /// Takes the state out, if it is there and can be trusted.
    pub fn take(&self, key: &K, now: i64) -> Option<Held<T>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)?;
        (now - held.verified_at < TRUST_MS).then_some(held)
    }

    /// Puts the state back.
    pub fn keep(&self, key: K, held: Held<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, held);
    }

    /// Adds up something of every state.
    pub fn sum(&self, of: impl Fn(&T) -> usize) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(|held| of(&held.state)).sum()
    }
}

/// What a batch came to.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// The first record of each lane or city that failed: from there on the batch must come again.
    pub failed: Vec<Sequence>,
    /// What was done, for metrics.
    pub tally: T,
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
        let memory = Memory::default();
        for (age, trusted) in [(TRUST_MS - 1, true), (TRUST_MS, false)] {
            memory.keep("lane", Held::loaded((), 1000));
            assert_eq!(memory.take(&"lane", 1000 + age).is_some(), trusted);
            assert!(memory.take(&"lane", 1000).is_none());
        }
    }

    #[test]
    fn writing_renews_trust_and_owes() {
        let memory = Memory::default();
        let mut held = Held::loaded((), 0);
        held.owes = false;
        held.written(TRUST_MS, false);
        assert!(held.owes);
        assert!(held.is_snapshot_due(TRUST_MS));
        held.written(TRUST_MS, true);
        assert!(!held.is_snapshot_due(TRUST_MS + SNAPSHOT_MS - 1));
        assert!(held.is_snapshot_due(TRUST_MS + SNAPSHOT_MS));
        memory.keep((), held);
        assert!(memory.take(&(), 2 * TRUST_MS - 1).is_some());
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
