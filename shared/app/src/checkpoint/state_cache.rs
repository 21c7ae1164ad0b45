//! The states that a function instance keeps between batches.

use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;

/// A state older than this is loaded again: entries are kept for a day at least, so none that this state lacks can
/// have expired by then.
pub const STATE_MAX_AGE_MS: i64 = 3_600_000;

/// A state as of the newest entry of its log that this instance knows.
#[derive(Debug)]
pub struct CachedState<T> {
    /// The state.
    pub state: T,
    /// When the log was last read or written, in milliseconds since the epoch.
    pub verified_at_ms: i64,
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
    pub fn take(&self, key: &K, now_ms: i64) -> Option<T> {
        let cached = self.0.lock().remove(key)?;
        (now_ms - cached.verified_at_ms < STATE_MAX_AGE_MS).then_some(cached.state)
    }

    /// Puts the state back, which is that of its log as of `now_ms`.
    pub fn put_back(&self, key: K, state: T, now_ms: i64) {
        self.0.lock().insert(key, CachedState { state, verified_at_ms: now_ms });
    }

    /// Adds up a number of every state.
    pub fn sum(&self, number: impl Fn(&T) -> usize) -> usize {
        self.0.lock().values().map(|cached| number(&cached.state)).sum()
    }
}

/// Whether other instances write to the logs of this one's states. Lambda invokes a function for a shard in any free
/// execution environment; where that is seldom the one of the last batch, a look at the log before a batch costs less
/// than an append that is refused.
#[derive(Debug, Default)]
pub struct Contention(AtomicU32);

/// Batches for which states are looked up after another instance has been seen.
const LOOKS: u32 = 64;

impl Contention {
    /// Whether another instance has probably written since this one did.
    #[must_use]
    pub fn is_likely(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Records whether another instance had written.
    pub fn observe(&self, had_written: bool) {
        let looks = if had_written { LOOKS } else { self.0.load(Ordering::Relaxed).saturating_sub(1) };
        self.0.store(looks, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_used_for_an_hour() {
        let cache = StateCache::default();
        for (age, usable) in [(STATE_MAX_AGE_MS - 1, true), (STATE_MAX_AGE_MS, false)] {
            cache.put_back("lane", (), 1000);
            assert_eq!(cache.take(&"lane", 1000 + age).is_some(), usable);
            assert!(cache.take(&"lane", 1000).is_none(), "it was taken out");
        }
    }

    #[test]
    fn contention_is_likely_until_many_looks_found_none() {
        let contention = Contention::default();
        assert!(!contention.is_likely());
        contention.observe(true);
        for _ in 0..LOOKS {
            assert!(contention.is_likely());
            contention.observe(false);
        }
        assert!(!contention.is_likely());
    }
}
