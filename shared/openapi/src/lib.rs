//! The description of the HTTP API in OpenAPI 3.1: the route table with the requests and answers of each route
//! (CONTRACT §5).
//!
//! Schemas are written here beside each other. The functions' tests check every answer against them, so that a schema that
//! an answer does not have is found (see `conformance`). The schema of a policy is the one that its reader has.

mod codes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod document;
mod operation;
mod operations;
mod samples;
mod schema;
mod schemas;

use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64;

pub use self::codes::{CODES, Code, Origin};
pub use self::document::document;

/// The document as it is served.
#[derive(Debug)]
pub struct Served {
    /// The document in JSON.
    pub json: Vec<u8>,
    /// Its entity tag without quotes: a hash of the document.
    pub tag: String,
}

/// The document as it is served, written at the first call.
#[must_use]
pub fn served() -> &'static Served {
    static SERVED: LazyLock<Served> = LazyLock::new(|| {
        let json = document().to_string().into_bytes();
        let tag = format!("{:016x}", xxh3_64(&json));
        Served { json, tag }
    });
    &SERVED
}
