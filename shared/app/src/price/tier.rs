//! Where the map of an answer came from, and how many answers each tier gave.
//!
//! An instance keeps a map in memory and looks for the next once a tick; the cache keeps a head for five minutes, as long as
//! a map gives prices (CONTRACT §6); the store keeps the newest head, and its chunks for hours.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Where the map of an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Memory: the answer waited for no read.
    Memory,
    /// The answer waited for a read of the cache.
    Cache,
    /// The answer waited for a read of the store.
    Store,
}

/// Answers by where their map came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierHits {
    /// By [`Tier`], in its order.
    pub hits: [u64; 3],
    /// Answers without a map that is recent enough to give prices.
    pub misses: u64,
}

impl TierHits {
    /// All answers.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.hits.iter().sum::<u64>() + self.misses
    }

    /// The hits of one tier.
    #[must_use]
    pub fn of(&self, tier: Tier) -> u64 {
        self.hits[tier as usize]
    }
}

/// The counts of answers, without a lock: each answer adds one.
#[derive(Debug, Default)]
pub(super) struct TierCounts {
    hits: [AtomicU64; 3],
    misses: AtomicU64,
}

impl TierCounts {
    pub(super) fn hit(&self, tier: Tier) {
        self.hits[tier as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    pub(super) fn take(&self) -> TierHits {
        TierHits {
            hits: self.hits.each_ref().map(|hits| hits.swap(0, Relaxed)),
            misses: self.misses.swap(0, Relaxed),
        }
    }
}
