//! Reading figures from JSON: reports every fault at once, each by its pointer.

use std::collections::HashSet;

use serde_json::Value;

use super::decimal::Decimal;
use super::growth::{Law, Scale};
use super::scaling_law::{MIN_POINTS, ScalingPoint};
use super::{Basis, Component, Document, Metric};
use crate::policy::Fault;
use crate::policy::document;
use crate::policy::field::{Faults, Field, Object};

/// The most components, figures of a component, remedies, factors and points: what a person can read.
const MAX_ITEMS: usize = 1_000;
/// The longest name, and the longest text, in characters.
const MAX_NAME: usize = 100;
const MAX_TEXT: usize = 1_000;
/// The greatest figure: beyond it lies an error of units.
const MAX_VALUE: Decimal = Decimal::QUADRILLION;
/// The greatest factor: the square of the greatest scale.
const MAX_FACTOR: Decimal = Decimal::TRILLION;

const LAWS: &str = "constant, linear, power or product";
const NUMBER: &str = "a number from 0 to 10^15";

impl Document {
    /// Reads a document of CONTRACT §12. A field that is `null` is absent, and fields of other names are ignored.
    ///
    /// # Errors
    /// Every fault, in reading order.
    pub fn read(text: &str) -> Result<Self, Vec<Fault>> {
        let malformed =
            |error| vec![Fault { pointer: String::new(), message: format!("is not JSON: {error}") }];
        let (value, twice) = document::read(text).map_err(malformed)?;
        if !twice.is_empty() {
            return Err(twice);
        }
        let faults = Faults::default();
        let read = read_document(&Field::new(&value, String::new(), &faults));
        let faults = faults.into_inner();
        read.filter(|_| faults.is_empty()).ok_or(faults)
    }
}

fn read_document(root: &Field<'_>) -> Option<Document> {
    let object = root.open_object();
    let list = object.required("components");
    let fields = items(&list)?;
    let components: Vec<Option<Component>> = fields.iter().map(read_component).collect();
    let names = components.iter().map(|component| component.as_ref().map(|it| it.name.as_str()));
    report_repeated(&fields, names, "component");
    let document = Document { components: components.into_iter().collect::<Option<_>>()? };
    for (index, component) in document.components.iter().enumerate() {
        for (number, metric) in component.metrics.iter().enumerate() {
            let Law::Product { with: Some(with) } = &metric.law else { continue };
            let at = format!("/components/{index}/metrics/{number}/with");
            if document.referred(component, with).is_none() {
                root.fault_at(&at, "must be the name of a metric of this component, or component/metric");
            } else if document.is_circular(component, metric) {
                root.fault_at(&at, "must not refer to a product that refers back");
            }
        }
    }
    Some(document)
}

fn read_component(field: &Field<'_>) -> Option<Component> {
    let object = field.open_object();
    let name = text(&object.required("component"), MAX_NAME);
    let kind = text(&object.required("kind"), MAX_NAME);
    let fields = items(&object.required("metrics"))?;
    let metrics: Vec<Option<Metric>> = fields.iter().map(read_metric).collect();
    report_repeated(&fields, metrics.iter().map(|metric| metric.as_ref().map(|it| it.name.as_str())), "name");
    Some(Component { name: name?, kind: kind?, metrics: metrics.into_iter().collect::<Option<_>>()? })
}

fn read_metric(field: &Field<'_>) -> Option<Metric> {
    let object = field.open_object();
    let name = text(&object.required("name"), MAX_NAME);
    let value = object.required("value").read(NUMBER, |value| number(value, MAX_VALUE));
    let threshold = object.required("threshold").read("a number above 0, at most 10^15", |value| {
        number(value, MAX_VALUE).filter(|threshold| *threshold > Decimal::ZERO)
    });
    let law = read_law(&object);
    let factor_at = read_factors(&object.get("factor_at"));
    let basis = object.required("basis").parsed("measured or assumed", |basis| match basis {
        "measured" => Some(Basis::Measured),
        "assumed" => Some(Basis::Assumed),
        _ => None,
    });
    let impact = object.get("impact");
    let impact = if impact.is_given() { text(&impact, MAX_TEXT).map(Some) } else { Some(None) };
    let remedies = read_list(&object.get("remedies"), |remedy| text(remedy, MAX_TEXT));
    let points = read_points(&object.get("points"));
    Some(Metric {
        name: name?,
        value: value?,
        threshold: threshold?,
        law: law?,
        factor_at: factor_at?,
        basis: basis?,
        impact: impact?,
        remedies: remedies?,
        points: points?,
    })
}

