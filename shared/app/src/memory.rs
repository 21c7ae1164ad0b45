//! Adapters that keep everything in memory, for tests, replays and one process.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use equilibrium_domain::id::{CityId, LaneId};
use equilibrium_domain::surge::map::{ClosedTick, MapHead};

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::count::ports::{CountsStream, DeadLetter, DeadLetterQueue};
use crate::ingest::ports::EventLog;
use crate::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};
use crate::surge::ports::{ChangeStream, MapStore, TickLog};
use crate::unavailable::Unavailable;

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
        self.0.lock()
    }
}

/// Checkpoint logs, as plain data; entries before the newest snapshot are let go.
#[derive(Debug, Default)]
pub struct Logs(BTreeMap<CheckpointKey, StoredLog>);

#[derive(Debug, Default)]
struct StoredLog {
    first: u64,
    entries: Vec<Vec<u8>>,
}

impl Logs {
    /// Appends entry `number` if the log ends before it; gives the numbers of those let go.
    ///
    /// # Errors
    /// [`AppendError::Taken`].
    pub fn append(
        &mut self,
        log: &CheckpointKey,
        number: u64,
        entry: Vec<u8>,
        snapshot: bool,
    ) -> Result<Range<u64>, AppendError> {
        let log = self.0.entry(log.clone()).or_default();
        let first = log.first;
        if number != first + log.entries.len() as u64 {
            return Err(AppendError::Conflict);
        }
        if snapshot {
            log.first = number;
            log.entries.clear();
        }
        log.entries.push(entry);
        Ok(first..log.first)
    }

    /// Puts back what another process kept: entry `number`, behind all that were put back.
    pub fn restore(&mut self, log: CheckpointKey, number: u64, entry: Vec<u8>) {
        let log = self.0.entry(log).or_default();
        if log.entries.is_empty() {
            log.first = number;
        }
        log.entries.push(entry);
    }

    /// The entries of a log that are kept, in order.
    #[must_use]
    pub fn entries(&self, log: &CheckpointKey) -> &[Vec<u8>] {
        self.0.get(log).map_or(&[], |log| &log.entries)
    }
}

/// Checkpoint logs in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoints(Shared<Logs>);

impl MemoryCheckpoints {
    /// Bytes kept, over all logs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.lock().0.values().flat_map(|log| &log.entries).map(Vec::len).sum()
    }

    /// Replaces an entry's bytes, as a fault of the store would.
    pub fn corrupt(&self, log: &CheckpointKey, with: impl FnOnce(&mut Vec<u8>)) {
        if let Some(entry) = self.0.lock().0.get_mut(log).and_then(|log| log.entries.last_mut()) {
            with(entry);
        }
    }
}

impl CheckpointLog for MemoryCheckpoints {
    async fn load(&self, log: &CheckpointKey) -> Result<Vec<Vec<u8>>, Unavailable> {
        Ok(self.0.lock().entries(log).to_vec())
    }

    async fn append(
        &self,
        log: &CheckpointKey,
        number: u64,
        entry: &[u8],
        snapshot: bool,
    ) -> Result<(), AppendError> {
        self.0.lock().append(log, number, entry.to_vec(), snapshot).map(drop)
    }
}

/// Maps, as plain data: of each city the newest head, and the chunks that it and the one before it name.
#[derive(Debug, Default)]
pub struct Maps(BTreeMap<CityId, StoredMap>);

#[derive(Debug, Default)]
struct StoredMap {
    head: Option<MapHead>,
    before: Option<MapHead>,
    chunks: BTreeMap<ChunkName, Vec<u8>>,
}

/// A chunk's parent cell and version.
pub type ChunkName = (u64, u64);

impl Maps {
    /// Saves a chunk.
    pub fn save_chunk(&mut self, city: &CityId, name: ChunkName, chunk: Vec<u8>) {
        self.0.entry(city.clone()).or_default().chunks.insert(name, chunk);
    }

    /// Saves the head if the one there is of a lower version, and says which chunks were let go; `None`
    /// where the one there stays.
    pub fn save_head(&mut self, head: &MapHead) -> Option<Vec<ChunkName>> {
        let map = self.0.entry(head.city.clone()).or_default();
        if map.head.as_ref().is_some_and(|stored| stored.version >= head.version) {
            return None;
        }
        map.before = map.head.replace(head.clone());
        let named: BTreeSet<ChunkName> = [&map.head, &map.before]
            .into_iter()
            .flatten()
            .flat_map(|head| head.chunks.iter().map(|(parent, version)| (parent.0, *version)))
            .collect();
        let is_outlived = |name: &ChunkName| name.1 <= head.version && !named.contains(name);
        let outlived: Vec<ChunkName> = map.chunks.keys().copied().filter(is_outlived).collect();
        for name in &outlived {
            map.chunks.remove(name);
        }
        Some(outlived)
    }

