//! Fuzz targets: plain functions that read any bytes and panic if a parser breaks its promise.
//!
//! Each target covers a group of parsers, of which the first byte of an input selects one. `make fuzz` searches for
//! inputs by coverage; `tests/inputs.rs` replays those that are committed as an ordinary test.

mod checkpoints;
mod event;
mod files;
mod frames;
mod http;
mod ingest;
mod json;
mod lambda;
mod policy;
mod values;

/// A group of parsers: panics if one of them breaks its promise on these bytes.
pub type Target = fn(&[u8]);

/// Every target by name, which is also the name of its folder of inputs.
pub const TARGETS: [(&str, Target); 10] = [
    ("checkpoints", checkpoints::target),
    ("event", event::target),
    ("files", files::target),
    ("frames", frames::target),
    ("http", http::target),
    ("ingest", ingest::target),
    ("json", json::target),
    ("lambda", lambda::target),
    ("policy", policy::target),
    ("values", values::target),
];

/// The target called `name`.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// Splits the byte that selects a parser from its input.
fn select(input: &[u8]) -> (u8, &[u8]) {
    // Digits, so that the inputs of text parsers are texts.
    input.split_first().map_or((0, input), |(first, rest)| (first.wrapping_sub(b'0'), rest))
}
