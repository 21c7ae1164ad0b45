//! The keys that sign quotes: the newest signs, and both it and the one before verify, so that a rotation loses no quote.

use std::fmt;

use jsonwebtoken::{DecodingKey, EncodingKey};
use xxhash_rust::xxh3::xxh3_64;

/// The fewest bytes of a key: as many as the hash has (RFC 7518 §3.2).
pub const MIN_KEY_BYTES: usize = 32;

/// The hexadecimal digits of a key where it is kept.
pub const KEY_DIGITS: usize = 2 * MIN_KEY_BYTES;

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
        // Half of a hash tells two keys apart, and is of no use for guessing 256 bits.
        let id = format!("{:08x}", xxh3_64(bytes) >> 32);
        (bytes.len() >= MIN_KEY_BYTES).then(|| Self {
            id,
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
        })
    }
}

impl fmt::Debug for QuoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuoteKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn key_from_hex(text: &str) -> Option<QuoteKey> {
    if text.len() != KEY_DIGITS {
        return None;
    }
    let mut key = [0; MIN_KEY_BYTES];
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    QuoteKey::new(&key)
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
    /// The keys of a text of one or two keys, the newest first, each of [`KEY_DIGITS`] hexadecimal digits, separated by
    /// whitespace. A rotation puts a new key before the others; those after the second are not used.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut keys = text.split_ascii_whitespace().map(key_from_hex);
        let current = keys.next()??;
        let previous = keys.next().map_or(Some(None), |key| key.map(Some))?;
        keys.all(|key| key.is_some()).then_some(Self { current, previous })
    }

    /// The key with this name.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&QuoteKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_hexadecimal_digits_the_newest_first() {
        let [one, other, third] = ["0f", "Ab", "99"].map(|byte| byte.repeat(32));
        let id = |byte: u8| QuoteKey::new(&[byte; 32]).unwrap().id;
        let read = |text: &str| {
            let keys = QuoteKeys::from_hex(text)?;
            Some((keys.current.id, keys.previous.map(|key| key.id)))
        };
        assert_eq!(read(&one), Some((id(0x0f), None)));
        assert_eq!(read(&format!("{one}\n")), Some((id(0x0f), None)));
        assert_eq!(read(&format!("{one}\n{other}\n")), Some((id(0x0f), Some(id(0xab)))));
        assert_eq!(read(&format!("{one} {other} {third}")), Some((id(0x0f), Some(id(0xab)))));
    }

    #[test]
    fn a_text_with_anything_else_is_no_keys() {
        let key = "0f".repeat(32);
        for text in [
            "",
            " ",
            "0f",
            &key[1..],
            &format!("{key}0"),
            &format!("{key} 0f"),
            &format!("{key} {key} 0f"),
            &"g".repeat(64),
            &"\u{661}".repeat(32),
            &format!("+{}", &key[1..]),
        ] {
            assert!(QuoteKeys::from_hex(text).is_none(), "{text}");
        }
    }

    #[test]
    fn debugging_output_has_no_key() {
        let keys = QuoteKeys::from_hex(&"0f".repeat(32)).unwrap();
        assert_eq!(format!("{:?}", keys.current), format!("QuoteKey {{ id: {:?}, .. }}", keys.current.id));
    }
}
