//! A request's body: its content coding, and its bytes, inflated within their limit.

use std::borrow::Cow;
use std::io::Read;

use serde::de::IgnoredAny;

use crate::gzip_members::GzipMembers;
use crate::problem::Problem;
use crate::request::Request;

/// The largest body accepted, in bytes, inflated (CONTRACT §5).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The deepest nesting of arrays and objects in a body. Policies have eight levels; a reader of JSON stops at 128.
pub const MAX_JSON_DEPTH: usize = 100;

/// The usual ratio by which gzip compresses JSON, from which the inflated size is estimated.
const USUAL_COMPRESSION_RATIO: usize = 8;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// Not encoded.
    Identity,
    /// Compressed by one gzip.
    Gzip,
}

impl ContentCoding {
    /// The request's coding: at most one gzip, which may be called `x-gzip` (RFC 9110 §8.4).
    ///
    /// # Errors
    /// 415 `unsupported_encoding`; `accept-encoding` lists the codings accepted (RFC 9110 §12.5.3).
    pub fn of(request: &Request<'_>) -> Result<Self, Problem> {
        let mut coding = Self::Identity;
        let names = request.header("content-encoding").unwrap_or_default();
        for name in names.split(',').map(str::trim) {
            let is_gzip = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
            if is_gzip && coding == Self::Identity {
                coding = Self::Gzip;
            } else if !name.is_empty() && !name.eq_ignore_ascii_case("identity") {
                let detail = "the body must be unencoded or encoded by one gzip";
                let problem = Problem::new(415, "unsupported_encoding", detail);
                return Err(problem.with("accept-encoding", "gzip"));
            }
        }
        Ok(coding)
    }
}

/// The body of a request, decoded.
///
/// # Errors
/// 400 `malformed_gzip` or 413 `body_too_large`.
pub fn decode(sent: &[u8], coding: ContentCoding) -> Result<Cow<'_, [u8]>, Problem> {
    let body = match coding {
        ContentCoding::Identity => Cow::Borrowed(sent),
        ContentCoding::Gzip => Cow::Owned(inflate(sent)?),
    };
    if body.len() > MAX_BODY_BYTES {
        return Err(body_too_large());
    }
    Ok(body)
}

/// Inflates at most one byte more than the limit. No bytes at all are an empty body.
fn inflate(compressed: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    if !compressed.is_empty() {
        body.reserve(MAX_BODY_BYTES.min(compressed.len() * USUAL_COMPRESSION_RATIO));
        let limited = GzipMembers::new(compressed).take(MAX_BODY_BYTES as u64 + 1).read_to_end(&mut body);
        limited.map_err(|_| {
            let detail = "the body is not a complete gzip stream; nothing was accepted";
            Problem::new(400, "malformed_gzip", detail)
        })?;
    }
    Ok(body)
}

/// 413: the body is longer than [`MAX_BODY_BYTES`].
#[must_use]
pub fn body_too_large() -> Problem {
    let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes, inflated");
    Problem::new(413, "body_too_large", detail)
}

/// The media type of the request's body without its parameters, if there is one.
#[must_use]
pub fn media_type<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.header("content-type")?.split(';').next().map(str::trim)
}

/// Checks that the body is JSON, if the request names its type: a client that sends a file may not know it.
///
/// # Errors
/// 415 `unsupported_media_type`; `accept` names the type (RFC 9110 §12.5.1).
pub fn require_json(request: &Request<'_>) -> Result<(), Problem> {
    if media_type(request).is_some_and(|media_type| !media_type.eq_ignore_ascii_case("application/json")) {
        let problem = Problem::new(415, "unsupported_media_type", "the body must be application/json");
        return Err(problem.with("accept", "application/json"));
    }
    Ok(())
}

/// The text of a body that is JSON.
///
/// # Errors
/// 400 `malformed_json`; 400 `unreadable` if it is nested deeper than [`MAX_JSON_DEPTH`].
pub fn json_text(body: &[u8]) -> Result<&str, Problem> {
    let malformed = |detail: String| Problem::new(400, "malformed_json", detail);
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("the body is not UTF-8 at byte {}", error.valid_up_to())))?;
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| malformed(format!("the body is not JSON: {error}")))?;
    if depth(body) > MAX_JSON_DEPTH {
        let detail = format!("the body is nested deeper than {MAX_JSON_DEPTH} arrays and objects");
        return Err(Problem::new(400, "unreadable", detail));
    }
    Ok(text)
}

/// The deepest nesting of a body that is JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0, 0_usize);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth -= 1,
            // The rest of a string; what follows a backslash ends none.
            b'"' => {
                while bytes
                    .next()
                    .is_some_and(|byte| *byte != b'"' && (*byte != b'\\' || bytes.next().is_some()))
                {
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_nested_too_deep_is_unreadable() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(json_text(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        for depth in [MAX_JSON_DEPTH + 1, 200, 500_000] {
            for body in [nested(depth), format!("{{\"a\":{}}}", nested(depth))] {
                let problem = json_text(body.as_bytes()).unwrap_err();
                assert_eq!((problem.status, problem.code), (400, "unreadable"), "{depth}");
            }
        }
        assert_eq!(json_text(b"[[").unwrap_err().code, "malformed_json");
    }

    #[test]
    fn brackets_in_strings_nest_nothing_and_neighbours_are_not_deeper() {
        for (json, expected) in [
            (r#"{"a": "[[[[", "b\\": ["]\"["], "c\"{{": 1}"#, 2),
            (r"[[],[],[[]]]", 3),
            (r#""\\""#, 0),
            (r#"["\\", [""]]"#, 2),
            ("1", 0),
        ] {
            assert!(json_text(json.as_bytes()).is_ok(), "{json}");
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }
}
