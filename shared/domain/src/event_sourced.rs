//! State that is a function of its checkpoint log, and its place in that log.
//!
//! An entry holds what happened, not what came of it: replaying it gives the same state and the same output again. Some
//! entries begin with a compaction, for which the state is written out and read back. What is written there is the
//! snapshot before that entry. It is stored apart from the log, after the entry, and saves a reader the entries before
//! it; without it, the log still determines the state.

use crate::event::sequence::{Sequence, SequenceRef};
use crate::parking::Epoch;
use crate::wire::{self, Corrupt, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// An entry of a checkpoint log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: 0 for the first entry of a log, one more for each that follows.
    pub number: u64,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The snapshot before the entry, if it begins with a compaction.
    pub snapshot: Option<Vec<u8>>,
    /// The newest tick that had closed before the entry, in a log whose entries close ticks. It never decreases.
    pub as_of: Option<i64>,
}

impl Entry {
    /// Entry `number` with this content, which begins without a compaction.
    #[must_use]
    pub fn new(number: u64, bytes: impl Into<Vec<u8>>) -> Self {
        Self { number, bytes: bytes.into(), snapshot: None, as_of: None }
    }
}

/// State that is a function of its checkpoint log.
///
/// A batch is one entry: [`begin_batch`](Self::begin_batch), then what the state absorbs, then
/// [`seal_entry`](Self::seal_entry). What the batch puts out is pending until [`take_output`](Self::take_output) takes
/// it, and [`replay`](Self::replay) of the entry makes it pending again: an instance that loads the log delivers what
/// the newest entry left undelivered, and the entry stores none of it.
pub trait EventSourced: Sized {
    /// Which log the state belongs to.
    type Identity;
    /// What an entry puts out.
    type Output;

    /// The number of the entry that follows the state.
    fn next_entry(&self) -> u64;

    /// Begins the next entry, whose records arrived at `arrival_ms` or later, with a compaction if one is due.
    fn begin_batch(&mut self, arrival_ms: i64);

    /// Ends the entry with the record at `last_processed`.
    fn seal_entry(&mut self, last_processed: SequenceRef<'_>) -> Entry;

    /// The state that was written as a snapshot.
    ///
    /// # Errors
    /// [`Corrupt`] where `snapshot` is not one of this log.
    fn restore(identity: &Self::Identity, snapshot: &[u8]) -> Result<Self, Corrupt>;

    /// Applies entry `number` to the state before it, `None` where no entry before it is left; the output of the entry
    /// is pending then, and that of no entry before it.
    ///
    /// # Errors
    /// [`Corrupt`] where `entry` is not that entry of this log.
    fn replay(
        before: Option<Self>,
        identity: &Self::Identity,
        number: u64,
        entry: &[u8],
    ) -> Result<Self, Corrupt>;

    /// Has entry `number` follow the state: between them, the log holds entries that do not belong to it.
    fn skip_to(&mut self, number: u64);

    /// The fencing epoch of the log.
    fn epoch(&self) -> Epoch;

    /// The latest arrival of a record that the state holds, in milliseconds since the epoch; `None` before the first.
    fn reached_ms(&self) -> Option<i64>;

    /// Raises the epoch to that of a mark in the log.
    fn raise_epoch(&mut self, epoch: Epoch);

    /// Takes the pending output: it is no longer pending then. `None` where there is none.
    fn take_output(&mut self) -> Option<Self::Output>;
}

/// Snapshots of a log are this far apart by the arrival of its records, so that another instance has little to load.
pub const SNAPSHOT_INTERVAL_MS: i64 = 30_000;

/// Where a state is in its log, and when the log needs a snapshot.
#[derive(Debug, Default)]
pub(crate) struct LogPosition {
    next_entry: u64,
    epoch: Epoch,
    /// The latest arrival of a record, in milliseconds since the epoch.
    reached_ms: i64,
    /// The latest arrival when the state was compacted last.
    compacted_ms: i64,
    /// Bytes of the entries since the last compaction, and of its snapshot.
    entry_bytes: usize,
    snapshot_bytes: usize,
    /// Whether an entry has been written or read.
    has_begun: bool,
    /// Whether the state was restored and nothing has happened since, so that a compaction changes nothing.
    is_compact: bool,
    /// Milliseconds by which this log's snapshots are shifted against those of other logs.
    phase_ms: i64,
    /// The snapshot before the entry that has begun.
    snapshot: Option<Vec<u8>>,
}

/// The header of every entry, after the identity of its log.
pub(crate) struct EntryHeader {
    pub(crate) last_processed: Sequence,
    pub(crate) is_compacted: bool,
}

impl LogPosition {
    /// The position before the first entry. `phase` is a hash of the log's identity.
    pub(crate) fn new(phase: u64) -> Self {
        let phase_ms = (phase % SNAPSHOT_INTERVAL_MS.unsigned_abs()).cast_signed();
        Self { phase_ms, ..Self::default() }
    }

    /// See [`EventSourced::next_entry`].
    pub(crate) fn next_entry(&self) -> u64 {
        self.next_entry
    }

    /// See [`EventSourced::skip_to`].
    pub(crate) fn skip_to(&mut self, number: u64) {
        self.is_compact &= self.next_entry == number;
        self.next_entry = number;
    }

    /// See [`EventSourced::epoch`].
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// See [`EventSourced::reached_ms`].
    pub(crate) fn reached_ms(&self) -> Option<i64> {
        self.has_begun.then_some(self.reached_ms)
    }

