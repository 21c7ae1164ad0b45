//! An issuer's public keys: a JWK Set (RFC 7517 §5).

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The longest document, in bytes: keys of RSA with certificates take some 3 KB each.
pub const MAX_SET_BYTES: usize = 64 << 10;

/// The most keys of a set. Issuers have two or three.
pub const MAX_KEYS: usize = 32;

/// The longest name of a key, in bytes.
pub const MAX_KEY_ID_BYTES: usize = 256;

/// The lengths of an RSA modulus, in bytes: 2 048 bits at least (RFC 7518 §3.3), and not so many that one signature takes long.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

/// The longest exponent of an RSA key, in bytes: 65 537 takes three.
const MAX_RSA_EXPONENT_BYTES: usize = 4;

/// The length of a coordinate of P-256, in bytes.
const COORDINATE_BYTES: usize = 32;

/// A public key, and the one algorithm that it verifies. A token's `alg` chooses nothing.
#[derive(Clone)]
pub struct VerifyingKey {
    id: Box<str>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The keys of a document that verify tokens.
#[derive(Clone, Debug)]
pub struct KeySet {
    document: Box<[u8]>,
    keys: Vec<VerifyingKey>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members of a key that are read (RFC 7517 §4, RFC 7518 §6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// The keys of a document; `None` if it is too long, no JWK Set, or without a key that verifies tokens. A key of another
    /// kind, for encryption or without a name is left out (RFC 7517 §5), and so is what follows [`MAX_KEYS`].
    #[must_use]
    pub fn parse(document: &[u8]) -> Option<Self> {
        if document.len() > MAX_SET_BYTES {
            return None;
        }
        let Document { keys } = serde_json::from_slice(document).ok()?;
        let keys = keys.into_iter().filter_map(|key| VerifyingKey::of(&serde_json::from_value(key).ok()?));
        let keys: Vec<VerifyingKey> = keys.take(MAX_KEYS).collect();
        (!keys.is_empty()).then(|| Self { document: document.into(), keys })
    }

    /// The key with this name.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| *key.id == *id)
    }

    /// Whether it was read from this document.
    #[must_use]
    pub fn is_of(&self, document: &[u8]) -> bool {
        *self.document == *document
    }
}

impl VerifyingKey {
    fn of(jwk: &Jwk) -> Option<Self> {
        let is_for_signatures = jwk.r#use.as_deref().is_none_or(|purpose| purpose == "sig");
        if !is_for_signatures || jwk.kid.len() > MAX_KEY_ID_BYTES {
            return None;
        }
        let decode = |part: &Option<String>| {
            base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part.as_deref()?.as_bytes()).ok()
        };
        let (name, algorithm, key) = match jwk.kty.as_str() {
            "RSA" => {
                let (n, e) = (decode(&jwk.n)?, decode(&jwk.e)?);
                let is_sound = RSA_MODULUS_BYTES.contains(&n.len()) && e.len() <= MAX_RSA_EXPONENT_BYTES;
                let key = is_sound.then(|| DecodingKey::from_rsa_raw_components(&n, &e))?;
                ("RS256", Algorithm::RS256, key)
            }
            "EC" if jwk.crv.as_deref() == Some("P-256") => {
                let (x, y) = (decode(&jwk.x)?, decode(&jwk.y)?);
                let is_sound = [&x, &y].iter().all(|part| part.len() == COORDINATE_BYTES);
                let point = is_sound.then(|| [&[4][..], &x, &y].concat())?;
                ("ES256", Algorithm::ES256, DecodingKey::from_ec_der(&point))
            }
            _ => return None,
        };
        let is_pinned = jwk.alg.as_deref().is_none_or(|given| given == name);
        is_pinned.then(|| Self { id: jwk.kid.as_str().into(), algorithm, key })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(bytes: usize) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![0xa5; bytes])
    }

    fn rsa(kid: &str, modulus_bytes: usize) -> Value {
        json!({"kty": "RSA", "kid": kid, "n": text(modulus_bytes), "e": "AQAB"})
    }

    fn ec(kid: &str) -> Value {
        json!({"kty": "EC", "kid": kid, "crv": "P-256", "x": text(32), "y": text(32)})
    }

    fn with(mut key: Value, member: &str, value: Value) -> Value {
        key[member] = value;
        key
    }

    fn parse(keys: &[Value]) -> Option<KeySet> {
        KeySet::parse(json!({"keys": keys, "other": 1}).to_string().as_bytes())
    }

    #[test]
    fn the_kind_of_a_key_is_its_algorithm() {
        let set = parse(&[rsa("a", 256), ec("b"), with(rsa("c", 512), "alg", json!("RS256"))]).unwrap();
        let algorithm = |id| set.named(id).map(|key| key.algorithm);
        assert_eq!(algorithm("a"), Some(Algorithm::RS256));
        assert_eq!(algorithm("b"), Some(Algorithm::ES256));
        assert_eq!(algorithm("c"), Some(Algorithm::RS256));
        assert_eq!(algorithm("d"), None);
    }

    #[test]
    fn a_key_that_cannot_verify_is_left_out_and_its_neighbours_stay() {
        for other in [
            json!({"kty": "oct", "kid": "a", "k": text(32)}),
            json!({"kty": "OKP", "kid": "a", "crv": "Ed25519", "x": text(32)}),
            with(rsa("a", 256), "use", json!("enc")),
            with(rsa("a", 256), "alg", json!("HS256")),
            with(rsa("a", 256), "alg", json!("PS256")),
            with(rsa("a", 256), "e", json!(text(9))),
            rsa("a", 128),
            rsa("a", 2_048),
            rsa(&"a".repeat(MAX_KEY_ID_BYTES + 1), 256),
            with(ec("a"), "alg", json!("RS256")),
            with(ec("a"), "crv", json!("P-384")),
            with(ec("a"), "x", json!(text(31))),
            with(ec("a"), "y", json!("+")),
            json!({"kty": "RSA", "n": text(256), "e": "AQAB"}),
            json!("a"),
            json!(null),
        ] {
            let set = parse(&[other.clone(), ec("b")]).unwrap();
            assert!(set.named("a").is_none() && set.named("b").is_some(), "{other}");
            assert!(parse(&[other]).is_none());
        }
    }

    #[test]
    fn a_document_has_bounds() {
        let many: Vec<Value> = (0..=MAX_KEYS).map(|n| ec(&n.to_string())).collect();
        let set = parse(&many).unwrap();
        assert!(set.named("31").is_some() && set.named("32").is_none());
        let long = with(ec("a"), "x5c", json!([text(MAX_SET_BYTES)]));
        assert!(parse(&[long]).is_none());
        for document in [&b""[..], b"{}", b"[]", b"{\"keys\": 1}", b"{\"keys\": []}", b"\xff"] {
            assert!(KeySet::parse(document).is_none());
        }
    }
}
