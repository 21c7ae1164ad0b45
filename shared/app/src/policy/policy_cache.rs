//! The policies in force as a function knows them: read at its start, and again now and then.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

use equilibrium_domain::policy::Policy;

use crate::policy::policy_set::{PolicySet, ResourceLimits};
use crate::policy::ports::PolicyStore;
use crate::unavailable::Unavailable;

/// A policy that has changed is followed by every function this long after, in milliseconds.
pub const POLICY_TTL_MS: i64 = 15_000;

/// The policies of a store.
#[derive(Debug)]
pub struct PolicyCache<P> {
    store: P,
    bounds: ResourceLimits,
    read: Mutex<Option<Read>>,
}

/// What was read.
#[derive(Clone, Debug)]
struct Read {
    book: Arc<PolicySet>,
    /// Cities and versions, by city.
    versions: Vec<(Box<str>, u64)>,
    at: i64,
}

impl<P: PolicyStore> PolicyCache<P> {
    /// A library that has read nothing yet.
    pub fn new(store: P, bounds: ResourceLimits) -> Self {
        Self { store, bounds, read: Mutex::default() }
    }

    /// The policies at `now`, in milliseconds since the epoch, as of at most [`POLICY_TTL_MS`] before. Where
    /// the store fails, those known hold on; a document that is no policy leaves its city undefined, and
    /// is for whoever saved it to find.
    ///
    /// # Errors
    /// [`Unavailable`] where none were ever read.
    pub async fn policies(&self, now: i64) -> Result<Arc<PolicySet>, Unavailable> {
        let known = self.lock().clone();
        if let Some(known) = &known
            && (0..POLICY_TTL_MS).contains(&(now - known.at))
        {
            return Ok(Arc::clone(&known.book));
        }
        let read = match (self.store.all().await, known) {
            (Ok(stored), known) => {
                let mut versions: Vec<(Box<str>, u64)> =
                    stored.iter().map(|policy| (policy.city.as_str().into(), policy.version)).collect();
                versions.sort_unstable();
                if let Some(known) = known.filter(|known| known.versions == versions) {
                    Read { at: now, ..known }
                } else {
                    let policies = stored.iter().filter_map(|policy| {
                        Policy::from_json(&serde_json::from_str(&policy.document).ok()?).ok()
                    });
                    let book = Arc::new(PolicySet::of(policies.collect(), self.bounds));
                    Read { book, versions, at: now }
                }
            }
            (Err(_), Some(known)) => Read { at: now, ..known },
            (Err(unavailable), None) => return Err(unavailable),
        };
        let book = Arc::clone(&read.book);
        *self.lock() = Some(read);
        Ok(book)
    }

    /// A panic of another does not spoil it, for nothing is left half done under the lock.
    fn lock(&self) -> MutexGuard<'_, Option<Read>> {
        self.read.lock()
    }
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

    fn name(book: &PolicySet, city: &str) -> Option<String> {
        Some(book.city(city)?.pricing.policy.name.clone())
    }

    #[tokio::test]
    async fn a_changed_policy_is_followed_within_its_time() {
        let store = MemoryPolicies::default();
        save(&store, "nyc", &document("nyc", "one"), None).await;
        let library = PolicyCache::new(store.clone(), ResourceLimits::default());
        let first = library.policies(1_000).await.unwrap();
        assert_eq!(name(&first, "nyc").as_deref(), Some("one"));

        save(&store, "nyc", &document("nyc", "two"), Some(1)).await;
        save(&store, "suva", &document("suva", "new"), None).await;
        let soon = library.policies(1_000 + POLICY_TTL_MS - 1).await.unwrap();
        assert!(Arc::ptr_eq(&first, &soon));
        let later = library.policies(1_000 + POLICY_TTL_MS).await.unwrap();
        assert_eq!(name(&later, "nyc").as_deref(), Some("two"));
        assert_eq!(name(&later, "suva").as_deref(), Some("new"));
        let same = library.policies(1_000 + 2 * POLICY_TTL_MS).await.unwrap();
        assert!(Arc::ptr_eq(&later, &same), "what has not changed is not made anew");
    }

    #[tokio::test]
    async fn a_document_that_is_no_policy_costs_no_other_city() {
        let store = MemoryPolicies::default();
        save(&store, "bad", "{", None).await;
        save(&store, "nyc", &document("nyc", "one"), None).await;
        let book = PolicyCache::new(store, ResourceLimits::default()).policies(0).await.unwrap();
        assert_eq!((name(&book, "bad"), name(&book, "nyc").as_deref()), (None, Some("one")));
    }
}
