//! Reports after looks: the graph, the overall status and the suspicion of the prober.

use proptest::prelude::*;

use super::*;

const INTERVAL_MS: i64 = 60_000;

fn looks(bad: &[Component]) -> Looks {
    Component::ALL
        .map(|component| Some(if bad.contains(&component) { Look::bad("no answer") } else { Look::good(3) }))
}

/// The report after three such looks, 10 s apart, that begin at `from_ms`.
fn settled(report: &Report, looks: &Looks, from_ms: i64) -> Report {
    (0..3).fold(report.clone(), |report, n| report.after(looks, from_ms + n * 10_000, INTERVAL_MS))
}

fn after(bad: &[Component]) -> Report {
    settled(&Report::unknown(0, INTERVAL_MS), &looks(bad), 10_000)
}

#[test]
fn the_failure_of_a_dependency_degrades_what_depends_on_it() {
    use Component::{
        Analytics, DynamoDb, ElastiCache, Geospatial, Kinesis, Notification, Pricing, StreamProcessor,
    };
    use Status::{Degraded, Healthy, Unhealthy};
    let cases: [(&[Component], &[Component], &[Component], Status); 6] = [
        (&[], &[], &[], Healthy),
        (&[ElastiCache], &[ElastiCache], &[Pricing, StreamProcessor, Notification], Degraded),
        (&[Kinesis], &[Kinesis, StreamProcessor, Notification], &[Pricing, Analytics], Unhealthy),
        (
            &[DynamoDb],
            &[DynamoDb, StreamProcessor, Analytics],
            &[Pricing, Notification, Geospatial],
            Unhealthy,
        ),
        (&[StreamProcessor], &[StreamProcessor], &[Pricing, Notification], Degraded),
        (&[Pricing], &[Pricing], &[], Degraded),
    ];
    for (bad, unhealthy, degraded, overall) in cases {
        let report = after(bad);
        for verdict in report.verdicts() {
            let expected = match verdict.component {
                it if unhealthy.contains(&it) => Unhealthy,
                it if degraded.contains(&it) => Degraded,
                _ => Healthy,
            };
            assert_eq!(verdict.status, expected, "{bad:?}: {}", verdict.component);
            assert_eq!(verdict.error.is_some(), expected != Healthy, "{bad:?}: {}", verdict.component);
        }
        assert_eq!(report.overall(), overall, "{bad:?}");
    }
}

#[test]
fn an_imposed_status_names_its_cause() {
    let report = after(&[Component::Kinesis]);
    assert_eq!(report.verdict(Component::StreamProcessor).error.as_deref(), Some("kinesis is unhealthy"));
    assert_eq!(report.verdict(Component::Pricing).error.as_deref(), Some("stream-processor is unhealthy"));
    assert_eq!(report.verdict(Component::Kinesis).error.as_deref(), Some("no answer"));
}

#[test]
fn a_component_without_a_probe_stays_unknown() {
    let mut without = looks(&[Component::Kinesis]);
    without[Component::Analytics.index()] = None;
    let report = settled(&Report::unknown(0, INTERVAL_MS), &without, 10_000);
    let analytics = report.verdict(Component::Analytics);
    assert_eq!((analytics.status, analytics.since_ms, analytics.checked_at_ms), (Status::Unknown, 0, None));
}

#[test]
fn since_moves_only_with_the_status() {
    let healthy = after(&[]);
    let pricing = |report: &Report| report.verdict(Component::Pricing).since_ms;
    assert_eq!(pricing(&healthy), 20_000, "the second good look");
    assert_eq!(pricing(&settled(&healthy, &looks(&[]), 40_000)), 20_000);
    let degraded = settled(&healthy, &looks(&[Component::ElastiCache]), 70_000);
    assert_eq!(pricing(&degraded), 90_000, "the third bad look at what it depends on");
}

#[test]
fn most_components_bad_at_once_suspect_the_prober() {
    let five = &Component::ALL[..5];
    let suspected = after(five);
    assert!(suspected.is_prober_suspected());
    assert!(suspected.verdicts().iter().all(|verdict| verdict.prober_suspected));
    assert!(!after(&Component::ALL[..4]).is_prober_suspected(), "half is not most");
    assert!(!settled(&suspected, &looks(&[]), 40_000).is_prober_suspected());
    assert!(
        !Report::unknown(0, INTERVAL_MS).after(&[const { None }; 8], 1, INTERVAL_MS).is_prober_suspected()
    );
}

#[test]
fn the_overall_status_counts_unknown_as_degraded() {
    use Status::{Degraded, Healthy, Unhealthy, Unknown};
    let of = |counts: [usize; 4]| {
        let statuses = [Healthy, Degraded, Unhealthy, Unknown];
        overall(statuses.into_iter().zip(counts).flat_map(|(status, count)| vec![status; count]))
    };
    for (counts, expected) in [
        ([8, 0, 0, 0], Healthy),
        ([7, 1, 0, 0], Healthy),
        ([7, 0, 0, 1], Healthy),
        ([8, 2, 0, 0], Healthy),
        ([6, 1, 0, 1], Degraded),
        ([6, 0, 0, 2], Degraded),
        ([7, 0, 1, 0], Degraded),
        ([7, 0, 3, 0], Degraded),
        ([6, 0, 2, 0], Degraded),
        ([5, 0, 3, 0], Unhealthy),
        ([0, 0, 0, 8], Degraded),
    ] {
        assert_eq!(of(counts), expected, "{counts:?}");
    }
}

#[test]
fn a_report_that_is_stale_is_unknown_throughout() {
    let report = after(&[Component::Pricing]);
    let view = report.view(30_000 + 2 * INTERVAL_MS + 1);
    assert!(view.verdicts().iter().all(|verdict| verdict.status == Status::Unknown));
    assert_eq!((view.overall(), view.checked_at_ms()), (Status::Degraded, Some(30_000)));
    assert_eq!(view.verdict(Component::Pricing).since_ms, 30_000 + 2 * INTERVAL_MS);
}

proptest! {
    /// Dependencies impose what they have and never more; and a component whose looks are good is unhealthy only by
    /// something vital.
    #[test]
    fn a_dependant_is_unhealthy_only_where_it_cannot_serve(bad in prop::collection::vec(any::<bool>(), 8)) {
        let failing: Vec<Component> = Component::ALL.into_iter().zip(&bad).filter(|(_, bad)| **bad).map(|(it, _)| it).collect();
        let report = after(&failing);
        for verdict in report.verdicts() {
            let imposed = |vital: bool, status: Status| {
                let edges = verdict.component.dependencies().iter();
                edges.filter(|edge| edge.is_vital || !vital).any(|edge| report.verdict(edge.on).status == status)
            };
            let is_bad = failing.contains(&verdict.component);
            let expected = if is_bad || imposed(true, Status::Unhealthy) {
                Status::Unhealthy
            } else if imposed(false, Status::Unhealthy) || imposed(false, Status::Degraded) {
                Status::Degraded
            } else {
                Status::Healthy
            };
            prop_assert_eq!(verdict.status, expected);
        }
    }
}
