//! The state of a range of lanes: a function of the checkpoint log that they share ([`EventSourced`]).
//!
//! Its output is the counts of the ticks that a batch closed, lane by lane. When the lanes of a stream double, the log of
//! each range ends, and those of two ranges begin with its state, each with its half of the entities.

use crate::count::lane::LaneState;
use crate::count::lane_range::LaneRange;
use crate::count::tick_counts::CityCounts;
use crate::event::sequence::{Sequence, SequenceRef};
use crate::event_sourced::{Entry, EventSourced, LogPosition};
use crate::id::{LaneCount, LaneId};
use crate::parking::Epoch;
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_varint_u64};

/// The state of a range of lanes in memory, and its place in its checkpoint log.
#[derive(Debug)]
pub struct LaneRangeState {
    range: LaneRange,
    log: LogPosition,
    /// The range's lanes, in order, and what the batch that has begun has of them.
    lanes: Vec<(LaneState, InBatch)>,
    /// How many lanes the stream has where the log has ended.
    doubled_to: Option<LaneCount>,
}

/// What a batch has of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InBatch {
    Nothing,
    /// Events in the records of another lane.
    Events,
    /// Records of its own, by whose sequence numbers the lane advances.
    Records,
}

/// A snapshot replaces entries that outweigh the last one, but not below this: loading 256 KiB takes about a
/// millisecond.
const SNAPSHOT_FLOOR: usize = 256 << 10;

mod mark {
    /// An entry of a batch.
    pub const BATCH: u64 = 0;
    /// The last entry of the log: the logs of twice as many lanes continue it.
    pub const ENDED: u64 = 1;
    /// The first entry of a log that continues that of half as many lanes.
    pub const CONTINUED: u64 = 2;
}

impl LaneRangeState {
    /// A range whose lanes have counted nothing yet.
    #[must_use]
    pub fn new(range: LaneRange) -> Self {
        let lanes = range.lanes().map(|lane| (LaneState::new(lane), InBatch::Nothing)).collect();
        Self { range, log: LogPosition::new(range.phase()), lanes, doubled_to: None }
    }

    /// The range.
    #[must_use]
    pub fn range(&self) -> LaneRange {
        self.range
    }

    /// A lane of the range.
    #[must_use]
    pub fn lane(&self, lane: LaneId) -> Option<&LaneState> {
        self.range.position(lane).map(|position| &self.lanes[position].0)
    }

    /// A lane of the range, of which the batch that has begun has records.
    pub fn lane_mut(&mut self, lane: LaneId) -> Option<&mut LaneState> {
        let (lane, in_batch) = &mut self.lanes[self.range.position(lane)?];
        *in_batch = InBatch::Records;
        Some(lane)
    }

    /// A lane of the range, of which the batch that has begun has events in records of another lane: the lanes have
    /// doubled since these were put. Its own records may be in another shard, so that it does not advance by them.
    pub fn neighbour_mut(&mut self, lane: LaneId) -> Option<&mut LaneState> {
        let (lane, in_batch) = &mut self.lanes[self.range.position(lane)?];
        if *in_batch == InBatch::Nothing {
            *in_batch = InBatch::Events;
        }
        Some(lane)
    }

    /// The range's lanes, in order.
    pub fn lanes(&self) -> impl Iterator<Item = &LaneState> {
        self.lanes.iter().map(|(lane, _)| lane)
    }

    /// The number of lanes whose logs continue this one, where it has ended because the lanes of the stream have
    /// doubled.
    #[must_use]
    pub fn doubled_to(&self) -> Option<LaneCount> {
        self.doubled_to
    }

    /// Ends the log: the logs of `lanes` continue it. Nothing may be pending output.
    pub fn end(&mut self, lanes: LaneCount) -> Entry {
        self.doubled_to = Some(lanes);
        self.mark_entry(mark::ENDED, Some(lanes))
    }

    /// Begins the log of a range that continues its parent's: its first entry, and the snapshot before it.
    pub fn begin_continued(&mut self) -> (Entry, Vec<u8>) {
        let snapshot = self.written();
        (self.mark_entry(mark::CONTINUED, None), snapshot)
    }

