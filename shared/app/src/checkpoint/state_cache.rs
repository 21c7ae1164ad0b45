//! The states that a function instance keeps between batches.

use std::hash::Hash;

use hashbrown::HashMap;
use parking_lot::Mutex;

/// A state older than this is loaded again: entries are kept for a day at least, so none that this state lacks can
/// have expired by then.
pub const STATE_MAX_AGE_MS: i64 = 3_600_000;

/// A snapshot is due this long after the last, so that another instance has little to load.
pub const SNAPSHOT_INTERVAL_MS: i64 = 30_000;

/// A state as of the newest entry of its log that this instance knows.
#[derive(Debug)]
pub struct CachedState<T> {
    /// The state.
    pub state: T,
    /// When the log was last read or written.
    verified_at_ms: i64,
    snapshot_at_ms: i64,
}

impl<T> CachedState<T> {
    /// A state that was loaded at `now_ms`.
    pub fn loaded(state: T, now_ms: i64) -> Self {
        Self { state, verified_at_ms: now_ms, snapshot_at_ms: now_ms }
    }

    /// Records that an entry was appended at `now_ms`.
    pub fn entry_appended(&mut self, now_ms: i64, has_snapshot: bool) {
        self.verified_at_ms = now_ms;
        if has_snapshot {
            self.snapshot_at_ms = now_ms;
        }
    }

    /// Whether the next entry should hold a snapshot because the last one is old.
    pub fn is_snapshot_due(&self, now_ms: i64) -> bool {
        now_ms - self.snapshot_at_ms >= SNAPSHOT_INTERVAL_MS
    }
}

/// States by the log they belong to. A batch takes its state out and puts it back when it has ended well: a batch that
/// fails leaves no state behind that differs from its log.
#[derive(Debug)]
pub struct StateCache<K, T>(Mutex<HashMap<K, CachedState<T>>>);

impl<K, T> Default for StateCache<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> StateCache<K, T> {
    /// Takes the state out, if it is there and not too old.
    pub fn take(&self, key: &K, now_ms: i64) -> Option<CachedState<T>> {
        let cached = self.0.lock().remove(key)?;
        (now_ms - cached.verified_at_ms < STATE_MAX_AGE_MS).then_some(cached)
    }

    /// Puts the state back.
    pub fn put_back(&self, key: K, cached: CachedState<T>) {
        self.0.lock().insert(key, cached);
    }

    /// Adds up a number of every state.
    pub fn sum(&self, number: impl Fn(&T) -> usize) -> usize {
        self.0.lock().values().map(|cached| number(&cached.state)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_used_for_an_hour() {
        let cache = StateCache::default();
        for (age, usable) in [(STATE_MAX_AGE_MS - 1, true), (STATE_MAX_AGE_MS, false)] {
            cache.put_back("lane", CachedState::loaded((), 1000));
            assert_eq!(cache.take(&"lane", 1000 + age).is_some(), usable);
            assert!(cache.take(&"lane", 1000).is_none(), "it was taken out");
        }
    }

    #[test]
    fn an_append_verifies_the_state_and_a_snapshot_defers_the_next() {
        let cache = StateCache::default();
        let mut cached = CachedState::loaded((), 0);
        cached.entry_appended(STATE_MAX_AGE_MS, false);
        assert!(cached.is_snapshot_due(STATE_MAX_AGE_MS));
        cached.entry_appended(STATE_MAX_AGE_MS, true);
        assert!(!cached.is_snapshot_due(STATE_MAX_AGE_MS + SNAPSHOT_INTERVAL_MS - 1));
        assert!(cached.is_snapshot_due(STATE_MAX_AGE_MS + SNAPSHOT_INTERVAL_MS));
        cache.put_back((), cached);
        assert!(cache.take(&(), 2 * STATE_MAX_AGE_MS - 1).is_some());
    }
}
