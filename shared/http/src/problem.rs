//! What is wrong with a request, as a problem document (RFC 9457).

use std::borrow::Cow;

use serde::Serialize;

use crate::response::{Response, ResponseHeader};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// A stable code that clients can act upon.
    pub code: &'static str,
    /// The explanation for people.
    pub detail: Cow<'static, str>,
    /// The query parameter at fault.
    pub parameter: Option<&'static str>,
    /// The id of the resource that prevents what is requested.
    pub resource: Option<String>,
    /// The fields of the body at fault.
    pub errors: Vec<FieldError>,
    /// Further headers of the response, such as `allow`, with names in lower case.
    pub headers: Vec<ResponseHeader>,
}

/// A field of a JSON body, and its fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field as a JSON pointer (RFC 6901); `""` is the whole body.
    pub pointer: String,
    /// The fault, for people.
    pub message: String,
}

impl Problem {
    /// A problem without parameter, errors and further headers.
    #[must_use]
    pub fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            parameter: None,
            resource: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Names the query parameter at fault, which becomes the subject of the detail: `limit must be 1 to 2`.
    #[must_use]
    pub fn for_parameter(self, parameter: &'static str) -> Self {
        let detail = format!("{parameter} {}", self.detail).into();
        Self { detail, parameter: Some(parameter), ..self }
    }

    /// Names the resource that prevents what is requested.
    #[must_use]
    pub fn for_resource(self, id: impl Into<String>) -> Self {
        Self { resource: Some(id.into()), ..self }
    }

    /// Names the fields of the body at fault.
    #[must_use]
    pub fn with_errors(self, errors: impl IntoIterator<Item = FieldError>) -> Self {
        Self { errors: errors.into_iter().collect(), ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 404: no resource has the request's path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "no such resource")
    }

    /// 405: the resource does not have the request's method; `allow` lists those it has.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(405, "method_not_allowed", "method not allowed").with("allow", allow)
    }
}

#[derive(Serialize)]
struct ProblemDocument<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let Problem { status, code, detail, parameter, resource, errors, headers } = problem;
        // "about:blank": the problem has no more semantics than its status (RFC 9457 §4.2.1); `code` refines it.
        let r#type = "about:blank";
        let title = reason_phrase(status);
        let document = ProblemDocument {
            r#type,
            title,
            status,
            detail: &detail,
            code,
            parameter,
            id: resource.as_deref(),
            errors: &errors,
        };
        let response = Self::of(status, "application/problem+json", &document);
        let mut response = response.with("cache-control", "no-store");
        response.headers.extend(headers);
        response
    }
}

/// The reason phrases of the status codes of CONTRACT §5, from RFC 9110 §15 and RFC 6585.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_has_a_code_for_programs_and_a_detail_for_people() {
        let response =
            Response::from(Problem::new(422, "out_of_range", "must be 1 to 2").for_parameter("limit"));
        assert_eq!(response.status, 422);
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert_eq!(
            std::str::from_utf8(&response.body.bytes()).unwrap(),
            r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"limit must be 1 to 2","code":"out_of_range","parameter":"limit"}"#
        );
    }

    #[test]
    fn a_problem_names_every_field_at_fault() {
        let error =
            |pointer: &str| FieldError { pointer: pointer.to_owned(), message: "is required".to_owned() };
        let problem = Problem::new(422, "invalid", "is not valid").with_errors([error("/a"), error("/b/0")]);
        let body = Response::from(problem).body.bytes().into_owned();
        let expected = r#""errors":[{"pointer":"/a","message":"is required"},{"pointer":"/b/0","message":"is required"}]}"#;
        assert!(String::from_utf8(body).unwrap().ends_with(expected));
    }

    #[test]
    fn the_headers_of_a_problem_are_those_of_its_response() {
        let refused = Response::from(Problem::method_not_allowed("GET"));
        assert_eq!(
            (refused.header("allow"), refused.header("cache-control")),
            (Some("GET"), Some("no-store"))
        );
        let problem =
            Problem::new(429, "too_many", "is too high").with("retry-after", "7").for_parameter("limit");
        assert_eq!(Response::from(problem).header("retry-after"), Some("7"));
    }
}
