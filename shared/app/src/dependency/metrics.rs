//! The metrics of a dependency.

use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{CACHE_CALLS, Metric, STORE_CALLS};

/// A dependency of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// The cache of the maps.
    Cache,
    /// The store of all state.
    Store,
}

impl DependencyKind {
    /// Its name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Store => "store",
        }
    }

    fn metrics(self) -> [Metric; 4] {
        match self {
            Self::Cache => CACHE_CALLS,
            Self::Store => STORE_CALLS,
        }
    }
}

/// What happened to the calls of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyMetrics {
    /// The dependency.
    pub kind: DependencyKind,
    /// How often its breaker opened.
    pub opened: u64,
    /// Calls that an open breaker refused.
    pub refused: u64,
    /// Calls beyond those that the bulkhead admits at once.
    pub overflowed: u64,
    /// Calls that had no answer at their deadline.
    pub timed_out: u64,
}

impl DependencyMetrics {
    /// Those of a dependency that nothing has happened to.
    #[must_use]
    pub const fn of(kind: DependencyKind) -> Self {
        Self { kind, opened: 0, refused: 0, overflowed: 0, timed_out: 0 }
    }
}

impl ToMeasurements for DependencyMetrics {
    fn measures(&self) -> Measurements {
        let counts = [self.opened, self.refused, self.overflowed, self.timed_out];
        let mut measures = Measurements::default();
        for (metric, count) in self.kind.metrics().into_iter().zip(counts) {
            measures.put(metric, count);
        }
        measures
    }
}
