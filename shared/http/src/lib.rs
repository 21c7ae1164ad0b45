//! HTTP as the functions see it: a request, its answer, and what is wrong with either (CONTRACT §5).

pub mod negotiation;
pub mod parameters;

use std::borrow::Cow;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

pub use self::negotiation::{accepts_gzip, etag_matches, negotiate};

/// Shorter bodies are not worth compressing: they fit one packet.
const COMPRESSED_BYTES: usize = 1_024;

/// A header's name and value; of a name given several times the values, joined by commas.
pub type Header<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A header of an answer.
pub type ResponseHeader = (&'static str, Cow<'static, str>);

/// A path's segments, decoded, and how many there are.
pub type Segments<'a, const N: usize> = ([Cow<'a, str>; N], usize);

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, in capitals.
    pub method: &'a str,
    /// From the first slash, percent-encoded.
    pub path: &'a str,
    /// What follows the question mark, percent-encoded.
    pub query: &'a str,
    /// The headers, by names in any case.
    pub headers: &'a [Header<'a>],
    /// The content, as sent.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&header.1)
    }

    /// The path's segments, decoded; `None` where there are more than `N`.
    ///
    /// # Errors
    /// 400 where one cannot be decoded.
    pub fn segments<const N: usize>(&self) -> Result<Option<Segments<'a, N>>, Problem> {
        let mut segments = [const { Cow::Borrowed("") }; N];
        let mut count = 0;
        for segment in self.path.strip_prefix('/').unwrap_or(self.path).split('/') {
            if count == N {
                return Ok(None);
            }
            let unreadable = || Problem::new(400, "malformed_path", "the path is not percent-encoded UTF-8");
            segments[count] = decoded(segment, false).ok_or_else(unreadable)?;
            count += 1;
        }
        Ok(Some((segments, count)))
    }

    /// The values of these query parameters; others are ignored.
    ///
    /// # Errors
    /// 400 where one cannot be decoded or is there twice.
    pub fn parameters<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Option<Cow<'a, str>>; N], Problem> {
        let mut values = [const { None }; N];
        let unreadable = || Problem::new(400, "malformed_query", "the query is not percent-encoded UTF-8");
        for pair in self.query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name, true).ok_or_else(unreadable)?;
            let Some(at) = names.iter().position(|known| *known == name) else { continue };
            let value = decoded(value, true).ok_or_else(unreadable)?;
            if values[at].replace(value).is_some() {
                let problem =
                    Problem::new(400, "repeated_parameter", "the parameter is there more than once");
                return Err(problem.for_parameter(names[at]));
            }
        }
        Ok(values)
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, by lower-case names, without the content's length.
    pub headers: Vec<ResponseHeader>,
    /// The content, as sent.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without content.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::with_capacity(4), body: Vec::new() }
    }

    /// An answer of this media type.
    ///
    /// # Panics
    /// Where `content` has keys that are no text.
    #[must_use]
    pub fn of(status: u16, media_type: &'static str, content: &impl Serialize) -> Self {
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, content).expect("keys are text, and memory takes all");
        Self { body, ..Self::empty(status).with("content-type", media_type) }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// Compressed, where it is long and the request's `Accept-Encoding` allows it.
    #[must_use]
    pub fn compressed_for(mut self, request: &Request<'_>) -> Self {
        let encodings = request.header("accept-encoding");
        if self.body.len() <= COMPRESSED_BYTES || !encodings.is_some_and(accepts_gzip) {
            return self;
        }
        let shorter = Vec::with_capacity(self.body.len() / 4);
        let mut gzip = GzEncoder::new(shorter, Compression::fast());
        let Ok(shorter) = gzip.write_all(&self.body).and_then(|()| gzip.finish()) else { return self };
        self.body = shorter;
        self.with("content-encoding", "gzip")
    }
}

/// What is wrong with a request: an RFC 9457 problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: u16,
    /// For programs: what a client may act upon.
    pub code: &'static str,
    /// For people.
    pub detail: Cow<'static, str>,
    /// The query parameter at fault.
    pub parameter: Option<&'static str>,
    /// Headers that tell the client what to do instead, by lower-case names.
    pub advice: Vec<ResponseHeader>,
}

impl Problem {
    /// A problem of no parameter, without advice.
    #[must_use]
    pub fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), parameter: None, advice: Vec::new() }
    }

    /// A problem of this query parameter.
    #[must_use]
    pub fn for_parameter(self, parameter: &'static str) -> Self {
        let detail = format!("{parameter}: {}", self.detail).into();
        Self { detail, parameter: Some(parameter), ..self }
    }

    /// With one more header of advice.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.advice.push((name, value.into()));
        self
    }

    /// Nothing is at the request's path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "there is nothing at this path")
    }

    /// The path cannot do what the request asks; it can do `allow`.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(405, "method_not_allowed", "the path does not know this method").with("allow", allow)
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
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let Problem { status, code, detail, parameter, advice } = problem;
        // "about:blank": the status says what kind of problem it is, the code which (RFC 9457 §4.2.1).
        let r#type = "about:blank";
        let title = reason_phrase(status);
        let document = ProblemDocument { r#type, title, status, detail: &detail, code, parameter };
        let response = Self::of(status, "application/problem+json", &document);
        let mut response = response.with("cache-control", "no-store");
        response.headers.extend(advice);
        response
    }
}

/// The statuses of CONTRACT §5, as RFC 9110 §15 and RFC 6585 name them.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Percent-decoded text, a plus being a space in a query; `None` where it is no encoded UTF-8.
fn decoded(text: &str, in_query: bool) -> Option<Cow<'_, str>> {
    let is_special = |byte: u8| byte == b'%' || in_query && byte == b'+';
    if !text.bytes().any(is_special) {
        return Some(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if in_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    let digit = char::from(digit).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests;
