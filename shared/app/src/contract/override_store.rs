//! The contract of the override store.

use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::policy::overrides::{Override, OverrideKind};

use crate::overrides::ports::{CreateError, MAX_OVERRIDES, OverrideStore};

/// The contract of [`OverrideStore`], which must be empty. Its times begin at `now_ms`, in milliseconds since the epoch.
///
/// # Panics
/// If the adapter breaks it.
pub async fn override_store(store: &impl OverrideStore, now_ms: i64) {
    let [lima, oslo] = ["lima", "oslo"].map(|city| CityId::new(city).expect("well-formed"));
    let revisions = async || {
        let mut revisions = store.revisions().await.expect("read");
        revisions.sort_unstable();
        revisions
    };
    let set = async |city: &CityId, at_ms| {
        let mut set = store.not_ended(city, at_ms).await.expect("read");
        set.overrides.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let ids: Vec<String> = set.overrides.iter().map(|one| one.id.to_string()).collect();
        (set.created, ids.join(" "))
    };
    assert_eq!(revisions().await, []);
    assert_eq!(set(&lima, now_ms).await, (0, String::new()));
    assert_eq!(store.one(&lima, "a1").await, Ok(None));
    assert_eq!(store.end(&lima, "a1", now_ms).await, Ok(None));
    assert_eq!(store.page(&lima, None, 9).await, Ok(vec![]));

    let [a, b, c] = [("a1", 10), ("b2", 20), ("c3", 30)].map(|(id, end_s)| new(id, now_ms, end_s));
    for one in [&a, &b] {
        store.create(&lima, one).await.expect("created");
    }
    store.create(&oslo, &c).await.expect("created");
    assert_eq!(revisions().await, [(lima.clone(), 2), (oslo.clone(), 1)]);
    assert_eq!(set(&lima, now_ms + 9_999).await, (2, "a1 b2".into()));
    assert_eq!(set(&lima, now_ms + 10_000).await, (2, "b2".into()), "it ends by the time alone");
    assert_eq!(store.one(&lima, "a1").await, Ok(Some(Arc::new(a.clone()))));
    assert_eq!(store.one(&oslo, "a1").await, Ok(None), "cities are separate");

    let ended = Override { ended_at: Some(now_ms + 5), ..b.clone() };
    for at_ms in [now_ms + 5, now_ms + 7] {
        let answer = store.end(&lima, "b2", at_ms).await;
        assert_eq!(answer, Ok(Some(Arc::new(ended.clone()))), "a repeat changes nothing");
    }
    assert_eq!(revisions().await, [(lima.clone(), 3), (oslo.clone(), 1)]);
    assert_eq!(set(&lima, now_ms + 5).await, (2, "a1".into()));
    assert_eq!(store.one(&lima, "b2").await, Ok(Some(Arc::new(ended))));
    assert_eq!(store.end(&lima, "none", now_ms).await, Ok(None));

    let page = async |before, limit| {
        let page = store.page(&lima, before, limit).await.expect("read");
        page.iter().map(|one| one.id.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(page(None, 1).await, "b2", "the newest first");
    assert_eq!(page(Some("b2"), 9).await, "a1");
    assert_eq!(page(Some("a1"), 9).await, "");

    let now_ms = now_ms + 20_000;
    for number in 0..MAX_OVERRIDES {
        let one = new(&format!("d{number:04}"), now_ms, 60);
        store.create(&lima, &one).await.expect("created");
    }
    assert_eq!(store.create(&lima, &new("e", now_ms, 60)).await, Err(CreateError::TooMany));
    store.end(&lima, "d0001", now_ms).await.expect("ended");
    store.create(&lima, &new("e", now_ms, 60)).await.expect("one has ended");
    assert_eq!(store.not_ended(&lima, now_ms).await.expect("read").overrides.len(), MAX_OVERRIDES);
}

fn new(id: &str, now_ms: i64, end_s: i64) -> Override {
    Override {
        id: id.into(),
        kind: OverrideKind::Cap(Multiplier::ONE),
        product: None,
        polygon: None,
        starts_at: now_ms,
        ends_at: now_ms + end_s * 1_000,
        reason: "a flooded underpass".into(),
        author: "local".into(),
        created_at: now_ms,
        ended_at: None,
    }
}
