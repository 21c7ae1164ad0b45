//! What is remembered of tokens, and what a rotation of keys changes.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::json;

use super::*;
use crate::access::issuer::{Grant, TokenIssuer};
use crate::access::key_ring::tests::Source;
use crate::access::key_ring::{OVERDUE_MS, RETRY_MS};
use crate::access::token::MAX_CLOCK_SKEW_MS;
use crate::access::token::tests::issuer;

const TTL_MS: i64 = 3_600_000;

fn token(issuer: &TokenIssuer, subject: &str, ttl_ms: i64) -> String {
    issuer.issue(Grant { subject, scope: "prices:read", from_ms: 0, ttl_ms })
}

fn verifier(source: &Source) -> Verifier<&Source> {
    Verifier::new(TokenIssuer::expected(), source)
}

fn invalid(error: TokenError) -> Result<Arc<Client>, VerifyError> {
    Err(error.into())
}

/// The documents of two issuers as one.
fn both(one: &TokenIssuer, other: &TokenIssuer) -> Vec<u8> {
    let keys = [one, other].map(|issuer| {
        let document: serde_json::Value = serde_json::from_slice(&issuer.key_set()).unwrap();
        document["keys"][0].clone()
    });
    json!({ "keys": keys }).to_string().into_bytes()
}

#[tokio::test]
async fn a_token_is_verified_once_and_expires_all_the_same() {
    let issuer = issuer("01");
    let source = Source::of(issuer.key_set());
    let verifier = verifier(&source);
    let token = token(&issuer, "ada", 10_000);
    let first = verifier.verify(&token, 0).await.unwrap();
    let again = verifier.verify(&token, 1).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let end = 10_000 + MAX_CLOCK_SKEW_MS;
    assert!(verifier.verify(&token, end - 1).await.is_ok());
    assert_eq!(verifier.verify(&token, end).await, invalid(TokenError::Expired));
}

#[tokio::test]
async fn a_key_that_is_rotated_between_two_requests_is_found_and_a_withdrawn_one_verifies_no_more() {
    let (before, after) = (issuer("01"), issuer("02"));
    let source = Source::of(before.key_set());
    let verifier = verifier(&source);
    let (old, new) = (token(&before, "ada", TTL_MS), token(&after, "ada", TTL_MS));
    assert!(verifier.verify(&old, 0).await.is_ok());
    *source.document.lock() = Some(both(&before, &after));
    assert_eq!(verifier.verify(&new, 1).await, invalid(TokenError::UnknownKey));
    assert!(verifier.verify(&new, RETRY_MS).await.is_ok());
    assert!(verifier.verify(&old, RETRY_MS).await.is_ok());
    *source.document.lock() = Some(after.key_set());
    verifier.refresh(RETRY_MS + OVERDUE_MS).await;
    assert_eq!(verifier.verify(&old, RETRY_MS + OVERDUE_MS).await, invalid(TokenError::UnknownKey));
    assert!(verifier.verify(&new, RETRY_MS + OVERDUE_MS).await.is_ok());
}

#[tokio::test]
async fn tokens_of_unknown_keys_make_no_storm_of_reads() {
    let source = Source::of(issuer("01").key_set());
    let verifier = verifier(&source);
    let unknown = token(&issuer("02"), "ada", TTL_MS);
    for now_ms in 0..100 {
        assert_eq!(verifier.verify(&unknown, now_ms).await, invalid(TokenError::UnknownKey));
    }
    assert_eq!(source.reads.load(SeqCst), 1);
}

#[tokio::test]
async fn without_keys_a_token_is_neither_valid_nor_invalid_and_what_is_none_is_refused_without_them() {
    let source = Source::default();
    let verifier = verifier(&source);
    assert_eq!(verifier.verify("a.b", 0).await, invalid(TokenError::Invalid));
    let long = "a".repeat(MAX_TOKEN_BYTES + 1);
    assert_eq!(verifier.verify(&long, 0).await, invalid(TokenError::Invalid));
    assert_eq!(source.reads.load(SeqCst), 0);
    let token = token(&issuer("01"), "ada", TTL_MS);
    assert_eq!(verifier.verify(&token, 0).await, Err(VerifyError::Unavailable(Unavailable)));
}

#[tokio::test]
async fn what_is_remembered_is_bounded_and_is_not_printed() {
    let issuer = issuer("01");
    let source = Source::of(issuer.key_set());
    let verifier = verifier(&source);
    for client in 0..=MAX_REMEMBERED {
        let token = token(&issuer, &client.to_string(), TTL_MS);
        verifier.verify(&token, 0).await.unwrap();
        let printed = format!("{verifier:?}");
        assert!(!printed.contains(&token));
    }
    assert!(verifier.remembered.read().tokens.len() <= MAX_REMEMBERED);
}
