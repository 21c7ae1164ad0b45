//! What more than one answer has: ids, times, cells, multipliers, modes.

use equilibrium_domain::id::{MAX_CITY_ID_BYTES, MAX_ENTITY_ID_BYTES};
use equilibrium_domain::policy::ranges::PUBLISHED_HUNDREDTHS;
use serde_json::{Value, json};

use crate::schema::{Member, from, number_within, object, one_of, pattern};

/// A time as answers have it.
const TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$";

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("CityId", pattern(&format!("^[a-z0-9-]{{1,{MAX_CITY_ID_BYTES}}}$"), "The id of a city.")),
        ("ProductId", pattern(&id_pattern(), "The id of a product, such as `standard`.")),
        ("EntityId", pattern(&id_pattern(), "The id of an event, driver, rider or request.")),
        ("Cell", pattern("^8[0-9a-f]{14}$", "An H3 cell, in lower-case hexadecimal.")),
        ("Time", time()),
        ("Multiplier", multiplier()),
        ("Mode", mode()),
        (
            "Feed",
            one_of(
                &["ok", "suspect"],
                "`suspect` while the feed guard is on: too many drivers fell silent at once, and prices do not rise.",
            ),
        ),
        ("AgeMs", from(0, "The time since `as_of`, in milliseconds.")),
        (
            "Completeness",
            number_within(0.0, 1.0, "The share of the stream's lanes that the newest tick has counts of."),
        ),
        ("PageToken", pattern("^[A-Za-z0-9_-]+$", "Where a page of a list begins. Clients do not read it.")),
        ("Latitude", number_within(-90.0, 90.0, "Latitude of WGS 84, in degrees.")),
        ("Longitude", number_within(-180.0, 180.0, "Longitude of WGS 84, in degrees.")),
        ("Money", money()),
        ("Polygon", polygon()),
    ]
}

/// The form of ids of products, events and entities.
pub(super) fn id_pattern() -> String {
    format!("^[A-Za-z0-9._:-]{{1,{MAX_ENTITY_ID_BYTES}}}$")
}

fn time() -> Value {
    let mut time = pattern(TIME, "A time of RFC 3339, in UTC, to the millisecond.");
    time["format"] = "date-time".into();
    time
}

fn multiplier() -> Value {
    let bound = |hundredths: &u16| f64::from(*hundredths) / 100.0;
    let (lowest, highest) = (bound(PUBLISHED_HUNDREDTHS.start()), bound(PUBLISHED_HUNDREDTHS.end()));
    number_within(
        lowest,
        highest,
        "A factor of fares, with at most two decimals: 1 is the fare without surge.",
    )
}

fn mode() -> Value {
    one_of(
        &["fresh", "cached", "static", "degraded"],
        "What a price is from: counts of at most 30 s ago (`fresh`) or 5 min ago (`cached`); the policy's multiplier for \
         this hour of the week (`static`); 1.0 (`degraded`).",
    )
}

fn money() -> Value {
    object(
        "An amount of money.",
        [
            (
                "amount",
                pattern(
                    r"^-?[0-9]+(\.[0-9]+)?$",
                    "A decimal number with the currency's own number of decimals: `12.35`.",
                ),
            ),
            ("currency", pattern("^[A-Z]{3}$", "The currency, by its code of ISO 4217.")),
        ],
        [],
    )
}

/// As answers have it; what a client sends may have more (RFC 7946 §6.1).
fn polygon() -> Value {
    let position = json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}});
    let ring = json!({"type": "array", "items": position, "minItems": 4});
    let mut polygon = object(
        "A polygon of GeoJSON (RFC 7946 §3.1.6): rings of [longitude, latitude], each of which ends with its first.",
        [
            ("type", crate::schema::constant("Polygon")),
            ("coordinates", json!({"type": "array", "items": ring})),
        ],
        [],
    );
    polygon["properties"]["coordinates"]["description"] = "The outer ring, then the holes.".into();
    polygon
}
