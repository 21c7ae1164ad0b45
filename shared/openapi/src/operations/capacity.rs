//! `GET /v1/capacity`.

use serde_json::{Value, json};

use crate::operation::{Operation, json_answer, query};
use crate::samples::sample;
use crate::schema::number_within;

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation {
        route: ("GET", "/v1/capacity"),
        id: "getCapacity",
        tag: "Operations",
        summary: "Project the capacity",
        description: "Each figure of the deployment at a multiple of today's load, by the law by which it grows; those beyond \
            their thresholds, the farthest first; and the cost. What was not measured is assumed, and named as such.",
        parameters: vec![query("scale", "The multiple.", scale()).with("default", Value::from(10))],
        body: None,
        answers: vec![json_answer(200, "The projection.", "Capacity").header("Vary")],
        codes: &["malformed_parameter", "out_of_range"],
        samples: &[sample!("get-capacity"), sample!("get-capacity-out-of-range")],
    }]
}

fn scale() -> Value {
    let mut scale = number_within(1.0, 1e6, "");
    scale["examples"] = json!([10]);
    scale
}
