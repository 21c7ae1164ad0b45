//! The metrics of a health run.

use equilibrium_domain::health::report::Report;
use equilibrium_domain::health::verdict::Status;

use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{HEALTH_STATUS, MAP_OVERDUE, PROBE_HOPS, PROBER_SUSPECTED, VERDICTS_UNSAVED};

/// The hops of the pipeline, in order.
pub const HOPS: [&str; 5] = ["ingest", "count", "surge", "map", "price"];

/// How long each of [`HOPS`] took, in milliseconds since the event was posted, as far as the probe came. The price is
/// measured by itself.
pub type Hops = [Option<u64>; HOPS.len()];

/// The outcome of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthMetrics {
    /// The verdicts after it.
    pub report: Report,
    /// The hops of the pipeline.
    pub hops: Hops,
    /// How much the map of the city that is most overdue is, in milliseconds.
    pub overdue_ms: u64,
    /// Verdicts that could not be saved since the run began.
    pub unsaved: u64,
}

impl ToMeasurements for HealthMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        for (metric, verdict) in HEALTH_STATUS.into_iter().zip(self.report.verdicts()) {
            measures.put(metric, level(verdict.status));
        }
        for (metric, took_ms) in PROBE_HOPS.into_iter().zip(self.hops) {
            if let Some(took_ms) = took_ms {
                measures.put(metric, took_ms);
            }
        }
        measures.put(MAP_OVERDUE, self.overdue_ms);
        measures.put(PROBER_SUSPECTED, u64::from(self.report.is_prober_suspected()));
        measures.put(VERDICTS_UNSAVED, self.unsaved);
        measures
    }
}

/// 0 is healthy, 1 degraded, 2 unhealthy, 3 unknown: an alarm from 2 on has what does not serve and what is not known.
fn level(status: Status) -> u64 {
    match status {
        Status::Healthy => 0,
        Status::Degraded => 1,
        Status::Unhealthy => 2,
        Status::Unknown => 3,
    }
}
