//! Pseudonyms: what the log holds in place of the ids of people (CONTRACT §1).

use std::fmt;

use base64_simd::{Out, URL_SAFE_NO_PAD};
use siphasher::sip128::SipHasher24;
use zeroize::Zeroizing;

/// Length of a pseudonym: 128 bits in base64url without padding.
pub const PSEUDONYM_BYTES: usize = 22;

/// Length of a key, in bytes.
pub const KEY_BYTES: usize = 16;

/// The secret key of a deployment's pseudonyms. It is never written by `Debug`, and overwritten in memory when dropped.
///
/// The hash is SipHash-2-4 with 128 bits of output (J.-P. Aumasson and D. J. Bernstein, "`SipHash`: a fast short-input
/// PRF", 2012): a pseudorandom function made for short inputs. Without the key, neither an id nor two ids with equal
/// parts can be found for a pseudonym, faster than by trying all keys. It takes 18 to 40 ns for an id, where keyed
/// BLAKE3, whose key of 256 bits would add nothing here, takes 70 to 90 ns.
#[derive(Clone)]
pub struct PseudonymKey(Zeroizing<[u8; KEY_BYTES]>);

impl PseudonymKey {
    /// The key with these bytes, which must come from a cryptographic source of randomness.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key that [`Self::to_hex`] writes: 32 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let key = Zeroizing::new(u128::from_str_radix(text, 16).ok()?);
        Some(Self::new(key.to_be_bytes()))
    }

    /// The key as text, for the place where it is kept.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{:032x}", u128::from_be_bytes(*self.0)))
    }

    /// The pseudonym of a driver, a rider or a request. The role makes no difference: a rider and a request with the same
    /// id are one entity (CONTRACT §3).
    #[must_use]
    pub fn pseudonym(&self, id: &[u8]) -> Pseudonym {
        let hash = SipHasher24::new_with_key(&self.0).hash(id).as_bytes();
        let mut text = [0; PSEUDONYM_BYTES];
        let written = URL_SAFE_NO_PAD.encode(&hash, Out::from_slice(&mut text));
        debug_assert_eq!(written.len(), PSEUDONYM_BYTES);
        Pseudonym(text)
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(..)")
    }
}

/// A valid id that takes the place of an id of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pseudonym([u8; PSEUDONYM_BYTES]);

impl Pseudonym {
    /// The pseudonym as text, in base64url.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::id::is_entity_id;

    fn key() -> PseudonymKey {
        PseudonymKey::from_hex("000102030405060708090a0b0c0d0e0f").unwrap()
    }

    #[test]
    fn a_pseudonym_is_the_hash_of_the_specification() {
        // The vectors of the reference implementation for no byte, and for the byte 0.
        let of = |bytes: &[u8]| String::from_utf8(key().pseudonym(bytes).as_bytes().to_vec()).unwrap();
        let base64 = |hex: u128| URL_SAFE_NO_PAD.encode_to_string(hex.to_be_bytes());
        assert_eq!(of(b""), base64(0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293));
        assert_eq!(of(&[0]), base64(0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45));
    }

    #[test]
    fn a_pseudonym_is_a_valid_id_and_depends_on_every_bit_of_the_id() {
        let mut pseudonyms = HashSet::new();
        for number in 0..10_000_u32 {
            let pseudonym = key().pseudonym(format!("d-{number}").as_bytes());
            assert!(is_entity_id(pseudonym.as_bytes()));
            assert!(pseudonyms.insert(pseudonym.0));
        }
    }

    #[test]
    fn pseudonyms_under_two_keys_have_nothing_in_common() {
        let other = PseudonymKey::new([7; KEY_BYTES]);
        assert_ne!(key().pseudonym(b"d-1"), other.pseudonym(b"d-1"));
        assert_eq!(other.pseudonym(b"d-1"), other.clone().pseudonym(b"d-1"));
    }

    #[test]
    fn a_key_reads_back_from_its_text_and_from_nothing_else() {
        assert_eq!(key().to_hex().as_str(), "000102030405060708090a0b0c0d0e0f");
        let upper = PseudonymKey::from_hex("FF0102030405060708090A0B0C0D0E0F").unwrap();
        assert_eq!(upper.to_hex().as_str(), "ff0102030405060708090a0b0c0d0e0f");
        let signed = "+00102030405060708090a0b0c0d0e0f";
        for bad in ["", "00", signed, &"0".repeat(31), &"0".repeat(33), &"x".repeat(32), "ééééééééééééééée"]
        {
            assert!(PseudonymKey::from_hex(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", key()), "PseudonymKey(..)");
    }
}
