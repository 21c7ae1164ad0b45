//! Explanations and the history of prices (CONTRACT §10).

use serde_json::{Value, json};

use crate::schema::{
    Member, array, boolean, constant, described, from, number, number_within, object, one_of, page,
    reference, text, within,
};

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("Explanation", explanation()),
        ("CellAround", around()),
        ("CurveInForce", curve()),
        ("GuardInForce", guard()),
        ("Bound", bound()),
        ("HistoryPage", page("changes", "HistoryRow", "The rows, the oldest first.", 1_000)),
        ("HistoryRow", row()),
    ]
}

fn explanation() -> Value {
    let weights =
        array(number_within(0.0, 1e9, "A weight."), "The weights of the rings 0, 1, … around the cell.");
    object(
        "Every number that the multiplier of a cell at a tick was computed from. Numbers read back bit for bit: the \
         formulas of the contract give `multiplier` again.",
        [
            ("city", reference("CityId")),
            ("cell", reference("Cell")),
            ("product", reference("ProductId")),
            ("at", described("Time", "The tick.")),
            ("version", from(0, "The map's version at this tick.")),
            ("policy_version", from(0, "The version of the policy in force.")),
            ("cells", array(reference("CellAround"), "The cells around with demand or supply.")),
            ("weights", weights),
            ("D", number("The demand around the cell, weighted.")),
            ("S", number("The supply around the cell, weighted.")),
            ("prior", number("The prior `a`.")),
            ("balanced_ratio", number("The balanced ratio `ρ`.")),
            ("pressure", number("The pressure `r`.")),
            ("curve", reference("CurveInForce")),
            ("raw", number("The raw multiplier of the pressure.")),
            ("alpha", number_within(0.0, 1.0, "The share of the way to `raw` that `m` went.")),
            ("m_before", number("The smoothed multiplier before the tick.")),
            ("m", number("The smoothed multiplier at the tick.")),
            ("step", number_within(0.01, 1.0, "The step of published multipliers.")),
            ("published_before", number("What was published before the tick, in hundredths.")),
            ("published", number("What was published at the tick, in hundredths.")),
            ("guard", reference("GuardInForce")),
            ("bounds", array(reference("Bound"), "The bounds in force, in the order in which they apply.")),
            ("multiplier", reference("Multiplier")),
            ("text", text("The same, for people.")),
        ],
        [],
    )
}

fn around() -> Value {
    object(
        "A cell around the one explained.",
        [
            ("cell", reference("Cell")),
            ("ring", within(0, 6, "Its grid distance; 0 is the cell itself.")),
            ("demand", from(0, "Its riders.")),
            ("supply", from(0, "Its drivers.")),
        ],
        [],
    )
}

fn curve() -> Value {
    let of = |name: &str, parameters: Vec<Member>| {
        let own = [("curve", constant(name))].into_iter().chain(parameters);
        object(&format!("The curve `{name}`."), own, [])
    };
    let point = json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}});
    json!({"description": "The curve in force, with its parameters.", "oneOf": [
        of("equilibrium", vec![
            ("demand_elasticity", number("Elasticity of demand.")),
            ("supply_elasticity", number("Elasticity of supply.")),
        ]),
        of("linear", vec![("slope", number("The slope."))]),
        of("exponential", vec![("k", number("The steepness."))]),
        of("table", vec![("table", array(point, "Points [pressure, multiplier], with ascending pressures."))]),
    ]})
}

fn guard() -> Value {
    object(
        "The feed guard at the end of the tick.",
        [
            ("on", boolean("Whether multipliers do not rise.")),
            ("reporting", from(0, "The drivers in touch.")),
            ("lost", from(0, "The drivers who fell silent in the last `driver_ttl_ms`.")),
        ],
        [],
    )
}

fn bound() -> Value {
    object(
        "A bound in force.",
        [
            ("source", text("`policy`, or `zone`, `override` or `law` with an id.")),
            ("kind", one_of(&["freeze", "floor", "cap", "kill"], "What it does.")),
            ("value", number("The multiplier that it allows; of a freeze, the one published at its start.")),
            ("binds", boolean("Whether it changed the multiplier.")),
        ],
        [],
    )
}

fn row() -> Value {
    object(
        "A cell at a tick.",
        [
            ("at", described("Time", "The tick.")),
            ("product", reference("ProductId")),
            ("cell", reference("Cell")),
            ("multiplier", described("Multiplier", "1 at the end of the cell's listing.")),
            ("demand", from(0, "The riders in the cell.")),
            ("supply", from(0, "The drivers in the cell.")),
            ("version", from(0, "The map's version at this tick.")),
        ],
        [],
    )
}
