//! Attributes of items, and the tokens that identify the call that wrote an item.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use equilibrium_app::clock::system_now_ms;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The table's time-to-live attribute, in seconds since the epoch. DynamoDB deletes an expired item within
/// days; until then it counts as absent.
pub(super) const EXPIRES: &str = "expires";
/// Token of the call that wrote the item.
pub(super) const WRITER: &str = "writer";

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn signed(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

pub(super) fn read_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(super) fn read_number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn read_signed(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn take_bytes(item: &mut Item, name: &str) -> Option<Vec<u8>> {
    match item.remove(name)? {
        AttributeValue::B(blob) => Some(blob.into_inner()),
        _ => None,
    }
}

/// Seconds since the epoch.
pub(super) fn now_s() -> u64 {
    u64::try_from(system_now_ms() / 1000).unwrap_or(0)
}

/// Source of tokens, one per call, unique among all processes.
#[derive(Debug)]
pub(super) struct WriterTokens {
    instance: u64,
    calls: AtomicU64,
}

impl Default for WriterTokens {
    fn default() -> Self {
        // The standard library's hasher takes its keys from the operating system's random numbers.
        Self { instance: RandomState::new().hash_one(now_s()), calls: AtomicU64::default() }
    }
}

impl WriterTokens {
    pub(super) fn next_token(&self) -> String {
        format!("{:016x}-{}", self.instance, self.calls.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_calls_share_a_token() {
        let (one, other) = (WriterTokens::default(), WriterTokens::default());
        let tokens = [one.next_token(), one.next_token(), other.next_token(), other.next_token()];
        assert!((1..4).all(|at| !tokens[..at].contains(&tokens[at])), "{tokens:?}");
    }
}
