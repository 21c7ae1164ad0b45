//! A log of shards in memory: put, split, merge, trim, and read as a stream.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::future::{Future, ready};

use equilibrium_domain::event::sequence::Sequence;
use thiserror::Error;

use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_event_source::record::{Listed, Page, Position};
use equilibrium_lambda::kinesis::record::{Record, ShardId};

/// Why the log could not be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The shard (or every shard) takes no more records: write to its children.
    #[error("the shard is closed or unknown")]
    Closed,
    /// The shard cannot be split there: both children need a hash key at least.
    #[error("the hash key is not inside the shard's range")]
    OutsideRange,
    /// Only shards whose ranges touch can be merged.
    #[error("the shards' ranges do not touch")]
    NotAdjacent,
    /// The shard still takes records.
    #[error("the shard is open")]
    Open,
    /// A record has a number that is not beyond all others.
    #[error("the record's number is not beyond those of the log")]
    OutOfOrder,
}

/// A stream's shards and their records. Sequence numbers grow over the whole log.
#[derive(Debug)]
pub struct StreamLog {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shards: Vec<LogShard>,
    by_id: HashMap<ShardId, usize>,
    /// Open shards by the first hash key of their range; each reaches to the next.
    open: Vec<(u128, usize)>,
    last_number: u64,
    /// Of all records kept.
    bytes: usize,
}

#[derive(Debug)]
struct LogShard {
    id: ShardId,
    parents: Vec<ShardId>,
    records: VecDeque<Stored>,
    closed: bool,
    expired: bool,
}

#[derive(Debug)]
struct Stored {
    number: u64,
    partition_key: Box<str>,
    data: Vec<u8>,
    arrival_ms: i64,
}

impl StreamLog {
    /// A log of `shards` shards (at least one) that share the hash keys evenly.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let count = shards.max(1);
        let width = (u128::MAX / count as u128).wrapping_add(1);
        let mut inner = Inner::default();
        for index in 0..count {
            // A single shard's width is 2¹²⁸, which wraps to 0: it begins at 0 all the same.
            inner.add(width.wrapping_mul(index as u128), Vec::new());
        }
        Self { inner: Mutex::new(inner) }
    }

    /// Puts a record into the shard whose range holds `hash_key`; gives its sequence number, of which
    /// [`Sequence::from`] makes the record's.
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
        let mut inner = self.lock();
        let number = inner.last_number + 1;
        inner.put(number, hash_key, partition_key.into(), data, arrival_ms)?;
        Ok(number)
    }

    /// Puts a record as [`Self::put`] does, with a number that its keeper gave it.
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
        self.lock().put(number, hash_key, partition_key.into(), data, arrival_ms)
    }

    /// Leaves out the numbers up to `number`: an earlier process gave them to records long done.
    pub fn number_behind(&self, number: u64) {
        let mut inner = self.lock();
        inner.last_number = inner.last_number.max(number);
    }

    /// Closes `shard` and divides its range; the second child begins at `at`.
    ///
    /// # Errors
    /// [`LogError::Closed`] or [`LogError::OutsideRange`].
    pub fn split(&self, shard: &ShardId, at: u128) -> Result<[ShardId; 2], LogError> {
        let mut inner = self.lock();
        let place = inner.place(shard)?;
        let start = inner.open[place].0;
        let inside = inner.open.get(place + 1).is_none_or(|next| at < next.0);
        if at <= start || !inside {
            return Err(LogError::OutsideRange);
        }
        inner.close(place);
        Ok([inner.add(start, vec![shard.clone()]), inner.add(at, vec![shard.clone()])])
    }

    /// Closes two shards that lie beside each other and gives their range to one child.
    ///
    /// # Errors
    /// [`LogError::Closed`] or [`LogError::NotAdjacent`].
    pub fn merge(&self, one: &ShardId, other: &ShardId) -> Result<ShardId, LogError> {
        let mut inner = self.lock();
        let (one_place, other_place) = (inner.place(one)?, inner.place(other)?);
        if one_place.abs_diff(other_place) != 1 {
            return Err(LogError::NotAdjacent);
        }
        let first = one_place.min(other_place);
        let start = inner.open[first].0;
        inner.close(first + 1);
        inner.close(first);
        Ok(inner.add(start, vec![one.clone(), other.clone()]))
    }

    /// Closes every shard: nothing more will be put, and readers come to the end.
    pub fn close(&self) {
        let mut inner = self.lock();
        while !inner.open.is_empty() {
            inner.close(0);
        }
    }

    /// Lets go of the records of `shard` that are done at `position`.
    pub fn trim(&self, shard: &ShardId, position: &Position) {
        let mut inner = self.lock();
        let Some(&index) = inner.by_id.get(shard) else { return };
        let records = &mut inner.shards[index].records;
        let done = match position {
            Position::Oldest => 0,
            Position::After(sequence) => first_after(records, Some(sequence)),
            Position::End => records.len(),
        };
        let bytes: usize = records.drain(..done).map(|stored| stored.data.len()).sum();
        if records.is_empty() {
            // A crowd that has passed leaves no room behind.
            *records = VecDeque::new();
        }
        inner.bytes -= bytes;
    }

    /// Lets go of a closed shard altogether, as a stream does when its retention has passed.
    ///
    /// # Errors
    /// [`LogError::Open`].
    pub fn expire(&self, shard: &ShardId) -> Result<(), LogError> {
        let mut inner = self.lock();
        let Some(&index) = inner.by_id.get(shard) else { return Ok(()) };
        let shard = &mut inner.shards[index];
        if !shard.closed {
            return Err(LogError::Open);
        }
        shard.expired = true;
        let bytes: usize = std::mem::take(&mut shard.records).iter().map(|stored| stored.data.len()).sum();
        inner.bytes -= bytes;
        Ok(())
    }

    /// The open shard whose range holds `hash_key`; none after [`Self::close`].
    #[must_use]
    pub fn shard_of(&self, hash_key: u128) -> Option<ShardId> {
        let inner = self.lock();
        let (_, index) = inner.open[inner.holder(hash_key)?];
        Some(inner.shards[index].id.clone())
    }

    /// The shards that take records, by hash key.
    #[must_use]
    pub fn open_shards(&self) -> Vec<ShardId> {
        let inner = self.lock();
        inner.open.iter().map(|&(_, index)| inner.shards[index].id.clone()).collect()
    }

    /// How many records are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().shards.iter().map(|shard| shard.records.len()).sum()
    }

    /// Bytes of the records that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Whether no record is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic elsewhere leaves the log whole: every change above is made under one lock, in one go.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    fn page(&self, shard: &ShardId, after: Option<&Sequence>, limit: usize) -> Result<Page, SourceError> {
        let inner = self.lock();
        let shard = inner.by_id.get(shard).map(|&index| &inner.shards[index]).ok_or(SourceError::Gone)?;
        if shard.expired {
            return Err(SourceError::Gone);
        }
        let from = first_after(&shard.records, after);
        let to = from.saturating_add(limit).min(shard.records.len());
        let records = shard.records.range(from..to).map(Stored::record).collect();
        Ok(Page { records, ended: shard.closed && to == shard.records.len() })
    }
}

