//! Tokens that are valid, and every way in which one is not.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey, encode};
use serde_json::{Value, json};

use super::*;
use crate::access::issuer::{Grant, TokenIssuer};

const NOW_MS: i64 = 1_700_000_000_000;
const NOW_S: i64 = NOW_MS / 1_000;

pub(in crate::access) fn issuer(seed: &str) -> TokenIssuer {
    TokenIssuer::from_hex(&seed.repeat(32)).unwrap()
}

pub(in crate::access) fn claims() -> Value {
    json!({"iss": "equilibrium", "aud": "equilibrium", "sub": "ada", "scope": "prices:read quotes:write",
           "iat": NOW_S, "exp": NOW_S + 600})
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

fn verified(issuer: &TokenIssuer, token: &str, now_ms: i64) -> Result<Client, TokenError> {
    let keys = KeySet::parse(&issuer.key_set()).unwrap();
    verify(token, &keys, &TokenIssuer::expected(), now_ms).map(|(client, _)| client)
}

fn outcome(claims: &Value, now_ms: i64) -> Result<(), TokenError> {
    let issuer = issuer("01");
    verified(&issuer, &issuer.issue_claims(claims), now_ms).map(drop)
}

fn part(value: &Value) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(value.to_string())
}

/// A key of RSA of so many bits, and its document.
fn rsa(kid: &str) -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let pkcs8 = pair.serialize_der();
    // The key in PKCS #1 is the last member of the one in PKCS #8.
    let key = EncodingKey::from_rsa_der(&pkcs8[26..]);
    let public = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
    let AlgorithmParameters::RSA(parts) = public.algorithm else { panic!("a key of another kind") };
    (key, json!({"kty": "RSA", "kid": kid, "n": parts.n, "e": parts.e}))
}

#[test]
fn a_token_of_the_issuer_is_verified() {
    let issuer = issuer("01");
    let scope = "prices:read ops:write";
    let token = issuer.issue(Grant { subject: "ada", scope, from_ms: NOW_MS, ttl_ms: 60_000 });
    let client = verified(&issuer, &token, NOW_MS).unwrap();
    assert_eq!(client, Client::new("ada", ["prices:read", "ops:write"]));
}

#[test]
fn a_token_of_rsa_is_verified_with_rs256_alone() {
    let (key, document) = rsa("r");
    let keys = KeySet::parse(json!({"keys": [document]}).to_string().as_bytes()).unwrap();
    let sign = |algorithm| {
        let header = Header { kid: Some("r".to_owned()), ..Header::new(algorithm) };
        encode(&header, &claims(), &key).unwrap()
    };
    let outcome =
        |algorithm| verify(&sign(algorithm), &keys, &TokenIssuer::expected(), NOW_MS).map(|(it, _)| it);
    assert_eq!(outcome(Algorithm::RS256).unwrap().subject(), "ada");
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        assert_eq!(outcome(algorithm), Err(TokenError::Invalid), "{algorithm:?}");
    }
}

#[test]
fn the_public_key_is_no_secret_of_hs256() {
    let (_, document) = rsa("r");
    let keys = KeySet::parse(json!({"keys": [document]}).to_string().as_bytes()).unwrap();
    let modulus = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(document["n"].as_str().unwrap()).unwrap();
    for secret in [&modulus[..], document["n"].as_str().unwrap().as_bytes(), document.to_string().as_bytes()]
    {
        let header = Header { kid: Some("r".to_owned()), ..Header::new(Algorithm::HS256) };
        let forged = encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        let outcome = verify(&forged, &keys, &TokenIssuer::expected(), NOW_MS).map(drop);
        assert_eq!(outcome, Err(TokenError::Invalid));
    }
}

#[test]
fn the_algorithm_of_a_token_chooses_nothing() {
    let issuer = issuer("01");
    let token = issuer.issue_claims(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let header = String::from_utf8(base64_simd::URL_SAFE_NO_PAD.decode_to_vec(parts[0]).unwrap()).unwrap();
    let header: Value = serde_json::from_str(&header).unwrap();
    for algorithm in ["none", "None", "HS256", "ES384", "RS256", "EdDSA", ""] {
        let mut header = header.clone();
        header["alg"] = json!(algorithm);
        for signature in [parts[2], "", "AA"] {
            let forged = format!("{}.{}.{signature}", part(&header), parts[1]);
            assert_eq!(verified(&issuer, &forged, NOW_MS), Err(TokenError::Invalid), "{algorithm}");
        }
    }
}

#[test]
fn an_extension_that_must_be_understood_is_refused() {
    let header = json!({"alg": "ES256", "kid": "a", "crit": ["b64"], "b64": false});
    assert_eq!(key_id(&format!("{}.AA.AA", part(&header))), Err(TokenError::Invalid));
    let header = json!({"alg": "ES256", "kid": "a"});
    assert_eq!(key_id(&format!("{}.AA.AA", part(&header))), Ok("a".to_owned()));
}

#[test]
fn a_forged_or_truncated_token_is_refused() {
    let issuer = issuer("01");
    let token = issuer.issue_claims(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let other = part(&with("scope", json!("ops:write")));
    for forged in [
        format!("{}.{other}.{}", parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len())),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}.AA"),
        format!("{token}="),
        format!(" {token}"),
        "a".repeat(MAX_TOKEN_BYTES + 1),
        String::new(),
        "..".to_owned(),
    ] {
        assert_eq!(verified(&issuer, &forged, NOW_MS), Err(TokenError::Invalid), "{forged}");
    }
    for length in 0..token.len() {
        assert_eq!(verified(&issuer, &token[..length], NOW_MS), Err(TokenError::Invalid), "{length}");
    }
}

