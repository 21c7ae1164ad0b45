//! `GET /v1/openapi.json` and `/v1/schemas/{name}`.

use serde_json::{Value, json};

use crate::operation::{Answer, Operation, answer, header, not_modified, path};
use crate::samples::sample;
use crate::schema::one_of;

/// The media type of a JSON Schema (JSON Schema 2020-12, section 14).
const SCHEMA_JSON: &str = "application/schema+json";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation {
            route: ("GET", "/v1/openapi.json"),
            id: "getOpenApi",
            tag: "Description",
            summary: "Read this document",
            description: "The API in OpenAPI 3.1.",
            parameters: vec![header("If-None-Match", "The entity tag of a document that the client has.")],
            body: None,
            answers: vec![document("application/json", "The document."), not_modified()],
            codes: &[],
            samples: &[sample!("get-openapi")],
        },
        Operation {
            route: ("GET", "/v1/schemas/{name}"),
            id: "getSchema",
            tag: "Description",
            summary: "Read a JSON Schema",
            description: "The JSON Schema (2020-12) of a document that the API takes.",
            parameters: vec![path("name", "The document.", one_of(&["policy.json"], ""))],
            body: None,
            answers: vec![answer(200, "The schema.").content(SCHEMA_JSON, any_object()).header("Vary")],
            codes: &["not_found"],
            samples: &[sample!("get-policy-schema")],
        },
    ]
}

fn document(media_type: &'static str, description: &'static str) -> Answer {
    answer(200, description).content(media_type, any_object()).header("ETag").header("Vary")
}

fn any_object() -> Value {
    json!({"type": "object"})
}
