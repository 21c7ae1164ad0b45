//! The map store in memory.

use std::collections::{BTreeMap, BTreeSet};

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, MapHead};

use super::histories::MemoryHistory;
use super::shared::Shared;
use crate::history::ports::HistoryStore;
use crate::surge::ports::MapStore;
use crate::unavailable::Unavailable;

/// Maps as plain data: each city's newest head, and the chunks that it and the previous head name.
#[derive(Debug, Default)]
pub struct Maps(BTreeMap<CityId, StoredMap>);

#[derive(Debug, Default)]
struct StoredMap {
    head: Option<MapHead>,
    previous: Option<MapHead>,
    chunks: BTreeMap<ChunkName, Vec<u8>>,
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

/// Maps and histories in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryMaps(Shared<Maps>, MemoryHistory);

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
