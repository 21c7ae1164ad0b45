//! Adapters that keep everything in memory, for tests, replays and one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use equilibrium_domain::id::{CityId, Lane};
use equilibrium_domain::map::{ClosedTick, MapHead};

use crate::ports::{
    AppendError, ChangeStream, CheckpointLog, CountsStream, EventLog, LogName, MapStore, TickLog, Unavailable,
};

/// What several share; a panic of one does not spoil it, for nothing is left half done under the lock.
#[derive(Debug, Default)]
struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checkpoint logs in memory; entries before the newest snapshot are let go.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoints(Shared<BTreeMap<LogName, StoredLog>>);

#[derive(Debug, Default)]
struct StoredLog {
    first: u64,
    entries: Vec<Vec<u8>>,
}

impl MemoryCheckpoints {
    /// Bytes kept, over all logs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.lock().values().flat_map(|log| &log.entries).map(Vec::len).sum()
    }

    /// Replaces an entry's bytes, as a fault of the store would.
    pub fn corrupt(&self, log: &LogName, with: impl FnOnce(&mut Vec<u8>)) {
        if let Some(entry) = self.0.lock().get_mut(log).and_then(|log| log.entries.last_mut()) {
            with(entry);
        }
    }
}

impl CheckpointLog for MemoryCheckpoints {
    async fn load(&self, log: &LogName) -> Result<Vec<Vec<u8>>, Unavailable> {
        Ok(self.0.lock().get(log).map(|log| log.entries.clone()).unwrap_or_default())
    }

    async fn append(
        &self,
        log: &LogName,
        number: u64,
        entry: &[u8],
        snapshot: bool,
    ) -> Result<(), AppendError> {
        let mut logs = self.0.lock();
        let log = logs.entry(log.clone()).or_default();
        if number != log.first + log.entries.len() as u64 {
            return Err(AppendError::Taken);
        }
        if snapshot {
            log.first = number;
            log.entries.clear();
        }
        log.entries.push(entry.to_vec());
        Ok(())
    }
}

/// Maps in memory: of each city the newest head, and the chunks that it and the one before it name.
#[derive(Clone, Debug, Default)]
pub struct MemoryMaps(Shared<BTreeMap<CityId, StoredMap>>);

#[derive(Debug, Default)]
struct StoredMap {
    head: Option<MapHead>,
    before: Option<MapHead>,
    chunks: BTreeMap<(u64, u64), Vec<u8>>,
}

impl MapStore for MemoryMaps {
    async fn save_chunk(
        &self,
        city: &CityId,
        parent: u64,
        version: u64,
        chunk: &[u8],
    ) -> Result<(), Unavailable> {
        let mut maps = self.0.lock();
        maps.entry(city.clone()).or_default().chunks.insert((parent, version), chunk.to_vec());
        Ok(())
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let mut maps = self.0.lock();
        let map = maps.entry(head.city.clone()).or_default();
        if map.head.as_ref().is_some_and(|stored| stored.version >= head.version) {
            return Ok(());
        }
        map.before = map.head.replace(head.clone());
        let named: Vec<(u64, u64)> = [&map.head, &map.before]
            .into_iter()
            .flatten()
            .flat_map(|head| head.chunks.iter().map(|(parent, version)| (parent.0, *version)))
            .collect();
        map.chunks.retain(|name, _| name.1 > head.version || named.contains(name));
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        Ok(self.0.lock().get(city).and_then(|map| map.head.clone()))
    }

    async fn chunk(&self, city: &CityId, parent: u64, version: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.0.lock().get(city).and_then(|map| map.chunks.get(&(parent, version)).cloned()))
    }
}

/// What was sent, kept until it is taken.
#[derive(Clone, Debug)]
pub struct Outbox<T>(Shared<Vec<T>>);

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self(Shared(Arc::new(Mutex::new(Vec::new()))))
    }
}

impl<T> Outbox<T> {
    /// Takes what was sent since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock())
    }

    fn push(&self, item: T) {
        self.0.lock().push(item);
    }
}

impl EventLog for Outbox<(Lane, Vec<u8>)> {
    async fn put(&self, lane: Lane, record: Vec<u8>) -> Result<(), Unavailable> {
        self.push((lane, record));
        Ok(())
    }
}

impl CountsStream for Outbox<(u32, Vec<u8>)> {
    async fn send(&self, group: u32, record: Vec<u8>) -> Result<(), Unavailable> {
        self.push((group, record));
        Ok(())
    }
}

impl ChangeStream for Outbox<(CityId, Vec<u8>)> {
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), Unavailable> {
        self.push((city.clone(), record));
        Ok(())
    }
}

impl TickLog for Outbox<(MapHead, Vec<ClosedTick>)> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        self.push((map.clone(), ticks.to_vec()));
        Ok(())
    }
}

/// Nowhere: what is sent is let go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl ChangeStream for Nowhere {
    async fn send(&self, _: &CityId, _: Vec<u8>) -> Result<(), Unavailable> {
        Ok(())
    }
}

impl TickLog for Nowhere {
    async fn record(&self, _: &MapHead, _: &[ClosedTick]) -> Result<(), Unavailable> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[tokio::test]
    async fn checkpoints_keep_the_contract() {
        contract::checkpoint_log(&MemoryCheckpoints::default()).await;
    }

    #[tokio::test]
    async fn maps_keep_the_contract() {
        contract::map_store(&MemoryMaps::default()).await;
    }
}
