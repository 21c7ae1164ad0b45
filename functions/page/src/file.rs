//! A file in the two codings that there are, with its entity tags.

use std::borrow::Cow;
use std::io::Write;
use std::sync::LazyLock;

use equilibrium_http::{Codings, Request, Response, SharedEnd, etag_matches};
use flate2::Compression;
use flate2::write::GzEncoder;
use xxhash_rust::xxh3::xxh3_64;

/// Shorter content is not compressed: it fits into one packet.
const MIN_COMPRESSED_BYTES: usize = 1_024;

/// How long caches keep a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// For ever: other content has another name.
    Immutable,
    /// Until the next use, before which the origin is asked.
    Revalidated,
}

/// A file.
#[derive(Debug)]
pub struct File {
    media_type: &'static str,
    caching: Caching,
    plain: Coded,
    gzip: LazyLock<Coded, Box<dyn FnOnce() -> Coded + Send>>,
    is_long: bool,
}

/// Content in one coding, with its entity tag.
#[derive(Debug)]
struct Coded {
    tag: String,
    content: SharedEnd,
}

impl File {
    /// A file with this content.
    pub fn new(content: Cow<'static, [u8]>, media_type: &'static str, caching: Caching) -> Self {
        let tag = format!("{:016x}", xxh3_64(&content));
        let plain = Coded { tag: tag.clone(), content: SharedEnd::new(content.to_vec()) };
        let is_long = content.len() >= MIN_COMPRESSED_BYTES;
        let compress = move || Coded { tag: format!("{tag}-gzip"), content: SharedEnd::new(gzip(&content)) };
        Self { media_type, caching, plain, gzip: LazyLock::new(Box::new(compress)), is_long }
    }

    /// Its media type.
    #[cfg(test)]
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// The answer to a `GET`: the content in a coding that the client accepts, or 304 if it has that. `vary` lists the
    /// headers of the request that decide about the answer.
    pub fn respond(&self, request: &Request<'_>, vary: &'static str) -> Response {
        let codings = Codings::of(request.header("accept-encoding"));
        let is_compressed = codings.gzip && (!codings.identity || codings.prefers_gzip && self.is_long);
        let coded = if is_compressed { &*self.gzip } else { &self.plain };
        let is_known = request.header("if-none-match").is_some_and(|tags| etag_matches(tags, &coded.tag));
        let response = Response::empty(if is_known { 304 } else { 200 })
            .with("etag", format!("\"{}\"", coded.tag))
            .with("cache-control", self.caching.directives())
            .with("vary", vary);
        if is_known {
            return response;
        }
        let mut response = response.with("content-type", self.media_type);
        if is_compressed {
            response = response.with("content-encoding", "gzip");
        }
        Response { body: coded.content.after(Vec::new()), ..response }
    }
}

impl Caching {
    fn directives(self) -> &'static str {
        match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Revalidated => "no-cache",
        }
    }
}

/// `content` as a gzip member, as small as it gets: it is compressed once.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(content.len() / 3), Compression::best());
    gzip.write_all(content).and_then(|()| gzip.finish()).expect("a vector accepts every write")
}
