//! The past of a city's checkpoint log: packed segments, for a day.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

use equilibrium_domain::surge::city_pricing::Segment;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::checkpoint::ports::{Loaded, PAST_MS};

/// A segment as it is kept, compressed.
#[derive(Clone, Debug)]
pub struct PackedSegment {
    /// The numbers of its entries.
    pub numbers: Range<u64>,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

impl PackedSegment {
    /// Packs a segment.
    #[must_use]
    pub fn of(segment: &Segment) -> Self {
        let encoded = segment.encode();
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(encoded.len() / 4), Compression::default());
        let bytes = encoder.write_all(&encoded).and_then(|()| encoder.finish());
        let bytes = bytes.expect("a vector accepts every write").into();
        Self { numbers: segment.first..segment.first + segment.entries.len() as u64, bytes }
    }

    /// What a packed segment holds; `None` if the bytes are not one.
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<Loaded> {
        let mut encoded = Vec::with_capacity(bytes.len() * 5);
        DeflateDecoder::new(bytes).read_to_end(&mut encoded).ok()?;
        let Segment { first, snapshot, entries } = Segment::decode(&encoded).ok()?;
        Some(Loaded { snapshot, first, entries })
    }
}

/// Where the past of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundPast {
    /// It is not kept.
    Nothing,
    /// Here.
    Loaded(Loaded),
    /// In a packed segment.
    Packed(Arc<[u8]>),
    /// In the packed segment with this first entry, which is elsewhere.
    Elsewhere(u64),
}

/// The segments of a log, in order.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<PastSegment>);

#[derive(Debug)]
struct PastSegment {
    first: u64,
    /// The newest tick that had closed before the segment.
    as_of: Option<i64>,
    /// `None` if it is elsewhere.
    bytes: Option<Arc<[u8]>>,
}

impl Past {
    /// Appends a segment, before which `as_of` was the newest closed tick, and after which it is `next`. Returns the
    /// first numbers of the segments that end more than [`PAST_MS`] before `next`, which are removed.
    pub(super) fn push(&mut self, packed: PackedSegment, as_of: Option<i64>, next: Option<i64>) -> Vec<u64> {
        self.0.push_back(PastSegment { first: packed.numbers.start, as_of, bytes: Some(packed.bytes) });
        let oldest = next.map_or(i64::MIN, |next| next.saturating_sub(PAST_MS));
        let mut expired = Vec::new();
        while self.0.get(1).is_some_and(|second| second.as_of.is_some_and(|as_of| as_of < oldest)) {
            expired.extend(self.0.pop_front().map(|segment| segment.first));
        }
        expired
    }

    pub(super) fn restore(&mut self, first: u64, as_of: Option<i64>) {
        self.0.push_back(PastSegment { first, as_of, bytes: None });
    }

    /// Has the content of the segment be elsewhere.
    pub(super) fn forget_content(&mut self, first: u64) {
        if let Some(segment) = self.0.iter_mut().rev().find(|segment| segment.first == first) {
            segment.bytes = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last segment that begins before `tick` closes, or the first of all.
    pub(super) fn find(&self, tick: i64) -> FoundPast {
        let after = self.0.partition_point(|segment| segment.as_of.is_none_or(|as_of| as_of < tick));
        match self.0.get(after.saturating_sub(1)) {
            None => FoundPast::Nothing,
            Some(PastSegment { bytes: Some(bytes), .. }) => FoundPast::Packed(Arc::clone(bytes)),
            Some(PastSegment { first, .. }) => FoundPast::Elsewhere(*first),
        }
    }

    /// The bytes of the segments that are here.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().filter_map(|segment| segment.bytes.as_ref()).map(|bytes| bytes.len()).sum()
    }
}
