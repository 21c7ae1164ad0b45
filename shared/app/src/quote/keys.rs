//! The keys that sign quotes: the newest signs, and both it and the one before verify, so that a rotation loses no quote.

use std::fmt;

use jsonwebtoken::{DecodingKey, EncodingKey};
use xxhash_rust::xxh3::xxh3_64;

/// The fewest bytes of a key: as many as the hash has (RFC 7518 §3.2).
pub const MIN_KEY_BYTES: usize = 32;

/// A key of HMAC with SHA-256.
#[derive(Clone)]
pub struct QuoteKey {
    /// Its name in tokens: it says nothing of the key's bytes.
    pub(super) id: String,
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
}

impl QuoteKey {
    /// The key of these bytes; `None` if they are too few.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        // Half of a hash distinguishes two keys, and does not help to guess 256 bits.
        let id = format!("{:08x}", xxh3_64(bytes) >> 32);
        (bytes.len() >= MIN_KEY_BYTES).then(|| Self {
            id,
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
        })
    }
}

impl QuoteKey {
    /// The key of 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let bytes: Option<Vec<u8>> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let is_hex = digits.len() == 2 * MIN_KEY_BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        bytes.filter(|_| is_hex).and_then(|bytes| Self::new(&bytes))
    }
}

impl fmt::Debug for QuoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuoteKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The keys of a deployment.
#[derive(Clone, Debug)]
pub struct QuoteKeys {
    /// Signs and verifies.
    pub current: QuoteKey,
    /// Verifies what it signed before the last rotation.
    pub previous: Option<QuoteKey>,
}

impl QuoteKeys {
    /// The key with this name.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&QuoteKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}
