//! Quotes (CONTRACT §8).

use equilibrium_domain::quote::ride::{MAX_DISTANCE_M, MAX_DURATION_S};
use serde_json::{Value, json};

use crate::schema::{
    Member, array, boolean, described, from, nullable, object, one_of, open_object, or_null, pattern,
    reference, text, within,
};

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("QuoteRequest", request()),
        ("Position", position()),
        ("Quote", quote()),
        ("FareItem", item()),
        ("QuoteId", quote_id()),
        ("Acknowledgement", acknowledgement()),
    ]
}

fn position() -> Value {
    open_object("A place.", [("lat", reference("Latitude")), ("lng", reference("Longitude"))], [])
}

fn distance() -> Value {
    within(0, MAX_DISTANCE_M.into(), "The length of the ride, in metres.")
}

fn duration() -> Value {
    within(0, MAX_DURATION_S.into(), "The duration of the ride, in seconds.")
}

fn request() -> Value {
    let absent = |mut schema: Value, description: &str| {
        schema["description"] = description.into();
        or_null(schema)
    };
    open_object(
        "A ride to quote. Other members are ignored.",
        [("pickup", reference("Position")), ("dropoff", reference("Position"))],
        [
            ("product", or_null(described("ProductId", "Absent: the city's first product."))),
            (
                "distance_m",
                absent(
                    distance(),
                    "The length of the ride, in metres. Absent: by the great circle and `detour`.",
                ),
            ),
            (
                "duration_s",
                absent(
                    duration(),
                    "The duration of the ride, in seconds. Absent: by the length and `speed_kmh`.",
                ),
            ),
        ],
    )
}

fn quote_id() -> Value {
    let mut id = pattern(
        r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
        "The id of a quote: a signed token (JWS compact) that holds all of it.",
    );
    id["maxLength"] = 1_000.into();
    id
}

fn quote() -> Value {
    object(
        "A quote: what the ride costs if it is confirmed before `expires_at`.",
        [
            ("quote_id", reference("QuoteId")),
            ("status", one_of(&["valid", "confirmed", "expired"], "`confirmed` holds for ever.")),
            ("city", reference("CityId")),
            ("product", reference("ProductId")),
            ("cell", described("Cell", "The cell of the pickup.")),
            ("fare", described("Money", "The sum of the breakdown.")),
            ("breakdown", array(reference("FareItem"), "The items that are not 0, in the order of `item`.")),
            ("multiplier", reference("Multiplier")),
            ("distance_m", distance()),
            ("duration_s", duration()),
            ("mode", reference("Mode")),
            ("feed", reference("Feed")),
            ("as_of", nullable("Time", "The tick of the multiplier; null before the first one.")),
            (
                "age_ms",
                nullable("AgeMs", "The age of the multiplier at the issue; null before the first tick."),
            ),
            ("issued_at", described("Time", "When it was issued.")),
            ("expires_at", described("Time", "Until when it can be confirmed.")),
            ("requires_ack", boolean("Whether confirming needs `ack_multiplier`.")),
            ("policy_version", from(0, "The version of the policy in force.")),
            ("map_version", from(0, "The version of the map.")),
            ("explanation", why()),
        ],
        [("confirmed_at", described("Time", "When it was confirmed."))],
    )
}

fn item() -> Value {
    object(
        "An item of a fare.",
        [
            (
                "item",
                one_of(
                    &["base", "distance", "time", "minimum_adjustment", "surge", "booking_fee"],
                    "`surge` is negative where the multiplier is under 1.",
                ),
            ),
            ("amount", reference("Money")),
        ],
        [],
    )
}

fn why() -> Value {
    let reasons = ["not_fresh", "feed_suspect", "overridden", "at_limit", "demand_above_supply", "balanced"];
    object(
        "Why the multiplier is what it is.",
        [
            ("reason", one_of(&reasons, "The first that holds.")),
            ("href", text("The path and query of the explanation of the multiplier.")),
        ],
        [],
    )
}

fn acknowledgement() -> Value {
    let multiplier = json!({
        "type": "number", "minimum": 0.01, "maximum": 100, "multipleOf": 0.01,
        "description": "The quote's own multiplier. Required where the quote says `requires_ack`.",
    });
    open_object("A confirmation. Other members are ignored.", [], [("ack_multiplier", or_null(multiplier))])
}
