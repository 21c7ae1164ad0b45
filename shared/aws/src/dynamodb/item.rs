//! Attributes of items, and the tokens by which a writer knows its own.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use equilibrium_app::clock::system_now_ms;

pub(super) type Item = HashMap<String, AttributeValue>;

/// Seconds since the epoch at which the table lets an item go; until it does (within days), an item
/// whose time has come counts as absent.
pub(super) const EXPIRES: &str = "expires";
/// The token of the call that wrote the item.
pub(super) const WRITER: &str = "writer";

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
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

/// Gives every call a token that no other call has, in this process or any other.
#[derive(Debug)]
pub(super) struct Writers {
    instance: u64,
    calls: AtomicU64,
}

impl Default for Writers {
    fn default() -> Self {
        // The keys of the standard library's hasher are the operating system's randomness.
        Self { instance: RandomState::new().hash_one(now_s()), calls: AtomicU64::default() }
    }
}

impl Writers {
    pub(super) fn token(&self) -> String {
        format!("{:016x}-{}", self.instance, self.calls.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_calls_have_one_token() {
        let (one, other) = (Writers::default(), Writers::default());
        let tokens = [one.token(), one.token(), other.token(), other.token()];
        assert!((1..4).all(|at| !tokens[..at].contains(&tokens[at])), "{tokens:?}");
    }
}
