//! The surge map, as JSON and as GeoJSON, and the price of a place (CONTRACT §5).

use serde_json::{Value, json};

use crate::schema::{Member, array, constant, described, from, nullable, object, reference};

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("SurgeMap", surge_map()),
        ("SurgeCell", object("A cell of a map.", cell(), [product()])),
        ("SurgeMapGeoJson", collection()),
        ("SurgeFeature", feature()),
        ("Hexagon", hexagon()),
        ("Price", price()),
    ]
}

/// The members of a map beside its cells.
fn header() -> [Member; 8] {
    [
        ("city", reference("CityId")),
        ("as_of", nullable("Time", "The newest tick; null before the first one.")),
        ("version", from(0, "The number of ticks closed so far.")),
        ("bounds", from(0, "The number of changes of policy and overrides that the map is bounded by.")),
        ("age_ms", nullable("AgeMs", "Null before the first tick.")),
        ("mode", reference("Mode")),
        ("feed", reference("Feed")),
        ("completeness", reference("Completeness")),
    ]
}

fn product() -> Member {
    ("product", described("ProductId", "In a map of one product it is beside the cells, else in each cell."))
}

/// The members of a cell, in maps and in messages of the stream.
pub(super) fn cell() -> [Member; 4] {
    [
        ("cell", reference("Cell")),
        ("multiplier", reference("Multiplier")),
        ("demand", from(0, "The riders in the cell with a request in the policy's `window_ms`.")),
        ("supply", from(0, "The drivers in the cell who can serve the product.")),
    ]
}

fn surge_map() -> Value {
    let cells = array(reference("SurgeCell"), "The cells with demand, supply or surge, and frozen ones.");
    object("A surge map.", header().into_iter().chain([("cells", cells)]), [product()])
}

fn collection() -> Value {
    let features = array(reference("SurgeFeature"), "The cells.");
    let own = [("type", constant("FeatureCollection")), ("features", features)];
    object("A surge map in GeoJSON (RFC 7946).", own.into_iter().chain(header()), [product()])
}

fn feature() -> Value {
    object(
        "A cell of a map in GeoJSON.",
        [
            ("type", constant("Feature")),
            ("geometry", reference("Hexagon")),
            ("properties", reference("SurgeCell")),
        ],
        [],
    )
}

/// Pentagons are hexagons with one side fewer; a cell may have further vertices where it crosses an icosahedron's edge.
fn hexagon() -> Value {
    let position = json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}});
    let ring = json!({"type": "array", "items": position, "minItems": 4});
    let rings = json!({"type": "array", "items": ring, "minItems": 1});
    let of = |kind, description, coordinates: Value| {
        object(description, [("type", constant(kind)), ("coordinates", coordinates)], [])
    };
    json!({"oneOf": [
        of("Polygon", "The outline of a cell.", rings.clone()),
        of(
            "MultiPolygon",
            "The outline of a cell that the antimeridian cuts.",
            json!({"type": "array", "items": rings, "minItems": 2}),
        ),
    ]})
}

fn price() -> Value {
    object(
        "The price of a ride from a place.",
        [
            ("city", reference("CityId")),
            ("cell", described("Cell", "The cell of the place.")),
            ("product", reference("ProductId")),
            ("multiplier", reference("Multiplier")),
            ("as_of", nullable("Time", "The newest tick; null before the first one.")),
            ("age_ms", nullable("AgeMs", "Null before the first tick.")),
            ("mode", reference("Mode")),
            ("feed", reference("Feed")),
        ],
        [],
    )
}