    /// Puts back the head that another process kept; its chunks, and those it no longer names, stay until
    /// the next is saved.
    pub fn restore(&mut self, head: MapHead) {
        let city = head.city.clone();
        self.0.entry(city).or_default().head = Some(head);
    }

    /// The newest head of a city.
    #[must_use]
    pub fn head(&self, city: &CityId) -> Option<&MapHead> {
        self.0.get(city)?.head.as_ref()
    }

    /// A chunk of a city.
    #[must_use]
    pub fn chunk(&self, city: &CityId, name: ChunkName) -> Option<&[u8]> {
        self.0.get(city)?.chunks.get(&name).map(Vec::as_slice)
    }
}

/// Maps in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryMaps(Shared<Maps>);

impl MapStore for MemoryMaps {
    async fn save_chunk(
        &self,
        city: &CityId,
        parent: u64,
        version: u64,
        chunk: &[u8],
    ) -> Result<(), Unavailable> {
        self.0.lock().save_chunk(city, (parent, version), chunk.to_vec());
        Ok(())
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.0.lock().save_head(head);
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        Ok(self.0.lock().head(city).cloned())
    }

    async fn chunk(&self, city: &CityId, parent: u64, version: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.0.lock().chunk(city, (parent, version)).map(<[u8]>::to_vec))
    }
}

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

/// What was sent, kept until it is taken.
#[derive(Clone, Debug)]
pub struct Recorder<T>(Shared<Vec<T>>);

impl<T> Default for Recorder<T> {
    fn default() -> Self {
        Self(Shared(Arc::new(Mutex::new(Vec::new()))))
    }
}

impl<T> Recorder<T> {
    /// Takes what was sent since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock())
    }

    fn push(&self, item: T) {
        self.0.lock().push(item);
    }
}

impl EventLog for Recorder<(LaneId, Vec<u8>)> {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        self.push((lane, record));
        Ok(())
    }
}

impl CountsStream for Recorder<(u32, Vec<u8>)> {
    async fn send(&self, group: u32, record: Vec<u8>) -> Result<(), Unavailable> {
        self.push((group, record));
        Ok(())
    }
}

impl ChangeStream for Recorder<(CityId, Vec<u8>)> {
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), Unavailable> {
        self.push((city.clone(), record));
        Ok(())
    }
}

impl TickLog for Recorder<(MapHead, Vec<ClosedTick>)> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        self.push((map.clone(), ticks.to_vec()));
        Ok(())
    }
}

impl DeadLetterQueue for Recorder<DeadLetter> {
    async fn send(&self, letters: Vec<DeadLetter>) -> Result<(), Unavailable> {
        self.0.lock().extend(letters);
        Ok(())
    }
}

/// Nowhere: what is sent or saved is let go, as where one process needs no cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoOp;

impl MapStore for NoOp {
    async fn save_chunk(&self, _: &CityId, _: u64, _: u64, _: &[u8]) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn save_head(&self, _: &MapHead) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn head(&self, _: &CityId) -> Result<Option<MapHead>, Unavailable> {
        Ok(None)
    }

    async fn chunk(&self, _: &CityId, _: u64, _: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(None)
    }
}

impl ChangeStream for NoOp {
    async fn send(&self, _: &CityId, _: Vec<u8>) -> Result<(), Unavailable> {
        Ok(())
    }
}

impl TickLog for NoOp {
    async fn record(&self, _: &MapHead, _: &[ClosedTick]) -> Result<(), Unavailable> {
        Ok(())
    }
}

impl DeadLetterQueue for NoOp {
    async fn send(&self, _: Vec<DeadLetter>) -> Result<(), Unavailable> {
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

    #[tokio::test]
    async fn policies_keep_the_contract() {
        contract::policy_store(&MemoryPolicies::default()).await;
    }

    #[tokio::test]
    async fn events_keep_the_contract() {
        let log = Recorder::default();
        contract::event_log(&log, async |lane| sent(&log, &lane)).await;
    }

    #[tokio::test]
    async fn counts_keep_the_contract() {
        let counts = Recorder::default();
        contract::counts_stream(&counts, async |group| sent(&counts, &group)).await;
    }

    /// What was sent by this name, in order.
    fn sent<N: PartialEq>(outbox: &Recorder<(N, Vec<u8>)>, name: &N) -> Vec<Vec<u8>> {
        let sent = outbox.0.lock();
        sent.iter().filter(|(of, _)| of == name).map(|(_, record)| record.clone()).collect()
    }
}
