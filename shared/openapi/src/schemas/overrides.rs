//! Overrides (CONTRACT §9).

use equilibrium_domain::policy::ranges::{MAX_RINGS, MULTIPLIER_HUNDREDTHS, REASON_CHARS};
use serde_json::{Value, json};

use crate::schema::{Member, described, object, one_of, or_null, page, pattern, reference, text};

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("OverrideRequest", request()),
        ("Override", one()),
        ("OverridePage", page("overrides", "Override", "The overrides, the newest first.", 1_000)),
        ("OverrideId", pattern("^[0-9a-f]{27,32}$", "The id of an override.")),
        ("OverridePolygon", polygon()),
    ]
}

fn kind() -> Value {
    one_of(
        &["cap", "floor", "freeze", "kill"],
        "Multipliers are at most `multiplier` (`cap`), at least `multiplier` (`floor`), those published at `starts_at` \
         (`freeze`), or 1.0 (`kill`).",
    )
}

fn multiplier() -> Value {
    let bound = |hundredths: &u16| f64::from(*hundredths) / 100.0;
    json!({
        "type": "number", "multipleOf": 0.01,
        "minimum": bound(MULTIPLIER_HUNDREDTHS.start()), "maximum": bound(MULTIPLIER_HUNDREDTHS.end()),
        "description": "Of a cap or floor, and of these alone.",
    })
}

fn reason() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": REASON_CHARS, "description": "Why, for people."})
}

/// A polygon that a client sends: GeoJSON may have foreign members, and positions further numbers (RFC 7946 §6.1, §3.1.1).
fn polygon() -> Value {
    let position = json!({
        "type": "array", "minItems": 2,
        "prefixItems": [reference("Longitude"), reference("Latitude")],
    });
    let ring = json!({"type": "array", "items": position, "minItems": 4});
    json!({
        "type": "object", "required": ["type", "coordinates"],
        "properties": {
            "type": {"const": "Polygon"},
            "coordinates": {"type": "array", "items": ring, "minItems": 1, "maxItems": MAX_RINGS},
        },
        "description": "Where it applies, by the centres of cells. Absent: everywhere.",
    })
}

fn request() -> Value {
    let time =
        |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    object(
        "A new override.",
        [
            ("kind", kind()),
            ("ends_at", time("When it ends: at most 30 days from now, for a kill 24 h.")),
            ("reason", reason()),
        ],
        [
            ("product", or_null(described("ProductId", "The product. Absent: all."))),
            ("polygon", or_null(reference("OverridePolygon"))),
            ("multiplier", or_null(multiplier())),
            ("starts_at", or_null(time("When it begins. Absent: now."))),
        ],
    )
}

fn one() -> Value {
    object(
        "An override.",
        [
            ("id", reference("OverrideId")),
            ("kind", kind()),
            ("starts_at", described("Time", "When it begins to be in force.")),
            ("ends_at", described("Time", "When it ends.")),
            ("reason", reason()),
            ("author", text("The subject of the token that created it; `local` without tokens.")),
            ("created_at", described("Time", "When it was created.")),
            ("state", one_of(&["scheduled", "active", "ended"], "Whether it is in force.")),
        ],
        [
            ("product", described("ProductId", "The product. Absent: all.")),
            (
                "polygon",
                described("Polygon", "Where it applies, by the centres of cells. Absent: everywhere."),
            ),
            ("multiplier", multiplier()),
            ("ended_at", described("Time", "When it was ended before `ends_at`.")),
        ],
    )
}
