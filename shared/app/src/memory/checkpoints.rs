//! The checkpoint log in memory.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::surge::city_pricing::{Segment, snapshot_as_of};

use super::past::{FoundPast, PackedSegment, Past};
use super::shared::Shared;
use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded, PastLog};
use crate::unavailable::Unavailable;

/// The ticks that a segment spans at least, in milliseconds: its snapshot takes as much as the entries of some minutes,
/// and an explanation replays half of it on average.
const SEGMENT_MS: i64 = 300_000;

/// Checkpoint logs as plain data. Entries before the newest snapshot are removed; in logs that keep their past, those of
/// a city become segments.
#[derive(Debug, Default)]
pub struct Logs {
    logs: BTreeMap<CheckpointKey, StoredLog>,
    keeps_past: bool,
}

#[derive(Debug, Default)]
struct StoredLog {
    /// The number of the first retained entry.
    first: u64,
    entries: VecDeque<Vec<u8>>,
    /// The number of the entry after the newest snapshot, from which loading begins; at first that of the first entry.
    start: u64,
    /// The snapshots before the first entry and before the entry with the number `start`, if there are any.
    snapshots: BTreeMap<u64, StoredSnapshot>,
    past: Past,
}

#[derive(Debug)]
struct StoredSnapshot {
    bytes: Vec<u8>,
    /// The newest tick that had closed before it, in a log of a city.
    as_of: Option<i64>,
}

/// What saving a snapshot has removed, and what is to be done now.
#[derive(Debug, Default)]
pub struct SnapshotSaved {
    /// The numbers of the entries that were removed.
    pub entries: Range<u64>,
    /// The number of the snapshot that was removed, if there was one.
    pub snapshot: Option<u64>,
    /// The segment that is due to be packed, which takes a while, and then archived.
    pub due: Option<Segment>,
}

/// What archiving a segment has removed.
#[derive(Debug, Default)]
pub struct Archived {
    /// The newest tick that had closed before the segment.
    pub as_of: Option<i64>,
    /// The numbers of the entries that are in the segment now.
    pub entries: Range<u64>,
    /// The first numbers of the segments that have expired.
    pub expired: Vec<u64>,
}

impl StoredLog {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The entries of these numbers, which are retained.
    fn entries(&self, numbers: Range<u64>) -> Vec<Vec<u8>> {
        let index = |number: u64| usize::try_from(number - self.first).unwrap_or(usize::MAX);
        self.entries.range(index(numbers.start)..index(numbers.end)).cloned().collect()
    }

    /// What the log holds from entry `first` on, which follows a snapshot or is the first of the log.
    fn from(&self, first: u64) -> Loaded {
        let snapshot = self.snapshots.get(&first).map(|snapshot| snapshot.bytes.clone());
        Loaded { snapshot, first, entries: self.entries(first..self.end()) }
    }

    /// The newest tick that had closed before entry `first`, which follows a snapshot or is the first of the log.
    fn as_of(&self, first: u64) -> Option<i64> {
        self.snapshots.get(&first).and_then(|snapshot| snapshot.as_of)
    }

    /// Removes the entries before `number`, and the snapshots before them.
    fn remove_before(&mut self, number: u64) -> Range<u64> {
        let removed = self.first..number;
        self.entries.drain(..usize::try_from(number - self.first).unwrap_or(usize::MAX));
        self.snapshots.retain(|snapshot, _| *snapshot >= number);
        self.first = number;
        removed
    }
}

impl Logs {
    /// Logs that keep the past of each city for a day.
    #[must_use]
    pub fn keeping_past() -> Self {
        Self { keeps_past: true, ..Self::default() }
    }

    /// Appends `entry` if it follows the log's last entry.
    ///
    /// # Errors
    /// [`AppendError::Conflict`].
    pub fn append(&mut self, key: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        let log = self.logs.entry(key.clone()).or_default();
        if entry.number != log.end() {
            return Err(AppendError::Conflict);
        }
        log.entries.push_back(entry.bytes.clone());
        Ok(())
    }

