//! The data of the events of the change stream (CONTRACT §10).

use serde_json::Value;

use super::maps;
use crate::schema::{Member, array, described, from, nullable, object, reference};

/// The names of events, each with the schema of its data.
#[cfg(feature = "conformance")]
pub(crate) const EVENTS: [(&str, &str); 6] = [
    ("surge_changed", "SurgeChanged"),
    ("mode_changed", "ModeChanged"),
    ("feed_changed", "FeedChanged"),
    ("recovery_changed", "Recovery"),
    ("pulse", "Pulse"),
    ("reload", "Reload"),
];

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("Reload", object("The client missed events: it fetches the map again.", [], [])),
        ("SurgeChanged", surge_changed()),
        ("ChangedCell", object("A cell of which a member changed.", maps::cell(), [])),
        ("ModeChanged", mode_changed("mode", "Mode")),
        ("FeedChanged", mode_changed("feed", "Feed")),
        ("Pulse", pulse()),
    ]
}

fn now() -> Member {
    ("now", nullable("Time", "The clock of the process."))
}

fn surge_changed() -> Value {
    object(
        "A tick that closed, or a change of the bounds, of one product.",
        [
            ("city", reference("CityId")),
            ("product", reference("ProductId")),
            ("from", from(0, "The version of the event before.")),
            ("version", from(0, "The version of the map.")),
            ("bounds", from(0, "The number of changes of policy and overrides.")),
            ("as_of", nullable("Time", "The tick.")),
            ("mode", reference("Mode")),
            ("feed", reference("Feed")),
            ("completeness", reference("Completeness")),
            now(),
            ("cells", array(reference("ChangedCell"), "The cells of which a member changed.")),
            ("gone", array(reference("Cell"), "The cells that are not listed any more.")),
        ],
        [],
    )
}

fn mode_changed(name: &'static str, schema: &str) -> Value {
    object(
        &format!("A change of `{name}`."),
        [
            ("city", reference("CityId")),
            ("from", described(schema, "Before.")),
            (name, described(schema, "Now.")),
            ("as_of", nullable("Time", "The newest tick.")),
            now(),
        ],
        [],
    )
}

fn pulse() -> Value {
    object(
        "What the process does, each second.",
        [
            now(),
            ("events_per_s", from(0, "The events accepted in a second.")),
            ("cells", from(0, "The cells of all maps.")),
            ("surging", from(0, "The cells with a multiplier over 1.")),
        ],
        [],
    )
}
