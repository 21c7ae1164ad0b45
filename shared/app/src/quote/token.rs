//! The token of a quote: a JWS in compact form (RFC 7515) that holds all of the quote.
//!
//! The names of its members are short, because a token stands in a path. The algorithm is the key's, HMAC with SHA-256,
//! whatever the token says: only this deployment verifies what it has signed.

use equilibrium_domain::fare::money::Currency;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::quote::fare_lines::FareLines;
use equilibrium_domain::quote::ride::Ride;
use equilibrium_domain::quote::{Quote, QuoteId, Reason};
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use crate::quote::keys::QuoteKeys;

/// The longest token, in bytes (CONTRACT §8).
pub const MAX_TOKEN_BYTES: usize = 1_000;

/// How far the clock of the instance that issued a quote may be ahead, in milliseconds.
pub const MAX_CLOCK_SKEW_MS: i64 = 60_000;

/// Why a token is not one of a quote. To a client all are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is too long, or no JWS of a quote, or its signature is wrong.
    Invalid,
    /// No known key has the name that it gives: it may be of a key that is newer, or retired.
    UnknownKey,
}

/// The members of a token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// The id.
    jti: String,
    /// City, product, cell.
    c: String,
    p: String,
    h: String,
    /// The currency, and the amounts of all items.
    u: String,
    l: [i64; 6],
    /// The multiplier, in hundredths.
    m: u16,
    /// Metres and seconds.
    d: u32,
    s: u32,
    /// The mode and the reason, by their indices, and whether the feed is suspect.
    o: u8,
    r: u8,
    f: bool,
    /// The tick, and the age of the map.
    a: Option<i64>,
    g: Option<i64>,
    /// Issued at, and valid for so long.
    i: i64,
    t: i64,
    /// Whether a confirmation repeats the multiplier.
    k: bool,
    /// The versions of policy and map.
    v: u64,
    n: u64,
}

const MODES: [Mode; 4] = [Mode::Fresh, Mode::Cached, Mode::Static, Mode::Degraded];

/// The token of a quote.
///
/// # Panics
/// Never: the members of a quote are text and numbers, and the algorithm is the key's.
#[must_use]
pub fn sign(quote: &Quote, keys: &QuoteKeys) -> String {
    let key = &keys.current;
    let mut header = Header::new(Algorithm::HS256);
    header.typ = None;
    header.kid = Some(key.id.clone());
    encode(&header, &Claims::of(quote), &key.signing).expect("text and numbers are signed")
}

/// The quote of a token that one of the keys has signed: length, shape and key are checked before the signature, and the
/// signature before anything that it covers is read.
///
/// # Errors
/// [`TokenError`].
pub fn verify(token: &str, keys: &QuoteKeys, now_ms: i64) -> Result<Quote, TokenError> {
    if !has_shape(token) {
        return Err(TokenError::Invalid);
    }
    let header = decode_header(token).map_err(|_| TokenError::Invalid)?;
    let id = header.kid.filter(|_| header.alg == Algorithm::HS256).ok_or(TokenError::Invalid)?;
    let key = keys.named(&id).ok_or(TokenError::UnknownKey)?;
    let claims = decode::<Claims>(token, &key.verifying, &validation()).map_err(|_| TokenError::Invalid)?;
    let quote = claims.claims.quote().ok_or(TokenError::Invalid)?;
    if quote.issued_at > now_ms.saturating_add(MAX_CLOCK_SKEW_MS) {
        return Err(TokenError::Invalid);
    }
    Ok(quote)
}

/// What a token says that no known key has signed, without any check but its shape. Only what the store holds of it counts.
#[must_use]
pub fn unverified(token: &str) -> Option<Quote> {
    let payload = token.split('.').nth(1).filter(|_| has_shape(token))?;
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok()?.quote()
}

/// Whether a token may be one: three parts of base64url, not too long.
fn has_shape(token: &str) -> bool {
    let is_part =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    token.len() <= MAX_TOKEN_BYTES && token.split('.').count() == 3 && token.split('.').all(is_part)
}

/// A quote has its own expiry, which a confirmation outlives.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

impl Claims {
    fn of(quote: &Quote) -> Self {
        let index = |found: Option<usize>| u8::try_from(found.unwrap_or(0)).unwrap_or(0);
        Self {
            jti: quote.id.to_string(),
            c: quote.city.as_str().to_owned(),
            p: quote.product.as_str().to_owned(),
            h: quote.cell.to_string(),
            u: quote.currency.code().to_owned(),
            l: quote.lines.0,
            m: quote.multiplier.hundredths(),
            d: quote.ride.distance_m,
            s: quote.ride.duration_s,
            o: index(MODES.iter().position(|mode| *mode == quote.mode)),
            r: index(Reason::ALL.iter().position(|reason| *reason == quote.reason)),
            f: quote.feed == Feed::Suspect,
            a: quote.as_of,
            g: quote.age_ms,
            i: quote.issued_at,
            t: quote.expires_at - quote.issued_at,
            k: quote.requires_ack,
            v: quote.policy_version,
            n: quote.map_version,
        }
    }

    fn quote(self) -> Option<Quote> {
        Some(Quote {
            id: QuoteId::parse(&self.jti)?,
            city: CityId::new(&self.c)?,
            product: ProductId::new(&self.p)?,
            cell: Cell(u64::from_str_radix(&self.h, 16).ok()?),
            currency: Currency::new(&self.u)?,
            lines: FareLines(self.l),
            multiplier: Multiplier::new(self.m)?,
            ride: Ride { distance_m: self.d, duration_s: self.s },
            mode: *MODES.get(usize::from(self.o))?,
            feed: if self.f { Feed::Suspect } else { Feed::Ok },
            as_of: self.a,
            age_ms: self.g,
            issued_at: self.i,
            expires_at: self.i.checked_add(self.t)?,
            requires_ack: self.k,
            policy_version: self.v,
            map_version: self.n,
            reason: *Reason::ALL.get(usize::from(self.r))?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