    /// Saves the snapshot before entry `number`, unless there is a newer one or the log has no such entry. The entries
    /// and the snapshot before it are removed, unless they are to be a segment of the past.
    pub fn save_snapshot(
        &mut self,
        key: &CheckpointKey,
        number: u64,
        snapshot: &[u8],
    ) -> Option<SnapshotSaved> {
        let keeps_past = self.keeps_past && matches!(key, CheckpointKey::City(_));
        let log = self.logs.get_mut(key).filter(|log| (log.start..log.end()).contains(&number))?;
        let as_of = if keeps_past { snapshot_as_of(snapshot).ok().flatten() } else { None };
        let replaced = std::mem::replace(&mut log.start, number);
        log.snapshots.insert(number, StoredSnapshot { bytes: snapshot.to_vec(), as_of });
        if !keeps_past {
            let entries = log.remove_before(number);
            return Some(SnapshotSaved { snapshot: Some(entries.start), entries, due: None });
        }
        let snapshot = Some(replaced).filter(|replaced| *replaced != log.first && *replaced != number);
        snapshot.and_then(|replaced| log.snapshots.remove(&replaced));
        let (from, to) = (log.as_of(log.first), as_of);
        let is_due =
            number > log.first && to.is_some_and(|to| from.is_none_or(|from| to - from >= SEGMENT_MS));
        let due = is_due.then(|| Segment {
            first: log.first,
            snapshot: log.snapshots.get(&log.first).map(|snapshot| snapshot.bytes.clone()),
            entries: log.entries(log.first..number),
        });
        Some(SnapshotSaved { entries: log.first..log.first, snapshot, due })
    }

    /// Archives a segment that was due: its entries are removed, and the segments that end more than a day before.
    pub fn archive(&mut self, key: &CheckpointKey, packed: PackedSegment) -> Archived {
        let Some(log) = self.logs.get_mut(key) else { return Archived::default() };
        if packed.numbers.start != log.first || packed.numbers.end > log.start {
            return Archived::default();
        }
        let as_of = log.as_of(log.first);
        let next = log.as_of(packed.numbers.end);
        let entries = log.remove_before(packed.numbers.end);
        Archived { as_of, entries, expired: log.past.push(packed, as_of, next) }
    }

    /// Restores entry `number` of an earlier process, after all entries restored so far.
    pub fn restore(&mut self, key: CheckpointKey, number: u64, entry: Vec<u8>) {
        let log = self.logs.entry(key).or_default();
        if log.entries.is_empty() {
            (log.first, log.start) = (number, number);
        }
        log.entries.push_back(entry);
    }

    /// Restores the snapshot before entry `number`, after all entries and in the order of numbers; one that no entry
    /// follows is of no use.
    pub fn restore_snapshot(&mut self, key: &CheckpointKey, number: u64, snapshot: Vec<u8>) {
        if let Some(log) = self.logs.get_mut(key).filter(|log| (log.first..log.end()).contains(&number)) {
            let as_of = snapshot_as_of(&snapshot).ok().flatten();
            log.snapshots.insert(number, StoredSnapshot { bytes: snapshot, as_of });
            log.start = number;
        }
    }

    /// Restores a segment of the past, after all entries and in the order of numbers. Its content is elsewhere.
    pub fn restore_segment(&mut self, key: &CheckpointKey, first: u64, as_of: Option<i64>) {
        if let Some(log) = self.logs.get_mut(key) {
            log.past.restore(first, as_of);
        }
    }

    /// Has the content of the segment with this first entry be elsewhere.
    pub fn forget_content(&mut self, key: &CheckpointKey, first: u64) {
        if let Some(log) = self.logs.get_mut(key) {
            log.past.forget_content(first);
        }
    }

    /// The keys of all logs.
    pub fn keys(&self) -> impl Iterator<Item = &CheckpointKey> {
        self.logs.keys()
    }

