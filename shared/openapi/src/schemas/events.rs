//! Market events, and the receipt of a body of them (CONTRACT §1, §5).

use equilibrium_domain::event::Refusal;
use serde_json::{Value, json};

use crate::schema::{
    Member, array, constant, described, from, object, one_of, open_object, or_null, reference, text,
};

/// The schema and the type of each event.
const EVENTS: [(&str, &str); 5] = [
    ("DriverLocation", "driver_location"),
    ("RideRequested", "ride_requested"),
    ("RideMatched", "ride_matched"),
    ("RideCompleted", "ride_completed"),
    ("RideCancelled", "ride_cancelled"),
];

pub(super) fn schemas() -> Vec<Member> {
    let mut schemas = vec![("MarketEvent", event()), ("DriverLocation", driver_location())];
    schemas.push(("RideRequested", ride_requested()));
    for (schema, name) in &EVENTS[2..] {
        schemas.push((schema, ride(name, [], [])));
    }
    schemas.extend([("OtherEvent", other()), ("Receipt", receipt()), ("RefusedEvent", refused())]);
    schemas
}

fn event() -> Value {
    let known = EVENTS.iter().map(|(schema, _)| *schema);
    json!({
        "description": "A market event. Members that its type does not have are ignored. An event that this schema does not \
            describe is refused by itself: the request has status 202, and its receipt lists the event.",
        "oneOf": known.chain(["OtherEvent"]).map(reference).collect::<Value>(),
    })
}

fn other() -> Value {
    let mut name = text("Not one of the types above.");
    name["not"] = json!({"enum": EVENTS.map(|(_, name)| name)});
    open_object("An event of another type: it is accepted, counted, and moves nothing.", [("type", name)], [])
}

/// The members of every event.
fn common(name: &str) -> [Member; 4] {
    [
        ("type", constant(name)),
        ("id", described("EntityId", "Unique per event, for tracing. Events are not deduplicated by it.")),
        ("time", event_time()),
        ("city", reference("CityId")),
    ]
}

fn event_time() -> Value {
    json!({
        "type": "string", "format": "date-time",
        "description": "The event's own time: RFC 3339 with a zone. Digits after the milliseconds are cut off.",
    })
}

fn driver_location() -> Value {
    let status = one_of(&["available", "en_route", "on_trip", "offline"], "What the driver is doing.");
    let products = array(
        reference("ProductId"),
        "The products that the driver can serve. Absent: all of the city's; empty: none.",
    );
    let own = [
        ("driver_id", reference("EntityId")),
        ("lat", reference("Latitude")),
        ("lng", reference("Longitude")),
        ("status", status),
    ];
    open_object(
        "A driver's position and status.",
        common("driver_location").into_iter().chain(own),
        [("products", or_null(products))],
    )
}

fn ride_requested() -> Value {
    let pickup = [("lat", reference("Latitude")), ("lng", reference("Longitude"))];
    let product = described("ProductId", "Absent: the city's first product.");
    let dropoff = [("dropoff_lat", "Latitude"), ("dropoff_lng", "Longitude")];
    let dropoff = dropoff.map(|(name, schema)| (name, or_null(reference(schema))));
    ride("ride_requested", pickup, [("product", or_null(product))].into_iter().chain(dropoff))
}

fn ride(
    name: &'static str,
    required: impl IntoIterator<Item = Member>,
    optional: impl IntoIterator<Item = Member>,
) -> Value {
    let rider = described("EntityId", "If given, it is on every event of the request.");
    open_object(
        &format!("An event of a ride, `{name}`. The position is the pickup's."),
        common(name).into_iter().chain([("request_id", reference("EntityId"))]).chain(required),
        [("rider_id", or_null(rider))].into_iter().chain(optional),
    )
}

fn receipt() -> Value {
    object(
        "What became of the events of a body.",
        [
            ("accepted", from(0, "The number of events that are in the log.")),
            (
                "refused",
                array(reference("RefusedEvent"), "The first refused events, 1 000 and 256 KiB at most."),
            ),
        ],
        [("unlisted", from(1, "The number of refused events that are not listed."))],
    )
}

fn refused() -> Value {
    object(
        "A refused event.",
        [
            (
                "index",
                from(0, "Its index among the array's elements, or among the lines that are not blank."),
            ),
            (
                "code",
                one_of(&Refusal::CODES, "Why it is refused: the first code that applies, in this order."),
            ),
            ("message", text("The same, for people.")),
        ],
        [],
    )
}
