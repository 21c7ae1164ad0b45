//! A request's body: inflated, within its limit, and cut into events.

use std::borrow::Cow;
use std::io::Read;

use equilibrium_domain::event::{self, Lines};
use equilibrium_domain::wire::json::{Malformed, Scan};
use equilibrium_http::{Problem, Request};
use flate2::bufread::MultiGzDecoder;

/// Largest body taken, in bytes, inflated (CONTRACT §5).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// How many times its size events usually inflate to, to begin with enough room.
const USUAL_RATIO: usize = 8;

/// The usual length of an event, to begin with enough room.
const USUAL_EVENT_BYTES: usize = 128;

/// How events stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    /// One a line.
    Lines,
    /// Elements of one JSON array.
    Array,
}

impl BodyFormat {
    /// The format of the media type, whatever its parameters: JSON is UTF-8 (RFC 8259).
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Problem> {
        let media_type = request.header("content-type").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-ndjson") {
            return Ok(Self::Lines);
        }
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(Self::Array);
        }
        Err(unsupported_media_type())
    }
}

/// How the body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentEncoding {
    Identity,
    Gzip,
}

impl ContentEncoding {
    /// At most one gzip (RFC 9110, section 8.4, which has `x-gzip` mean the same).
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Problem> {
        let mut coding = Self::Identity;
        let names = request.header("content-encoding").unwrap_or_default();
        for name in names.split(',').map(str::trim) {
            let gzip = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
            if gzip && coding == Self::Identity {
                coding = Self::Gzip;
            } else if !name.is_empty() && !name.eq_ignore_ascii_case("identity") {
                return Err(unsupported_encoding());
            }
        }
        Ok(coding)
    }
}

/// The body as it was before the client encoded it.
pub(crate) fn read(sent: &[u8], coding: ContentEncoding) -> Result<Cow<'_, [u8]>, Problem> {
    let body = match coding {
        ContentEncoding::Identity => Cow::Borrowed(sent),
        ContentEncoding::Gzip => Cow::Owned(inflate(sent)?),
    };
    if body.len() > MAX_BODY_BYTES {
        return Err(body_too_large());
    }
    Ok(body)
}

/// Inflates until one byte more than is taken. Nothing at all is an empty body, too.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    if !packed.is_empty() {
        body.reserve(MAX_BODY_BYTES.min(packed.len() * USUAL_RATIO));
        let read = MultiGzDecoder::new(packed).take(MAX_BODY_BYTES as u64 + 1).read_to_end(&mut body);
        read.map_err(|_| malformed_gzip())?;
    }
    Ok(body)
}

/// Calls `event` with every event of `body` on one line of its own, valid or not.
///
/// An array is read to its end first: where it is none, no event is called for.
pub(crate) fn each_event(
    body: &[u8],
    format: BodyFormat,
    mut event: impl FnMut(&[u8]),
) -> Result<(), Problem> {
    if format == BodyFormat::Lines {
        Lines::new(body).filter(|line| !event::is_blank(line)).for_each(event);
        return Ok(());
    }
    if event::is_blank(body) {
        return Ok(());
    }
    let mut line = Vec::new();
    for element in elements(body)? {
        event(on_one_line(element.as_bytes(), &mut line));
    }
    Ok(())
}

fn elements(body: &[u8]) -> Result<Vec<&str>, Problem> {
    let text = simdutf8::compat::from_utf8(body).map_err(|error| malformed_json(error.valid_up_to()))?;
    let mut elements = Vec::with_capacity(body.len() / USUAL_EVENT_BYTES);
    let mut scan = Scan::new(text);
    let read = scan.array(|scan| {
        elements.push(scan.raw()?);
        Ok::<(), Malformed>(())
    });
    read.and_then(|()| scan.end()).map_err(|malformed| malformed_json(malformed.at))?;
    Ok(elements)
}

/// The JSON value `raw` without line ends, which stand between its tokens only: none may stand in a string
/// (RFC 8259, section 7).
fn on_one_line<'a>(raw: &'a [u8], line: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr::memchr2(b'\n', b'\r', raw).is_none() {
        return raw;
    }
    line.clear();
    line.extend(raw.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    line
}

fn malformed_json(at: usize) -> Problem {
    let detail = format!("the array cannot be read on from byte {at}; nothing was accepted");
    Problem::new(400, "malformed_json", detail)
}

fn malformed_gzip() -> Problem {
    Problem::new(400, "malformed_gzip", "the body is no whole gzip stream; nothing was accepted")
}

fn body_too_large() -> Problem {
    let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes, inflated");
    Problem::new(413, "body_too_large", detail)
}

/// A client may send another type instead (W3C, "Linked Data Platform 1.0", section 7.1).
fn unsupported_media_type() -> Problem {
    let detail = "the body is neither application/x-ndjson nor application/json";
    let taken = "application/x-ndjson, application/json";
    Problem::new(415, "unsupported_media_type", detail).with("accept-post", taken)
}

/// A client may use another encoding instead (RFC 9110, section 12.5.3).
fn unsupported_encoding() -> Problem {
    let detail = "the body may be encoded by one gzip and nothing else";
    Problem::new(415, "unsupported_encoding", detail).with("accept-encoding", "gzip")
}
