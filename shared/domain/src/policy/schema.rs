//! The JSON Schema (2020-12) of a policy's document, for editors and clients.
//!
//! It has the ranges that the reader uses, and the defaults that the reader gives to a policy of the required fields. It
//! takes every document that the reader takes. Beyond it the reader checks what a schema cannot say: relations between
//! fields, names of time zones and currencies, and the course of a ring.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::curve::{MAX_POINTS, PARAMETER};
use super::{HOURS_OF_WEEK, Policy, ranges};
use crate::geo::polygon::{MAX_POSITIONS, MIN_POSITIONS};
use crate::id::CityId;

const ENTITY_ID: &str = "^[A-Za-z0-9._:-]{1,64}$";
const CITY_ID: &str = "^[a-z0-9-]{1,32}$";
/// Digits around at most one point (`MinorUnits::parse`).
const AMOUNT: &str = r"^[0-9]+(\.[0-9]+)?$";
/// A date, or an RFC 3339 time.
const LAW_TIME: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$";

/// The schema of a policy's document.
///
/// # Panics
/// Never: `a` is a city id.
#[must_use]
pub fn policy() -> Value {
    let mut schema = object(
        &["city", "currency", "boundary", "products"],
        json!({
            "city": {"type": "string", "pattern": CITY_ID},
            "name": text(ranges::NAME_CHARS),
            "timezone": {"type": "string", "description": "a time zone of the IANA database"},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "a currency of ISO 4217"},
            "boundary": polygon(1),
            "resolution": integer(&ranges::RESOLUTION, "the H3 resolution of cells"),
            "clock": clock(),
            "products": {"type": "array", "minItems": 1, "maxItems": ranges::MAX_PRODUCTS, "items": product()},
            "surge": surge(),
            "limits": limits(),
            "quote": quote(),
            "guard": guard(),
            "max_change": max_change(),
            "laws": {"type": "array", "maxItems": ranges::MAX_LAWS, "items": law()},
            "static": static_hours(),
            "zones": {"type": "array", "maxItems": ranges::MAX_ZONES, "items": zone()},
        }),
    );
    let city = CityId::new("a").expect("a city id");
    let defaults = Policy::open_city(&city).to_json();
    add_defaults(&mut schema, &defaults);
    add_defaults(&mut schema["properties"]["products"]["items"], &defaults["products"][0]);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Policy of a city".into();
    schema
}

fn clock() -> Value {
    object(
        &[],
        json!({
            "tick_ms": integer(&ranges::TICK_MS, "ticks are the multiples of this since the Unix epoch"),
            "window_ms": integer(&ranges::WINDOW_MS, "how long a request counts as demand"),
            "driver_ttl_ms": integer(&ranges::DRIVER_TTL_MS, "how long a driver is in touch after a sighting"),
            "absent_ms": integer(&ranges::ABSENT_MS, "how long a driver counts as supply who logs off or falls silent"),
            "lateness_ms": integer(&ranges::LATENESS_MS, "how far the watermark trails the greatest time"),
        }),
    )
}

fn product() -> Value {
    object(
        &["id"],
        json!({
            "id": {"type": "string", "pattern": ENTITY_ID},
            "name": text(ranges::NAME_CHARS),
            "fare": fare(),
        }),
    )
}

fn fare() -> Value {
    object(
        &[],
        json!({
            "base": amount("once per ride"),
            "per_km": amount("per kilometre"),
            "per_minute": amount("per minute"),
            "booking_fee": amount("once per ride, not multiplied"),
            "minimum": amount("the lowest fare of a ride"),
        }),
    )
}

