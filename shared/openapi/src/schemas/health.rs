//! Verdicts on components (CONTRACT §6).

use serde_json::Value;

use crate::schema::{Member, array, described, from, nullable, object, one_of, or_null, reference, text};

pub(super) fn schemas() -> Vec<Member> {
    let components = [
        "pricing",
        "stream-processor",
        "notification",
        "analytics",
        "geospatial",
        "dynamodb",
        "kinesis",
        "elasticache",
    ];
    let statuses = ["healthy", "degraded", "unhealthy", "unknown"];
    vec![
        ("Component", one_of(&components, "A service or dependency.")),
        (
            "HealthStatus",
            one_of(&statuses, "What serves, serves in part, does not serve, or has had no looks lately."),
        ),
        ("Health", overall()),
        ("ComponentHealth", component()),
        ("HealthChanged", changed()),
    ]
}

fn overall() -> Value {
    object(
        "The health of the whole.",
        [
            ("status", reference("HealthStatus")),
            ("checked_at", nullable("Time", "The newest look; null before the first.")),
        ],
        [(
            "components",
            array(reference("ComponentHealth"), "Every component; absent without `prices:read`."),
        )],
    )
}

fn component() -> Value {
    object(
        "The verdict on a component.",
        [
            ("component", reference("Component")),
            (
                "kind",
                one_of(&["service", "dependency"], "Whether it is of this system, or a managed service."),
            ),
            ("status", reference("HealthStatus")),
            (
                "response_time_ms",
                or_null(from(0, "How long it took to answer, in milliseconds; null if it did not.")),
            ),
            ("checked_at", nullable("Time", "The newest look; null before the first.")),
            ("dependencies", array(reference("Component"), "What it depends on.")),
            ("since", reference("Time")),
        ],
        [("error", text("Why it is not healthy."))],
    )
}

fn changed() -> Value {
    object(
        "A component whose status is another.",
        [
            ("component", reference("Component")),
            ("from", described("HealthStatus", "Before.")),
            ("status", described("HealthStatus", "Now.")),
            ("overall", described("HealthStatus", "The status of the whole.")),
            ("now", nullable("Time", "The clock of the process.")),
        ],
        [("error", text("Why it is not healthy."))],
    )
}
