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
        of_run(std::slice::from_ref(self))
    }
}

fn put(measures: &mut Measurements, look: &HealthMetrics, (suspected, unsaved): (u64, u64)) {
    for (metric, verdict) in HEALTH_STATUS.into_iter().zip(look.report.verdicts()) {
        if verdict.checked_at_ms.is_some() {
            measures.put(metric, level(verdict.status));
        }
    }
    for (metric, took_ms) in PROBE_HOPS.into_iter().zip(look.hops) {
        if let Some(took_ms) = took_ms {
            measures.put(metric, took_ms);
        }
    }
    measures.put(MAP_OVERDUE, look.overdue_ms);
    measures.put(PROBER_SUSPECTED, suspected);
    measures.put(VERDICTS_UNSAVED, unsaved);
}

/// The measurements of a run: those of its last look, with the faults of all.
#[must_use]
pub fn of_run(looks: &[HealthMetrics]) -> Measurements {
    let Some(last) = looks.last() else { return Measurements::default() };
    let unsaved = looks.iter().map(|look| look.unsaved).sum();
    let suspected = looks.iter().filter(|look| look.report.is_prober_suspected()).count();
    let mut measures = Measurements::default();
    put(&mut measures, last, (suspected as u64, unsaved));
    measures
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

#[cfg(test)]
mod tests {
    use equilibrium_domain::health::component::Component;
    use equilibrium_domain::health::look::Look;
    use serde_json::Value;

    use super::*;
    use crate::telemetry::emf::Context;

    /// A look at which these components were bad and the others good, but for analytics, which has no probe.
    fn look(bad: &[Component], unsaved: u64) -> HealthMetrics {
        let looks = Component::ALL.map(|component| {
            let look = if bad.contains(&component) { Look::bad("no answer") } else { Look::good(1) };
            (component != Component::Analytics).then_some(look)
        });
        let report =
            (1..=3).fold(Report::unknown(0, 60_000), |report, n| report.after(&looks, n * 10_000, 60_000));
        HealthMetrics { report, hops: [Some(20), Some(400), Some(900), None, None], overdue_ms: 0, unsaved }
    }

    fn document(looks: &[HealthMetrics]) -> Value {
        let context = Context { deployment: "test", function: "health", request_id: "8f5a-1", now_ms: 1 };
        serde_json::from_str(&of_run(looks).document(&context)).unwrap()
    }

    #[test]
    fn what_is_not_healthy_is_reported_and_what_is_not_probed_is_not() {
        let document = document(&[look(&[Component::ElastiCache], 0)]);
        assert_eq!((&document["health_elasticache"], &document["health_pricing"]), (&2.into(), &1.into()));
        for absent in
            ["health_dynamodb", "health_analytics", "map_overdue_ms", "prober_suspected", "probe_map_ms"]
        {
            assert_eq!(document.get(absent), None, "{absent}");
        }
        assert_eq!((&document["probe_ingest_ms"], &document["probe_surge_ms"]), (&20.into(), &900.into()));
    }

    #[test]
    fn a_run_reports_its_last_look_and_the_faults_of_all() {
        let bad = &Component::ALL[..6];
        let document = document(&[look(bad, 2), look(bad, 1), look(&[], 0)]);
        assert_eq!((&document["prober_suspected"], &document["verdicts_unsaved"]), (&2.into(), &3.into()));
        assert_eq!(document.get("health_pricing"), None);
    }
}