fn surge() -> Value {
    object(
        &[],
        json!({
            "curve": {"type": "string", "enum": ["equilibrium", "linear", "exponential", "table"]},
            "balanced_ratio": positive("the pressure at which demand and supply are in balance"),
            "prior": positive("added to demand and supply in the pressure"),
            "demand_elasticity": parameter("by how many percent demand falls when the price rises by one"),
            "supply_elasticity": parameter("by how many percent supply grows when the price rises by one"),
            "slope": parameter("the steepness of linear"),
            "k": parameter("the steepness of exponential"),
            "table": {
                "type": "array", "minItems": 1, "maxItems": MAX_POINTS,
                "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": number(&PARAMETER)},
                "description": "points [ratio, multiplier] with ascending ratios",
            },
            "ring_weights": {
                "type": "array", "minItems": 1, "maxItems": ranges::MAX_RING_WEIGHTS, "items": number(&PARAMETER),
                "description": "the weights of the cells at grid distance 0, 1, …",
            },
            "half_life_ms": integer(&ranges::HALF_LIFE_MS, "for each of the two half lives that is not given"),
            "half_life_up_ms": integer(&ranges::HALF_LIFE_MS, "of the way to a higher multiplier"),
            "half_life_down_ms": integer(&ranges::HALF_LIFE_MS, "of the way to a lower multiplier"),
            "step": {"type": "number", "enum": steps(), "description": "published multipliers are multiples of it"},
            "form": {"type": "string", "enum": ["multiplicative", "additive"]},
            "additive_amount": amount("what the multiplier multiplies where form is additive; absent: the product's minimum"),
        }),
    )
}

/// The steps that divide 1.
fn steps() -> Vec<f64> {
    ranges::STEP_HUNDREDTHS.filter(|step| 100 % step == 0).map(|step| f64::from(step) / 100.0).collect()
}

fn limits() -> Value {
    object(&[], json!({"min_multiplier": multiplier(), "max_multiplier": multiplier()}))
}

fn quote() -> Value {
    object(
        &[],
        json!({
            "ttl_ms": integer(&ranges::QUOTE_TTL_MS, "how long a quote is valid"),
            "ack_above": multiplier(),
            "detour": number(&ranges::DETOUR),
            "speed_kmh": number(&ranges::SPEED_KMH),
        }),
    )
}

fn guard() -> Value {
    object(
        &[],
        json!({
            "min_lost": integer(&ranges::MIN_LOST, "the fewest drivers lost for the feed guard to go on"),
            "hold_ms": integer(&ranges::HOLD_MS, "how long it stays on at most; with 0 it never goes on"),
        }),
    )
}

fn max_change() -> Value {
    object(
        &[],
        json!({
            "multiplier": hundredths(&ranges::CHANGE_HUNDREDTHS),
            "fare_percent": integer(&ranges::CHANGE_PERCENT, "the most that a part of a fare may change by without confirmation"),
        }),
    )
}

fn static_hours() -> Value {
    json!({
        "type": "array", "items": multiplier(), "maxItems": HOURS_OF_WEEK,
        "anyOf": [{"maxItems": 0}, {"minItems": HOURS_OF_WEEK}],
        "description": "empty, or the multipliers of the hours of the week from Monday 00:00 local time",
    })
}

fn zone() -> Value {
    object(
        &["id"],
        json!({
            "id": {"type": "string", "pattern": ENTITY_ID},
            "name": text(ranges::NAME_CHARS),
            "polygon": polygon(0),
            "limits": limits(),
            "fare": fare(),
        }),
    )
}

fn law() -> Value {
    object(
        &["id", "source", "from", "rule"],
        json!({
            "id": {"type": "string", "pattern": ENTITY_ID},
            "source": text(ranges::SOURCE_CHARS),
            "from": law_time(),
            "until": law_time(),
            "zone": {"type": "string", "pattern": ENTITY_ID, "description": "a zone of this policy"},
            "product": {"type": "string", "pattern": ENTITY_ID, "description": "a product of this policy"},
            "rule": rule(),
        }),
    )
}

