//! The contract of the policy store.

use equilibrium_domain::id::CityId;

use crate::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};

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
    assert_eq!(policies.save(&lima, "{}", Some(1)).await, mismatch, "the city has no policy yet");
    assert_eq!(policies.save(&lima, "{}", None).await, Ok(1));
    assert_eq!(policies.save(&oslo, "{\"name\":\"Østre Åker\"}", None).await, Ok(1));
    assert_eq!(policies.save(&lima, "[]", None).await, mismatch, "the city has a policy");
    for version in [0, 2] {
        assert_eq!(policies.save(&lima, "[]", Some(version)).await, mismatch);
    }
    assert_eq!(all().await, [stored(&lima, 1, "{}"), stored(&oslo, 1, "{\"name\":\"Østre Åker\"}")]);

    assert_eq!(policies.save(&lima, "{\"a\":1}", Some(1)).await, Ok(2));
    assert_eq!(policies.save(&lima, "{\"b\":1}", Some(1)).await, mismatch);
    // As large as a policy with many zones.
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(200_000));
    assert_eq!(policies.save(&oslo, &large, Some(1)).await, Ok(2));
    assert_eq!(all().await, [stored(&lima, 2, "{\"a\":1}"), stored(&oslo, 2, &large)]);
}
