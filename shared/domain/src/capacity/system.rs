//! The system's own figures: what a load demands of each part of a deployment, against the part's ceiling.

mod demands;
mod figures;
mod usage;

use serde::Serialize;

use super::cost::{Cost, PriceList, Rates};
use super::decimal::Decimal;
use super::growth::Scale;
use super::projection::Projection;
use super::{Basis, Component, Document, Metric};

pub use self::demands::{DEMANDS_AS_OF, LIMITS_AS_OF};
use self::figures::{FIGURES, Figure};
pub use self::usage::{Growth, Usage};

/// The settings of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Lanes of the stream of events.
    pub lanes: u32,
    /// Shards of the stream of events.
    pub event_shards: u32,
    /// Shards of the stream of counts.
    pub count_shards: u32,
    /// Shards of the stream of changes.
    pub change_shards: u32,
    /// Groups of cities, whose counts share records.
    pub groups: u32,
    /// Memory of a function, in MB.
    pub function_memory_mb: u32,
}

impl Settings {
    /// Those of a deployment that changes none.
    pub const DEFAULT: Self = Self {
        lanes: 64,
        event_shards: 2,
        count_shards: 2,
        change_shards: 1,
        groups: 16,
        function_memory_mb: 1_769,
    };
}

/// A load, a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Market events.
    pub events_per_s: f64,
    /// Events of a call.
    pub events_per_call: f64,
    /// Requests for prices and maps.
    pub price_requests_per_s: f64,
    /// Issued quotes.
    pub quotes_per_s: f64,
    /// Confirmed quotes.
    pub confirmations_per_s: f64,
    /// Cities.
    pub cities: f64,
    /// Drivers and riders that are known at a time.
    pub entities: f64,
}

impl Load {
    /// What is assumed where nothing was measured: one city of 3,000 drivers.
    pub const ASSUMED: Self = Self {
        events_per_s: 672.0,
        events_per_call: 100.0,
        price_requests_per_s: 100.0,
        quotes_per_s: 10.0,
        confirmations_per_s: 2.0,
        cities: 1.0,
        entities: 6_000.0,
    };
}

/// What a running system measured of itself; what it did not is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Market events a second.
    pub events_per_s: Option<f64>,
    /// Events of a call.
    pub events_per_call: Option<f64>,
    /// Requests for prices and maps a second.
    pub price_requests_per_s: Option<f64>,
    /// Issued quotes a second.
    pub quotes_per_s: Option<f64>,
    /// Confirmed quotes a second.
    pub confirmations_per_s: Option<f64>,
    /// Cities.
    pub cities: Option<f64>,
    /// Drivers and riders that are known at a time.
    pub entities: Option<f64>,
    /// Figures that were measured themselves, by component and metric.
    pub figures: Vec<(&'static str, &'static str, f64)>,
}

impl Observed {
    /// Removes what is no figure.
    fn remove_unusable(&mut self) {
        let is_figure = |number: &f64| number.is_finite() && *number >= 0.0;
        for member in [
            &mut self.events_per_s,
            &mut self.events_per_call,
            &mut self.price_requests_per_s,
            &mut self.quotes_per_s,
            &mut self.confirmations_per_s,
            &mut self.cities,
            &mut self.entities,
        ] {
            *member = member.filter(is_figure);
        }
        self.figures.retain(|(_, _, value)| is_figure(value));
    }
}

/// What a load at a time means for a deployment.
#[derive(Clone, Debug)]
pub struct Capacity {
    settings: Settings,
    observed: Observed,
    load: Load,
    has_larger_cities: bool,
}

/// The answer of `GET /v1/capacity` (CONTRACT §12).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report<'a> {
    /// The projected figures.
    #[serde(flatten)]
    pub projection: Projection<'a>,
    /// Today's load.
    pub load: LoadReport,
    /// The settings of the deployment.
    pub settings: Settings,
    /// What it costs today.
    pub cost_now: Cost,
    /// What it would cost.
    pub cost_projected: Cost,
    /// The region of the prices.
    pub prices_region: &'a str,
    /// The date of the list of prices.
    pub prices_as_of: &'a str,
    /// The date of the ceilings.
    pub limits_as_of: &'static str,
    /// The date on which demands were measured.
    pub demands_as_of: &'static str,
}

/// Today's load, and which of it was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    #[serde(flatten)]
    load: Load,
    /// The members that are assumed.
    assumed: Vec<&'static str>,
}

