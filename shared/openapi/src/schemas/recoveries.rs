//! Recoveries (CONTRACT §6).

use serde_json::{Value, json};

use crate::schema::{
    Member, array, constant, described, from, nullable, object, one_of, page, pattern, reference, text,
};

/// The steps, in order.
const STEPS: [&str; 6] = [
    "detect_failure",
    "isolate_failed_instance",
    "start_replacement_instance",
    "restore_processing_state",
    "validate_data_consistency",
    "resume_normal_operations",
];

pub(super) fn schemas() -> Vec<Member> {
    vec![
        ("RecoveryId", pattern("^[A-Za-z0-9._-]{1,64}$", "The name of a recovery.")),
        ("RecoveryRequest", request()),
        ("Recovery", recovery()),
        ("RecoveryStep", step()),
        ("RecoveryImpact", impact()),
        ("RecoveryPage", page("recoveries", "Recovery", "The recoveries, the newest first.", 100)),
    ]
}

fn component() -> Value {
    let mut component = constant("stream-processor");
    component["description"] = "The component that is recovered.".into();
    component
}

fn reason() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 500, "description": "Why, for people."})
}

fn request() -> Value {
    object("A recovery that is to be started.", [("reason", reason())], [("component", component())])
}

fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn recovery() -> Value {
    let status = one_of(
        &["running", "no_failure", "false_alarm", "failed", "inconsistent", "success"],
        "How it ended: the first look found nothing (`no_failure`), or a later one (`false_alarm`); a step failed (`failed`); \
         the component is not as it must be (`inconsistent`); six steps succeeded (`success`).",
    );
    object(
        "A recovery.",
        [
            ("id", reference("RecoveryId")),
            ("component", component()),
            ("status", status),
            ("reason", text("Why it was started.")),
            ("started_at", described("Time", "When it was started.")),
            ("ended_at", nullable("Time", "When it ended.")),
            ("duration_ms", or_null(from(0, "How long it took; null while it runs."))),
            ("steps", array(reference("RecoveryStep"), "The steps that have begun, in order.")),
        ],
        [("impact", reference("RecoveryImpact"))],
    )
}

fn step() -> Value {
    object(
        "A step of a recovery.",
        [
            ("step", one_of(&STEPS, "Which.")),
            ("status", one_of(&["running", "succeeded", "failed"], "How far it has come.")),
            ("started_at", described("Time", "When it began.")),
            ("duration_ms", or_null(from(0, "How long it took; null while it runs."))),
            (
                "details",
                json!({"type": "object", "description": "What it found and did. Members may be added."}),
            ),
        ],
        [],
    )
}

fn impact() -> Value {
    let modes = json!({
        "type": "object", "additionalProperties": {"type": "integer", "minimum": 1},
        "description": "Cities by the mode of their prices when the failure was confirmed.",
    });
    object(
        "What a confirmed failure hits.",
        [
            ("services", array(text("A service."), "Services that fail or degrade with the component.")),
            ("cities_by_mode", modes),
            ("fallbacks_in_force", array(reference("Mode"), "The modes in force that are not `fresh`.")),
            (
                "requests_per_minute",
                or_null(from(0, "Requests that are answered each minute; null where they are not measured.")),
            ),
            (
                "expected_duration_ms",
                or_null(from(0, "How long recoveries took, the median; null without any.")),
            ),
        ],
        [],
    )
}
