//! The bodies of requests, and the key of a repeatable one.

use std::borrow::Cow;

use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::quote::quote_request::read_acknowledgement;
use equilibrium_http::body::{ContentCoding, decode, json_text, require_json};
use equilibrium_http::{Problem, Request};

use crate::invalid;

/// Checks what the head of a `POST` says.
pub(crate) fn read_head(request: &Request<'_>) -> Result<ContentCoding, Problem> {
    request.require_coding()?;
    require_json(request)?;
    ContentCoding::of(request)
}

/// The body, decoded.
pub(crate) fn read<'a>(request: &Request<'a>) -> Result<Cow<'a, [u8]>, Problem> {
    let coding = read_head(request)?;
    decode(request.body, coding)
}

/// The text of a body that must be JSON.
pub(crate) fn required(body: &[u8]) -> Result<&str, Problem> {
    json_text(body)
}

/// The multiplier that a confirmation acknowledges. A blank body acknowledges none.
pub(crate) fn acknowledgement(body: &[u8]) -> Result<Option<Multiplier>, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    read_acknowledgement(json_text(body)?).map_err(invalid)
}

/// The most characters of an `Idempotency-Key` (CONTRACT §8).
const MAX_IDEMPOTENCY_KEY_CHARS: usize = 64;

/// The `Idempotency-Key` of a request, if it has one: any text, for clients also send a quoted string of RFC 9651.
pub(crate) fn idempotency_key<'a>(request: &Request<'a>) -> Result<Option<&'a str>, Problem> {
    let Some(key) = request.header("idempotency-key").map(str::trim) else { return Ok(None) };
    let is_visible = key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if !is_visible || !(1..=MAX_IDEMPOTENCY_KEY_CHARS).contains(&key.len()) {
        let detail = "Idempotency-Key must be 1 to 64 visible characters of ASCII";
        return Err(Problem::new(400, "malformed_header", detail));
    }
    Ok(Some(key))
}
