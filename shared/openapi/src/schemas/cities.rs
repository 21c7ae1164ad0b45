//! Cities (CONTRACT §5).

use serde_json::Value;

use super::policies::part;
use crate::schema::{Member, array, nullable, object, one_of, page, reference, text, within};

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("CityPage", page("cities", "CitySummary", "The cities, ordered by id.", 1_000)),
        ("CitySummary", object("A city, and the state of its prices.", summary(), [])),
        ("City", city()),
        ("EventSource", source()),
    ]
}

fn summary() -> [Member; 6] {
    [
        ("city", reference("CityId")),
        ("name", text("Its name, for people.")),
        ("products", array(reference("ProductId"), "Its products; the first is the default.")),
        ("mode", reference("Mode")),
        ("as_of", nullable("Time", "The newest tick; null before the first one.")),
        ("age_ms", nullable("AgeMs", "The age of its prices; null before the first tick.")),
    ]
}

fn city() -> Value {
    let own = [
        ("resolution", within(0, 15, "The H3 resolution of its cells.")),
        ("boundary", part("boundary")),
        ("currency", part("currency")),
        ("timezone", part("timezone")),
        ("zones", part("zones")),
        ("tick_ms", part("clock/properties/tick_ms")),
        ("lateness_ms", part("clock/properties/lateness_ms")),
        ("source", reference("EventSource")),
        ("surge", part("surge")),
        ("limits", part("limits")),
    ];
    object(
        "A city with what a reader needs to draw it and to explain its prices, in the form of its policy.",
        summary().into_iter().chain(own),
        [],
    )
}

fn source() -> Value {
    let kinds = one_of(&["simulated", "file", "live"], "The simulator, a file, or drivers and riders alone.");
    object(
        "Where the city's events come from, apart from clients.",
        [("kind", kinds), ("started_at", nullable("Time", "Since when; null if it is not known."))],
        [],
    )
}
