//! A cache of the stored policies, read again when they are older than [`POLICY_TTL_MS`].

use std::sync::Arc;

use equilibrium_domain::policy::Policy;
use parking_lot::Mutex;

use crate::policy::policy_set::{PolicySet, ResourceLimits};
use crate::policy::ports::{PolicySource, PolicyStore, StoredPolicy};
use crate::unavailable::Unavailable;

/// How long cached policies are used before the store is read again, in milliseconds.
pub const POLICY_TTL_MS: i64 = 15_000;

/// The policies of a store, cached for [`POLICY_TTL_MS`].
#[derive(Debug)]
pub struct PolicyCache<P> {
    store: P,
    limits: ResourceLimits,
    cached: Mutex<Option<CachedPolicies>>,
}

/// The result of one read of the store.
#[derive(Clone, Debug)]
struct CachedPolicies {
    policies: Arc<PolicySet>,
    versions: Versions,
    read_at_ms: i64,
}

/// Cities and versions, by city.
type Versions = Arc<[(Box<str>, u64)]>;

impl<P: PolicyStore> PolicyCache<P> {
    /// A cache that has read nothing yet.
    pub fn new(store: P, limits: ResourceLimits) -> Self {
        Self { store, limits, cached: Mutex::default() }
    }

    /// Reads the store. Policies whose versions have not changed are kept as they are.
    async fn read(&self, cached: Option<&CachedPolicies>) -> Result<(Arc<PolicySet>, Versions), Unavailable> {
        let stored = self.store.all().await?;
        let versions = versions(&stored);
        if let Some(cached) = cached.filter(|cached| cached.versions == versions) {
            return Ok((Arc::clone(&cached.policies), versions));
        }
        let policies = stored.iter().filter_map(|StoredPolicy { version, document, .. }| {
            let document = serde_json::from_str(document).ok()?;
            Some((*version, Policy::from_json(&document).ok()?))
        });
        Ok((Arc::new(PolicySet::of_versions(policies, self.limits)), versions))
    }
}

impl<P: PolicyStore> PolicySource for PolicyCache<P> {
    /// The policies as read at most [`POLICY_TTL_MS`] before `now_ms`. If the store is unavailable, the
    /// policies read last stay in force. A stored document that is not a valid policy leaves its city
    /// undefined and affects no other city.
    async fn policies(&self, now_ms: i64) -> Result<Arc<PolicySet>, Unavailable> {
        let cached = self.cached.lock().clone();
        if let Some(cached) = &cached
            && (0..POLICY_TTL_MS).contains(&(now_ms - cached.read_at_ms))
        {
            return Ok(Arc::clone(&cached.policies));
        }
        let (policies, versions) = match (self.read(cached.as_ref()).await, cached) {
            (Ok(read), _) => read,
            (Err(Unavailable), Some(CachedPolicies { policies, versions, .. })) => (policies, versions),
            (Err(unavailable), None) => return Err(unavailable),
        };
        let read = CachedPolicies { policies: Arc::clone(&policies), versions, read_at_ms: now_ms };
        *self.cached.lock() = Some(read);
        Ok(policies)
    }
}

impl<P: PolicyStore> PolicySource for Arc<PolicyCache<P>> {
    async fn policies(&self, now_ms: i64) -> Result<Arc<PolicySet>, Unavailable> {
        PolicyCache::policies(self, now_ms).await
    }
}

fn versions(stored: &[StoredPolicy]) -> Versions {
    let mut versions: Vec<(Box<str>, u64)> =
        stored.iter().map(|policy| (policy.city.as_str().into(), policy.version)).collect();
    versions.sort_unstable();
    versions.into()
}

#[cfg(test)]
mod tests {
    use equilibrium_domain::id::CityId;

    use super::*;
    use crate::memory::MemoryPolicies;

    fn document(city: &str, name: &str) -> String {
        format!(
            r#"{{"city": "{city}", "name": "{name}", "currency": "USD", "products": [{{"id": "standard"}}],
            "boundary": {{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}}}}"#
        )
    }

    async fn save(store: &MemoryPolicies, city: &str, document: &str, after: Option<u64>) {
        store.save(&CityId::new(city).unwrap(), document, after).await.unwrap();
    }

    fn name(policies: &PolicySet, city: &str) -> Option<String> {
        Some(policies.city(city)?.pricing.policy.name.clone())
    }

    #[tokio::test]
    async fn a_changed_policy_takes_effect_within_the_ttl() {
        let store = MemoryPolicies::default();
        save(&store, "nyc", &document("nyc", "one"), None).await;
        let cache = PolicyCache::new(store.clone(), ResourceLimits::default());
        let first = cache.policies(1_000).await.unwrap();
        assert_eq!(name(&first, "nyc").as_deref(), Some("one"));

        save(&store, "nyc", &document("nyc", "two"), Some(1)).await;
        save(&store, "suva", &document("suva", "new"), None).await;
        let soon = cache.policies(1_000 + POLICY_TTL_MS - 1).await.unwrap();
        assert!(Arc::ptr_eq(&first, &soon));
        let later = cache.policies(1_000 + POLICY_TTL_MS).await.unwrap();
        assert_eq!(name(&later, "nyc").as_deref(), Some("two"));
        assert_eq!(name(&later, "suva").as_deref(), Some("new"));
        let same = cache.policies(1_000 + 2 * POLICY_TTL_MS).await.unwrap();
        assert!(Arc::ptr_eq(&later, &same), "unchanged policies are not rebuilt");
    }

    #[tokio::test]
    async fn an_invalid_document_leaves_other_cities_defined() {
        let store = MemoryPolicies::default();
        save(&store, "bad", "{", None).await;
        save(&store, "nyc", &document("nyc", "one"), None).await;
        let policies = PolicyCache::new(store, ResourceLimits::default()).policies(0).await.unwrap();
        assert_eq!((name(&policies, "bad"), name(&policies, "nyc").as_deref()), (None, Some("one")));
    }
}