/// One of four forms, of which each excludes the members of the others.
fn rule() -> Value {
    let range = json!({"type": "array", "minItems": 2, "maxItems": 2, "items": multiplier()});
    let days = object(
        &["days", "leaving_out"],
        json!({
            "days": integer(&ranges::PRIOR_DAYS, "the local days before"),
            "leaving_out": integer(&ranges::DAYS_LEFT_OUT, "how many of the highest daily maxima do not count"),
        }),
    );
    let percent = json!({
        "max_over_baseline_percent": integer(&ranges::CHANGE_PERCENT, "above the mean of the baseline"),
        "baseline_from": law_time(),
        "baseline_until": law_time(),
    });
    let baseline = ["max_over_baseline_percent", "baseline_from", "baseline_until"];
    let forms = [
        (&["max_multiplier"][..], json!({"max_multiplier": multiplier()})),
        (&["range"][..], json!({"range": range})),
        (&baseline[..], percent),
        (&["max_of_prior_days"][..], json!({"max_of_prior_days": days})),
    ];
    let all: Vec<&str> = forms.iter().flat_map(|(keys, _)| keys.iter().copied()).collect();
    let forms = forms.clone().map(|(keys, properties)| {
        let mut form = object(keys, properties);
        // An absent member may be written as null.
        for other in all.iter().filter(|key| !keys.contains(key)) {
            form["properties"][*other] = json!({"type": "null"});
        }
        form
    });
    json!({"oneOf": forms})
}

/// An object of these members alone. Members that are not required may be null, which is absent.
fn object(required: &[&str], mut properties: Value) -> Value {
    for (name, property) in properties.as_object_mut().into_iter().flatten() {
        if !required.contains(&name.as_str()) {
            allow_null(property);
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn allow_null(property: &mut Value) {
    property["type"] = json!([property["type"], "null"]);
    if let Some(Value::Array(values)) = property.get_mut("enum") {
        values.push(Value::Null);
    }
}

fn text(max: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": max})
}

fn integer(range: &RangeInclusive<i64>, description: &str) -> Value {
    json!({"type": "integer", "minimum": range.start(), "maximum": range.end(), "description": description})
}

fn number(range: &RangeInclusive<f64>) -> Value {
    json!({"type": "number", "minimum": range.start(), "maximum": range.end()})
}

fn parameter(description: &str) -> Value {
    let mut parameter = number(&PARAMETER);
    parameter["description"] = description.into();
    parameter
}

fn positive(description: &str) -> Value {
    json!({"type": "number", "exclusiveMinimum": 0, "maximum": PARAMETER.end(), "description": description})
}

fn multiplier() -> Value {
    hundredths(&ranges::MULTIPLIER_HUNDREDTHS)
}

fn hundredths(range: &RangeInclusive<u16>) -> Value {
    let bound = |hundredths: &u16| f64::from(*hundredths) / 100.0;
    json!({
        "type": "number", "minimum": bound(range.start()), "maximum": bound(range.end()), "multipleOf": 0.01,
    })
}

fn amount(description: &str) -> Value {
    let description = format!("an amount of the city's currency {description}");
    json!({"type": "string", "pattern": AMOUNT, "description": description})
}

fn law_time() -> Value {
    let description = "a local date, whose beginning it is, or an RFC 3339 time";
    json!({"type": "string", "pattern": LAW_TIME, "description": description})
}

/// RFC 7946 §3.1.6. GeoJSON may have foreign members (§6.1), and positions further numbers.
fn polygon(fewest_rings: usize) -> Value {
    let (lng, lat) = (number(&(-180.0..=180.0)), number(&(-90.0..=90.0)));
    json!({
        "type": "object",
        "properties": {
            "type": {"const": "Polygon"},
            "coordinates": {
                "type": "array", "minItems": fewest_rings, "maxItems": ranges::MAX_RINGS,
                "items": {
                    "type": "array", "minItems": MIN_POSITIONS, "maxItems": MAX_POSITIONS,
                    "items": {"type": "array", "minItems": 2, "prefixItems": [lng, lat]},
                },
            },
        },
        "required": ["type", "coordinates"],
    })
}

/// Adds to the optional properties of an object, and of the objects in it, the values in `defaults`.
fn add_defaults(schema: &mut Value, defaults: &Value) {
    let required = schema["required"].clone();
    let is_required =
        |name: &str| required.as_array().is_some_and(|names| names.iter().any(|other| other == name));
    for (name, property) in schema["properties"].as_object_mut().into_iter().flat_map(Map::iter_mut) {
        let Some(default) = defaults.get(name).filter(|_| !is_required(name)) else { continue };
        if default.is_object() {
            add_defaults(property, default);
        } else {
            property["default"] = default.clone();
        }
    }
}
