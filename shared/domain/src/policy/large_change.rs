//! The changes of a policy that exceed the `max_change` of the version in force: limits, parameters of the curve, and
//! parts of fares (CONTRACT §5).

use std::fmt;

use super::curve::{Curve, Table};
use super::{Fare, FareOverrides, Fault, MaxChange, Multiplier, Policy, Product, SurgeForm, Zone};
use crate::fare::money::{Currency, MinorUnits};

/// The pressures, relative to the balanced ratio, at which two formulas of a curve are compared: four times as many
/// drivers as riders, up to four times as many riders.
const COMPARED_PRESSURES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// The largest multiplier that any city reports: curves do not differ beyond it.
const MAX_MULTIPLIER: f64 = 100.0;

/// A difference of two floats that are decimal numbers may differ from the exact one by less than this.
const ROUNDING: f64 = 1e-9;

/// The fields of `after` that differ from those of `before`, the version in force, by more than its `max_change`.
///
/// Products and zones are compared by id; one that is new has nothing to differ from. A limit of a zone that is absent is
/// the city's, and a part of its fare the product's.
#[must_use]
pub fn too_large(before: &Policy, after: &Policy) -> Vec<Fault> {
    let mut comparison = Comparison { max: before.max_change, faults: Vec::new() };
    if before.currency == after.currency {
        comparison.product_fares(before, after);
    } else {
        let message = format!(
            "changes from {} to {}, which changes every fare",
            before.currency.code(),
            after.currency.code()
        );
        comparison.faults.push(Fault { pointer: "/currency".into(), message });
    }
    comparison.surge(before, after);
    comparison.multiplier("/limits/min_multiplier", before.limits.floor, after.limits.floor);
    comparison.multiplier("/limits/max_multiplier", before.limits.cap, after.limits.cap);
    for (index, zone) in after.zones.iter().enumerate() {
        if let Some(old) = before.zones.iter().find(|old| old.id == zone.id) {
            comparison.zone(&format!("/zones/{index}"), (before, old), (after, zone));
        }
    }
    comparison.faults
}

/// The comparison of two policies so far.
struct Comparison {
    max: MaxChange,
    faults: Vec<Fault>,
}

impl Comparison {
    fn product_fares(&mut self, before: &Policy, after: &Policy) {
        let currency = after.currency;
        for (index, product) in after.products.iter().enumerate() {
            let old = before.products.iter().find(|old| old.id == product.id);
            if let Some((Some(old), Some(new))) = old.map(|old| (old.fare, product.fare)) {
                for (part, old, new) in parts(old, new) {
                    self.amount(&format!("/products/{index}/fare/{part}"), currency, old, new);
                }
            }
        }
        let amounts = |old: &Product, new: &Product| {
            Some((additive_amount(before, old)?, additive_amount(after, new)?))
        };
        for (old, new) in pairs(before, after) {
            let is_given = [before, after]
                .iter()
                .any(|policy| matches!(policy.surge.form, SurgeForm::Additive(Some(_))));
            // The minimum of a product is compared with its fare.
            if let Some((old, new)) = amounts(old, new).filter(|_| is_given) {
                self.amount("/surge/additive_amount", currency, old, new);
            }
        }
    }

    fn surge(&mut self, before: &Policy, after: &Policy) {
        let (old, new) = (&before.surge.curve, &after.surge.curve);
        if old.formula != new.formula {
            let difference = COMPARED_PRESSURES.into_iter().map(|pressure| {
                let raw = |curve: &Curve| curve.raw(pressure * curve.balanced_ratio).min(MAX_MULTIPLIER);
                (raw(old) - raw(new)).abs()
            });
            self.difference("/surge/curve", difference.fold(0.0, f64::max));
        }
        for (name, old, new) in [
            ("balanced_ratio", old.balanced_ratio, new.balanced_ratio),
            ("prior", before.surge.prior, after.surge.prior),
            ("demand_elasticity", old.demand_elasticity, new.demand_elasticity),
            ("supply_elasticity", old.supply_elasticity, new.supply_elasticity),
            ("slope", old.slope, new.slope),
            ("k", old.k, new.k),
        ] {
            self.number(&format!("/surge/{name}"), old, new);
        }
        self.difference("/surge/table", greatest_difference(&old.table, &new.table));
    }