    /// Whether a log begins with what its parent's ended with: `entry` is its first.
    #[must_use]
    pub fn is_continued(entry: &[u8]) -> bool {
        let mark = || {
            let mut entry = wire::open(entry, Kind::LaneEntry)?;
            read_range(&mut entry)?;
            entry.varint_u64("a mark")
        };
        mark() == Ok(mark::CONTINUED)
    }

    /// The state with which the log of `range` begins, this being that of an ancestor whose log has ended.
    ///
    /// # Errors
    /// [`Corrupt`] where `range` is not of that descent.
    pub fn descend(&self, range: LaneRange) -> Result<Self, Corrupt> {
        let mut path = vec![range];
        while let Some(parent) = path.last().and_then(|range| range.parent()).filter(|it| *it != self.range) {
            path.push(parent);
        }
        let first = path.pop().filter(|range| range.parent() == Some(self.range));
        let mut state = self.child(first.ok_or(Corrupt::NotThis { kind: Kind::LaneEntry })?)?;
        while let Some(range) = path.pop() {
            state = state.child(range)?;
        }
        Ok(state)
    }

    /// The snapshot before the entry that has begun.
    #[cfg(test)]
    pub(super) fn snapshot(&self) -> Option<Vec<u8>> {
        self.log.snapshot()
    }

    #[cfg(test)]
    pub(super) fn request_snapshot(&mut self) {
        self.log.request_snapshot();
    }

    fn child(&self, range: LaneRange) -> Result<Self, Corrupt> {
        let mut child = Self::new(range);
        for (state, _) in &mut child.lanes {
            let Some(parent) = self.lane(LaneId(state.lane().0 / 2)) else {
                return Err(Corrupt::NotThis { kind: Kind::LaneEntry });
            };
            let mut written = Vec::new();
            parent.write(&mut written);
            *state = LaneState::read(state.lane(), &mut Reader::new(&written))?;
            state.keep_half(range.lane_count());
        }
        child.compact()?;
        Ok(child)
    }

    fn mark_entry(&mut self, mark: u64, lanes: Option<LaneCount>) -> Entry {
        let mut entry = Vec::new();
        self.begin_entry(&mut entry, mark);
        self.log.put_header(&mut entry, Sequence::from(0).borrowed());
        lanes.iter().for_each(|lanes| put_varint_u64(&mut entry, u64::from(lanes.get())));
        self.log.seal(entry)
    }

    fn begin_entry(&self, entry: &mut Vec<u8>, mark: u64) {
        wire::begin(entry, Kind::LaneEntry);
        put_range(entry, self.range);
        put_varint_u64(entry, mark);
    }

    /// The state as a snapshot.
    fn written(&self) -> Vec<u8> {
        let mut snapshot = self.log.begin_snapshot(Kind::LaneSnapshot);
        put_range(&mut snapshot, self.range);
        self.log.put_position(&mut snapshot);
        self.lanes.iter().for_each(|(lane, _)| lane.write(&mut snapshot));
        wire::seal(&mut snapshot);
        snapshot
    }

    /// Reads the state back from its snapshot, so that an instance that loads it, and replays what follows, has the same
    /// state down to the order of free slots. Returns the snapshot.
    fn compact(&mut self) -> Result<Vec<u8>, Corrupt> {
        let snapshot = self.written();
        self.read(&snapshot)?;
        Ok(snapshot)
    }

    fn read(&mut self, snapshot: &[u8]) -> Result<(), Corrupt> {
        let mut input = wire::open(snapshot, Kind::LaneSnapshot)?;
        if read_range(&mut input)? != Some(self.range) {
            return Err(input.invalid("a snapshot of another range"));
        }
        self.log.read_position(&mut input, snapshot.len())?;
        for (lane, _) in &mut self.lanes {
            *lane = LaneState::read(lane.lane(), &mut input)?;
        }
        if input.is_done() { Ok(()) } else { Err(input.invalid("bytes after the lanes")) }
    }

    pub(super) fn is_snapshot_due(&self) -> bool {
        self.log.is_snapshot_due(SNAPSHOT_FLOOR) || self.lanes().any(LaneState::needs_compaction)
    }

    fn replay_batch(&mut self, last: &Sequence, entry: &mut Reader<'_>) -> Result<(), Corrupt> {
        while !entry.is_done() {
            let code = entry.varint_up_to(self.lanes.len() as u64 * 2 - 1, "a lane of the range")?;
            let mut part = Reader::new(entry.bytes("a lane's part")?);
            let last = (code & 1 == 1).then_some(last);
            self.lanes[(code >> 1) as usize].0.replay(last, &mut part)?;
        }
        Ok(())
    }
}

