//! Projected figures and their cost (CONTRACT §12).

use serde_json::{Value, json};

use crate::schema::{
    Member, array, boolean, described, from, number, number_within, object, one_of, or_null, pattern,
    reference, text, within,
};

const BASES: [&str; 2] = ["measured", "assumed"];
const LAWS: [&str; 4] = ["constant", "linear", "power", "product"];
const CAUSES: [&str; 4] = ["events", "prices", "quotes", "deployment"];

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("Capacity", capacity()),
        ("Bottleneck", bottleneck()),
        ("ProjectedComponent", component()),
        ("ProjectedMetric", metric()),
        ("CapacityLoad", load()),
        ("CapacitySettings", settings()),
        ("Cost", cost()),
        ("CostLine", cost_line()),
        ("CostAmount", amount()),
    ]
}

fn capacity() -> Value {
    object(
        "The figures of a deployment at a multiple of today's load.",
        [
            ("scale", number_within(1.0, 1e6, "The multiple.")),
            ("extrapolated", boolean("Whether it is more than ten times what was measured.")),
            (
                "bottlenecks",
                array(reference("Bottleneck"), "Figures beyond their thresholds, the farthest first."),
            ),
            ("components", array(reference("ProjectedComponent"), "All figures.")),
            ("load", reference("CapacityLoad")),
            ("settings", reference("CapacitySettings")),
            ("cost_now", described("Cost", "What today's load costs.")),
            ("cost_projected", described("Cost", "What the multiple would cost.")),
            ("prices_region", text("The region of the prices.")),
            ("prices_as_of", text("The date of the list of prices.")),
            ("limits_as_of", text("The date of the ceilings.")),
            ("demands_as_of", text("The date on which demands were measured.")),
        ],
        [],
    )
}

fn bottleneck() -> Value {
    object(
        "A figure beyond its threshold.",
        [
            ("component", text("The component.")),
            ("metric", text("The figure.")),
            ("now", number("The figure today.")),
            ("projected", number("The figure at the multiple.")),
            ("threshold", number("The threshold.")),
            ("severity", one_of(&["high", "critical"], "`critical` from 1.1 times the threshold.")),
            ("impact", or_null(text("What happens beyond the threshold."))),
            ("remedies", array(text("A remedy, with its setting."), "What can be done.")),
            ("basis", one_of(&BASES, "Where the figure is from.")),
        ],
        [],
    )
}

fn component() -> Value {
    object(
        "A component.",
        [
            ("component", text("Its name.")),
            ("kind", text("What it is.")),
            ("metrics", array(reference("ProjectedMetric"), "Its figures.")),
        ],
        [],
    )
}

fn metric() -> Value {
    object(
        "A figure.",
        [
            ("name", text("Its name.")),
            ("now", number("The figure today.")),
            ("factor", number("The factor by which it grows.")),
            ("projected", number("The figure at the multiple.")),
            ("threshold", number("The threshold.")),
            ("law", one_of(&LAWS, "The law by which it grows far from today's load.")),
            ("basis", one_of(&BASES, "Where the figure is from.")),
        ],
        [],
    )
}

fn load() -> Value {
    let loads = [
        "events_per_s",
        "events_per_call",
        "price_requests_per_s",
        "quotes_per_s",
        "confirmations_per_s",
        "cities",
        "entities",
    ];
    object(
        "Today's load: the busiest five minutes of the last day on AWS, the mean since the start of one process.",
        [
            ("events_per_s", number("Market events a second.")),
            ("events_per_call", number("Events of a call.")),
            ("price_requests_per_s", number("Requests for prices and maps a second.")),
            ("quotes_per_s", number("Issued quotes a second.")),
            ("confirmations_per_s", number("Confirmed quotes a second.")),
            ("cities", number("Cities.")),
            ("entities", number("Drivers and riders that are known at a time.")),
            ("assumed", array(one_of(&loads, "A member."), "The members that were not measured.")),
        ],
        [],
    )
}

fn settings() -> Value {
    object(
        "The settings of the deployment.",
        [
            ("lanes", within(1, 65_536, "Lanes of the stream of events.")),
            ("event_shards", from(1, "Shards of the stream of events.")),
            ("count_shards", from(1, "Shards of the stream of counts.")),
            ("change_shards", from(1, "Shards of the stream of changes.")),
            ("groups", from(1, "Groups of cities.")),
            ("function_memory_mb", from(128, "Memory of a function.")),
        ],
        [],
    )
}

fn cost() -> Value {
    let amount = |description: &str| or_null(described("CostAmount", description));
    object(
        "The bill of a month of 730 hours.",
        [
            ("month", described("CostAmount", "All of it.")),
            ("per_million_events", amount("Of a million events; `null` without any.")),
            ("per_million_prices", amount("Of a million requests for prices; `null` without any.")),
            ("per_million_quotes", amount("Of a million quotes; `null` without any.")),
            ("lines", array(reference("CostLine"), "Its lines.")),
        ],
        [],
    )
}

fn cost_line() -> Value {
    object(
        "A line of the bill.",
        [
            ("component", text("The component.")),
            ("item", text("What has a price.")),
            ("cause", one_of(&CAUSES, "What causes it.")),
            ("quantity", number("How much of it in a month.")),
            ("unit", text("The item in words.")),
            ("price_as_of", text("The date of its price.")),
            ("month", described("CostAmount", "What it costs in a month.")),
        ],
        [],
    )
}

fn amount() -> Value {
    let mut amount = object(
        "An amount: of a month with the currency's digits, of a million with six.",
        [
            ("amount", pattern(r"^[0-9]+\.[0-9]{2,6}$", "A decimal number.")),
            ("currency", pattern("^[A-Z]{3}$", "The currency (ISO 4217).")),
        ],
        [],
    );
    amount["examples"] = json!([{"amount": "0.441200", "currency": "USD"}]);
    amount
}
