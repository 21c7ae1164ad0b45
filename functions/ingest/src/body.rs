//! A request's body: inflated within its limit, and brought into the form of one event a line.

use std::borrow::Cow;
use std::io::Read;

use equilibrium_domain::event::{self, Lines};
use equilibrium_domain::wire::json::{Malformed, Scan};
use equilibrium_http::gzip_members::GzipMembers;
use equilibrium_http::{Problem, Request};

/// The largest body accepted, in bytes, inflated (CONTRACT §5).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The usual ratio by which gzip compresses events, from which the inflated size is estimated.
const USUAL_COMPRESSION_RATIO: usize = 8;

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
        let media_type = request.header("content-type").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-ndjson") {
            return Ok(Self::Ndjson);
        }
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(Self::JsonArray);
        }
        Err(unsupported_media_type())
    }
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentEncoding {
    Identity,
    Gzip,
}

impl ContentEncoding {
    /// The request's encoding: at most one gzip, which may be called `x-gzip` (RFC 9110 §8.4).
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Problem> {
        let mut encoding = Self::Identity;
        let names = request.header("content-encoding").unwrap_or_default();
        for name in names.split(',').map(str::trim) {
            let is_gzip = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
            if is_gzip && encoding == Self::Identity {
                encoding = Self::Gzip;
            } else if !name.is_empty() && !name.eq_ignore_ascii_case("identity") {
                return Err(unsupported_encoding());
            }
        }
        Ok(encoding)
    }
}

/// The decoded body of a request.
pub(crate) fn read(sent: &[u8], encoding: ContentEncoding) -> Result<Cow<'_, [u8]>, Problem> {
    let body = match encoding {
        ContentEncoding::Identity => Cow::Borrowed(sent),
        ContentEncoding::Gzip => Cow::Owned(inflate(sent)?),
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
        limited.map_err(|_| malformed_gzip())?;
    }
    Ok(body)
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

fn malformed_gzip() -> Problem {
    Problem::new(400, "malformed_gzip", "the body is not a complete gzip stream; nothing was accepted")
}

/// 413: the body is longer than [`MAX_BODY_BYTES`].
#[must_use]
pub fn body_too_large() -> Problem {
    let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes, inflated");
    Problem::new(413, "body_too_large", detail)
}

/// `Accept-Post` lists the media types accepted (W3C, "Linked Data Platform 1.0", section 7.1).
fn unsupported_media_type() -> Problem {
    let detail = "the body must be application/x-ndjson or application/json";
    let accepted = "application/x-ndjson, application/json";
    Problem::new(415, "unsupported_media_type", detail).with("accept-post", accepted)
}

/// `Accept-Encoding` lists the encodings accepted (RFC 9110 §12.5.3).
fn unsupported_encoding() -> Problem {
    let detail = "the body must be unencoded or encoded by one gzip";
    Problem::new(415, "unsupported_encoding", detail).with("accept-encoding", "gzip")
}