fn read_law(object: &Object<'_>) -> Option<Law> {
    match object.required("law").parsed(LAWS, Some)? {
        "constant" => Some(Law::Constant),
        "linear" => Some(Law::Linear),
        "power" => {
            let exponent = object.required("exponent").number(&(0.0..=1.0))?;
            Some(Law::Power { exponent })
        }
        "product" => {
            let with = object.get("with");
            if !with.is_given() {
                return Some(Law::Product { with: None });
            }
            text(&with, 2 * MAX_NAME + 1).map(|with| Law::Product { with: Some(with) })
        }
        _ => {
            object.get("law").fault(format_args!("must be {LAWS}"));
            None
        }
    }
}

fn read_factors(field: &Field<'_>) -> Option<Vec<(Scale, Decimal)>> {
    if !field.is_given() {
        return Some(Vec::new());
    }
    let expected = "an object of factors by scale, as {\"10\": 3}";
    let members = field.read(expected, |value| value.as_object().filter(|it| it.len() <= MAX_ITEMS))?;
    let mut factors: Vec<(Scale, Decimal)> = Vec::with_capacity(members.len());
    for (key, value) in members {
        let pointer = format!("/{}", crate::policy::field::token(key));
        match (Scale::parse(key), number(value, MAX_FACTOR)) {
            (Err(error), _) => field.fault_at(&pointer, format_args!("is not a scale: {error}")),
            (_, None) => field.fault_at(&pointer, "must be a number from 0 to 10^12"),
            (Ok(scale), _) if factors.iter().any(|(other, _)| *other == scale) => {
                field.fault_at(&pointer, "must be a scale that is given once");
            }
            (Ok(scale), Some(factor)) => factors.push((scale, factor)),
        }
    }
    (factors.len() == members.len()).then_some(factors)
}

fn read_points(field: &Field<'_>) -> Option<Vec<ScalingPoint>> {
    let points = read_list(field, |point| {
        let object = point.open_object();
        let range = f64::MIN_POSITIVE..=MAX_VALUE.to_float();
        let size = object.required("n").number(&(1.0..=1e9));
        let throughput = object.required("throughput").positive(&range);
        Some(ScalingPoint { size: size?, throughput: throughput? })
    })?;
    let mut sizes: Vec<f64> = points.iter().map(|point| point.size).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    if field.is_given() && sizes.len() < MIN_POINTS {
        field.fault(format_args!("must have at least {MIN_POINTS} points of different n"));
        return None;
    }
    Some(points)
}

/// The items of a list that may be absent, each read by `read`.
fn read_list<T>(field: &Field<'_>, read: impl Fn(&Field<'_>) -> Option<T>) -> Option<Vec<T>> {
    if !field.is_given() {
        return Some(Vec::new());
    }
    let read: Vec<Option<T>> = items(field)?.iter().map(read).collect();
    read.into_iter().collect()
}

fn items<'a>(field: &Field<'a>) -> Option<Vec<Field<'a>>> {
    let expected = format_args!("an array of at most {MAX_ITEMS} items");
    field.items(expected, |length| length <= MAX_ITEMS)
}

/// A text without control characters: it is printed to terminals.
fn text(field: &Field<'_>, max: usize) -> Option<String> {
    let text = field.text(max)?;
    if text.chars().any(char::is_control) {
        field.fault("must be a text without control characters");
        return None;
    }
    Some(text.to_owned())
}

fn number(value: &Value, max: Decimal) -> Option<Decimal> {
    // The shortest text of a float is the decimal number that it was read from, up to 15 digits.
    Decimal::parse(&value.as_number()?.to_string()).filter(|number| *number <= max)
}

/// Reports items whose name one before them has.
fn report_repeated<'a>(fields: &[Field<'_>], names: impl Iterator<Item = Option<&'a str>>, member: &str) {
    let mut seen = HashSet::new();
    for (field, name) in fields.iter().zip(names) {
        if name.is_some_and(|name| !seen.insert(name)) {
            field.fault_at(&format!("/{member}"), "must be a name that is given once");
        }
    }
}