#[test]
fn a_token_of_another_key_is_refused() {
    let (one, other) = (issuer("01"), issuer("02"));
    let token = other.issue_claims(&claims());
    assert_eq!(verified(&one, &token, NOW_MS), Err(TokenError::UnknownKey));
    // The other's document under the name of the first key.
    let mut document: Value = serde_json::from_slice(&one.key_set()).unwrap();
    document["keys"][0]["kid"] =
        serde_json::from_slice::<Value>(&other.key_set()).unwrap()["keys"][0]["kid"].clone();
    let keys = KeySet::parse(document.to_string().as_bytes()).unwrap();
    let outcome = verify(&token, &keys, &TokenIssuer::expected(), NOW_MS).map(drop);
    assert_eq!(outcome, Err(TokenError::Invalid));
}

#[test]
fn clocks_may_differ_by_a_minute_either_way() {
    let expired = |ago_s: i64| outcome(&with("exp", json!(NOW_S - ago_s)), NOW_MS);
    assert_eq!(expired(59), Ok(()));
    assert_eq!(expired(60), Err(TokenError::Expired));
    assert_eq!(expired(61), Err(TokenError::Expired));
    let early = |ahead_s: i64| outcome(&with("nbf", json!(NOW_S + ahead_s)), NOW_MS);
    assert_eq!(early(59), Ok(()));
    assert_eq!(early(60), Ok(()));
    assert_eq!(early(61), Err(TokenError::NotYetValid));
    assert_eq!(outcome(&with("exp", json!(1e300)), NOW_MS), Ok(()));
    for exp in [json!(-1e300), json!(0), json!(NOW_S - 3_600)] {
        assert_eq!(outcome(&with("exp", exp), NOW_MS), Err(TokenError::Expired));
    }
}

#[test]
fn issuer_audience_and_subject_are_those_expected() {
    for (claims, expected) in [
        (with("iss", json!("other")), Err(TokenError::Issuer)),
        (with("iss", json!("equilibrium/")), Err(TokenError::Issuer)),
        (with("iss", json!(null)), Err(TokenError::Issuer)),
        (with("aud", json!("other")), Err(TokenError::Audience)),
        (with("aud", json!([])), Err(TokenError::Audience)),
        (with("aud", json!(null)), Err(TokenError::Audience)),
        (with("aud", json!(["other", "equilibrium"])), Ok(())),
        (with("sub", json!(null)), Err(TokenError::Subject)),
        (with("sub", json!("")), Err(TokenError::Subject)),
        (with("sub", json!("a\nb")), Err(TokenError::Subject)),
        (with("sub", json!("a".repeat(MAX_SUBJECT_BYTES + 1))), Err(TokenError::Subject)),
        (with("exp", json!(null)), Err(TokenError::Invalid)),
        (with("exp", json!("soon")), Err(TokenError::Invalid)),
        (json!([]), Err(TokenError::Invalid)),
    ] {
        assert_eq!(outcome(&claims, NOW_MS), expected, "{claims}");
    }
}

#[test]
fn scopes_are_a_text_or_a_list() {
    let issuer = issuer("01");
    let mut listed = with("scope", json!(null));
    listed["scp"] = json!(["prices:read", "ops:write"]);
    for (claims, scopes) in [
        (listed, &["prices:read", "ops:write"][..]),
        (with("scp", json!("events:write")), &["prices:read", "quotes:write", "events:write"]),
        (with("scope", json!("  prices:read  ")), &["prices:read"]),
        (with("scope", json!("")), &[]),
        (with("scope", json!(null)), &[]),
    ] {
        let client = verified(&issuer, &issuer.issue_claims(&claims), NOW_MS).unwrap();
        assert_eq!(client, Client::new("ada", scopes.iter().copied()), "{claims}");
    }
    let many = "x ".repeat(MAX_SCOPES) + "ops:write";
    let client = verified(&issuer, &issuer.issue_claims(&with("scope", json!(many))), NOW_MS).unwrap();
    assert!(client.has("x") && !client.has("ops:write"));
}
