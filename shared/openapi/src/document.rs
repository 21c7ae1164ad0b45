//! The document: the route table with what it says of each route.

use equilibrium_http::routes::{Route, Scope};
use serde_json::{Map, Value, json};

use crate::codes::{self, CODES};
use crate::operation::{problem_response, routes, shared_name};
use crate::{operations, schemas};

const DESCRIPTION: &str = "Equilibrium prices rides by demand and supply: it takes the events of drivers and riders, and \
    answers surge maps, prices and quotes.

Times are RFC 3339 in UTC to the millisecond; members that end in `_ms`, `_s` and `_m` are milliseconds, seconds and metres; \
cells are H3 indices in hexadecimal; money is a decimal text with its currency. Unknown query parameters are ignored. `HEAD` is \
answered wherever `GET` is. `Accept-Encoding: gzip` is honoured, and `Content-Encoding: gzip` is taken. Every error is a problem \
document (RFC 9457), whose `code` programs act upon. A path that this document does not have is 404 `not_found`, a method that a \
path does not have 405 `method_not_allowed`.";

/// The document, in OpenAPI 3.1.
///
/// # Panics
/// If a route of the table is not described, which a test excludes.
#[must_use]
pub fn document() -> Value {
    let described = operations::all();
    let mut paths = Map::new();
    for &Route { method, path, scope, .. } in routes() {
        let operation = described.iter().find(|operation| operation.route == (method, path));
        let operation = operation.unwrap_or_else(|| panic!("{method} {path} is not described"));
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        let mut written = operation.write();
        written["security"] = security(scope);
        operations[method.to_ascii_lowercase()] = written;
    }
    let tags = operations::TAGS.map(|(name, description)| json!({"name": name, "description": description}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Equilibrium", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas::all(), "headers": headers(), "responses": responses(), "securitySchemes": security_schemes()},
    })
}

/// What a client needs for a route with this scope; nothing where tokens are off.
fn security(scope: Option<Scope>) -> Value {
    match scope {
        Some(scope) => json!([{"bearer": [scope.name()]}, {}]),
        None => json!([]),
    }
}

fn security_schemes() -> Value {
    json!({"bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the deployment's issuer, signed by RS256 or ES256. Its `scope` has the scope of the operation. \
            `equilibrium serve` asks for one with `--auth on` alone.",
    }})
}

fn headers() -> Value {
    let text = |description: &str| json!({"description": description, "schema": {"type": "string"}, "required": true});
    let mut retry_after = text("After how many seconds the request is repeated.");
    retry_after["schema"] = json!({"type": "integer", "minimum": 0});
    let optional = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "ETag": text("The entity tag, for conditional requests."),
        "SavedETag": optional("The entity tag of the new version; absent from a dry run."),
        "CurrentETag": optional("The entity tag of the version in force; absent without one, and after a race for it."),
        "Location": text("The path of the new resource."),
        "Vary": text("The request headers that the answer depends on."),
        "Allow": text("The methods of the resource."),
        "Retry-After": retry_after,
        "WWW-Authenticate": text("What a token must have (RFC 6750)."),
    })
}

/// The answers that operations share, and those to requests that no operation takes.
fn responses() -> Value {
    let shared = CODES.iter().filter(|code| codes::SHARED.contains(&code.code));
    let responses = shared.map(|code| (shared_name(code.status), problem_response(code.status, &[*code])));
    Value::Object(responses.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_route_is_described_once_and_nothing_else_is() {
        let described: Vec<_> = operations::all().iter().map(|operation| operation.route).collect();
        let routes: Vec<_> = routes().map(|route| (route.method, route.path)).collect();
        let set: HashSet<_> = described.iter().collect();
        assert_eq!(set.len(), described.len());
        assert_eq!(set, routes.iter().collect());
    }

    #[test]
    fn an_operation_has_a_name_of_its_own_a_group_and_the_parameters_of_its_path() {
        let mut ids = HashSet::new();
        for operation in operations::all() {
            let (method, path) = operation.route;
            assert!(ids.insert(operation.id), "{}", operation.id);
            assert!(operations::TAGS.iter().any(|(tag, _)| *tag == operation.tag), "{}", operation.tag);
            assert!(!operation.summary.is_empty() && operation.description.ends_with('.'), "{method} {path}");
            let of_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let declared = operation.parameters.iter().filter(|parameter| parameter.is_in("path"));
            assert!(of_path.eq(declared.map(|parameter| parameter.name)), "{method} {path}");
        }
    }

    #[test]
    fn every_code_is_in_the_table_and_of_an_operation() {
        let mut used: HashSet<&str> = codes::OF_NO_OPERATION.into_iter().collect();
        for operation in operations::all() {
            for code in operation.codes {
                assert!(CODES.iter().any(|known| known.code == *code), "{code} of {}", operation.id);
            }
            used.extend(operation.problems().values().flatten().map(|code| code.code));
        }
        let names: HashSet<&str> = CODES.iter().map(|code| code.code).collect();
        assert_eq!(names.len(), CODES.len());
        assert_eq!(names, used);
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_part_of_the_document() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_schema_is_one_and_takes_its_samples() {
        let document = document();
        let root = |schema: &Value| json!({"components": document["components"], "allOf": [schema]});
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let built = jsonschema::draft202012::new(&root(schema));
            assert!(built.is_ok(), "{name}: {}", built.unwrap_err());
        }
        let mut samples = 0;
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
        {
            for media in
                operation["requestBody"]["content"].as_object().into_iter().flatten().map(|(_, media)| media)
            {
                let validator = jsonschema::draft202012::new(&root(&media["schema"])).unwrap();
                for (name, sample) in media["examples"].as_object().into_iter().flatten() {
                    let violation = validator.iter_errors(&sample["value"]).next();
                    assert!(violation.is_none(), "{name}: {}", violation.unwrap());
                    samples += 1;
                }
            }
            for parameter in operation["parameters"].as_array().unwrap() {
                let validator = jsonschema::draft202012::new(&root(&parameter["schema"])).unwrap();
                let example = parameter.get("example");
                assert!(example.is_none_or(|example| validator.is_valid(example)), "{parameter}");
            }
        }
        assert_eq!(samples, 7);
    }
}
