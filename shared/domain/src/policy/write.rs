//! Writing a policy to JSON, with every default included.

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::curve::Formula;
use super::{
    Clock, Fare, FareOverrides, Limits, MaxChange, Multiplier, Policy, Product, QuoteTerms, Surge, SurgeForm,
    Zone, law,
};
use crate::fare::money::{Currency, MinorUnits};
use crate::geo::polygon::{Polygon, Ring};

impl Policy {
    /// The policy in the form of CONTRACT §7. Equal policies give equal text, and reading it gives an equal policy.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let product = |product| write_product(product, self.currency);
        let zone = |zone| write_zone(zone, self.currency);
        let hours = self.static_hours.iter().flat_map(|hours| hours.iter());
        json!({
            "city": self.city.as_str(),
            "name": self.name,
            "timezone": self.timezone.iana_name(),
            "currency": self.currency.code(),
            "boundary": write_polygon(&self.boundary),
            "resolution": self.resolution,
            "clock": write_clock(self.clock),
            "products": self.products.iter().map(product).collect::<Vec<_>>(),
            "surge": write_surge(&self.surge, self.currency),
            "limits": write_limits(self.limits),
            "quote": write_quote(self.quote),
            "guard": {"min_lost": self.guard.min_lost, "hold_ms": self.guard.hold_ms},
            "max_change": write_max_change(self.max_change),
            "laws": self.laws.iter().map(law::write).collect::<Vec<_>>(),
            "static": hours.copied().map(f64::from).collect::<Vec<_>>(),
            "zones": self.zones.iter().map(zone).collect::<Vec<_>>(),
        })
    }
}

impl Policy {
    /// A hash of the policy's document, the same in every process.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(self.to_json().to_string().as_bytes())
    }
}

pub(super) fn write_polygon(polygon: &Polygon) -> Value {
    let rings: Vec<_> = polygon.rings().iter().map(Ring::positions).collect();
    json!({"type": "Polygon", "coordinates": rings})
}

fn write_clock(clock: Clock) -> Value {
    json!({
        "tick_ms": clock.tick_ms,
        "window_ms": clock.window_ms,
        "driver_ttl_ms": clock.driver_ttl_ms,
        "absent_ms": clock.absent_ms,
        "lateness_ms": clock.lateness_ms,
    })
}

fn write_product(product: &Product, currency: Currency) -> Value {
    let mut written = Map::new();
    written.insert("id".into(), product.id.as_str().into());
    written.insert("name".into(), product.name.as_str().into());
    if let Some(Fare { base, per_km, per_minute, booking_fee, minimum }) = product.fare {
        let fare = FareOverrides {
            base: Some(base),
            per_km: Some(per_km),
            per_minute: Some(per_minute),
            booking_fee: Some(booking_fee),
            minimum: Some(minimum),
        };
        written.insert("fare".into(), write_fare(fare, currency));
    }
    Value::Object(written)
}

/// The parts that are present.
fn write_fare(fare: FareOverrides, currency: Currency) -> Value {
    present(
        [
            ("base", fare.base),
            ("per_km", fare.per_km),
            ("per_minute", fare.per_minute),
            ("booking_fee", fare.booking_fee),
            ("minimum", fare.minimum),
        ],
        |amount: MinorUnits| currency.format(amount).into(),
    )
}

fn write_surge(surge: &Surge, currency: Currency) -> Value {
    let (form, additive_amount) = match surge.form {
        SurgeForm::Multiplicative => ("multiplicative", None),
        SurgeForm::Additive(amount) => ("additive", amount.map(|amount| currency.format(amount))),
    };
    let curve = &surge.curve;
    let formula = match curve.formula {
        Formula::Equilibrium => "equilibrium",
        Formula::Linear => "linear",
        Formula::Exponential => "exponential",
        Formula::Table => "table",
    };
    json!({
        "curve": formula,
        "balanced_ratio": curve.balanced_ratio,
        "prior": surge.prior,
        "demand_elasticity": curve.demand_elasticity,
        "supply_elasticity": curve.supply_elasticity,
        "slope": curve.slope,
        "k": curve.k,
        "table": curve.table.points(),
        "ring_weights": surge.ring_weights,
        "half_life_up_ms": surge.half_life_up_ms,
        "half_life_down_ms": surge.half_life_down_ms,
        "step": f64::from(surge.step_hundredths) / 100.0,
        "form": form,
        "additive_amount": additive_amount,
    })
}

fn write_limits(limits: Limits) -> Value {
    json!({"min_multiplier": f64::from(limits.floor), "max_multiplier": f64::from(limits.cap)})
}

fn write_quote(quote: QuoteTerms) -> Value {
    json!({
        "ttl_ms": quote.ttl_ms,
        "ack_above": f64::from(quote.ack_above),
        "detour": quote.detour,
        "speed_kmh": quote.speed_kmh,
    })
}

fn write_max_change(max_change: MaxChange) -> Value {
    let multiplier = f64::from(max_change.multiplier_hundredths) / 100.0;
    json!({"multiplier": multiplier, "fare_percent": max_change.fare_percent})
}

fn write_zone(zone: &Zone, currency: Currency) -> Value {
    let limits = [("min_multiplier", zone.floor), ("max_multiplier", zone.cap)];
    json!({
        "id": zone.id,
        "name": zone.name,
        "polygon": write_polygon(&zone.polygon),
        "limits": present(limits, |limit: Multiplier| f64::from(limit).into()),
        "fare": write_fare(zone.fare, currency),
    })
}

/// An object of the members that are present.
fn present<T, const N: usize>(members: [(&str, Option<T>); N], write: impl Fn(T) -> Value) -> Value {
    let member = |(key, value): (&str, Option<T>)| Some((key.to_owned(), write(value?)));
    Value::Object(members.into_iter().filter_map(member).collect())
}
