//! The contract of the store of confirmed quotes.

use equilibrium_domain::quote::QuoteId;
use futures_util::future::join_all;

use crate::quote::ports::{Confirmation, QuoteStore};

/// The contract of [`QuoteStore`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn quote_store(store: &impl QuoteStore, now_ms: i64) {
    let [one, other, many] = [1, u128::MAX, 7].map(QuoteId);
    let confirmation = |token: &str, key: Option<&str>, at: i64| Confirmation {
        token: token.to_owned(),
        confirmed_at: now_ms + at,
        idempotency_key: key.map(str::to_owned),
        is_logged: false,
    };
    assert_eq!(store.confirmation(one).await, Ok(None));
    let first = confirmation(&"t".repeat(1_000), Some("k:1"), 1);
    assert_eq!(store.confirm(one, &first).await, Ok(None));
    for later in [first.clone(), confirmation("later", None, 2)] {
        assert_eq!(store.confirm(one, &later).await, Ok(Some(first.clone())), "the first holds");
    }
    assert_eq!(store.confirmation(one).await, Ok(Some(first.clone())));
    let keyless = confirmation("u", None, 3);
    assert_eq!(store.confirm(other, &keyless).await, Ok(None), "quotes are separate");

    store.logged(one).await.expect("recorded");
    store.logged(one).await.expect("a repeat changes nothing");
    assert_eq!(store.confirmation(one).await, Ok(Some(Confirmation { is_logged: true, ..first })));
    assert_eq!(store.confirmation(other).await, Ok(Some(keyless)));

    // Equal in every field: the store says which call confirmed the quote.
    let attempts = vec![confirmation("v", None, 4); 20];
    let answers = join_all(attempts.iter().map(|attempt| store.confirm(many, attempt))).await;
    let answers: Vec<Option<Confirmation>> =
        answers.into_iter().map(|answer| answer.expect("confirmed")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 1, "of many at once, one");
    assert!(answers.iter().flatten().all(|before| *before == attempts[0]));
}
