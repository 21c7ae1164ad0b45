//! The verdicts on all components at one moment, and the overall status (CONTRACT §6).

use super::component::Component;
use super::look::{Finding, Look};
use super::verdict::{Status, Verdict};

/// The looks of one moment, by [`Component::index`]; `None` at a component that has no probe.
pub type Looks = [Option<Look>; Component::ALL.len()];

/// The verdicts on all components, in the order of [`Component::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report([Verdict; Component::ALL.len()]);

impl Report {
    /// A report without looks.
    #[must_use]
    pub fn unknown(now_ms: i64, interval_ms: i64) -> Self {
        Self(Component::ALL.map(|component| Verdict::unknown(component, now_ms, interval_ms)))
    }

    /// The report of these verdicts; a component without one is unknown since `now_ms`.
    #[must_use]
    pub fn of(verdicts: Vec<Verdict>, now_ms: i64, interval_ms: i64) -> Self {
        let mut report = Self::unknown(now_ms, interval_ms);
        for verdict in verdicts {
            let index = verdict.component.index();
            report.0[index] = verdict;
        }
        report
    }

    /// The report after one look more at every component that has a probe.
    #[must_use]
    pub fn after(&self, looks: &Looks, now_ms: i64, interval_ms: i64) -> Self {
        let before = self;
        let mut own = Component::ALL.map(|component| match &looks[component.index()] {
            Some(look) => self.verdict(component).after(look, now_ms, interval_ms),
            None => self.verdict(component).clone(),
        });
        let suspected = is_prober_suspected(looks);
        for verdict in &mut own {
            verdict.prober_suspected = suspected;
        }
        let own = Self(own);
        let mut resolved = [None; Component::ALL.len()];
        for component in Component::ALL {
            resolve(&own, component, &mut resolved);
        }
        Self(own.0.map(|verdict| {
            let (status, cause) = resolved[verdict.component.index()].unwrap_or((verdict.own(), None));
            let error = match (cause, status) {
                (Some(cause), _) => {
                    let of_cause =
                        resolved[Component::index(cause)].map_or("unknown", |(status, _)| status.as_str());
                    Some(format!("{cause} is {of_cause}"))
                }
                (None, Status::Healthy) => None,
                (None, _) => verdict.own_error(),
            };
            let known = before.verdict(verdict.component).view(now_ms).status;
            verdict.with_status(status, error, now_ms, known)
        }))
    }

    /// The verdict on a component.
    #[must_use]
    pub fn verdict(&self, component: Component) -> &Verdict {
        &self.0[component.index()]
    }

    /// The verdicts, in order.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.0
    }

    /// The report as it counts at `now_ms`: stale verdicts are unknown.
    #[must_use]
    pub fn view(&self, now_ms: i64) -> Self {
        Self(self.0.each_ref().map(|verdict| verdict.view(now_ms)))
    }

    /// The overall status.
    #[must_use]
    pub fn overall(&self) -> Status {
        overall(self.0.each_ref().map(|verdict| verdict.status))
    }

    /// When a component was looked at last, in milliseconds since the epoch.
    #[must_use]
    pub fn checked_at_ms(&self) -> Option<i64> {
        self.0.iter().filter_map(|verdict| verdict.checked_at_ms).max()
    }

    /// Whether most components looked bad at once.
    #[must_use]
    pub fn is_prober_suspected(&self) -> bool {
        self.0.iter().any(|verdict| verdict.prober_suspected)
    }
}

/// `unhealthy` if more than 30 % are unhealthy; `degraded` if any is unhealthy or more than 20 % are degraded, with which
/// `unknown` counts; else `healthy`.
#[must_use]
pub fn overall(statuses: impl IntoIterator<Item = Status>) -> Status {
    let (mut all, mut unhealthy, mut degraded) = (0, 0, 0);
    for status in statuses {
        all += 1;
        unhealthy += usize::from(status == Status::Unhealthy);
        degraded += usize::from(matches!(status, Status::Degraded | Status::Unknown));
    }
    if unhealthy * 10 > all * 3 {
        Status::Unhealthy
    } else if unhealthy > 0 || degraded * 5 > all {
        Status::Degraded
    } else {
        Status::Healthy
    }
}

/// Whether more than half of the components that were looked at were found unhealthy.
fn is_prober_suspected(looks: &Looks) -> bool {
    let seen = looks.iter().flatten().count();
    let bad = looks.iter().flatten().filter(|look| look.finding == Finding::Unhealthy).count();
    bad * 2 > seen
}

type Resolved = [Option<(Status, Option<Component>)>; Component::ALL.len()];

/// The status of a component and the dependency that made it worse than its own looks, resolved after its dependencies.
fn resolve(own: &Report, component: Component, resolved: &mut Resolved) -> Status {
    if let Some((status, _)) = resolved[component.index()] {
        return status;
    }
    let mut status = own.verdict(component).own();
    let mut cause = None;
    for edge in component.dependencies() {
        let on = resolve(own, edge.on, resolved);
        let imposed = match on {
            Status::Unhealthy if edge.is_vital => Finding::Unhealthy,
            Status::Unhealthy | Status::Degraded => Finding::Degraded,
            Status::Healthy | Status::Unknown => continue,
        };
        // What is unknown stays so: no repair starts by it.
        if status.finding().is_some_and(|finding| finding < imposed) {
            status = imposed.into();
            cause = Some(edge.on);
        }
    }
    resolved[component.index()] = Some((status, cause));
    status
}

#[cfg(test)]
mod tests;
