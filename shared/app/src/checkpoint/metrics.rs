//! The metrics of the exactly-once loop.

use equilibrium_domain::wire::Corrupt;

use crate::checkpoint::ports::CheckpointKey;
use crate::telemetry::emf::Measurements;
use crate::telemetry::metrics::{
    APPEND_CONFLICTS, FENCED_LOADS, RECORDS_PARKED, RECORDS_SKIPPED, SNAPSHOT_FAILURES,
};

/// The metrics of the logs of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointMetrics {
    /// Records that the state held already.
    pub skipped: u64,
    /// Appends that another instance's entry prevented.
    pub append_conflicts: u64,
    /// Snapshots that could not be saved.
    pub snapshot_failures: u64,
    /// Records that wait for a log that cannot go on.
    pub parked: u64,
    /// Loads that found a higher epoch than this instance's.
    pub fenced: u64,
    /// Logs that cannot be read, and why.
    pub corrupt: Vec<(CheckpointKey, Corrupt)>,
}

impl CheckpointMetrics {
    /// Adds the metrics of another log or batch.
    pub fn add(&mut self, other: Self) {
        self.skipped += other.skipped;
        self.append_conflicts += other.append_conflicts;
        self.snapshot_failures += other.snapshot_failures;
        self.parked += other.parked;
        self.fenced += other.fenced;
        // A log that stays corrupt is named once, however often its batch is delivered.
        for (key, corrupt) in other.corrupt {
            if !self.corrupt.iter().any(|(known, _)| *known == key) {
                self.corrupt.push((key, corrupt));
            }
        }
    }

    /// Adds the metrics to those of a function.
    pub fn put(&self, measures: &mut Measurements) {
        measures.put(RECORDS_SKIPPED, self.skipped);
        measures.put(APPEND_CONFLICTS, self.append_conflicts);
        measures.put(SNAPSHOT_FAILURES, self.snapshot_failures);
        measures.put(RECORDS_PARKED, self.parked);
        measures.put(FENCED_LOADS, self.fenced);
        measures.put_corrupt(self.corrupt.iter().map(|(key, _)| key.to_string()));
    }
}
