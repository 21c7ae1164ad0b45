//! The metrics of pricing.

use equilibrium_domain::surge::city_pricing::Output;

use crate::checkpoint::metrics::CheckpointMetrics;
use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{
    MAP_CACHE_WRITE_FAILURES, MULTIPLIERS_CHANGED, RECORDS_MALFORMED, RECORDS_OF_UNKNOWN_CITY,
    RECORDS_TOO_LARGE, TICKS_CLOSED, TICKS_CLOSED_INCOMPLETE,
};

/// The metrics of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurgeMetrics {
    /// Closed ticks.
    pub ticks: u64,
    /// Ticks closed before every lane had reported them.
    pub incomplete_ticks: u64,
    /// Changed multipliers.
    pub changes: u64,
    /// Records, or a city's counts in a record, that cannot be read.
    pub malformed: u64,
    /// A city's counts in a record where the city has no policy.
    pub unknown_city: u64,
    /// Maps that were saved but not copied to the cache.
    pub cache_write_failures: u64,
    /// Records of changes that the stream never takes.
    pub too_large: u64,
    /// What became of the records in the checkpoint logs.
    pub checkpoint: CheckpointMetrics,
}

impl SurgeMetrics {
    pub(crate) fn count(&mut self, output: &Output) {
        self.ticks += output.ticks.len() as u64;
        let incomplete = output.ticks.iter().filter(|tick| tick.lanes_reported < output.map.lanes);
        self.incomplete_ticks += incomplete.count() as u64;
        self.changes += output.ticks.iter().map(|tick| tick.changes.len() as u64).sum::<u64>();
    }

    /// Adds the metrics of another batch.
    pub fn add(&mut self, other: Self) {
        self.ticks += other.ticks;
        self.incomplete_ticks += other.incomplete_ticks;
        self.changes += other.changes;
        self.malformed += other.malformed;
        self.unknown_city += other.unknown_city;
        self.cache_write_failures += other.cache_write_failures;
        self.too_large += other.too_large;
        self.checkpoint.add(other.checkpoint);
    }
}

impl ToMeasurements for SurgeMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(TICKS_CLOSED, self.ticks);
        measures.put(TICKS_CLOSED_INCOMPLETE, self.incomplete_ticks);
        measures.put(MULTIPLIERS_CHANGED, self.changes);
        measures.put(RECORDS_MALFORMED, self.malformed);
        measures.put(RECORDS_OF_UNKNOWN_CITY, self.unknown_city);
        measures.put(MAP_CACHE_WRITE_FAILURES, self.cache_write_failures);
        measures.put(RECORDS_TOO_LARGE, self.too_large);
        self.checkpoint.put(&mut measures);
        measures
    }
}
