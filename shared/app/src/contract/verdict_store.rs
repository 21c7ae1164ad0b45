//! The contract of the store of verdicts.

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::health::verdict::Verdict;
use futures_util::future::join_all;

use crate::health::ports::{SaveError, VerdictStore};

/// The contract of [`VerdictStore`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn verdict_store(store: &impl VerdictStore) {
    let of = |component: Component, at: i64, error: &str| {
        Verdict::unknown(component, 0, 60_000).after(&Look::bad(error), at, 60_000)
    };
    let sorted = async || {
        let mut verdicts = store.verdicts().await.expect("read");
        verdicts.sort_by_key(|verdict| verdict.component);
        verdicts
    };
    assert_eq!(sorted().await, []);
    let first = of(Component::Pricing, 10, "first");
    assert_eq!(store.save_verdict(&first, None).await, Ok(()));
    let other = of(Component::ElastiCache, 10, &"é".repeat(100));
    assert_eq!(store.save_verdict(&other, None).await, Ok(()), "components are separate");
    assert_eq!(sorted().await, [first.clone(), other.clone()]);

    let second = of(Component::Pricing, 20, "second");
    for after in [None, Some(9), Some(11), Some(20)] {
        assert_eq!(store.save_verdict(&second, after).await, Err(SaveError::Conflict), "{after:?}");
    }
    assert_eq!(store.save_verdict(&second, Some(10)).await, Ok(()));
    assert_eq!(sorted().await, [second, other.clone()]);

    let runs: Vec<Verdict> = (30..40).map(|at| of(Component::Pricing, at, "one of many")).collect();
    let saves = join_all(runs.iter().map(|verdict| store.save_verdict(verdict, Some(20)))).await;
    assert_eq!(saves.iter().filter(|saved| saved.is_ok()).count(), 1, "of many at once, one");
    let won = saves.iter().position(Result::is_ok).expect("one was saved");
    assert_eq!(sorted().await, [runs[won].clone(), other]);
}
