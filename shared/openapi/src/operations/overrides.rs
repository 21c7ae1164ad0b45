//! `/v1/cities/{city}/overrides`.

use serde_json::{Value, json};

use super::cities::{city, limit, next};
use crate::operation::{Body, Operation, Parameter, json_answer, path, query};
use crate::samples::sample;
use crate::schema::{one_of, reference};

pub(super) fn operations() -> Vec<Operation> {
    vec![create(), list(), read(), end()]
}

fn id() -> Parameter {
    path("id", "The override.", reference("OverrideId"))
}

fn override_of_the_answer() -> Value {
    json!({"city": "$request.path.city", "id": "$response.body#/id"})
}

fn create() -> Operation {
    Operation {
        route: ("POST", "/v1/cities/{city}/overrides"),
        id: "createOverride",
        tag: "Overrides",
        summary: "Create an override",
        description: "Caps, raises, freezes or ends surge for a time and a place. It binds the map, prices and new quotes within \
            5 s, also while no events arrive. It ends by itself at `ends_at`.",
        parameters: vec![city()],
        body: Some(Body {
            description: "The override.",
            is_required: true,
            content: vec![("application/json", reference("OverrideRequest"))],
        }),
        answers: vec![
            json_answer(201, "The override.", "Override")
                .header("Location")
                .link("override", "getOverride", override_of_the_answer())
                .link("end", "endOverride", override_of_the_answer()),
        ],
        codes: &["unknown_city", "too_many_overrides", "invalid_override"],
        samples: &[sample!("post-override")],
    }
}

fn list() -> Operation {
    Operation {
        route: ("GET", "/v1/cities/{city}/overrides"),
        id: "listOverrides",
        tag: "Overrides",
        summary: "List overrides",
        description: "The overrides of a city, the newest first. They are kept for 90 days after their end.",
        parameters: vec![
            city(),
            query("state", "Those that have not ended, those that have, or all.", one_of(&["active", "ended", "all"], ""))
                .with("default", "active".into()),
            limit(100, 1_000),
            next(),
        ],
        body: None,
        answers: vec![json_answer(200, "A page of overrides.", "OverridePage").link(
            "nextPage",
            "listOverrides",
            json!({"city": "$request.path.city", "state": "$request.query.state", "next": "$response.body#/next"}),
        )],
        codes: &["malformed_parameter", "unknown_city", "out_of_range", "response_too_large", ],
        samples: &[sample!("get-overrides")],
    }
}

fn read() -> Operation {
    Operation {
        route: ("GET", "/v1/cities/{city}/overrides/{id}"),
        id: "getOverride",
        tag: "Overrides",
        summary: "Read an override",
        description: "An override, with its state now.",
        parameters: vec![city(), id()],
        body: None,
        answers: vec![json_answer(200, "The override.", "Override")],
        codes: &["unknown_city", "unknown_override"],
        samples: &[sample!("get-override")],
    }
}

fn end() -> Operation {
    Operation {
        route: ("DELETE", "/v1/cities/{city}/overrides/{id}"),
        id: "endOverride",
        tag: "Overrides",
        summary: "End an override",
        description: "Ends an override now; one that has ended stays as it is. It stays in the list.",
        parameters: vec![city(), id()],
        body: None,
        answers: vec![json_answer(200, "The override, which has ended.", "Override")],
        codes: &["unknown_city", "unknown_override"],
        samples: &[sample!("delete-override")],
    }
}
