//! `/v1/health`.

use crate::operation::{Operation, json_answer, path};
use crate::samples::sample;
use crate::schema::reference;

pub(super) fn operations() -> Vec<Operation> {
    vec![overall(), component()]
}

fn overall() -> Operation {
    Operation {
        route: ("GET", "/v1/health"),
        id: "getHealth",
        tag: "Health",
        summary: "Read the health of the whole",
        description: "The newest verdicts, which a schedule reaches: a request probes nothing. The status is 200 whatever they \
            say. A token without `prices:read`, or none, gives the overall status alone.",
        parameters: Vec::new(),
        body: None,
        answers: vec![json_answer(200, "The verdicts.", "Health")],
        codes: &[],
        samples: &[sample!("get-health")],
    }
}

fn component() -> Operation {
    Operation {
        route: ("GET", "/v1/health/{component}"),
        id: "getComponentHealth",
        tag: "Health",
        summary: "Read the health of a component",
        description: "The newest verdict on one service or dependency.",
        parameters: vec![path("component", "The component.", reference("Component"))],
        body: None,
        answers: vec![json_answer(200, "The verdict.", "ComponentHealth")],
        codes: &["unknown_component"],
        samples: &[sample!("get-health-component")],
    }
}