impl Source for StreamLog {
    fn shards(&self) -> impl Future<Output = Result<Vec<Listed>, SourceError>> + Send {
        let inner = self.lock();
        let kept = inner.shards.iter().filter(|shard| !shard.expired);
        ready(Ok(kept.map(|shard| Listed { id: shard.id.clone(), parents: shard.parents.clone() }).collect()))
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

impl Inner {
    fn add(&mut self, start: u128, parents: Vec<ShardId>) -> ShardId {
        let index = self.shards.len();
        let id = ShardId::numbered(index);
        let records = VecDeque::new();
        self.shards.push(LogShard { id: id.clone(), parents, records, closed: false, expired: false });
        self.by_id.insert(id.clone(), index);
        let place = self.open.partition_point(|open| open.0 < start);
        self.open.insert(place, (start, index));
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
        let at = self.holder(hash_key).ok_or(LogError::Closed)?;
        if number <= self.last_number {
            return Err(LogError::OutOfOrder);
        }
        self.last_number = number;
        self.bytes += data.len();
        let index = self.open[at].1;
        self.shards[index].records.push_back(Stored { number, partition_key, data, arrival_ms });
        Ok(())
    }

    /// Where among the open shards the one that holds `hash_key` is.
    fn holder(&self, hash_key: u128) -> Option<usize> {
        self.open.partition_point(|open| open.0 <= hash_key).checked_sub(1)
    }

    fn place(&self, shard: &ShardId) -> Result<usize, LogError> {
        let place = self.open.iter().position(|&(_, index)| self.shards[index].id == *shard);
        place.ok_or(LogError::Closed)
    }

    fn close(&mut self, place: usize) {
        let (_, index) = self.open.remove(place);
        self.shards[index].closed = true;
    }
}

impl Stored {
    fn record(&self) -> Record {
        Record {
            sequence: Sequence::from(self.number),
            partition_key: self.partition_key.clone(),
            data: self.data.clone(),
            arrival_ms: self.arrival_ms,
        }
    }
}

/// Index of the first record behind `after`. A sequence that this log never gave is behind all of it.
fn first_after(records: &VecDeque<Stored>, after: Option<&Sequence>) -> usize {
    let Some(after) = after else { return 0 };
    let after: u64 = after.as_str().parse().unwrap_or(u64::MAX);
    records.partition_point(|stored| stored.number <= after)
}
