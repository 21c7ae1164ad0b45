//! A stream in memory: records in shards that can be split, merged and trimmed.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::future::{Future, ready};

use equilibrium_domain::event::sequence::Sequence;
use thiserror::Error;

use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_event_source::record::{Listed, Page, Position};
use equilibrium_lambda::kinesis::record::{Record, ShardId};

/// Why an operation on the log was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The shard (or every shard) is closed: write to its children.
    #[error("the shard is closed or unknown")]
    Closed,
    /// The shard cannot be split there: each child needs at least one hash key.
    #[error("the hash key is not inside the shard's range")]
    OutsideRange,
    /// Only shards with adjacent ranges can be merged.
    #[error("the shards' ranges are not adjacent")]
    NotAdjacent,
    /// An open shard cannot expire.
    #[error("the shard is open")]
    Open,
    /// A record's number is not greater than all others.
    #[error("the record's number is not greater than the log's last")]
    OutOfOrder,
}

/// A stream's shards and their records. Sequence numbers grow over the whole log.
#[derive(Debug)]
pub struct StreamLog {
    state: Mutex<LogState>,
}

#[derive(Debug, Default)]
struct LogState {
    shards: Vec<LogShard>,
    by_id: HashMap<ShardId, usize>,
    /// Open shards by the first hash key of their range, which ends at the next one's.
    open: Vec<(u128, usize)>,
    last_number: u64,
    /// Size of all records.
    bytes: usize,
}

#[derive(Debug)]
struct LogShard {
    id: ShardId,
    parents: Vec<ShardId>,
    records: VecDeque<LogRecord>,
    closed: bool,
    expired: bool,
}

#[derive(Debug)]
struct LogRecord {
    number: u64,
    partition_key: Box<str>,
    data: Vec<u8>,
    arrival_ms: i64,
}

impl StreamLog {
    /// A log of `shards` shards (at least one) with hash key ranges of equal size.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let count = shards.max(1);
        let width = (u128::MAX / count as u128).wrapping_add(1);
        let mut state = LogState::default();
        for index in 0..count {
            // The width of a single shard is 2¹²⁸, which wraps to 0; its range starts at 0 in any case.
            state.add(width.wrapping_mul(index as u128), Vec::new());
        }
        Self { state: Mutex::new(state) }
    }

    /// Puts a record into the shard whose range contains `hash_key`; returns its number, which [`Sequence::from`]
    /// converts to its sequence number.
    ///
    /// # Errors
    /// [`LogError::Closed`] after [`Self::close`].
    pub fn put(
        &self,
        hash_key: u128,
        partition_key: impl Into<Box<str>>,
        data: Vec<u8>,
        arrival_ms: i64,
    ) -> Result<u64, LogError> {
        let mut state = self.state.lock();
        let number = state.last_number + 1;
        state.put(number, hash_key, partition_key.into(), data, arrival_ms)?;
        Ok(number)
    }

    /// Puts a record as [`Self::put`] does, with a given number.
    ///
    /// # Errors
    /// [`LogError::Closed`] and [`LogError::OutOfOrder`].
    pub fn put_numbered(
        &self,
        number: u64,
        hash_key: u128,
        partition_key: impl Into<Box<str>>,
        data: Vec<u8>,
        arrival_ms: i64,
    ) -> Result<(), LogError> {
        self.state.lock().put(number, hash_key, partition_key.into(), data, arrival_ms)
    }

    /// Skips the numbers up to `number`, which an earlier process has used.
    pub fn skip_numbers_to(&self, number: u64) {
        let mut state = self.state.lock();
        state.last_number = state.last_number.max(number);
    }

    /// Closes `shard` and divides its range between two children, of which the second starts at `at`.
    ///
    /// # Errors
    /// [`LogError::Closed`] or [`LogError::OutsideRange`].
    pub fn split(&self, shard: &ShardId, at: u128) -> Result<[ShardId; 2], LogError> {
        let mut state = self.state.lock();
        let index = state.open_index_of(shard)?;
        let start = state.open[index].0;
        let inside = state.open.get(index + 1).is_none_or(|next| at < next.0);
        if at <= start || !inside {
            return Err(LogError::OutsideRange);
        }
        state.close(index);
        Ok([state.add(start, vec![shard.clone()]), state.add(at, vec![shard.clone()])])
    }

    /// Closes two shards with adjacent ranges and gives the ranges to one child.
    ///
    /// # Errors
    /// [`LogError::Closed`] or [`LogError::NotAdjacent`].
    pub fn merge(&self, one: &ShardId, other: &ShardId) -> Result<ShardId, LogError> {
        let mut state = self.state.lock();
        let (one_index, other_index) = (state.open_index_of(one)?, state.open_index_of(other)?);
        if one_index.abs_diff(other_index) != 1 {
            return Err(LogError::NotAdjacent);
        }
        let first = one_index.min(other_index);
        let start = state.open[first].0;
        state.close(first + 1);
        state.close(first);
        Ok(state.add(start, vec![one.clone(), other.clone()]))
    }

    /// Closes every shard: no more records are put, and readers reach the end.
    pub fn close(&self) {
        let mut state = self.state.lock();
        while !state.open.is_empty() {
            state.close(0);
        }
    }

    /// Removes the records of `shard` up to `position`.
    pub fn trim(&self, shard: &ShardId, position: &Position) {
        let mut state = self.state.lock();
        let Some(&index) = state.by_id.get(shard) else { return };
        let records = &mut state.shards[index].records;
        let done = match position {
            Position::Oldest => 0,
            Position::After(sequence) => first_after(records, Some(sequence)),
            Position::End => records.len(),
        };
        let bytes: usize = records.drain(..done).map(|record| record.data.len()).sum();
        if records.is_empty() {
            // Frees the memory of a peak.
            *records = VecDeque::new();
        }
        state.bytes -= bytes;
    }

    /// Removes a closed shard, as Kinesis does after the retention period.
    ///
    /// # Errors
    /// [`LogError::Open`].
    pub fn expire(&self, shard: &ShardId) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let Some(&index) = state.by_id.get(shard) else { return Ok(()) };
        let shard = &mut state.shards[index];
        if !shard.closed {
            return Err(LogError::Open);
        }
        shard.expired = true;
        let bytes: usize = std::mem::take(&mut shard.records).iter().map(|record| record.data.len()).sum();
        state.bytes -= bytes;
        Ok(())
    }

    /// The open shard whose range contains `hash_key`; `None` after [`Self::close`].
    #[must_use]
    pub fn shard_of(&self, hash_key: u128) -> Option<ShardId> {
        let state = self.state.lock();
        let (_, index) = state.open[state.open_index_of_key(hash_key)?];
        Some(state.shards[index].id.clone())
    }

    /// The open shards, by hash key.
    #[must_use]
    pub fn open_shards(&self) -> Vec<ShardId> {
        let state = self.state.lock();
        state.open.iter().map(|&(_, index)| state.shards[index].id.clone()).collect()
    }

    /// Number of records in the log.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().shards.iter().map(|shard| shard.records.len()).sum()
    }

    /// The number and the arrival of the oldest record in the log, the arrival in milliseconds since the epoch.
    #[must_use]
    pub fn oldest(&self) -> Option<(u64, i64)> {
        let state = self.state.lock();
        let firsts = state.shards.iter().filter_map(|shard| shard.records.front());
        firsts.map(|record| (record.number, record.arrival_ms)).min()
    }

    /// Size of the records in the log.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Whether the log has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn page(&self, shard: &ShardId, after: Option<&Sequence>, limit: usize) -> Result<Page, SourceError> {
        let state = self.state.lock();
        let shard = state.by_id.get(shard).map(|&index| &state.shards[index]).ok_or(SourceError::Gone)?;
        if shard.expired {
            return Err(SourceError::Gone);
        }
        let from = first_after(&shard.records, after);
        let to = from.saturating_add(limit).min(shard.records.len());
        let records = shard.records.range(from..to).map(LogRecord::record).collect();
        Ok(Page { records, ended: shard.closed && to == shard.records.len() })
    }
}

