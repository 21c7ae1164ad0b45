//! A bearer token: a JWT in compact form (RFC 7519), signed by a key of its issuer.
//!
//! Length, shape, key and signature are checked before anything that the signature covers is read.

use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::Deserialize;
use thiserror::Error;

use crate::access::client::Client;
use crate::access::key_set::{KeySet, MAX_KEY_ID_BYTES, VerifyingKey};

/// The longest token, in bytes. API Gateway takes 10 240 bytes of headers in all ("Quotas for HTTP APIs").
pub const MAX_TOKEN_BYTES: usize = 8_192;

/// How far the clocks of issuer and verifier may differ, in milliseconds.
pub const MAX_CLOCK_SKEW_MS: i64 = 60_000;

/// The longest name of a client, in bytes: as long as a claim of it is in the tokens of common issuers.
pub const MAX_SUBJECT_BYTES: usize = 255;

/// The most scopes of a token that are read.
pub const MAX_SCOPES: usize = 100;

/// Whose tokens are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The issuer: the `iss` of every token.
    pub issuer: String,
    /// The audience, which the `aud` of every token names.
    pub audience: String,
}

/// Why a token is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is too long, no JWT, of another algorithm than its key, or its signature is wrong.
    #[error("the token is not valid")]
    Invalid,
    /// It names no key that the issuer has.
    #[error("the token is signed by an unknown key")]
    UnknownKey,
    /// It was valid up to a time that has passed.
    #[error("the token has expired")]
    Expired,
    /// It is valid from a time that has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Another issuer has issued it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It was issued for others than this API.
    #[error("the token is for another audience")]
    Audience,
    /// It names no subject.
    #[error("the token has no usable subject")]
    Subject,
}

/// When a token is valid, in milliseconds since the epoch, without the clocks' difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    not_before_ms: i64,
    expires_ms: i64,
}

impl Lifetime {
    /// Whether the token is valid at `now_ms`.
    ///
    /// # Errors
    /// [`TokenError::Expired`], [`TokenError::NotYetValid`].
    pub fn check(self, now_ms: i64) -> Result<(), TokenError> {
        if now_ms >= self.expires_ms.saturating_add(MAX_CLOCK_SKEW_MS) {
            return Err(TokenError::Expired);
        }
        if now_ms < self.not_before_ms.saturating_sub(MAX_CLOCK_SKEW_MS) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// Whether nothing of it is left at `now_ms`.
    #[must_use]
    pub fn is_over(self, now_ms: i64) -> bool {
        self.check(now_ms) == Err(TokenError::Expired)
    }
}

/// The members of a token that are read (RFC 7519 §4.1, RFC 8693 §4.2; `scp` is that of Azure and Okta).
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMore>,
    exp: Option<f64>,
    nbf: Option<f64>,
    scope: Option<String>,
    scp: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// Checks length and shape, and reads the name of the key.
///
/// # Errors
/// [`TokenError::Invalid`].
pub fn key_id(token: &str) -> Result<String, TokenError> {
    if !has_shape(token) {
        return Err(TokenError::Invalid);
    }
    let Header { kid, crit, .. } = decode_header(token).map_err(|_| TokenError::Invalid)?;
    // An extension that must be understood is none that is (RFC 7515 §4.1.11).
    let kid = kid.filter(|kid| crit.is_none() && kid.len() <= MAX_KEY_ID_BYTES);
    kid.ok_or(TokenError::Invalid)
}

/// The client of a token that one of the keys has signed, and when the token is valid.
///
/// # Errors
/// [`TokenError`].
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: &Expected,
    now_ms: i64,
) -> Result<(Client, Lifetime), TokenError> {
    let id = key_id(token)?;
    let VerifyingKey { algorithm, key, .. } = keys.named(&id).ok_or(TokenError::UnknownKey)?;
    let mut validation = Validation::new(*algorithm);
    // The claims are checked below, at the time that is given.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = decode::<Claims>(token, key, &validation).map_err(|_| TokenError::Invalid)?.claims;
    claims.check(expected, now_ms)
}

/// Whether a token may be one: three parts of base64url, not too long.
fn has_shape(token: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    token.len() <= MAX_TOKEN_BYTES && token.split('.').count() == 3 && token.split('.').all(is_part)
}

impl Claims {
    fn check(&self, expected: &Expected, now_ms: i64) -> Result<(Client, Lifetime), TokenError> {
        if self.iss.as_ref() != Some(&expected.issuer) {
            return Err(TokenError::Issuer);
        }
        let audience = self.aud.as_ref().map_or(&[][..], OneOrMore::as_slice);
        if !audience.contains(&expected.audience) {
            return Err(TokenError::Audience);
        }
        let expires_ms = milliseconds(self.exp.ok_or(TokenError::Invalid)?);
        let not_before_ms = self.nbf.map_or(i64::MIN, milliseconds);
        let lifetime = Lifetime { not_before_ms, expires_ms };
        lifetime.check(now_ms)?;
        let is_name = |subject: &&String| {
            let is_bounded = (1..=MAX_SUBJECT_BYTES).contains(&subject.len());
            is_bounded && !subject.chars().any(char::is_control)
        };
        let subject = self.sub.as_ref().filter(is_name).ok_or(TokenError::Subject)?;
        let listed = self.scp.as_ref().map_or(&[][..], OneOrMore::as_slice).iter().map(String::as_str);
        let scopes = self.scope.as_deref().into_iter().chain(listed).flat_map(|scopes| scopes.split(' '));
        Ok((Client::new(subject, scopes.filter(|scope| !scope.is_empty()).take(MAX_SCOPES)), lifetime))
    }
}

/// Seconds since the epoch, which may have a fraction (RFC 7519 §2), as milliseconds. What is out of range is the nearest
/// that is not.
#[allow(clippy::cast_possible_truncation)]
fn milliseconds(numeric_date: f64) -> i64 {
    (numeric_date * 1_000.0).floor() as i64
}

#[cfg(test)]
pub(super) mod tests;
