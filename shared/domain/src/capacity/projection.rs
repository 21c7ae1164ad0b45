//! The figures of a document at a multiple of its load, and those beyond their thresholds.

use std::cmp::Ordering;

use serde::Serialize;

use super::decimal::Decimal;
use super::growth::{Law, Scale};
use super::scaling_law::{Fit, ScalingForecast};
use super::{Basis, Component, Document, Metric};

/// Beyond how many times the measured load a projection is called an extrapolation.
const MAX_MEASURED_MULTIPLE: Scale = Scale::TEN;

/// The figures of a document at a scale.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Projection<'a> {
    /// The multiple of today's load.
    pub scale: Scale,
    /// Whether the scale is more than ten times the load at which the figures were taken.
    pub extrapolated: bool,
    /// The figures beyond their thresholds, the farthest first, then by component and metric.
    pub bottlenecks: Vec<Bottleneck<'a>>,
    /// All figures, in the document's order.
    pub components: Vec<ProjectedComponent<'a>>,
}

/// A figure beyond its threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bottleneck<'a> {
    /// The component's name.
    pub component: &'a str,
    /// The metric's name.
    pub metric: &'a str,
    /// The figure today.
    pub now: Decimal,
    /// The figure at the scale.
    pub projected: Decimal,
    /// The threshold.
    pub threshold: Decimal,
    /// How far beyond.
    pub severity: Severity,
    /// What happens beyond the threshold.
    pub impact: Option<&'a str>,
    /// What can be done.
    pub remedies: &'a [String],
    /// Where the figure is from.
    pub basis: Basis,
}

/// How far beyond its threshold a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Over the threshold.
    High,
    /// At least 1.1 times the threshold.
    Critical,
}

/// A component at a scale.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectedComponent<'a> {
    /// Its name.
    pub component: &'a str,
    /// What it is.
    pub kind: &'a str,
    /// Its figures.
    pub metrics: Vec<ProjectedMetric<'a>>,
}

/// A figure at a scale.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectedMetric<'a> {
    /// Its name.
    pub name: &'a str,
    /// The figure today.
    pub now: Decimal,
    /// The factor by which it grows.
    pub factor: Decimal,
    /// The figure at the scale.
    pub projected: Decimal,
    /// The threshold.
    pub threshold: Decimal,
    /// The name of its law.
    pub law: &'static str,
    /// Where the figure is from.
    pub basis: Basis,
    /// The scaling law of the component, where throughputs were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingForecast>,
}

impl Document {
    /// The figures at `scale`.
    #[must_use]
    pub fn project(&self, scale: Scale) -> Projection<'_> {
        let mut bottlenecks = Vec::new();
        let mut components = Vec::with_capacity(self.components.len());
        for component in &self.components {
            let mut metrics = Vec::with_capacity(component.metrics.len());
            for metric in &component.metrics {
                let factor = self.factor(component, metric, scale);
                let projected = metric.value.times(factor);
                bottlenecks.extend(bottleneck(component, metric, projected));
                metrics.push(ProjectedMetric {
                    name: &metric.name,
                    now: metric.value,
                    factor,
                    projected,
                    threshold: metric.threshold,
                    law: metric.law.name(),
                    basis: metric.basis,
                    scaling: Fit::of(&metric.points).map(|fit| fit.forecast(scale)),
                });
            }
            components.push(ProjectedComponent {
                component: &component.name,
                kind: &component.kind,
                metrics,
            });
        }
        bottlenecks.sort_by(Bottleneck::order);
        Projection { scale, extrapolated: scale > MAX_MEASURED_MULTIPLE, bottlenecks, components }
    }

    /// The factor of a figure at `scale`. References end at a figure of another law: [`Document::read`] refuses circles.
    fn factor(&self, component: &Component, metric: &Metric, scale: Scale) -> Decimal {
        if let Some((_, factor)) = metric.factor_at.iter().find(|(at, _)| *at == scale) {
            return *factor;
        }
        metric.law.factor(scale, |with| {
            let other = self.referred(component, with);
            other.map_or(Decimal::ONE, |(component, metric)| self.factor(component, metric, scale))
        })
    }

    /// The figure that a product names: one of the same component, or of another one as `component/name`.
    pub(super) fn referred<'a>(
        &'a self,
        component: &'a Component,
        name: &str,
    ) -> Option<(&'a Component, &'a Metric)> {
        let own = component.metrics.iter().find(|metric| metric.name == name);
        if let Some(own) = own {
            return Some((component, own));
        }
        self.components.iter().find_map(|other| {
            let name = name.strip_prefix(other.name.as_str())?.strip_prefix('/')?;
            other.metrics.iter().find(|metric| metric.name == name).map(|metric| (other, metric))
        })
    }

    /// Whether the product of a figure refers to itself in the end.
    pub(super) fn is_circular(&self, component: &Component, metric: &Metric) -> bool {
        let mut at = (component, metric);
        let figures: usize = self.components.iter().map(|component| component.metrics.len()).sum();
        for _ in 0..figures {
            let Law::Product { with: Some(with) } = &at.1.law else { return false };
            match self.referred(at.0, with) {
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    }
}

impl Bottleneck<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let farther =
            Decimal::compare_ratios((other.projected, other.threshold), (self.projected, self.threshold));
        farther.then_with(|| (self.component, self.metric).cmp(&(other.component, other.metric)))
    }
}

fn bottleneck<'a>(
    component: &'a Component,
    metric: &'a Metric,
    projected: Decimal,
) -> Option<Bottleneck<'a>> {
    if projected <= metric.threshold {
        return None;
    }
    let beyond = Decimal::compare_ratios((projected, metric.threshold), (Decimal::new(11, -1), Decimal::ONE));
    Some(Bottleneck {
        component: &component.name,
        metric: &metric.name,
        now: metric.value,
        projected,
        threshold: metric.threshold,
        severity: if beyond == Ordering::Less { Severity::High } else { Severity::Critical },
        impact: metric.impact.as_deref(),
        remedies: &metric.remedies,
        basis: metric.basis,
    })
}
