//! The policy store in memory.

use std::collections::BTreeMap;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;

use super::shared::Shared;
use crate::policy::ports::{
    NewVersion, PolicyStore, ReplaceError, SavedVersion, StoredPolicy, VERSIONS_KEPT_MS,
};
use crate::unavailable::Unavailable;

/// The versions of policies, of any adapter that keeps them in memory.
#[derive(Debug, Default)]
pub struct PolicyVersions(BTreeMap<CityId, BTreeMap<u64, Version>>);

#[derive(Debug)]
struct Version {
    document: String,
    author: String,
    saved_at_ms: i64,
}

impl PolicyVersions {
    /// The newest version of every city.
    #[must_use]
    pub fn newest(&self) -> Vec<(CityId, u64)> {
        let newest = |(city, versions): (&CityId, &BTreeMap<u64, Version>)| {
            Some((city.clone(), *versions.last_key_value()?.0))
        };
        self.0.iter().filter_map(newest).collect()
    }

    /// The newest policies of these cities.
    #[must_use]
    pub fn read(&self, cities: &[(CityId, u64)]) -> Vec<StoredPolicy> {
        let newest = |(city, _): &(CityId, u64)| {
            let (version, Version { document, .. }) = self.0.get(city)?.last_key_value()?;
            Some(StoredPolicy { city: city.clone(), version: *version, document: document.clone() })
        };
        cities.iter().filter_map(newest).collect()
    }

    /// Saves a version as [`PolicyStore::save`] does. Returns its number, and the numbers of those that are no longer
    /// kept.
    ///
    /// # Errors
    /// [`ReplaceError::VersionMismatch`].
    pub fn save(
        &mut self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> Result<(u64, Vec<u64>), ReplaceError> {
        let versions = self.0.get(city);
        if versions.and_then(BTreeMap::last_key_value).map(|(version, _)| *version) != after {
            return Err(ReplaceError::VersionMismatch);
        }
        let version = after.unwrap_or(0) + 1;
        self.restore(city, version, new);
        let versions = self.0.entry(city.clone()).or_default();
        let expired: Vec<u64> = versions
            .keys()
            .copied()
            .filter(|version| !is_kept(versions, *version, new.saved_at_ms))
            .collect();
        versions.retain(|version, _| !expired.contains(version));
        Ok((version, expired))
    }

    /// Takes a version that was saved earlier.
    pub fn restore(&mut self, city: &CityId, version: u64, saved: NewVersion<'_>) {
        let NewVersion { document, author, saved_at_ms } = saved;
        let saved = Version { document: document.to_owned(), author: author.to_owned(), saved_at_ms };
        self.0.entry(city.clone()).or_default().insert(version, saved);
    }

    /// The versions as [`PolicyStore::saved_versions`] lists them.
    #[must_use]
    pub fn list(&self, city: &CityId, below: Option<u64>, limit: usize, now_ms: i64) -> Vec<SavedVersion> {
        let Some(versions) = self.0.get(city) else { return Vec::new() };
        let listed = versions.range(..below.unwrap_or(u64::MAX)).rev();
        let kept = listed.filter(|(version, _)| is_kept(versions, **version, now_ms)).take(limit);
        let saved = |(version, saved): (&u64, &Version)| SavedVersion {
            version: *version,
            saved_at_ms: saved.saved_at_ms,
            author: saved.author.clone(),
        };
        kept.map(saved).collect()
    }

    /// One version as [`PolicyStore::version`] reads it.
    #[must_use]
    pub fn version(&self, city: &CityId, version: u64, now_ms: i64) -> Option<StoredPolicy> {
        let versions = self.0.get(city)?;
        let document =
            versions.get(&version).filter(|_| is_kept(versions, version, now_ms))?.document.clone();
        Some(StoredPolicy { city: city.clone(), version, document })
    }
}

/// Whether a version is kept: the newest always, another for [`VERSIONS_KEPT_MS`] after it was replaced.
fn is_kept(versions: &BTreeMap<u64, Version>, version: u64, now_ms: i64) -> bool {
    let next = versions.range(version + 1..).next();
    next.is_none_or(|(_, next)| now_ms - next.saved_at_ms < VERSIONS_KEPT_MS)
}

/// Policies in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryPolicies(Shared<PolicyVersions>);

impl MemoryPolicies {
    /// A store with version 1 of each policy.
    #[must_use]
    pub fn of(policies: &[Policy]) -> Self {
        let store = Self::default();
        for policy in policies {
            let document = policy.to_json().to_string();
            store.0.lock().restore(&policy.city, 1, NewVersion::local(&document));
        }
        store
    }
}

impl PolicyStore for MemoryPolicies {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        Ok(self.0.lock().newest())
    }

    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        Ok(self.0.lock().read(cities))
    }

    async fn save(
        &self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> Result<u64, ReplaceError> {
        self.0.lock().save(city, new, after).map(|(version, _)| version)
    }

    async fn saved_versions(
        &self,
        city: &CityId,
        below: Option<u64>,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<SavedVersion>, Unavailable> {
        Ok(self.0.lock().list(city, below, limit, now_ms))
    }

    async fn version(
        &self,
        city: &CityId,
        version: u64,
        now_ms: i64,
    ) -> Result<Option<StoredPolicy>, Unavailable> {
        Ok(self.0.lock().version(city, version, now_ms))
    }
}