impl Capacity {
    /// The capacity of a deployment with what was measured of it; the rest of its load is assumed.
    #[must_use]
    pub fn new(settings: Settings, mut observed: Observed) -> Self {
        observed.remove_unusable();
        let assumed = Load::ASSUMED;
        let or = |observed: Option<f64>, assumed: f64| observed.unwrap_or(assumed);
        let load = Load {
            events_per_s: or(observed.events_per_s, assumed.events_per_s),
            events_per_call: or(observed.events_per_call, assumed.events_per_call).max(1.0),
            price_requests_per_s: or(observed.price_requests_per_s, assumed.price_requests_per_s),
            quotes_per_s: or(observed.quotes_per_s, assumed.quotes_per_s),
            confirmations_per_s: or(observed.confirmations_per_s, assumed.confirmations_per_s),
            cities: or(observed.cities, assumed.cities).max(1.0),
            entities: or(observed.entities, assumed.entities),
        };
        Self { settings, observed, load, has_larger_cities: false }
    }

    /// The same where the load grows by larger cities alone, instead of by the worse of more cities and larger ones.
    #[must_use]
    pub fn with_larger_cities(self) -> Self {
        Self { has_larger_cities: true, ..self }
    }

    /// The figures today, each with its factor at `scale`.
    #[must_use]
    pub fn document(&self, scale: Scale) -> Document {
        let mut components: Vec<Component> = Vec::new();
        for figure in FIGURES {
            let metric = self.metric(figure, scale);
            match components.iter_mut().find(|component| component.name == figure.component) {
                Some(component) => component.metrics.push(metric),
                None => components.push(Component {
                    name: figure.component.to_owned(),
                    kind: figure.kind.to_owned(),
                    metrics: vec![metric],
                }),
            }
        }
        Document { components }
    }

    /// The answer for the figures of `document`, which are those at `scale`.
    #[must_use]
    pub fn report<'a>(&self, document: &'a Document, scale: Scale) -> Report<'a> {
        let prices = PriceList::listed();
        Report {
            projection: document.project(scale),
            load: self.load_report(),
            settings: self.settings,
            cost_now: self.cost(Scale::ONE),
            cost_projected: self.cost(scale),
            prices_region: &prices.region,
            prices_as_of: &prices.as_of,
            limits_as_of: LIMITS_AS_OF,
            demands_as_of: DEMANDS_AS_OF,
        }
    }

    /// What the load costs at `scale`, with as many shards as it needs.
    #[must_use]
    pub fn cost(&self, scale: Scale) -> Cost {
        let factor = scale.factor().to_float();
        // More cities cost more than larger ones: each has its own maps and logs.
        let usage = Usage::of(&self.load, &self.settings, Growth { cities: factor, size: 1.0 });
        let rates = Rates {
            events: self.load.events_per_s * factor,
            prices: self.load.price_requests_per_s * factor,
            quotes: self.load.quotes_per_s * factor,
        };
        PriceList::listed().bill(&usage.consumption(), rates)
    }

    fn metric(&self, figure: &Figure, scale: Scale) -> Metric {
        let now = self.demand(figure, 1.0);
        let then = self.demand(figure, scale.factor().to_float());
        let mut figures = self.observed.figures.iter();
        let measured =
            figures.find(|(component, metric, _)| (*component, *metric) == (figure.component, figure.metric));
        let value = measured.map_or(now, |(_, _, value)| *value);
        let factor = (now > 0.0).then(|| Decimal::of_float(then / now)).flatten();
        let is_measured = measured.is_some() || figure.driver.is_measured(&self.observed);
        Metric {
            name: figure.metric.to_owned(),
            value: Decimal::of_float(value).unwrap_or(Decimal::ZERO),
            threshold: Decimal::of_float((figure.threshold)(&self.settings)).unwrap_or(Decimal::ONE),
            law: figure.law(),
            factor_at: factor.map(|factor| (scale, factor)).into_iter().collect(),
            basis: if is_measured { Basis::Measured } else { Basis::Assumed },
            impact: Some(figure.impact.to_owned()),
            remedies: figure.remedies.iter().map(ToString::to_string).collect(),
            points: Vec::new(),
        }
    }

    /// The figure at `factor` times the load: the worse of as many more cities, and of cities that are as much larger.
    fn demand(&self, figure: &Figure, factor: f64) -> f64 {
        let of = |growth| (figure.demand)(&Usage::of(&self.load, &self.settings, growth));
        let larger = of(Growth { cities: 1.0, size: factor });
        if self.has_larger_cities {
            return larger;
        }
        larger.max(of(Growth { cities: factor, size: 1.0 }))
    }

    fn load_report(&self) -> LoadReport {
        let observed = &self.observed;
        let members = [
            ("events_per_s", observed.events_per_s),
            ("events_per_call", observed.events_per_call),
            ("price_requests_per_s", observed.price_requests_per_s),
            ("quotes_per_s", observed.quotes_per_s),
            ("confirmations_per_s", observed.confirmations_per_s),
            ("cities", observed.cities),
            ("entities", observed.entities),
        ];
        let assumed = members.into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name);
        LoadReport { load: self.load, assumed: assumed.collect() }
    }
}

#[cfg(test)]
mod tests;
