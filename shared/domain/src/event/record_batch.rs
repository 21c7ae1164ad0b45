//! A batch of records of one shard, in the order of the log.

use std::ops::Range;

use crate::event::sequence::SequenceRef;

/// Records of one shard, in order. The bytes of all records share one buffer.
#[derive(Debug, Default)]
pub struct RecordBatch<'a> {
    bytes: Vec<u8>,
    entries: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    sequence: SequenceRef<'a>,
    arrival_ms: i64,
    data: Range<usize>,
}

/// A record of a [`RecordBatch`].
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Its sequence number in the shard.
    pub sequence: SequenceRef<'a>,
    /// When it arrived in the log, in milliseconds since the epoch.
    pub arrival_ms: i64,
    /// Its payload.
    pub data: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// An empty batch with room for `bytes` bytes of payload.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), entries: Vec::new() }
    }

    /// Appends a record whose payload `write` appends to the buffer that it is given.
    pub fn push_with(
        &mut self,
        sequence: SequenceRef<'a>,
        arrival_ms: i64,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.entries.push(Entry { sequence, arrival_ms, data: start..self.bytes.len() });
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the batch holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The record at `index`, counted from 0.
    ///
    /// # Panics
    /// If the batch holds `index` records or fewer.
    #[must_use]
    pub fn record(&self, index: usize) -> RecordRef<'_> {
        let Entry { sequence, arrival_ms, data } = &self.entries[index];
        RecordRef { sequence: *sequence, arrival_ms: *arrival_ms, data: &self.bytes[data.clone()] }
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        (0..self.len()).map(|index| self.record(index))
    }
}
