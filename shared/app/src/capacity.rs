//! The load of today and the settings of a deployment, from which its capacity is projected (CONTRACT §12).

pub mod ports;
pub mod process_load;

use equilibrium_domain::capacity::decimal::Decimal;
use equilibrium_domain::capacity::growth::Scale;
use equilibrium_domain::capacity::system::{Capacity, Settings};

use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{CAPACITY_BOTTLENECKS, CAPACITY_UTILISATION};

use self::ports::LoadSource;

/// The capacity at the load that `source` has observed; figures without a measurement are those of the system's own model, and
/// the load that the source cannot read is assumed.
pub async fn capacity(source: &impl LoadSource, settings: Settings, now_ms: i64) -> Capacity {
    let observed = source.observed(now_ms).await;
    Capacity::new(settings, observed.unwrap_or_default())
}

/// What the daily projection reports: how many figures pass their thresholds at ten times today's load, and how near to its
/// threshold the nearest is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityMetrics {
    /// Bottlenecks at ten times the load.
    pub bottlenecks: u64,
    /// The greatest figure in per cent of its threshold, today.
    pub utilisation_percent: u64,
}

impl CapacityMetrics {
    /// Of a capacity.
    #[must_use]
    pub fn of(capacity: &Capacity) -> Self {
        let at_ten = capacity.document(Scale::TEN);
        let bottlenecks = at_ten.project(Scale::TEN).bottlenecks.len();
        let metrics = at_ten.components.iter().flat_map(|component| &component.metrics);
        let percents = metrics.map(|metric| 100.0 * metric.value.to_float() / metric.threshold.to_float());
        let greatest = percents.fold(0.0, f64::max);
        let percent = Decimal::of_float(greatest).map(|percent| percent.to_text(0));
        Self {
            bottlenecks: u64::try_from(bottlenecks).unwrap_or(u64::MAX),
            utilisation_percent: percent.and_then(|percent| percent.parse().ok()).unwrap_or(u64::MAX),
        }
    }
}

impl ToMeasurements for CapacityMetrics {
    fn measures(&self) -> Measurements {
        let mut measurements = Measurements::default();
        measurements.put(CAPACITY_BOTTLENECKS, self.bottlenecks);
        measurements.put(CAPACITY_UTILISATION, self.utilisation_percent);
        measurements
    }
}