    fn zone(&mut self, pointer: &str, (before, old): (&Policy, &Zone), (after, new): (&Policy, &Zone)) {
        if old.floor.or(new.floor).is_some() {
            let floor = |zone: &Zone, policy: &Policy| zone.floor.unwrap_or(policy.limits.floor);
            let pointer = format!("{pointer}/limits/min_multiplier");
            self.multiplier(&pointer, floor(old, before), floor(new, after));
        }
        if old.cap.or(new.cap).is_some() {
            let cap = |zone: &Zone, policy: &Policy| zone.cap.unwrap_or(policy.limits.cap);
            let pointer = format!("{pointer}/limits/max_multiplier");
            self.multiplier(&pointer, cap(old, before), cap(new, after));
        }
        if before.currency != after.currency {
            return;
        }
        let given = override_parts(old.fare, new.fare);
        for (old_product, new_product) in pairs(before, after) {
            let (old_fare, new_fare) = (old_product.fare, new_product.fare);
            let Some((old_fare, new_fare)) = old_fare.zip(new_fare) else { continue };
            let parts = given.into_iter().zip(parts(old_fare, new_fare));
            for ((part, old, new), (_, old_default, new_default)) in parts {
                if old.or(new).is_some() {
                    let (old, new) = (old.unwrap_or(old_default), new.unwrap_or(new_default));
                    self.amount(&format!("{pointer}/fare/{part}"), after.currency, old, new);
                }
            }
        }
    }

    fn multiplier(&mut self, pointer: &str, before: Multiplier, after: Multiplier) {
        if before.hundredths().abs_diff(after.hundredths()) > self.max.multiplier_hundredths {
            self.add(pointer, f64::from(before), f64::from(after), self.max_multiplier());
        }
    }

    fn number(&mut self, pointer: &str, before: f64, after: f64) {
        if (after - before).abs() > self.max_multiplier() + ROUNDING {
            self.add(pointer, before, after, self.max_multiplier());
        }
    }

    /// A change that moves multipliers by up to `difference`.
    fn difference(&mut self, pointer: &str, difference: f64) {
        if difference > self.max_multiplier() + ROUNDING {
            let message = format!(
                "moves multipliers by up to {difference:.2}, which is more than {}",
                self.max_multiplier()
            );
            self.faults.push(Fault { pointer: pointer.to_owned(), message });
        }
    }

    fn amount(&mut self, pointer: &str, currency: Currency, before: MinorUnits, after: MinorUnits) {
        let [old, new] = [before, after].map(|amount| i128::from(amount.get()));
        let percent = self.max.fare_percent;
        let is_large = (new - old).abs() * 100 > old.abs() * i128::from(percent);
        // One product is enough to name a part of a zone's fare.
        if is_large && self.faults.iter().all(|fault| fault.pointer != pointer) {
            self.add(pointer, currency.format(before), currency.format(after), format_args!("{percent} %"));
        }
    }

    fn max_multiplier(&self) -> f64 {
        f64::from(self.max.multiplier_hundredths) / 100.0
    }

    fn add<V: fmt::Display>(&mut self, pointer: &str, before: V, after: V, most: impl fmt::Display) {
        let message = format!("changes from {before} to {after}, by more than {most}");
        self.faults.push(Fault { pointer: pointer.to_owned(), message });
    }
}

/// The products of both policies, paired by id.
fn pairs<'a>(before: &'a Policy, after: &'a Policy) -> impl Iterator<Item = (&'a Product, &'a Product)> {
    after.products.iter().filter_map(|new| {
        let old = before.products.iter().find(|old| old.id == new.id)?;
        Some((old, new))
    })
}

/// The amount that the multiplier of an additive surge multiplies. `None` for the other form, and for a product without a
/// fare.
fn additive_amount(policy: &Policy, product: &Product) -> Option<MinorUnits> {
    match policy.surge.form {
        SurgeForm::Multiplicative => None,
        SurgeForm::Additive(amount) => amount.or_else(|| product.fare.map(|fare| fare.minimum)),
    }
}

type Part<T> = (&'static str, T, T);

fn parts(old: Fare, new: Fare) -> [Part<MinorUnits>; 5] {
    [
        ("base", old.base, new.base),
        ("per_km", old.per_km, new.per_km),
        ("per_minute", old.per_minute, new.per_minute),
        ("booking_fee", old.booking_fee, new.booking_fee),
        ("minimum", old.minimum, new.minimum),
    ]
}

fn override_parts(old: FareOverrides, new: FareOverrides) -> [Part<Option<MinorUnits>>; 5] {
    [
        ("base", old.base, new.base),
        ("per_km", old.per_km, new.per_km),
        ("per_minute", old.per_minute, new.per_minute),
        ("booking_fee", old.booking_fee, new.booking_fee),
        ("minimum", old.minimum, new.minimum),
    ]
}

/// The greatest difference of the two tables at any pressure: both are linear between the points of either.
fn greatest_difference(old: &Table, new: &Table) -> f64 {
    let ratios = old.points().iter().chain(new.points()).map(|[ratio, _]| *ratio);
    let at = |table: &Table, ratio| table.at(ratio).min(MAX_MULTIPLIER);
    ratios.map(|ratio| (at(old, ratio) - at(new, ratio)).abs()).fold(0.0, f64::max)
}
