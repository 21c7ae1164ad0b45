//! The override store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::overrides::{Override, OverrideState};
use equilibrium_domain::surge::bounds::OverrideSet;

use super::shared::Shared;
use crate::overrides::ports::{CreateError, KEPT_MS, MAX_OVERRIDES, OverrideStore};
use crate::unavailable::Unavailable;

/// Overrides in memory, without a lock.
#[derive(Debug, Default)]
pub struct OverrideTable(BTreeMap<CityId, OfCity>);

#[derive(Debug, Default)]
struct OfCity {
    created: u64,
    revision: u64,
    by_id: BTreeMap<Arc<str>, Arc<Override>>,
}

impl OverrideTable {
    /// The overrides that a store kept, and how many each city has had and how often they have changed.
    #[must_use]
    pub fn restored(
        counts: impl IntoIterator<Item = (CityId, [u64; 2])>,
        overrides: impl IntoIterator<Item = (CityId, Override)>,
    ) -> Self {
        let mut table = Self::default();
        for (city, [created, revision]) in counts {
            table.0.insert(city, OfCity { created, revision, by_id: BTreeMap::new() });
        }
        for (city, one) in overrides {
            table.0.entry(city).or_default().by_id.insert(Arc::clone(&one.id), Arc::new(one));
        }
        table
    }

    /// How many overrides the city has had, and how often they have changed.
    #[must_use]
    pub fn counts(&self, city: &CityId) -> [u64; 2] {
        self.0.get(city).map_or([0; 2], |of| [of.created, of.revision])
    }

    /// See [`OverrideStore::revisions`].
    #[must_use]
    pub fn revisions(&self) -> Vec<(CityId, u64)> {
        self.0.iter().map(|(city, of)| (city.clone(), of.revision)).collect()
    }

    /// See [`OverrideStore::not_ended`].
    #[must_use]
    pub fn not_ended(&self, city: &CityId, now_ms: i64) -> OverrideSet {
        let Some(of) = self.0.get(city) else { return OverrideSet::default() };
        let not_ended = of.by_id.values().filter(|one| one.state(now_ms) != OverrideState::Ended);
        OverrideSet { created: of.created, overrides: not_ended.cloned().collect() }
    }

    /// See [`OverrideStore::create`]; returns the ids that are not kept any longer.
    ///
    /// # Errors
    /// [`CreateError::TooMany`].
    pub fn create(&mut self, city: &CityId, new: &Override) -> Result<Vec<Arc<str>>, CreateError> {
        let now_ms = new.created_at;
        if self.not_ended(city, now_ms).overrides.len() >= MAX_OVERRIDES {
            return Err(CreateError::TooMany);
        }
        let of = self.0.entry(city.clone()).or_default();
        let is_old = |one: &Arc<Override>| now_ms - one.end() > KEPT_MS;
        let old: Vec<Arc<str>> =
            of.by_id.values().filter(|one| is_old(one)).map(|one| Arc::clone(&one.id)).collect();
        of.by_id.retain(|_, one| !is_old(one));
        of.created += 1;
        of.revision += 1;
        of.by_id.insert(Arc::clone(&new.id), Arc::new(new.clone()));
        Ok(old)
    }

    /// See [`OverrideStore::end`]; returns the override, and whether this has changed it.
    pub fn end(&mut self, city: &CityId, id: &str, at_ms: i64) -> Option<(Arc<Override>, bool)> {
        let of = self.0.get_mut(city)?;
        let one = of.by_id.get_mut(id)?;
        let is_changed = one.state(at_ms) != OverrideState::Ended;
        if is_changed {
            Arc::make_mut(one).ended_at = Some(at_ms);
            of.revision += 1;
        }
        Some((Arc::clone(one), is_changed))
    }

    /// See [`OverrideStore::one`].
    #[must_use]
    pub fn one(&self, city: &CityId, id: &str) -> Option<Arc<Override>> {
        self.0.get(city)?.by_id.get(id).cloned()
    }

    /// See [`OverrideStore::page`].
    #[must_use]
    pub fn page(&self, city: &CityId, before: Option<&str>, limit: usize) -> Vec<Arc<Override>> {
        let Some(of) = self.0.get(city) else { return Vec::new() };
        let newest_first = of.by_id.iter().rev();
        let page = newest_first.skip_while(|(id, _)| before.is_some_and(|before| ***id >= *before));
        page.take(limit).map(|(_, one)| Arc::clone(one)).collect()
    }
}

/// Overrides in memory; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryOverrides(Shared<OverrideTable>);

impl OverrideStore for MemoryOverrides {
    async fn revisions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        Ok(self.0.lock().revisions())
    }

    async fn not_ended(&self, city: &CityId, now_ms: i64) -> Result<OverrideSet, Unavailable> {
        Ok(self.0.lock().not_ended(city, now_ms))
    }

    async fn create(&self, city: &CityId, new: &Override) -> Result<(), CreateError> {
        self.0.lock().create(city, new).map(drop)
    }

    async fn end(&self, city: &CityId, id: &str, at_ms: i64) -> Result<Option<Arc<Override>>, Unavailable> {
        Ok(self.0.lock().end(city, id, at_ms).map(|(one, _)| one))
    }

    async fn one(&self, city: &CityId, id: &str) -> Result<Option<Arc<Override>>, Unavailable> {
        Ok(self.0.lock().one(city, id))
    }

    async fn page(
        &self,
        city: &CityId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Override>>, Unavailable> {
        Ok(self.0.lock().page(city, before, limit))
    }
}
