//! A response: status, headers and content, compressed if the client accepts it.

use std::borrow::Cow;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::negotiation::accepts_gzip;

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
    pub body: Vec<u8>,
}

impl Response {
    /// A response without content.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::with_capacity(4), body: Vec::new() }
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
        Self { body, ..Self::empty(status).with("content-type", media_type) }
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

    /// Compresses content of more than 1,024 bytes with gzip, if the request's `Accept-Encoding` allows it.
    #[must_use]
    pub fn compressed_for(mut self, accept_encoding: Option<&str>) -> Self {
        if self.body.len() <= MIN_COMPRESSED_BYTES || !accept_encoding.is_some_and(accepts_gzip) {
            return self;
        }
        let mut gzip = GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::fast());
        let Ok(compressed) = gzip.write_all(&self.body).and_then(|()| gzip.finish()) else { return self };
        self.body = compressed;
        self.with("content-encoding", "gzip")
    }
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
        GzDecoder::new(&compressed.body[..]).read_to_end(&mut body).unwrap();
        assert_eq!(body, response().body);

        assert_eq!(response().compressed_for(None), response());
        assert_eq!(response().compressed_for(Some("br")), response());
        let short = Response::of(200, "application/json", &"surge");
        assert_eq!(short.clone().compressed_for(Some("gzip")), short);
    }
}
