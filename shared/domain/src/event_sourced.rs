//! State that is a function of its checkpoint log, and its place in that log.
//!
//! An entry holds what happened, not what came of it: replaying it gives the same state and the same output again. A
//! snapshot, where an entry holds one, is the state before what happened in it, so the rule has no exception.

use crate::event::sequence::{Sequence, SequenceRef};
use crate::id::LaneCount;
use crate::wire::{self, Corrupt, Reader, put_bytes, put_varint_u64};

/// An entry of a checkpoint log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: 0 for the first entry of a log, one more for each that follows.
    pub number: u64,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it holds a snapshot, so that no entry before it is needed to load the state.
    pub has_snapshot: bool,
}

impl Entry {
    /// Entry `number` with this content.
    #[must_use]
    pub fn new(number: u64, bytes: impl Into<Vec<u8>>, has_snapshot: bool) -> Self {
        Self { number, bytes: bytes.into(), has_snapshot }
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

    /// Whether the record at `sequence` is in the state.
    fn already_processed(&self, sequence: SequenceRef<'_>) -> bool;

    /// Has the next entry hold a snapshot.
    fn request_snapshot(&mut self);

    /// Begins the next entry, and takes the snapshot that it must hold if one is due.
    fn begin_batch(&mut self);

    /// Ends the entry with the record at `last_processed`.
    fn seal_entry(&mut self, last_processed: SequenceRef<'_>) -> Entry;

    /// Applies an entry to the state before it, `None` before the first entry that is loaded; the output of the entry
    /// is pending then, and that of no entry before it.
    ///
    /// # Errors
    /// [`Corrupt`] where `entry` is not the next entry of this log.
    fn replay(before: Option<Self>, identity: &Self::Identity, entry: &[u8]) -> Result<Self, Corrupt>;

    /// Takes the pending output: it is no longer pending then. `None` where there is none.
    fn take_output(&mut self) -> Option<Self::Output>;

    /// The state after `entries`: the newest that holds a snapshot, or the very first, and all that follow. `None`
    /// where there is none.
    ///
    /// # Errors
    /// [`Corrupt`] where they are not that.
    fn load<'a>(
        identity: &Self::Identity,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, Corrupt> {
        let mut state = None;
        for entry in entries {
            state = Some(Self::replay(state, identity, entry)?);
        }
        Ok(state)
    }
}

/// Where a state is in its log, and when the log needs a snapshot.
#[derive(Debug, Default)]
pub(crate) struct LogPosition {
    next_entry: u64,
    last_processed: Option<Sequence>,
    /// Bytes of the entries since the last snapshot, and of that snapshot.
    entry_bytes: usize,
    snapshot_bytes: usize,
    is_snapshot_requested: bool,
    /// The snapshot of the entry that has begun.
    snapshot: Option<Vec<u8>>,
}

/// What every entry says of itself, after the identity of its log.
pub(crate) struct EntryHeader<'a> {
    pub(crate) number: u64,
    pub(crate) last_processed: Sequence,
    pub(crate) snapshot: Option<&'a [u8]>,
}

impl LogPosition {
    /// See [`EventSourced::already_processed`].
    pub(crate) fn already_processed(&self, sequence: SequenceRef<'_>) -> bool {
        self.last_processed.as_ref().is_some_and(|last| sequence <= last.borrowed())
    }

    #[cfg(test)]
    pub(crate) fn next_entry(&self) -> u64 {
        self.next_entry
    }

    /// The snapshot of the entry that has begun.
    #[cfg(test)]
    pub(crate) fn snapshot(&self) -> Option<Vec<u8>> {
        self.snapshot.clone()
    }

    /// See [`EventSourced::request_snapshot`].
    pub(crate) fn request_snapshot(&mut self) {
        self.is_snapshot_requested = true;
    }

    /// Whether the entries outweigh the last snapshot and `floor` bytes, or a snapshot was requested; never for the
    /// first entry, before which there is no state.
    pub(crate) fn is_snapshot_due(&self, floor: usize) -> bool {
        self.next_entry > 0
            && (self.is_snapshot_requested || self.entry_bytes > self.snapshot_bytes.max(floor))
    }

    /// Whether the next entry is the first.
    pub(crate) fn is_at_start(&self) -> bool {
        self.next_entry == 0
    }

    /// An empty buffer with room for a snapshot like the last one.
    pub(crate) fn snapshot_buffer(&self) -> Vec<u8> {
        Vec::with_capacity(self.snapshot_bytes)
    }

    /// Keeps the snapshot for the entry that has begun.
    pub(crate) fn set_snapshot(&mut self, snapshot: Vec<u8>) {
        self.is_snapshot_requested = false;
        self.snapshot_bytes = snapshot.len();
        self.entry_bytes = 0;
        self.snapshot = Some(snapshot);
    }

    /// Appends the header to an entry that holds the identity of its log.
    pub(crate) fn put_header(&self, entry: &mut Vec<u8>, lanes: LaneCount, last: SequenceRef<'_>) {
        put_varint_u64(entry, u64::from(lanes.get()));
        put_varint_u64(entry, self.next_entry);
        put_bytes(entry, last.as_str().as_bytes());
        put_varint_u64(entry, u64::from(self.snapshot.is_some()));
        if let Some(snapshot) = &self.snapshot {
            put_bytes(entry, snapshot);
        }
    }

    /// Seals an entry and advances past it.
    pub(crate) fn seal(&mut self, mut bytes: Vec<u8>, last: SequenceRef<'_>) -> Entry {
        wire::seal(&mut bytes);
        let entry = Entry { number: self.next_entry, bytes, has_snapshot: self.snapshot.take().is_some() };
        if !entry.has_snapshot {
            self.entry_bytes += entry.bytes.len();
        }
        self.next_entry += 1;
        self.last_processed = Some(last.to_owned());
        entry
    }

    /// Reads the header of the entry that follows `before`, or of the first that is loaded.
    ///
    /// # Errors
    /// [`Corrupt`] where it is of a stream with another number of lanes, or does not follow.
    pub(crate) fn read_header<'a>(
        before: Option<&Self>,
        entry: &mut Reader<'a>,
        lanes: LaneCount,
    ) -> Result<EntryHeader<'a>, Corrupt> {
        if entry.varint_u64("a lane count")? != u64::from(lanes.get()) {
            return Err(entry.invalid("another stream's entry"));
        }
        let number = entry.varint_u64("an entry's number")?;
        if before.is_some_and(|before| before.next_entry != number) {
            return Err(entry.invalid("an entry out of order"));
        }
        let last = entry.text("a sequence number")?;
        let last_processed = Sequence::new(last).ok_or(entry.invalid("a sequence number"))?;
        let snapshot = match entry.varint_up_to(1, "a snapshot's mark")? {
            0 => None,
            _ => Some(entry.bytes("a snapshot")?),
        };
        if before.is_none() && snapshot.is_none() && number != 0 {
            return Err(entry.invalid("a beginning without a snapshot"));
        }
        Ok(EntryHeader { number, last_processed, snapshot })
    }

    /// Advances past a replayed entry of `length` bytes.
    pub(crate) fn replayed(&mut self, header: EntryHeader<'_>, length: usize) {
        match header.snapshot {
            Some(snapshot) => (self.snapshot_bytes, self.entry_bytes) = (snapshot.len(), 0),
            None => self.entry_bytes += length,
        }
        self.next_entry = header.number + 1;
        self.last_processed = Some(header.last_processed);
    }
}
