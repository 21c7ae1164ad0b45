//! The policy store in memory.

use std::collections::BTreeMap;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;

use super::shared::Shared;
use crate::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};
use crate::unavailable::Unavailable;

/// Policies in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryPolicies(Shared<BTreeMap<CityId, StoredPolicy>>);

impl MemoryPolicies {
    /// A store with version 1 of each policy.
    #[must_use]
    pub fn of(policies: &[Policy]) -> Self {
        let store = Self::default();
        let stored = policies.iter().map(|policy| {
            let (city, document) = (policy.city.clone(), policy.to_json().to_string());
            (city.clone(), StoredPolicy { city, version: 1, document })
        });
        store.0.lock().extend(stored);
        store
    }
}

impl PolicyStore for MemoryPolicies {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        Ok(self.0.lock().iter().map(|(city, policy)| (city.clone(), policy.version)).collect())
    }

    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        let policies = self.0.lock();
        Ok(cities.iter().filter_map(|(city, _)| policies.get(city)).cloned().collect())
    }

    async fn save(&self, city: &CityId, document: &str, after: Option<u64>) -> Result<u64, ReplaceError> {
        let mut policies = self.0.lock();
        if policies.get(city).map(|policy| policy.version) != after {
            return Err(ReplaceError::VersionMismatch);
        }
        let version = after.unwrap_or(0) + 1;
        let policy = StoredPolicy { city: city.clone(), version, document: document.into() };
        policies.insert(city.clone(), policy);
        Ok(version)
    }
}
