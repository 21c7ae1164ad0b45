//! The policy store in memory.

use std::collections::BTreeMap;

use equilibrium_domain::id::CityId;

use super::shared::Shared;
use crate::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};
use crate::unavailable::Unavailable;

/// Policies in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryPolicies(Shared<BTreeMap<CityId, StoredPolicy>>);

impl PolicyStore for MemoryPolicies {
    async fn all(&self) -> Result<Vec<StoredPolicy>, Unavailable> {
        Ok(self.0.lock().values().cloned().collect())
    }

    async fn save(&self, city: &CityId, document: &str, after: Option<u64>) -> Result<u64, ReplaceError> {
        let mut policies = self.0.lock();
        if policies.get(city).map(|policy| policy.version) != after {
            return Err(ReplaceError::VersionMismatch);
        }
        let version = after.unwrap_or(0) + 1;
        policies
            .insert(city.clone(), StoredPolicy { city: city.clone(), version, document: document.into() });
        Ok(version)
    }
}
