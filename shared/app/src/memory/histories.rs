//! The store of histories in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::history::HistoryKey;

use super::shared::Shared;
use crate::history::ports::{HISTORY_MS, HistoryStore};
use crate::unavailable::Unavailable;

/// Histories as plain data, each for 90 days of its ticks.
#[derive(Debug, Default)]
pub struct Histories(BTreeMap<CityId, BTreeMap<HistoryKey, Arc<[u8]>>>);

impl Histories {
    /// Saves an item, and returns the keys of those that have expired.
    pub fn save(&mut self, city: &CityId, key: HistoryKey, item: Arc<[u8]>) -> Vec<HistoryKey> {
        let history = self.0.entry(city.clone()).or_default();
        history.insert(key, item);
        let oldest = HistoryKey { at: key.at.saturating_sub(HISTORY_MS), part: 0 };
        let kept = history.split_off(&oldest);
        std::mem::replace(history, kept).into_keys().collect()
    }

    /// Removes an item, which is kept elsewhere.
    pub fn remove(&mut self, city: &CityId, key: HistoryKey) {
        if let Some(history) = self.0.get_mut(city) {
            history.remove(&key);
        }
    }

    /// See [`HistoryStore::history`].
    #[must_use]
    pub fn items(&self, city: &CityId, from: HistoryKey, limit: usize) -> Vec<(HistoryKey, Arc<[u8]>)> {
        let items = self.0.get(city).into_iter().flat_map(|history| history.range(from..));
        items.take(limit).map(|(key, item)| (*key, Arc::clone(item))).collect()
    }
}

/// Histories in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryHistory(Shared<Histories>);

impl HistoryStore for MemoryHistory {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.0.lock().save(city, key, item.into());
        Ok(())
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        let items = self.0.lock().items(city, from, limit);
        Ok(items.into_iter().map(|(key, item)| (key, item.to_vec())).collect())
    }
}
