//! The checkpoint log in memory.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use equilibrium_domain::event_sourced::Entry;

use super::shared::Shared;
use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use crate::unavailable::Unavailable;

/// Checkpoint logs as plain data; entries before the newest snapshot are removed.
#[derive(Debug, Default)]
pub struct Logs(BTreeMap<CheckpointKey, StoredLog>);

#[derive(Debug, Default)]
struct StoredLog {
    /// The number of the first retained entry, and of the snapshot before it, if there is one.
    first: u64,
    snapshot: Option<Vec<u8>>,
    entries: VecDeque<Vec<u8>>,
}

impl StoredLog {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

impl Logs {
    /// Appends `entry` if it follows the log's last entry.
    ///
    /// # Errors
    /// [`AppendError::Conflict`].
    pub fn append(&mut self, key: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        let log = self.0.entry(key.clone()).or_default();
        if entry.number != log.end() {
            return Err(AppendError::Conflict);
        }
        log.entries.push_back(entry.bytes.clone());
        Ok(())
    }

    /// Saves the snapshot before entry `number`, unless there is a newer one or the log has no such entry; returns the
    /// numbers of the entries before it, which are removed. The older snapshot had the first of these numbers.
    pub fn save_snapshot(&mut self, key: &CheckpointKey, number: u64, snapshot: &[u8]) -> Option<Range<u64>> {
        let log = self.0.get_mut(key).filter(|log| (log.first..log.end()).contains(&number))?;
        let removed = log.first..number;
        log.entries.drain(..usize::try_from(number - log.first).ok()?);
        (log.first, log.snapshot) = (number, Some(snapshot.to_vec()));
        Some(removed)
    }

    /// Restores entry `number` of an earlier process, after all entries restored so far.
    pub fn restore(&mut self, key: CheckpointKey, number: u64, entry: Vec<u8>) {
        let log = self.0.entry(key).or_default();
        if log.entries.is_empty() {
            log.first = number;
        }
        log.entries.push_back(entry);
    }

    /// Restores the snapshot before entry `number`, after all entries; one that no entry follows is of no use.
    pub fn restore_snapshot(&mut self, key: &CheckpointKey, number: u64, snapshot: Vec<u8>) {
        if let Some(log) = self.0.get_mut(key).filter(|log| log.first == number) {
            log.snapshot = Some(snapshot);
        }
    }

    /// The keys of all logs.
    pub fn keys(&self) -> impl Iterator<Item = &CheckpointKey> {
        self.0.keys()
    }

    /// See [`CheckpointLog::load`].
    #[must_use]
    pub fn load(&self, key: &CheckpointKey, next: Option<u64>) -> Loaded {
        let Some(log) = self.0.get(key) else { return Loaded::default() };
        let retained = next.filter(|next| (log.first..=log.end()).contains(next));
        let first = retained.unwrap_or(log.first);
        let skipped = usize::try_from(first - log.first).unwrap_or(usize::MAX);
        let snapshot = if retained.is_some() { None } else { log.snapshot.clone() };
        Loaded { snapshot, first, entries: log.entries.iter().skip(skipped).cloned().collect() }
    }
}

/// Checkpoint logs in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoints(Shared<Logs>);

impl MemoryCheckpoints {
    /// The retained bytes of all logs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let logs = self.0.lock();
        logs.0.values().flat_map(|log| log.entries.iter().chain(&log.snapshot)).map(Vec::len).sum()
    }

    /// Changes the bytes of a log's last entry, as a storage fault would.
    pub fn corrupt(&self, log: &CheckpointKey, change: impl FnOnce(&mut Vec<u8>)) {
        self.corrupt_from_end(log, 0, change);
    }

    /// Changes the bytes of the entry of a log that `behind` entries follow.
    pub fn corrupt_from_end(&self, log: &CheckpointKey, behind: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let mut logs = self.0.lock();
        let entries = logs.0.get_mut(log).map(|log| &mut log.entries);
        if let Some(entry) = entries.and_then(|entries| entries.iter_mut().rev().nth(behind)) {
            change(entry);
        }
    }

    /// Removes a log, as its expiry does.
    pub fn remove(&self, log: &CheckpointKey) {
        self.0.lock().0.remove(log);
    }
}

impl CheckpointLog for MemoryCheckpoints {
    async fn load(&self, key: &CheckpointKey, next: Option<u64>) -> Result<Loaded, Unavailable> {
        Ok(self.0.lock().load(key, next))
    }

    async fn append(&self, key: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        self.0.lock().append(key, entry)
    }

    async fn save_snapshot(
        &self,
        key: &CheckpointKey,
        number: u64,
        snapshot: &[u8],
    ) -> Result<(), Unavailable> {
        self.0.lock().save_snapshot(key, number, snapshot);
        Ok(())
    }
}
