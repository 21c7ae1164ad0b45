//! A request's body, brought into the form of one event a line.

use std::borrow::Cow;

use equilibrium_domain::event::{self, Lines};
use equilibrium_domain::wire::json::{Malformed, Scan};
use equilibrium_http::{Problem, Request, body};

/// The form of the events in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    /// One event a line.
    Ndjson,
    /// The elements of one JSON array.
    JsonArray,
}

impl BodyFormat {
    /// The format of the request's media type; its parameters are ignored, for JSON is UTF-8 (RFC 8259).
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Problem> {
        let essence = body::media_type(request).unwrap_or_default();
        if essence.eq_ignore_ascii_case("application/x-ndjson") {
            return Ok(Self::Ndjson);
        }
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(Self::JsonArray);
        }
        Err(unsupported_media_type())
    }
}

/// The body with one event a line. An array is read to its end first, so that a malformed one is refused as a whole.
pub(crate) fn into_lines(body: Cow<'_, [u8]>, format: BodyFormat) -> Result<Cow<'_, [u8]>, Problem> {
    match format {
        BodyFormat::Ndjson => Ok(body),
        BodyFormat::JsonArray => Ok(Cow::Owned(array_to_lines(&body)?)),
    }
}

/// The events of a body with one event a line, valid or not.
pub(crate) fn events(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    Lines::new(lines).filter(|line| !event::is_blank(line))
}

/// The elements of a JSON array, a line each. A line end in an element becomes a space: it stands between two
/// tokens, for a string cannot contain one (RFC 8259 §7).
fn array_to_lines(body: &[u8]) -> Result<Vec<u8>, Problem> {
    let text = simdutf8::compat::from_utf8(body).map_err(|error| malformed_json(error.valid_up_to()))?;
    let is_one_line = memchr::memchr2(b'\n', b'\r', body).is_none();
    // Each line end takes the place of a comma or bracket.
    let mut lines = Vec::with_capacity(body.len());
    let mut scan = Scan::new(text);
    let read = scan.array(|scan| {
        let element = scan.raw()?.as_bytes();
        if is_one_line || memchr::memchr2(b'\n', b'\r', element).is_none() {
            lines.extend_from_slice(element);
        } else {
            lines.extend(element.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        }
        lines.push(b'\n');
        Ok::<(), Malformed>(())
    });
    read.and_then(|()| scan.end()).map_err(|malformed| malformed_json(malformed.at))?;
    Ok(lines)
}

fn malformed_json(at: usize) -> Problem {
    let detail = format!("the JSON array is malformed at byte {at}; nothing was accepted");
    Problem::new(400, "malformed_json", detail)
}

/// `Accept-Post` lists the media types accepted (W3C, "Linked Data Platform 1.0", section 7.1).
fn unsupported_media_type() -> Problem {
    let detail = "the body must be application/x-ndjson or application/json";
    let accepted = "application/x-ndjson, application/json";
    Problem::new(415, "unsupported_media_type", detail).with("accept-post", accepted)
}
