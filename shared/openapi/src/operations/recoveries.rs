//! `/v1/recoveries`.

use serde_json::json;

use super::cities::{limit, next};
use crate::operation::{Body, Operation, header, json_answer, path};
use crate::samples::sample;
use crate::schema::reference;

pub(super) fn operations() -> Vec<Operation> {
    vec![start(), list(), read()]
}

fn start() -> Operation {
    Operation {
        route: ("POST", "/v1/recoveries"),
        id: "startRecovery",
        tag: "Recoveries",
        summary: "Start a recovery",
        description: "Has a component recovered, in six steps, of which the first ends the recovery where the component has not \
            failed. The steps are done after the answer. The same `Idempotency-Key` is the same recovery, and the name of it.",
        parameters: vec![header(
            "Idempotency-Key",
            "The name of the recovery: 1 to 64 letters, digits, `-`, `_` and `.`.",
        )],
        body: Some(Body {
            description: "What is recovered, and why.",
            is_required: true,
            content: vec![("application/json", reference("RecoveryRequest"))],
        }),
        answers: vec![json_answer(202, "The recovery.", "Recovery").header("Location").link(
            "recovery",
            "getRecovery",
            json!({"id": "$response.body#/id"}),
        )],
        codes: &["malformed_header", "recovery_running", "invalid_recovery"],
        samples: &[sample!("post-recovery")],
    }
}

fn list() -> Operation {
    Operation {
        route: ("GET", "/v1/recoveries"),
        id: "listRecoveries",
        tag: "Recoveries",
        summary: "List recoveries",
        description: "The recoveries of the last 90 days, the newest first.",
        parameters: vec![limit(20, 100), next()],
        body: None,
        answers: vec![json_answer(200, "A page of recoveries.", "RecoveryPage").link(
            "nextPage",
            "listRecoveries",
            json!({"next": "$response.body#/next"}),
        )],
        codes: &["malformed_parameter", "out_of_range", "response_too_large"],
        samples: &[sample!("get-recoveries")],
    }
}

fn read() -> Operation {
    Operation {
        route: ("GET", "/v1/recoveries/{id}"),
        id: "getRecovery",
        tag: "Recoveries",
        summary: "Read a recovery",
        description: "A recovery, with the steps that have begun.",
        parameters: vec![path("id", "The recovery.", reference("RecoveryId"))],
        body: None,
        answers: vec![json_answer(200, "The recovery.", "Recovery")],
        codes: &["unknown_recovery"],
        samples: &[sample!("get-recovery")],
    }
}
