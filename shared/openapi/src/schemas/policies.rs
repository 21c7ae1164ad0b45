//! Policies: the schema that the reader of policies has, and what saving and trying one answers (CONTRACT §5, §7).

use equilibrium_domain::policy::schema;
use serde_json::{Value, json};

use crate::schema::{Member, array, described, from, nullable, object, page, reference, text};

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("Policy", policy()),
        ("PolicyUpdate", update()),
        ("PolicyVersionPage", page("versions", "PolicyVersion", "The versions, the newest first.", 100)),
        ("PolicyVersion", version()),
        ("PolicyOrDryRun", json!({"oneOf": [reference("Policy"), reference("DryRun")]})),
        ("DryRun", dry_run()),
        ("PolicyChange", change()),
        ("MapPreview", preview()),
        ("CellPreview", cell_preview()),
    ]
}

/// The schema of a part of a policy.
pub(super) fn part(path: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/Policy/properties/{path}")})
}

/// The schema that `/v1/schemas/policy.json` has, as a part of the document, which is of the same dialect.
fn policy() -> Value {
    let mut policy = schema::policy();
    if let Some(members) = policy.as_object_mut() {
        members.remove("$schema");
    }
    policy["description"] =
        "What defines a city. Answers have every member; a request may leave out those that are not required.".into();
    policy
}

/// A policy with the member that confirms a large change.
fn update() -> Value {
    let mut update = policy();
    update["title"] = "New version of a policy".into();
    update["properties"]["confirm_large_change"] = json!({
        "type": ["integer", "null"], "minimum": 0,
        "description": "The number of the new version, which confirms that it changes by more than `max_change` allows.",
    });
    update
}

fn version() -> Value {
    object(
        "A version of a policy.",
        [
            ("version", from(1, "Its number.")),
            ("saved_at", nullable("Time", "When it was saved.")),
            ("author", text("The client that saved it; `local` without tokens.")),
        ],
        [],
    )
}

fn dry_run() -> Value {
    object(
        "What a version would change.",
        [
            ("dry_run", json!({"type": "boolean", "const": true})),
            ("city", reference("CityId")),
            ("version", from(1, "The number that the version would have.")),
            ("changes", array(reference("PolicyChange"), "The values of the document that differ.")),
            ("too_large", array(reference("FieldError"), "What would be 409 `change_too_large`.")),
            ("map", reference("MapPreview")),
            ("notes", array(text("A sentence."), "What the map does not show, for people.")),
        ],
        [],
    )
}

fn change() -> Value {
    object(
        "A value that differs.",
        [
            ("pointer", text("The value, as a JSON pointer (RFC 6901).")),
            ("before", json!({"description": "Null if there is none."})),
            ("after", json!({"description": "Null if there is none."})),
        ],
        [],
    )
}

fn preview() -> Value {
    let pair = object(
        "Of a cell that is not in the map and in no zone.",
        [("before", reference("Multiplier")), ("after", reference("Multiplier"))],
        [],
    );
    let mut cells = array(reference("CellPreview"), "The cells that change, the greatest changes first.");
    cells["maxItems"] = 1_000.into();
    object(
        "The map under the version, in a city that exists.",
        [
            ("as_of", nullable("Time", "The newest tick; null before the first one.")),
            ("version", from(0, "The map's version.")),
            ("mode", nullable("Mode", "Null for a city that does not exist yet.")),
            ("cells_reported", from(0, "The cells of the map.")),
            ("cells_changed", from(0, "The cells whose multiplier changes.")),
            ("cells", cells),
            ("unreported", json!({"anyOf": [pair, {"type": "null"}]})),
        ],
        [],
    )
}

fn cell_preview() -> Value {
    object(
        "A cell whose multiplier changes.",
        [
            ("product", reference("ProductId")),
            ("cell", reference("Cell")),
            ("before", described("Multiplier", "The multiplier now.")),
            ("after", nullable("Multiplier", "The multiplier under the version; null if the product ends.")),
        ],
        [],
    )
}
