//! Health as clients see it (CONTRACT §6).

use equilibrium_domain::health::component::{Component, Kind};
use equilibrium_domain::health::report::Report;
use equilibrium_domain::health::verdict::{Status, Verdict};
use equilibrium_domain::time::Timestamp;
use serde::Serialize;

/// The health of the whole.
#[derive(Debug, Serialize)]
pub struct OverallView<'a> {
    status: Status,
    checked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<ComponentView<'a>>>,
}

impl<'a> OverallView<'a> {
    /// The view of a report, with its components or without.
    #[must_use]
    pub fn of(report: &'a Report, with_components: bool) -> Self {
        let components = with_components.then(|| report.verdicts().iter().map(ComponentView::of).collect());
        let checked_at = report.checked_at_ms().and_then(Timestamp::from_ms);
        Self { status: report.overall(), checked_at, components }
    }
}

/// The health of one component.
#[derive(Debug, Serialize)]
pub struct ComponentView<'a> {
    component: Component,
    kind: Kind,
    status: Status,
    response_time_ms: Option<u64>,
    checked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    dependencies: Vec<Component>,
    since: Option<Timestamp>,
}

impl<'a> ComponentView<'a> {
    /// The view of a verdict.
    #[must_use]
    pub fn of(verdict: &'a Verdict) -> Self {
        let component = verdict.component;
        Self {
            component,
            kind: component.kind(),
            status: verdict.status,
            response_time_ms: verdict.response_time_ms,
            checked_at: verdict.checked_at_ms.and_then(Timestamp::from_ms),
            error: verdict.error.as_deref(),
            dependencies: component.dependencies().iter().map(|edge| edge.on).collect(),
            since: Timestamp::from_ms(verdict.since_ms),
        }
    }
}
