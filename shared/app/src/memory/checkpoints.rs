//! The checkpoint log in memory.

use std::collections::BTreeMap;
use std::ops::Range;

use equilibrium_domain::event_sourced::Entry;

use super::shared::Shared;
use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::unavailable::Unavailable;

/// Checkpoint logs as plain data; entries before the newest snapshot are removed.
#[derive(Debug, Default)]
pub struct Logs(BTreeMap<CheckpointKey, StoredLog>);

#[derive(Debug, Default)]
struct StoredLog {
    first: u64,
    entries: Vec<Vec<u8>>,
}

impl Logs {
    /// Appends `entry` if it follows the log's last entry; returns the numbers of the removed entries.
    ///
    /// # Errors
    /// [`AppendError::Conflict`].
    pub fn append(&mut self, key: &CheckpointKey, entry: &Entry) -> Result<Range<u64>, AppendError> {
        let log = self.0.entry(key.clone()).or_default();
        let first = log.first;
        if entry.number != first + log.entries.len() as u64 {
            return Err(AppendError::Conflict);
        }
        if entry.has_snapshot {
            log.first = entry.number;
            log.entries.clear();
        }
        log.entries.push(entry.bytes.clone());
        Ok(first..log.first)
    }

    /// Restores entry `number` of an earlier process, after all entries restored so far.
    pub fn restore(&mut self, log: CheckpointKey, number: u64, entry: Vec<u8>) {
        let log = self.0.entry(log).or_default();
        if log.entries.is_empty() {
            log.first = number;
        }
        log.entries.push(entry);
    }

    /// The retained entries of a log, in order.
    #[must_use]
    pub fn entries(&self, log: &CheckpointKey) -> &[Vec<u8>] {
        self.0.get(log).map_or(&[], |log| &log.entries)
    }
}

/// Checkpoint logs in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoints(Shared<Logs>);

impl MemoryCheckpoints {
    /// The retained bytes of all logs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.lock().0.values().flat_map(|log| &log.entries).map(Vec::len).sum()
    }

    /// Changes the bytes of a log's last entry, as a storage fault would.
    pub fn corrupt(&self, log: &CheckpointKey, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(entry) = self.0.lock().0.get_mut(log).and_then(|log| log.entries.last_mut()) {
            change(entry);
        }
    }
}

impl CheckpointLog for MemoryCheckpoints {
    async fn load(&self, log: &CheckpointKey) -> Result<Vec<Vec<u8>>, Unavailable> {
        Ok(self.0.lock().entries(log).to_vec())
    }

    async fn append(&self, log: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        self.0.lock().append(log, entry).map(drop)
    }
}
