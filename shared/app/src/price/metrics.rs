//! The metrics of the map reader.

use equilibrium_domain::surge::fallback::Mode;

use crate::price::tier::TierHits;
use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{
    CACHE_READS_FAILED, CHUNKS_CORRUPTED, MAP_HITS, MAP_MISSES, MAP_REFRESH_TIMEOUTS, MAP_REFRESHES,
    RUNG_CHECKS, RUNG_DIFFERENCES, RUNG_FAILURES, STORE_READS_FAILED,
};

/// The metrics of a [`MapReader`](super::map_reader::MapReader).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapReaderMetrics {
    /// Looks for newer maps begun.
    pub refreshes: u64,
    /// Requests that had no fresh map, and were answered before the look that they waited for had ended.
    pub refresh_timeouts: u64,
    /// Reads of the cache that failed or took too long.
    pub cache_faults: u64,
    /// Reads of the store that failed.
    pub store_faults: u64,
    /// Chunks that could not be decoded.
    pub corrupt: u64,
    /// Answers by where their map came from.
    pub hits: TierHits,
    /// The checks of the ladder.
    pub rungs: RungMetrics,
}

impl ToMeasurements for MapReaderMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(MAP_REFRESHES, self.refreshes);
        measures.put(MAP_REFRESH_TIMEOUTS, self.refresh_timeouts);
        measures.put(CACHE_READS_FAILED, self.cache_faults);
        measures.put(STORE_READS_FAILED, self.store_faults);
        measures.put(CHUNKS_CORRUPTED, self.corrupt);
        for (metric, hits) in MAP_HITS.into_iter().zip(self.hits.hits) {
            measures.put(metric, hits);
        }
        measures.put(MAP_MISSES, self.hits.misses);
        if self.rungs.checks > 0 {
            measures.add(self.rungs.measures());
        }
        measures
    }
}

/// The results of checks of the ladder's rungs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RungMetrics {
    /// Answers that were compared.
    pub checks: u64,
    /// Checks that a rung failed, in the order of [`Mode`].
    pub failures: [u64; 4],
    /// Checks in which the price of `static`, and of `degraded`, was not the one in force.
    pub differences: [u64; 2],
}

impl RungMetrics {
    /// Checks that the rung failed.
    #[must_use]
    pub fn failures_of(&self, mode: Mode) -> u64 {
        self.failures[mode as usize]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.checks += other.checks;
        for (sum, failures) in self.failures.iter_mut().zip(other.failures) {
            *sum += failures;
        }
        for (sum, differences) in self.differences.iter_mut().zip(other.differences) {
            *sum += differences;
        }
    }
}

impl ToMeasurements for RungMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(RUNG_CHECKS, self.checks);
        for (metric, failures) in RUNG_FAILURES.into_iter().zip(self.failures) {
            measures.put(metric, failures);
        }
        for (metric, differences) in RUNG_DIFFERENCES.into_iter().zip(self.differences) {
            measures.put(metric, differences);
        }
        measures
    }
}
