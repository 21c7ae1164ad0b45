//! An issuer of tokens for a process that has no other: one key of ES256, which the process keeps.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;
use zeroize::Zeroizing;

use crate::access::token::Expected;

/// The `iss` and the `aud` of the tokens that a process issues for itself.
pub const LOCAL_ISSUER: &str = "equilibrium";

/// The bytes of a private key: a scalar of P-256.
pub const KEY_BYTES: usize = 32;

/// A private key in PKCS #8 (RFC 5958, RFC 5915) up to the scalar: version, `id-ecPublicKey` with `prime256v1`, version.
const PKCS8_PREFIX: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04,
    0x20,
];

/// What a token is issued for.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The name of the client.
    pub subject: &'a str,
    /// What it may do, separated by spaces.
    pub scope: &'a str,
    /// From when it is valid, in milliseconds since the epoch.
    pub from_ms: i64,
    /// For how long it is valid, in milliseconds.
    pub ttl_ms: i64,
}

/// Signs tokens with a private key.
pub struct TokenIssuer {
    key_id: String,
    key: EncodingKey,
    coordinates: [String; 2],
}

impl TokenIssuer {
    /// The issuer with this private key; `None` if the number is none of the curve, which of random ones every
    /// four-billionth is.
    #[must_use]
    pub fn new(scalar: &[u8; KEY_BYTES]) -> Option<Self> {
        let pkcs8 = Zeroizing::new([&PKCS8_PREFIX[..], scalar].concat());
        let key = EncodingKey::from_ec_der(&pkcs8);
        let public = Jwk::from_encoding_key(&key, Algorithm::ES256).ok()?;
        let AlgorithmParameters::EllipticCurve(point) = public.algorithm else { return None };
        let key_id = format!("{:016x}", xxh3_64(format!("{}.{}", point.x, point.y).as_bytes()));
        Some(Self { key_id, key, coordinates: [point.x, point.y] })
    }

    /// The issuer with the private key of 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let mut scalar = Zeroizing::new([0; KEY_BYTES]);
        if digits.len() != 2 * KEY_BYTES || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in scalar.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Self::new(&scalar)
    }

    /// What its tokens are verified against.
    #[must_use]
    pub fn expected() -> Expected {
        Expected { issuer: LOCAL_ISSUER.to_owned(), audience: LOCAL_ISSUER.to_owned() }
    }

    /// The document of its public key.
    #[must_use]
    pub fn key_set(&self) -> Vec<u8> {
        let [x, y] = &self.coordinates;
        let key = json!({"kty": "EC", "kid": self.key_id, "crv": "P-256", "use": "sig", "alg": "ES256", "x": x, "y": y});
        json!({"keys": [key]}).to_string().into_bytes()
    }

    /// A token.
    ///
    /// # Panics
    /// Never: the claims are text and numbers, and the algorithm is the key's.
    #[must_use]
    pub fn issue(&self, grant: Grant<'_>) -> String {
        let Grant { subject, scope, from_ms, ttl_ms } = grant;
        let seconds = |ms: i64| ms.div_euclid(1_000);
        self.sign(&json!({
            "iss": LOCAL_ISSUER,
            "aud": LOCAL_ISSUER,
            "sub": subject,
            "scope": scope,
            "iat": seconds(from_ms),
            "exp": seconds(from_ms.saturating_add(ttl_ms)),
        }))
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.key).expect("text and numbers are signed")
    }

    /// A token with other claims, for tests of what verifies them.
    #[cfg(any(test, feature = "contract"))]
    #[must_use]
    pub fn issue_claims(&self, claims: &Value) -> String {
        self.sign(claims)
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_a_number_of_the_curve() {
        let digits = |first: &str| format!("{first:0<64}");
        assert!(TokenIssuer::from_hex(&digits("01")).is_some());
        for digits in [digits("0"), "f".repeat(64), digits("+1"), "01".repeat(31), "01".repeat(33)] {
            assert!(TokenIssuer::from_hex(&digits).is_none(), "{digits}");
        }
    }

    #[test]
    fn what_is_printed_of_an_issuer_has_no_key() {
        let issuer = TokenIssuer::from_hex(&"0a".repeat(32)).unwrap();
        assert!(!format!("{issuer:?}").contains("0a0a"));
    }
}
