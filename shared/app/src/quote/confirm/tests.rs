//! Scenarios of finding and confirming quotes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use equilibrium_domain::policy::Multiplier;
use parking_lot::Mutex;

use super::*;
use crate::memory::MemoryQuotes;
use crate::quote::token::tests::{keys, quote};

const NOW: i64 = 1_772_000_000_000;

/// Keys that rotate, or cannot be read.
#[derive(Clone)]
struct Source {
    keys: Arc<Mutex<Result<QuoteKeys, Unavailable>>>,
    reads: Arc<AtomicU64>,
}

impl Source {
    fn new() -> Self {
        Self { keys: Arc::new(Mutex::new(Ok(keys(1, None)))), reads: Arc::default() }
    }

    fn set(&self, keys: Result<QuoteKeys, Unavailable>) {
        *self.keys.lock() = keys;
    }
}

impl QuoteKeySource for Source {
    async fn keys(&self) -> Result<QuoteKeys, Unavailable> {
        self.reads.fetch_add(1, Relaxed);
        self.keys.lock().clone()
    }
}

fn acknowledged(key: Option<&str>) -> Acceptance<'_> {
    Acceptance { idempotency_key: key, ack: Multiplier::new(240) }
}

#[tokio::test]
async fn a_quote_is_confirmed_once_and_a_repeat_with_its_key_is_the_same() {
    let (ring, store) = (KeyRing::new(Source::new()), MemoryQuotes::default());
    let token = ring.sign(&quote(), NOW).await.unwrap();
    let confirm = async |acceptance, now_ms| {
        let found = ring.find(&token, &store, now_ms).await.unwrap();
        confirm(&store, (&token, &found), acceptance, now_ms).await
    };
    let unacknowledged = Acceptance { ack: Multiplier::new(230), ..acknowledged(Some("a")) };
    assert_eq!(confirm(unacknowledged, NOW).await, Err(ConfirmError::AckRequired));
    let (first, is_new) = confirm(acknowledged(Some("a")), NOW + 1).await.unwrap();
    assert!(is_new);
    // Long after the quote has expired, and without an acknowledgement.
    let repeat = Acceptance { idempotency_key: Some("a"), ack: None };
    assert_eq!(confirm(repeat, NOW + 10_000_000).await, Ok((first.clone(), false)));
    for key in [Some("b"), None] {
        assert_eq!(confirm(acknowledged(key), NOW + 2).await, Err(ConfirmError::AlreadyConfirmed));
    }
    let found = ring.find(&token, &store, NOW + 10_000_000).await.unwrap();
    assert_eq!(found.confirmation, Some(first));
}

#[tokio::test]
async fn a_repeat_without_a_key_is_refused_and_an_expired_quote_cannot_be_confirmed() {
    let (ring, store) = (KeyRing::new(Source::new()), MemoryQuotes::default());
    let token = ring.sign(&quote(), NOW).await.unwrap();
    let found = ring.find(&token, &store, NOW).await.unwrap();
    let attempt = async |now_ms| confirm(&store, (&token, &found), acknowledged(None), now_ms).await;
    assert_eq!(attempt(NOW + 120_000).await, Err(ConfirmError::Expired));
    assert!(attempt(NOW + 119_999).await.unwrap().1);
    // The quote was found before it was confirmed: the store decides.
    assert_eq!(attempt(NOW + 119_999).await, Err(ConfirmError::AlreadyConfirmed));
}

#[tokio::test]
async fn a_rotation_between_issue_and_confirmation_loses_no_quote() {
    let (source, store) = (Source::new(), MemoryQuotes::default());
    let (issuer, other) = (KeyRing::new(source.clone()), KeyRing::new(source.clone()));
    let old = issuer.sign(&quote(), NOW).await.unwrap();
    other.find(&old, &store, NOW).await.unwrap();
    source.set(Ok(keys(2, Some(1))));
    // One instance has the new key before the other.
    issuer.refresh(NOW + REFRESH_MS).await;
    let new = issuer.sign(&quote(), NOW + REFRESH_MS).await.unwrap();
    assert_ne!(old, new);
    for token in [&old, &new] {
        for ring in [&issuer, &other] {
            assert_eq!(ring.find(token, &store, NOW + REFRESH_MS).await.unwrap().quote, quote());
        }
    }
    // Two rotations later an unconfirmed quote is gone, and a confirmed one is known by its token.
    let found = issuer.find(&old, &store, NOW).await.unwrap();
    confirm(&store, (&old, &found), acknowledged(None), NOW).await.unwrap();
    source.set(Ok(keys(4, Some(3))));
    let later = NOW + 3 * REFRESH_MS;
    issuer.refresh(later).await;
    assert!(issuer.find(&old, &store, later).await.unwrap().confirmation.is_some());
    assert_eq!(issuer.find(&new, &store, later).await, Err(FindError::Unknown));
}

#[tokio::test]
async fn tokens_of_unknown_keys_have_the_keys_read_every_five_seconds_at_most() {
    let (source, store) = (Source::new(), MemoryQuotes::default());
    let ring = KeyRing::new(source.clone());
    let foreign = crate::quote::token::sign(&quote(), &keys(9, None));
    for ms in 0..UNKNOWN_KEY_MS {
        assert_eq!(ring.find(&foreign, &store, NOW + ms).await, Err(FindError::Unknown));
    }
    assert_eq!(source.reads.load(Relaxed), 1);
    source.set(Err(Unavailable));
    let later = NOW + UNKNOWN_KEY_MS;
    assert_eq!(ring.find(&foreign, &store, later).await, Err(FindError::Unavailable(Unavailable)));
    assert_eq!(ring.find(&foreign, &store, later + 1).await, Err(FindError::Unavailable(Unavailable)));
    assert_eq!(source.reads.load(Relaxed), 2, "also while they cannot be read");
    let own = ring.sign(&quote(), later).await.unwrap();
    assert!(ring.find(&own, &store, later).await.is_ok(), "the known keys stay");
    assert_eq!(ring.find("no.token.", &store, later).await, Err(FindError::Unknown));
}
