//! `POST /v1/events`.

use serde_json::json;

use crate::operation::{Body, Operation, json_answer};
use crate::samples::sample;
use crate::schema::{array, reference};

pub(super) fn operations() -> Vec<Operation> {
    let lines = json!({
        "type": "string", "contentMediaType": "application/x-ndjson",
        "description": "An event a line (`MarketEvent`); blank lines are ignored.",
    });
    vec![Operation {
        route: ("POST", "/v1/events"),
        id: "postEvents",
        tag: "Events",
        summary: "Post market events",
        description: "Puts events into the log. An event that is refused does not affect its neighbours: the receipt lists it. \
            After 503 it is unknown which events are in the log; the same body is sent again, and an event that is in the \
            log twice counts once. `Content-Encoding: gzip` is taken.",
        parameters: Vec::new(),
        body: Some(Body {
            description: "Events, at most 1 MiB, inflated; each at most 4 096 bytes.",
            is_required: true,
            content: vec![
                ("application/json", array(reference("MarketEvent"), "Events.")),
                ("application/x-ndjson", lines),
            ],
        }),
        answers: vec![json_answer(202, "The accepted events are in the log.", "Receipt")],
        codes: &[],
        samples: &[sample!("post-events-array"), sample!("post-events-ndjson")],
    }]
}
