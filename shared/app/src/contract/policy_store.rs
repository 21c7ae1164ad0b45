//! The contract of the policy store.

use equilibrium_domain::id::CityId;

use crate::policy::ports::{
    NewVersion, PolicyStore, ReplaceError, SavedVersion, StoredPolicy, VERSIONS_KEPT_MS,
};

/// The contract of [`PolicyStore`], which must be empty.
///
/// # Panics
/// If the adapter breaks it.
pub async fn policy_store(policies: &impl PolicyStore) {
    let [lima, oslo] = ["lima", "oslo"].map(|city| CityId::new(city).expect("well-formed"));
    let all = async || {
        let mut all = policies.all().await.expect("loaded");
        all.sort_unstable_by(|a, b| a.city.cmp(&b.city));
        all
    };
    let stored = |city: &CityId, version, document: &str| StoredPolicy {
        city: city.clone(),
        version,
        document: document.into(),
    };
    assert_eq!(all().await, []);

    let mismatch = Err(ReplaceError::VersionMismatch);
    assert_eq!(
        policies.save(&lima, NewVersion::local("{}"), Some(1)).await,
        mismatch,
        "the city has no policy yet"
    );
    assert_eq!(policies.save(&lima, NewVersion::local("{}"), None).await, Ok(1));
    assert_eq!(policies.save(&oslo, NewVersion::local("{\"name\":\"Østre Åker\"}"), None).await, Ok(1));
    assert_eq!(policies.save(&lima, NewVersion::local("[]"), None).await, mismatch, "the city has a policy");
    for version in [0, 2] {
        assert_eq!(policies.save(&lima, NewVersion::local("[]"), Some(version)).await, mismatch);
    }
    assert_eq!(all().await, [stored(&lima, 1, "{}"), stored(&oslo, 1, "{\"name\":\"Østre Åker\"}")]);

    assert_eq!(policies.save(&lima, NewVersion::local("{\"a\":1}"), Some(1)).await, Ok(2));
    assert_eq!(policies.save(&lima, NewVersion::local("{\"b\":1}"), Some(1)).await, mismatch);
    // As large as a policy with many zones.
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(200_000));
    assert_eq!(policies.save(&oslo, NewVersion::local(&large), Some(1)).await, Ok(2));
    assert_eq!(all().await, [stored(&lima, 2, "{\"a\":1}"), stored(&oslo, 2, &large)]);
}

/// The contract of the past versions of [`PolicyStore`], which may hold other cities. `now_ms` is the store's own time: an
/// adapter that expires versions by a clock compares them with it.
///
/// # Panics
/// If the adapter breaks it.
pub async fn policy_versions(policies: &impl PolicyStore, now_ms: i64) {
    let city = CityId::new("quito").expect("well-formed");
    assert_eq!(policies.saved_versions(&city, None, 10, now_ms).await, Ok(vec![]));
    assert_eq!(policies.version(&city, 1, now_ms).await, Ok(None));

    let begin_ms = now_ms - 10 * 60_000;
    let author = |version: u64| format!("author-{version}");
    let document = |version: u64| format!("{{\"name\":\"{version}\"}}");
    let saved_at_ms = |version: u64| begin_ms + 60_000 * version.cast_signed();
    for version in 1..=5 {
        let (document, author) = (document(version), author(version));
        let new = NewVersion { document: &document, author: &author, saved_at_ms: saved_at_ms(version) };
        let after = Some(version - 1).filter(|after| *after > 0);
        assert_eq!(policies.save(&city, new, after).await, Ok(version));
    }
    let list = async |below, limit, now_ms| {
        let listed = policies.saved_versions(&city, below, limit, now_ms).await.expect("listed");
        for SavedVersion { version, saved_at_ms: at_ms, author: by } in &listed {
            assert_eq!((*at_ms, by), (saved_at_ms(*version), &author(*version)));
        }
        listed.into_iter().map(|saved| saved.version).collect::<Vec<u64>>()
    };
    assert_eq!(list(None, 10, now_ms).await, [5, 4, 3, 2, 1]);
    assert_eq!(list(None, 2, now_ms).await, [5, 4]);
    assert_eq!(list(Some(4), 2, now_ms).await, [3, 2]);
    assert_eq!(list(Some(2), 2, now_ms).await, [1]);
    assert_eq!(list(Some(1), 2, now_ms).await, [0; 0]);
    for version in 1..=5 {
        let read = policies.version(&city, version, now_ms).await.expect("read").expect("kept");
        assert_eq!((read.version, read.document), (version, document(version)));
    }
    for version in [0, 6, u64::MAX] {
        assert_eq!(policies.version(&city, version, now_ms).await, Ok(None), "{version}");
    }
    // A version is kept for 90 days after the next one was saved, and the last for ever.
    let later_ms = saved_at_ms(3) + VERSIONS_KEPT_MS;
    assert_eq!(list(None, 10, later_ms).await, [5, 4, 3]);
    assert_eq!(list(None, 10, later_ms - 1).await, [5, 4, 3, 2]);
    assert_eq!(policies.version(&city, 2, later_ms).await, Ok(None));
    assert_eq!(list(None, 10, later_ms + VERSIONS_KEPT_MS).await, [5]);
}
