//! The map store in memory.

use std::collections::{BTreeMap, BTreeSet};

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::ranges::OVERRIDE_MS;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, MapHead};

use super::days::MemoryDays;
use super::histories::MemoryHistory;
use super::shared::Shared;
use crate::history::ports::HistoryStore;
use crate::laws::ports::DayStore;
use crate::price::ports::MapStore;
use crate::unavailable::Unavailable;

/// Maps as plain data: each city's newest head, and the chunks that it and the previous head name.
#[derive(Debug, Default)]
pub struct Maps(BTreeMap<CityId, StoredMap>);

#[derive(Debug, Default)]
struct StoredMap {
    head: Option<MapHead>,
    previous: Option<MapHead>,
    chunks: BTreeMap<ChunkName, Vec<u8>>,
    /// By the start of their freeze.
    frozen: BTreeMap<i64, FrozenMap>,
}

impl Maps {
    /// Saves a chunk.
    pub fn save_chunk(&mut self, city: &CityId, name: ChunkName, chunk: Vec<u8>) {
        self.0.entry(city.clone()).or_default().chunks.insert(name, chunk);
    }

    /// Saves the head if the stored one has a lower version, and returns the chunks that were removed; `None` if the
    /// stored head stays.
    pub fn save_head(&mut self, head: &MapHead) -> Option<Vec<ChunkName>> {
        let map = self.0.entry(head.city.clone()).or_default();
        if map.head.as_ref().is_some_and(|stored| stored.version >= head.version) {
            return None;
        }
        map.previous = map.head.replace(head.clone());
        let named: BTreeSet<ChunkName> = [&map.head, &map.previous]
            .into_iter()
            .flatten()
            .flat_map(|head| head.chunks.iter().copied())
            .collect();
        let is_unused = |name: &ChunkName| name.version <= head.version && !named.contains(name);
        let unused: Vec<ChunkName> = map.chunks.keys().copied().filter(is_unused).collect();
        for name in &unused {
            map.chunks.remove(name);
        }
        Some(unused)
    }

    /// Restores the head of an earlier process; its chunks, and those that it does not name, stay until the next head
    /// is saved.
    pub fn restore(&mut self, head: MapHead) {
        let city = head.city.clone();
        self.0.entry(city).or_default().head = Some(head);
    }

    /// Saves the map at the start of a freeze unless one is saved. Returns whether it was saved, and the starts of those that
    /// are no longer kept: no freeze lasts as long.
    pub fn save_frozen(&mut self, city: &CityId, start_ms: i64, map: &FrozenMap) -> (bool, Vec<i64>) {
        let frozen = &mut self.0.entry(city.clone()).or_default().frozen;
        if frozen.contains_key(&start_ms) {
            return (false, Vec::new());
        }
        let is_old = |start: &i64| start_ms - start > FROZEN_KEPT_MS;
        let old: Vec<i64> = frozen.keys().copied().filter(is_old).collect();
        frozen.retain(|start, _| !is_old(start));
        frozen.insert(start_ms, map.clone());
        (true, old)
    }

    /// The map at the start of a freeze.
    #[must_use]
    pub fn frozen(&self, city: &CityId, start_ms: i64) -> Option<&FrozenMap> {
        self.0.get(city)?.frozen.get(&start_ms)
    }

    /// A city's newest head.
    #[must_use]
    pub fn head(&self, city: &CityId) -> Option<&MapHead> {
        self.0.get(city)?.head.as_ref()
    }

    /// A city's chunk.
    #[must_use]
    pub fn chunk(&self, city: &CityId, name: ChunkName) -> Option<&[u8]> {
        self.0.get(city)?.chunks.get(&name).map(Vec::as_slice)
    }
}

/// For how long the map at the start of a freeze is kept: longer than a freeze that begins as late as it may.
const FROZEN_KEPT_MS: i64 = 2 * OVERRIDE_MS;

/// Maps, histories and the figures of days in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryMaps(Shared<Maps>, MemoryHistory, MemoryDays);

impl MapStore for MemoryMaps {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.0.lock().save_chunk(city, name, chunk.to_vec());
        Ok(())
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.0.lock().save_head(head);
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        Ok(self.0.lock().head(city).cloned())
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.0.lock().chunk(city, name).map(<[u8]>::to_vec))
    }

    async fn save_frozen(&self, city: &CityId, start_ms: i64, map: &FrozenMap) -> Result<(), Unavailable> {
        self.0.lock().save_frozen(city, start_ms, map);
        Ok(())
    }

    async fn frozen(&self, city: &CityId, start_ms: i64) -> Result<Option<FrozenMap>, Unavailable> {
        Ok(self.0.lock().frozen(city, start_ms).cloned())
    }
}

impl HistoryStore for MemoryMaps {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.1.save_history(city, key, item).await
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        self.1.history(city, from, limit).await
    }
}

impl DayStore for MemoryMaps {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.2.save_day(city, day, figures).await
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        self.2.days(city, from, to).await
    }
}