    /// See [`CheckpointLog::load`].
    #[must_use]
    pub fn load(&self, key: &CheckpointKey, next: Option<u64>) -> Loaded {
        let Some(log) = self.logs.get(key) else { return Loaded::default() };
        match next.filter(|next| (log.first..=log.end()).contains(next)) {
            Some(next) => Loaded { snapshot: None, first: next, entries: log.entries(next..log.end()) },
            None => log.from(log.start),
        }
    }

    /// See [`PastLog::load_past`].
    #[must_use]
    pub fn find_past(&self, key: &CheckpointKey, tick: i64) -> FoundPast {
        let Some(log) = self.logs.get(key) else { return FoundPast::Nothing };
        let is_before = |first: &u64| log.as_of(*first).is_none_or(|as_of| as_of < tick);
        let first = match [log.start, log.first].iter().find(|first| is_before(first)) {
            Some(first) => *first,
            None if log.past.is_empty() => log.first,
            None => return log.past.find(tick),
        };
        // Without a snapshot, only the first entry of a log begins a state.
        let begins = first == 0 || log.snapshots.contains_key(&first);
        if begins { FoundPast::Loaded(log.from(first)) } else { FoundPast::Nothing }
    }
}

/// Checkpoint logs in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoints(Shared<Logs>);

impl MemoryCheckpoints {
    /// Logs that keep the past of each city for a day.
    #[must_use]
    pub fn keeping_past() -> Self {
        Self(Shared::new(Logs::keeping_past()))
    }

    /// The retained bytes of all logs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let logs = self.0.lock();
        let snapshots =
            |log: &StoredLog| log.snapshots.values().map(|snapshot| snapshot.bytes.len()).sum::<usize>();
        let entries = |log: &StoredLog| log.entries.iter().map(Vec::len).sum::<usize>();
        logs.logs.values().map(|log| entries(log) + snapshots(log) + log.past.bytes()).sum()
    }

    /// The bytes of the packed segments of a log, and the number of their entries.
    #[must_use]
    pub fn past_bytes(&self, log: &CheckpointKey) -> (usize, u64) {
        let logs = self.0.lock();
        logs.logs.get(log).map_or((0, 0), |log| (log.past.bytes(), log.first))
    }

    /// Changes the bytes of a log's last entry, as a storage fault would.
    pub fn corrupt(&self, log: &CheckpointKey, change: impl FnOnce(&mut Vec<u8>)) {
        self.corrupt_from_end(log, 0, change);
    }

    /// Changes the bytes of the entry of a log that `behind` entries follow.
    pub fn corrupt_from_end(&self, log: &CheckpointKey, behind: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let mut logs = self.0.lock();
        let entries = logs.logs.get_mut(log).map(|log| &mut log.entries);
        if let Some(entry) = entries.and_then(|entries| entries.iter_mut().rev().nth(behind)) {
            change(entry);
        }
    }

    /// Removes a log, as its expiry does.
    pub fn remove(&self, log: &CheckpointKey) {
        self.0.lock().logs.remove(log);
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
        let saved = self.0.lock().save_snapshot(key, number, snapshot);
        if let Some(segment) = saved.and_then(|saved| saved.due) {
            let packed = PackedSegment::of(&segment);
            self.0.lock().archive(key, packed);
        }
        Ok(())
    }
}

impl PastLog for MemoryCheckpoints {
    async fn load_past(&self, key: &CheckpointKey, tick: i64) -> Result<Option<Loaded>, Unavailable> {
        let found = self.0.lock().find_past(key, tick);
        match found {
            FoundPast::Loaded(loaded) => Ok(Some(loaded)),
            FoundPast::Packed(packed) => PackedSegment::unpack(&packed).map(Some).ok_or(Unavailable),
            FoundPast::Nothing | FoundPast::Elsewhere(_) => Ok(None),
        }
    }
}
