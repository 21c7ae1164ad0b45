//! Checks answers against the document: status, headers, media type and content.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use equilibrium_http::routes::matches;
use equilibrium_http::{Request, Response};
use flate2::read::MultiGzDecoder;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::document::document;
use crate::operation::{routes, shared_name};
use crate::schemas::stream::EVENTS;

/// An answer, as a client has it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The path of the request.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// The headers of the answer, with names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The content of the answer, as sent.
    pub body: &'a [u8],
}

/// Checks the response to a request.
///
/// # Panics
/// If the document does not have such an answer.
#[track_caller]
pub fn assert_conforms(request: &Request<'_>, response: &Response) {
    let headers: Vec<(&str, &str)> = response.headers.iter().map(|(name, value)| (*name, &**value)).collect();
    let Request { method, path, .. } = *request;
    let body = response.body.bytes();
    let observed = Observed { method, path, status: response.status, headers: &headers, body: &body };
    if let Err(violation) = check(&observed) {
        panic!("{method} {path} was answered with {}, {violation}", response.status);
    }
}

/// Checks an answer.
///
/// # Errors
/// What the document does not have of it, for people.
pub fn check(observed: &Observed<'_>) -> Result<(), String> {
    let found = described(observed)?;
    let media_types = found["content"].as_object();
    let header = |wanted: &str| {
        let is_wanted = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(wanted);
        observed.headers.iter().find(is_wanted).map(|(_, value)| *value)
    };
    for (name, reference) in found["headers"].as_object().into_iter().flatten() {
        if resolved(reference)["required"] == true && header(name).is_none() {
            return Err(format!("without the header {name}"));
        }
    }
    if observed.body.is_empty() {
        let has_content = media_types.is_some() && observed.method != "HEAD";
        return if has_content { Err("without content".to_owned()) } else { Ok(()) };
    }
    let media_type = header("content-type").unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let schema = media_types.and_then(|types| types.get(essence)).map(|media| &media["schema"]);
    let schema = schema.ok_or_else(|| format!("whose media type is {media_type:?}"))?;
    if essence.ends_with("json") {
        check_content(schema, &content(observed.body, header("content-encoding"))?)
    } else {
        Ok(())
    }
}

/// Checks the data of an event of the change stream.
///
/// # Errors
/// What the document does not have of it, for people.
pub fn check_event(name: &str, data: &Value) -> Result<(), String> {
    let found = EVENTS.iter().find(|(event, _)| *event == name);
    let (_, schema) = found.ok_or_else(|| format!("the event {name} is not described"))?;
    check_content(&DOCUMENT["components"]["schemas"][schema], data)
}

/// The response that the document has for the answer.
fn described(observed: &Observed<'_>) -> Result<&'static Value, String> {
    let Observed { method, path, status, .. } = *observed;
    let method = if method == "HEAD" { "GET" } else { method };
    // Methods differ by case. A path without parameters is more specific than one with them.
    let found = routes().filter(|route| route.method == method && matches(route.path, path));
    let found = found.min_by_key(|route| route.path.matches('{').count());
    let operation = found.map(|route| &DOCUMENT["paths"][route.path][route.method.to_ascii_lowercase()]);
    let found = match operation {
        Some(operation) => &operation["responses"][status.to_string()],
        // An unreadable request, and one of a path or method that there is not.
        None => &DOCUMENT["components"]["responses"][shared_name(status)],
    };
    let found = resolved(found);
    if found.is_null() {
        return Err("which the document does not have".to_owned());
    }
    Ok(found)
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// What a reference names.
fn resolved(part: &'static Value) -> &'static Value {
    let Some(reference) = part["$ref"].as_str() else { return part };
    DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null)
}

fn content(body: &[u8], coding: Option<&str>) -> Result<Value, String> {
    let mut text = Vec::new();
    if coding == Some("gzip") {
        let read = MultiGzDecoder::new(body).read_to_end(&mut text);
        read.map_err(|error| format!("whose content is not gzip: {error}"))?;
    } else {
        text.extend_from_slice(body);
    }
    serde_json::from_slice(&text).map_err(|error| format!("whose content is not JSON: {error}"))
}

fn check_content(schema: &'static Value, content: &Value) -> Result<(), String> {
    let validator = validator(schema);
    let violations: Vec<String> =
        validator.iter_errors(content).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if violations.is_empty() {
        return Ok(());
    }
    Err(format!("whose content violates its schema: {}", violations.join("; ")))
}

/// The validator of a schema of the document, built at its first use.
fn validator(schema: &'static Value) -> Arc<Validator> {
    static BUILT: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build = || {
        let root = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": DOCUMENT["components"], "allOf": [schema],
        });
        let validator = jsonschema::options().should_validate_formats(true).build(&root);
        Arc::new(validator.expect("a test builds every schema"))
    };
    Arc::clone(built.entry(schema.to_string()).or_insert_with(build))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(body: &Value) -> Result<(), String> {
        let headers = [("content-type", "application/json")];
        let body = body.to_string();
        check(&Observed {
            method: "GET",
            path: "/v1/price",
            status: 200,
            headers: &headers,
            body: body.as_bytes(),
        })
    }

    #[test]
    fn an_answer_that_the_document_does_not_have_is_found() {
        let good = json!({
            "city": "nyc", "cell": "882a100d63fffff", "product": "standard", "multiplier": 1.2,
            "as_of": "2026-02-25T06:13:20.000Z", "age_ms": 0, "mode": "fresh", "feed": "ok",
        });
        assert_eq!(price(&good), Ok(()));
        for (member, value) in [("mode", "stale".into()), ("multiplier", json!("1.2")), ("more", json!(1))] {
            let mut bad = good.clone();
            bad[member] = value;
            assert!(price(&bad).is_err(), "{member}");
        }
        let of = |status, headers: &[(&str, &str)], body: &[u8]| {
            check(&Observed { method: "GET", path: "/v1/price", status, headers, body })
        };
        assert_eq!(of(418, &[], b""), Err("which the document does not have".to_owned()));
        assert_eq!(of(200, &[], b""), Err("without content".to_owned()));
        assert!(of(200, &[("content-type", "text/html")], b"x").is_err());
        assert_eq!(of(503, &[], b"x"), Err("without the header Retry-After".to_owned()));
    }

    #[test]
    fn a_problem_has_a_code_of_its_operation() {
        let of = |code: &str| {
            let body = json!({"type": "about:blank", "title": "Not Found", "status": 404, "detail": "x", "code": code});
            let headers = [("content-type", "application/problem+json")];
            let body = body.to_string();
            check(&Observed {
                method: "GET",
                path: "/v1/quotes/a",
                status: 404,
                headers: &headers,
                body: body.as_bytes(),
            })
        };
        assert_eq!(of("unknown_quote"), Ok(()));
        assert!(of("unknown_city").is_err());
    }
}
