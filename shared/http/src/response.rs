//! A response: status, headers and content, compressed if the client accepts it.

use std::borrow::Cow;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::content::{Content, SharedEnd};
use crate::negotiation::Codings;

/// Shorter content is not compressed: it fits into one packet.
const MIN_COMPRESSED_BYTES: usize = 1_024;

/// A header of a response, with its name in lower case.
pub type ResponseHeader = (&'static str, Cow<'static, str>);

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, with names in lower case and without `content-length`.
    pub headers: Vec<ResponseHeader>,
    /// The content as sent.
    pub body: Content,
}

impl Response {
    /// A response without content.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::with_capacity(4), body: Content::default() }
    }

    /// A response whose content is `content` as JSON of this media type.
    ///
    /// # Panics
    /// If a map in `content` has keys that are not strings.
    #[must_use]
    pub fn of(status: u16, media_type: &'static str, content: &impl Serialize) -> Self {
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, content)
            .expect("keys are strings, and a vector accepts every write");
        Self { body: body.into(), ..Self::empty(status).with("content-type", media_type) }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// Compresses content of more than 1,024 bytes with gzip, if the request's `Accept-Encoding` allows it, and
    /// shorter content if it accepts nothing else.
    #[must_use]
    pub fn compressed_for(mut self, accept_encoding: Option<&str>) -> Self {
        if self.header("content-encoding").is_some() || !is_compressed(self.body.len(), accept_encoding) {
            return self;
        }
        self.body = gzip(&self.body.bytes()).into();
        self.with("content-encoding", "gzip")
    }

    /// 200 with content that begins with `start` and has a shared end, compressed as by [`Response::compressed_for`].
    #[must_use]
    pub fn sharing(
        media_type: &'static str,
        start: Vec<u8>,
        end: &SharedEnd,
        accept_encoding: Option<&str>,
    ) -> Self {
        let response = Self::empty(200).with("content-type", media_type);
        if is_compressed(start.len() + end.len(), accept_encoding) {
            Self { body: end.gzip_after(&start), ..response.with("content-encoding", "gzip") }
        } else {
            Self { body: end.after(start), ..response }
        }
    }
}

/// Whether content of this length is compressed for a client.
fn is_compressed(length: usize, accept_encoding: Option<&str>) -> bool {
    let codings = Codings::of(accept_encoding);
    let is_required = codings.gzip && !codings.identity && length > 0;
    is_required || length > MIN_COMPRESSED_BYTES && codings.prefers_gzip
}

/// `content` as a gzip member.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(content.len() / 4), Compression::fast());
    gzip.write_all(content).and_then(|()| gzip.finish()).expect("a vector accepts every write")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn long_content_is_compressed_if_the_client_accepts_gzip() {
        let long = "surge ".repeat(200);
        let response = || Response::of(200, "application/json", &long);
        let compressed = response().compressed_for(Some("gzip"));
        assert_eq!(compressed.header("content-encoding"), Some("gzip"));
        let mut body = Vec::new();
        GzDecoder::new(&*compressed.body.bytes()).read_to_end(&mut body).unwrap();
        assert_eq!(body, *response().body.bytes());

        assert_eq!(response().compressed_for(None), response());
        assert_eq!(response().compressed_for(Some("br")), response());
        let short = Response::of(200, "application/json", &"surge");
        assert_eq!(short.clone().compressed_for(Some("gzip")), short);
        let required = short.compressed_for(Some("gzip, identity;q=0"));
        assert_eq!(required.header("content-encoding"), Some("gzip"));
        assert_eq!(required.clone().compressed_for(Some("gzip, identity;q=0")), required);
    }
}
