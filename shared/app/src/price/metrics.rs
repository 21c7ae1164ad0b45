//! The metrics of the map reader.

use crate::price::rungs::RungMetrics;
use crate::price::tier::TierHits;
use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{
    CACHE_READS_FAILED, CHUNKS_CORRUPTED, MAP_HITS, MAP_MISSES, MAP_REFRESH_TIMEOUTS, MAP_REFRESHES,
    STORE_READS_FAILED,
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