    /// See [`EventSourced::raise_epoch`].
    pub(crate) fn raise_epoch(&mut self, epoch: Epoch) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Whether the next entry begins with a compaction: another interval has begun, or the entries outweigh the last
    /// snapshot and `floor` bytes.
    pub(crate) fn is_snapshot_due(&self, floor: usize) -> bool {
        let interval = |ms: i64| ms.saturating_add(self.phase_ms).div_euclid(SNAPSHOT_INTERVAL_MS);
        interval(self.reached_ms) > interval(self.compacted_ms)
            || self.entry_bytes > self.snapshot_bytes.max(floor)
    }

    /// Advances the log's clock to the arrival of a batch's first record.
    pub(crate) fn reach(&mut self, arrival_ms: i64) {
        if !self.has_begun {
            (self.reached_ms, self.compacted_ms, self.has_begun) = (arrival_ms, arrival_ms, true);
        }
        self.reached_ms = self.reached_ms.max(arrival_ms);
    }

    /// Begins a snapshot of the state before the next entry, with room for one like the last.
    pub(crate) fn begin_snapshot(&self, kind: wire::Kind) -> Vec<u8> {
        let mut snapshot = Vec::with_capacity(self.snapshot_bytes + 64);
        wire::begin(&mut snapshot, kind);
        snapshot
    }

    /// Appends the position to a snapshot that holds the identity of its log.
    pub(crate) fn put_position(&self, snapshot: &mut Vec<u8>) {
        put_varint_u64(snapshot, self.next_entry);
        put_varint_i64(snapshot, self.reached_ms);
        put_varint_u64(snapshot, self.epoch.0);
    }

    /// Reads a position that [`Self::put_position`] wrote into a snapshot of `length` bytes.
    pub(crate) fn read_position(&mut self, snapshot: &mut Reader<'_>, length: usize) -> Result<(), Corrupt> {
        self.next_entry = snapshot.varint_u64("an entry's number")?;
        self.reached_ms = snapshot.instant("an arrival time")?;
        self.epoch = Epoch(snapshot.varint_u64("an epoch")?);
        (self.compacted_ms, self.snapshot_bytes, self.entry_bytes) = (self.reached_ms, length, 0);
        (self.has_begun, self.is_compact, self.snapshot) = (true, true, None);
        Ok(())
    }

    /// Keeps the snapshot for the entry that has begun.
    pub(crate) fn set_snapshot(&mut self, snapshot: Vec<u8>) {
        self.snapshot = Some(snapshot);
    }

    /// Has the next entry begin with a compaction, unless it is the first.
    #[cfg(test)]
    pub(crate) fn request_snapshot(&mut self) {
        self.compacted_ms = i64::MIN;
    }

    /// The snapshot before the entry that has begun.
    #[cfg(test)]
    pub(crate) fn snapshot(&self) -> Option<Vec<u8>> {
        self.snapshot.clone()
    }

    /// Whether a replayed entry that begins with a compaction needs one: not where the state has just been restored.
    pub(crate) fn needs_compaction(&self, header: &EntryHeader) -> bool {
        header.is_compacted && !self.is_compact
    }

    /// Appends the header to an entry that holds the identity of its log.
    pub(crate) fn put_header(&self, entry: &mut Vec<u8>, last: SequenceRef<'_>) {
        put_varint_u64(entry, self.next_entry);
        put_varint_i64(entry, self.reached_ms);
        put_varint_u64(entry, u64::from(self.snapshot.is_some()));
        put_bytes(entry, last.as_str().as_bytes());
    }

    /// Seals an entry and advances past it.
    pub(crate) fn seal(&mut self, mut bytes: Vec<u8>) -> Entry {
        wire::seal(&mut bytes);
        let entry = Entry { number: self.next_entry, bytes, snapshot: self.snapshot.take(), as_of: None };
        self.advance(entry.bytes.len());
        entry
    }

    /// Reads the header of the entry that follows, and advances the log's clock.
    ///
    /// # Errors
    /// [`Corrupt`] where it does not follow.
    pub(crate) fn read_header(&mut self, entry: &mut Reader<'_>) -> Result<EntryHeader, Corrupt> {
        let number = entry.varint_u64("an entry's number")?;
        if number != self.next_entry {
            return Err(entry.invalid("an entry out of order"));
        }
        let reached_ms = entry.instant("an arrival time")?;
        let is_compacted = entry.varint_up_to(1, "a compaction's mark")? == 1;
        let last = entry.text("a sequence number")?;
        let last_processed = Sequence::new(last).ok_or(entry.invalid("a sequence number"))?;
        self.reach(reached_ms);
        Ok(EntryHeader { last_processed, is_compacted })
    }

    /// Advances past an entry of `length` bytes.
    pub(crate) fn advance(&mut self, length: usize) {
        self.entry_bytes += length;
        self.next_entry += 1;
        self.is_compact = false;
    }
}

/// The state at the end of a log that begins with `snapshot` or with its very first entry.
#[cfg(test)]
pub(crate) fn load<S: EventSourced>(
    identity: &S::Identity,
    snapshot: Option<&[u8]>,
    entries: &[&[u8]],
) -> Result<Option<S>, Corrupt> {
    let mut state = snapshot.map(|snapshot| S::restore(identity, snapshot)).transpose()?;
    for (number, entry) in (0..).zip(entries) {
        state = Some(S::replay(state, identity, number, entry)?);
    }
    Ok(state)
}