impl Source for StreamLog {
    fn shards(&self) -> impl Future<Output = Result<Vec<Listed>, SourceError>> + Send {
        let state = self.state.lock();
        let retained = state.shards.iter().filter(|shard| !shard.expired);
        ready(Ok(retained
            .map(|shard| Listed { id: shard.id.clone(), parents: shard.parents.clone() })
            .collect()))
    }

    fn read(
        &self,
        shard: &ShardId,
        after: Option<&Sequence>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, SourceError>> + Send {
        ready(self.page(shard, after, limit))
    }
}

impl LogState {
    fn add(&mut self, start: u128, parents: Vec<ShardId>) -> ShardId {
        let index = self.shards.len();
        let id = ShardId::numbered(index);
        let records = VecDeque::new();
        self.shards.push(LogShard { id: id.clone(), parents, records, closed: false, expired: false });
        self.by_id.insert(id.clone(), index);
        let open_index = self.open.partition_point(|open| open.0 < start);
        self.open.insert(open_index, (start, index));
        id
    }

    fn put(
        &mut self,
        number: u64,
        hash_key: u128,
        partition_key: Box<str>,
        data: Vec<u8>,
        arrival_ms: i64,
    ) -> Result<(), LogError> {
        let at = self.open_index_of_key(hash_key).ok_or(LogError::Closed)?;
        if number <= self.last_number {
            return Err(LogError::OutOfOrder);
        }
        self.last_number = number;
        self.bytes += data.len();
        let index = self.open[at].1;
        self.shards[index].records.push_back(LogRecord { number, partition_key, data, arrival_ms });
        Ok(())
    }

    /// Index among the open shards of the one whose range contains `hash_key`.
    fn open_index_of_key(&self, hash_key: u128) -> Option<usize> {
        self.open.partition_point(|open| open.0 <= hash_key).checked_sub(1)
    }

    fn open_index_of(&self, shard: &ShardId) -> Result<usize, LogError> {
        let open_index = self.open.iter().position(|&(_, index)| self.shards[index].id == *shard);
        open_index.ok_or(LogError::Closed)
    }

    fn close(&mut self, open_index: usize) {
        let (_, index) = self.open.remove(open_index);
        self.shards[index].closed = true;
    }
}

impl LogRecord {
    fn record(&self) -> Record {
        Record {
            sequence: Sequence::from(self.number),
            partition_key: self.partition_key.clone(),
            data: self.data.clone(),
            arrival_ms: self.arrival_ms,
        }
    }
}

/// Index of the first record after `after`. A sequence number that is not this log's is after all records.
fn first_after(records: &VecDeque<LogRecord>, after: Option<&Sequence>) -> usize {
    let Some(after) = after else { return 0 };
    let after: u64 = after.as_str().parse().unwrap_or(u64::MAX);
    records.partition_point(|record| record.number <= after)
}
