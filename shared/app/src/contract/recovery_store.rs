//! The contract of the store of recoveries.

use equilibrium_domain::recovery::{Component, Outcome, Recovery, RecoveryId, Step};

use crate::recover::ports::{AcquireError, LEASE_MS, RecoveryStore, SaveError};

/// The contract of [`RecoveryStore`], at `now_ms`.
///
/// # Panics
/// If the adapter breaks it.
pub async fn recovery_store(store: &impl RecoveryStore, now_ms: i64) {
    let component = Component::StreamProcessor;
    let id = |name: &str| RecoveryId::new(name).expect("a name");
    let new = |name: &str, at_ms: i64| Recovery::new(id(name), component, "a test", now_ms + at_ms);
    assert_eq!(store.unfinished(component).await, Ok(None));
    assert_eq!(store.recovery(&id("one")).await, Ok(None));
    assert_eq!(store.page(None, 10).await, Ok(Vec::new()));

    let first = store.acquire(component, now_ms).await.expect("nobody holds it");
    assert_eq!(store.acquire(component, now_ms).await, Err(AcquireError::Held));
    let late_ms = now_ms + LEASE_MS - 1;
    assert_eq!(store.acquire(component, late_ms).await, Err(AcquireError::Held), "it is held to its end");
    let mut one = new("one", 0);
    store.save(first, &one, late_ms).await.expect("under the lease");
    let prolonged_ms = late_ms + LEASE_MS;
    let held = store.acquire(component, prolonged_ms - 1).await;
    assert_eq!(held, Err(AcquireError::Held), "a save prolongs it");
    assert_eq!(store.unfinished(component).await, Ok(Some(id("one"))));
    assert_eq!(store.recovery(&id("one")).await, Ok(Some(one.clone())));

    let second = store.acquire(component, prolonged_ms).await.expect("it has ended");
    assert!(second.fence > first.fence, "later leases have higher numbers");
    one.begin(Step::DetectFailure, now_ms);
    assert_eq!(store.save(first, &one, prolonged_ms).await, Err(SaveError::Fenced));
    store.release(first).await.expect("that of another stays");
    assert_eq!(store.acquire(component, prolonged_ms).await, Err(AcquireError::Held));
    one.end(Outcome::Failed, prolonged_ms);
    store.save(second, &one, prolonged_ms).await.expect("under the lease");
    assert_eq!(store.recovery(&id("one")).await, Ok(Some(one.clone())), "it is replaced");
    assert_eq!(store.unfinished(component).await, Ok(None), "it has ended");
    store.release(second).await.expect("released");
    let third = store.acquire(component, prolonged_ms).await.expect("it was released");
    assert!(third.fence > second.fence, "also after a release");

    let mut others = [new("b", 1), new("a", 1), new("c", -1)];
    for other in &mut others {
        other.end(Outcome::Success, prolonged_ms);
        store.save(third, other, prolonged_ms).await.expect("saved");
    }
    let names = async |before: Option<(i64, &str)>, limit: usize| {
        let before = before.map(|(at_ms, name)| (now_ms + at_ms, id(name)));
        let page = store.page(before.as_ref(), limit).await.expect("read");
        page.into_iter().map(|one| one.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 10).await, ["b", "a", "one", "c"], "newest first, then by name");
    assert_eq!(names(None, 1).await, ["b"]);
    assert_eq!(names(Some((1, "b")), 2).await, ["a", "one"]);
    assert_eq!(names(Some((-1, "c")), 2).await, Vec::<String>::new());
    store.release(third).await.expect("released");
}
