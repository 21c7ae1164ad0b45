//! Tests of tokens: what they hold, and what is none.

use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::quote::keys::QuoteKey;

const NOW: i64 = 1_772_000_000_000;

pub(in crate::quote) fn keys(current: u8, previous: Option<u8>) -> QuoteKeys {
    let key = |byte| QuoteKey::new(&[byte; 32]).unwrap();
    QuoteKeys { current: key(current), previous: previous.map(key) }
}

pub(in crate::quote) fn quote() -> Quote {
    Quote {
        id: QuoteId(0x1234),
        city: CityId::new("nyc").unwrap(),
        product: ProductId::new("standard").unwrap(),
        cell: Cell(0x0882_a107_289f_ffff),
        currency: Currency::new("USD").unwrap(),
        lines: FareLines([250, 625, 525, 0, -140, 200]),
        multiplier: Multiplier::new(240).unwrap(),
        ride: Ride { distance_m: 5_000, duration_s: 900 },
        mode: Mode::Cached,
        feed: Feed::Suspect,
        as_of: Some(NOW - 7_000),
        age_ms: Some(7_000),
        issued_at: NOW,
        expires_at: NOW + 120_000,
        requires_ack: true,
        policy_version: 3,
        map_version: 17,
        reason: Reason::NotFresh,
    }
}

#[test]
fn a_token_holds_the_quote() {
    let (keys, quote) = (keys(1, None), quote());
    let token = sign(&quote, &keys);
    assert_eq!(verify(&token, &keys, NOW), Ok(quote.clone()));
    assert_eq!(unverified(&token), Some(quote));
    let header = decode_header(&token).unwrap();
    assert_eq!((header.alg, header.kid), (Algorithm::HS256, Some(keys.current.id)));
}

#[test]
fn the_longest_quote_fits() {
    let longest = Quote {
        city: CityId::new(&"c".repeat(32)).unwrap(),
        product: ProductId::new(&"p".repeat(64)).unwrap(),
        cell: Cell(u64::MAX),
        lines: FareLines([i64::MIN; 6]),
        multiplier: Multiplier::MAX,
        ride: Ride { distance_m: u32::MAX, duration_s: u32::MAX },
        as_of: Some(i64::MIN),
        age_ms: Some(i64::MAX),
        issued_at: 253_402_300_799_999,
        expires_at: 253_402_300_799_999 + 86_400_000,
        policy_version: u64::MAX,
        map_version: u64::MAX,
        ..quote()
    };
    let keys = keys(1, None);
    let token = sign(&longest, &keys);
    assert!(token.len() <= MAX_TOKEN_BYTES, "{}", token.len());
    assert_eq!(verify(&token, &keys, longest.issued_at), Ok(longest));
}

#[test]
fn a_key_verifies_what_it_signed_until_the_next_rotation_but_one() {
    let token = sign(&quote(), &keys(1, None));
    assert_eq!(verify(&token, &keys(2, Some(1)), NOW), Ok(quote()));
    assert_eq!(verify(&token, &keys(3, Some(2)), NOW), Err(TokenError::UnknownKey));
    assert!(QuoteKey::new(&[1; 31]).is_none(), "a key is as long as the hash");
}

#[test]
fn the_clock_of_the_issuer_may_be_a_minute_ahead() {
    let keys = keys(1, None);
    let token = sign(&quote(), &keys);
    assert!(verify(&token, &keys, NOW - MAX_CLOCK_SKEW_MS).is_ok());
    assert_eq!(verify(&token, &keys, NOW - MAX_CLOCK_SKEW_MS - 1), Err(TokenError::Invalid));
    assert!(verify(&token, &keys, NOW + 90 * 86_400_000).is_ok(), "a confirmed quote outlives its expiry");
}

#[test]
fn another_algorithm_or_secret_is_refused_whatever_the_header_says() {
    let own = keys(1, None);
    let claims = Claims::of(&quote());
    let forged = |alg: Algorithm, secret: &[u8]| {
        let header = Header { kid: Some(own.current.id.clone()), ..Header::new(alg) };
        encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    assert!(verify(&forged(Algorithm::HS256, &[1; 32]), &own, NOW).is_ok());
    for (alg, secret) in
        [(Algorithm::HS256, [2; 32]), (Algorithm::HS384, [1; 32]), (Algorithm::HS512, [1; 32])]
    {
        assert_eq!(verify(&forged(alg, &secret), &own, NOW), Err(TokenError::Invalid), "{alg:?}");
    }
    let token = sign(&quote(), &own);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let payload = signed.split_once('.').unwrap().1;
    let part = |json: serde_json::Value| base64_simd::URL_SAFE_NO_PAD.encode_to_string(json.to_string());
    for header in [
        json!({"alg": "none", "kid": own.current.id}),
        json!({"alg": "None", "kid": own.current.id}),
        json!({"alg": "HS256"}),
        json!({"alg": "RS256", "kid": own.current.id}),
        json!({"kid": own.current.id}),
        json!([]),
    ] {
        for signature in ["", signature] {
            let token = format!("{}.{payload}.{signature}", part(header.clone()));
            assert_eq!(verify(&token, &own, NOW), Err(TokenError::Invalid), "{header}");
        }
    }
    assert_eq!(verify(&format!("{signed}."), &own, NOW), Err(TokenError::Invalid));
}

#[test]
fn a_signed_document_of_something_else_is_no_quote() {
    let own = keys(1, None);
    let header = Header { kid: Some(own.current.id.clone()), ..Header::new(Algorithm::HS256) };
    let valid = serde_json::to_value(Claims::of(&quote())).unwrap();
    for (member, value) in [
        ("jti", json!("12")),
        ("c", json!("New York")),
        ("h", json!("zz")),
        ("u", json!("XXX")),
        ("m", json!(0)),
        ("o", json!(4)),
        ("r", json!(6)),
        ("l", json!([1, 2])),
        ("t", json!(i64::MAX)),
        ("sub", json!("someone")),
    ] {
        let mut claims = valid.clone();
        claims[member] = value;
        let token = encode(&header, &claims, &own.current.signing).unwrap();
        assert_eq!(verify(&token, &own, NOW), Err(TokenError::Invalid), "{member}");
    }
}

proptest! {
    #[test]
    fn no_torn_or_changed_token_is_a_quote(cut in 0_usize..400, flip in 0_usize..400, bit in 0_u32..8) {
        let own = keys(1, None);
        let token = sign(&quote(), &own);
        prop_assume!(cut < token.len());
        prop_assert!(verify(&token[..cut], &own, NOW).is_err());
        let mut changed = token.clone().into_bytes();
        let at = flip % changed.len();
        changed[at] ^= 1 << bit;
        if let Ok(changed) = String::from_utf8(changed) {
            // The last character of a part may have bits that are not used.
            if let Ok(read) = verify(&changed, &own, NOW) {
                prop_assert_eq!(read, quote());
            }
        }
    }

    #[test]
    fn any_text_is_a_quote_or_none(text in "[A-Za-z0-9._-]{0,1100}") {
        prop_assert!(verify(&text, &keys(1, None), NOW).is_err());
        prop_assert!(unverified(&text).is_none());
    }
}
