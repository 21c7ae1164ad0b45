//! A request's body: decoded, inflated, within its limit, and cut into events.

use std::borrow::Cow;
use std::io::Read;

use equilibrium_domain::event::{self, Lines};
use equilibrium_domain::json::{Malformed, Scan};
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::problem::Problem;

/// Largest body taken, in bytes, inflated (CONTRACT §5).
pub const BODY_BYTES: usize = 1 << 20;

/// How events stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One a line.
    Lines,
    /// Elements of one JSON array.
    Array,
}

impl Format {
    /// The format of the media type, whatever its parameters: JSON is UTF-8 (RFC 8259).
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-ndjson") {
            return Ok(Self::Lines);
        }
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(Self::Array);
        }
        Err(Problem::UnsupportedMediaType)
    }
}

/// How the body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    /// At most one gzip (RFC 9110, section 8.4, which has `x-gzip` mean the same).
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().map_err(|_| Problem::UnsupportedEncoding)?.split(',').map(str::trim) {
                let gzip = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
                if gzip && coding == Self::Identity {
                    coding = Self::Gzip;
                } else if !name.is_empty() && !name.eq_ignore_ascii_case("identity") {
                    return Err(Problem::UnsupportedEncoding);
                }
            }
        }
        Ok(coding)
    }
}

/// The body as it was before API Gateway and the client encoded it.
pub(crate) fn read(text: &str, base64: bool, coding: Coding) -> Result<Cow<'_, [u8]>, Problem> {
    let sent = if base64 {
        let decoded = base64_simd::STANDARD.decode_to_vec(text);
        Cow::Owned(decoded.map_err(|_| Problem::MalformedBase64)?)
    } else {
        Cow::Borrowed(text.as_bytes())
    };
    let body = match coding {
        Coding::Identity => sent,
        Coding::Gzip => Cow::Owned(inflate(&sent)?),
    };
    if body.len() > BODY_BYTES {
        return Err(Problem::BodyTooLarge);
    }
    Ok(body)
}

/// Inflates until one byte more than is taken. Nothing at all is an empty body, too.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    if !packed.is_empty() {
        let read = MultiGzDecoder::new(packed).take(BODY_BYTES as u64 + 1).read_to_end(&mut body);
        read.map_err(|_| Problem::MalformedGzip)?;
    }
    Ok(body)
}

/// Calls `event` with every event of `body` on one line of its own, valid or not.
///
/// An array is read to its end first: where it is none, no event is called for.
pub(crate) fn each_event(body: &[u8], format: Format, mut event: impl FnMut(&[u8])) -> Result<(), Problem> {
    if format == Format::Lines {
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
    let text = simdutf8::compat::from_utf8(body)
        .map_err(|error| Problem::MalformedJson { at: error.valid_up_to() })?;
    let mut elements = Vec::new();
    let mut scan = Scan::new(text);
    let read = scan.array(|scan| {
        elements.push(scan.raw()?);
        Ok::<(), Malformed>(())
    });
    read.and_then(|()| scan.end()).map_err(|malformed| Problem::MalformedJson { at: malformed.at })?;
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
