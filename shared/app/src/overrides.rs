//! Overrides of a city's multipliers (CONTRACT §9).

pub mod ports;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// The id of an override that is created at `now_ms`, in milliseconds since the epoch: ids are ordered by creation.
#[must_use]
pub fn new_id(now_ms: i64) -> String {
    // The standard library's hasher takes its keys from the operating system's random numbers.
    format!("{:011x}{:016x}", now_ms.max(0), RandomState::new().hash_one(now_ms))
}