impl EventSourced for LaneRangeState {
    type Identity = LaneRange;
    type Output = Vec<(LaneId, Vec<CityCounts>)>;

    fn next_entry(&self) -> u64 {
        self.log.next_entry()
    }

    fn begin_batch(&mut self, arrival_ms: i64) {
        self.log.reach(arrival_ms);
        if self.is_snapshot_due() {
            let snapshot = self.compact().expect("a snapshot that was just written can be read");
            self.log.set_snapshot(snapshot);
        }
        for (lane, in_batch) in &mut self.lanes {
            lane.begin_entry();
            *in_batch = InBatch::Nothing;
        }
    }

    fn seal_entry(&mut self, last_processed: SequenceRef<'_>) -> Entry {
        let last = last_processed.to_owned();
        let mut entry = Vec::with_capacity(256);
        self.begin_entry(&mut entry, mark::BATCH);
        self.log.put_header(&mut entry, last_processed);
        let mut part = Vec::new();
        for (position, (lane, in_batch)) in (0_u64..).zip(&mut self.lanes) {
            if *in_batch == InBatch::Nothing {
                continue;
            }
            let has_records = *in_batch == InBatch::Records;
            lane.end_entry(has_records.then_some(&last), &mut part);
            put_varint_u64(&mut entry, position << 1 | u64::from(has_records));
            put_bytes(&mut entry, &part);
            part.clear();
        }
        self.log.seal(entry)
    }

    fn restore(range: &LaneRange, snapshot: &[u8]) -> Result<Self, Corrupt> {
        let mut state = Self::new(*range);
        state.read(snapshot)?;
        Ok(state)
    }

    fn replay(before: Option<Self>, range: &LaneRange, number: u64, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut entry = wire::open(bytes, Kind::LaneEntry)?;
        if read_range(&mut entry)? != Some(*range) {
            return Err(entry.invalid("another range's entry"));
        }
        let mark = entry.varint_up_to(mark::CONTINUED, "a mark")?;
        if before.is_none() && mark == mark::CONTINUED {
            return Err(entry.invalid("a beginning without the state that it continues"));
        }
        let mut state = before.unwrap_or_else(|| {
            let mut state = Self::new(*range);
            state.log.skip_to(number);
            state
        });
        let header = state.log.read_header(&mut entry)?;
        if state.doubled_to.is_some() {
            return Err(entry.invalid("an entry after the last"));
        }
        if state.log.needs_compaction(&header) {
            state.compact()?;
        }
        state.lanes.iter_mut().for_each(|(lane, _)| lane.clear_counts());
        match mark {
            mark::ENDED => {
                let lanes = LaneCount::new(entry.varint_u32("a lane count")?);
                state.doubled_to = Some(lanes.ok_or(entry.invalid("a lane count"))?);
            }
            mark::CONTINUED => {}
            _ => state.replay_batch(&header.last_processed, &mut entry)?,
        }
        state.log.advance(bytes.len());
        Ok(state)
    }

    fn skip_to(&mut self, number: u64) {
        self.log.skip_to(number);
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn reached_ms(&self) -> Option<i64> {
        self.log.reached_ms()
    }

    fn raise_epoch(&mut self, epoch: Epoch) {
        self.log.raise_epoch(epoch);
    }

    fn take_output(&mut self) -> Option<Self::Output> {
        let counts = self.lanes.iter_mut().map(|(lane, _)| (lane.lane(), lane.take_counts()));
        let counts: Vec<_> = counts.filter(|(_, counts)| !counts.is_empty()).collect();
        (!counts.is_empty()).then_some(counts)
    }
}

fn put_range(out: &mut Vec<u8>, range: LaneRange) {
    put_varint_u64(out, u64::from(range.lane_count().get()));
    put_varint_u64(out, u64::from(range.index()));
}

fn read_range(input: &mut Reader<'_>) -> Result<Option<LaneRange>, Corrupt> {
    let (lanes, index) = (input.varint_u32("a lane count")?, input.varint_u32("a range")?);
    let range = LaneCount::new(lanes).zip(u16::try_from(index).ok());
    Ok(range.and_then(|(lanes, index)| LaneRange::new(lanes, index)))
}
