//! A segment of a city's log, as it is kept for explanations: a snapshot and the entries that follow, arranged so that a
//! compressor with a small window finds what repeats.
//!
//! The counts of a lane hardly differ from tick to tick, but those of all lanes lie between them in the log. A segment
//! holds the counts of each lane one after the other, apart from the rest of the entries.

use std::collections::BTreeMap;
use std::ops::Range;

use super::op;
use crate::wire::products::ProductTable;
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_varint_u64};

/// A snapshot and the entries that follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The number of the first entry.
    pub first: u64,
    /// The snapshot before it; `None` if it is the very first of the log.
    pub snapshot: Option<Vec<u8>>,
    /// The entries, in order.
    pub entries: Vec<Vec<u8>>,
}

/// The counts of a lane within an entry.
struct LaneCounts {
    lane: u64,
    range: Range<usize>,
}

impl Segment {
    /// Encodes the segment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = |entries: &[Vec<u8>]| entries.iter().map(|entry| entry.len() + 64).sum::<usize>();
        let mut out = Vec::with_capacity(length(&self.entries) + self.snapshot.as_ref().map_or(0, Vec::len));
        wire::begin(&mut out, Kind::CitySegment);
        put_varint_u64(&mut out, self.first);
        put_varint_u64(&mut out, u64::from(self.snapshot.is_some()));
        put_bytes(&mut out, self.snapshot.as_deref().unwrap_or_default());
        put_varint_u64(&mut out, self.entries.len() as u64);
        let mut lanes: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
        for entry in &self.entries {
            let counts = find_counts(entry).unwrap_or_default();
            put_varint_u64(&mut out, counts.len() as u64);
            let (mut rest, mut end) = (Vec::with_capacity(counts.len() * 24), 0);
            for LaneCounts { lane, range } in counts {
                rest.extend_from_slice(&entry[end..range.start]);
                for number in [lane, (range.start - end) as u64, range.len() as u64] {
                    put_varint_u64(&mut out, number);
                }
                end = range.end;
                lanes.entry(lane).or_default().push(&entry[range]);
            }
            rest.extend_from_slice(&entry[end..]);
            put_bytes(&mut out, &rest);
        }
        lanes.into_values().flatten().for_each(|counts| out.extend_from_slice(counts));
        wire::seal(&mut out);
        out
    }

    /// Decodes what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if `bytes` are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::CitySegment)?;
        let first = input.varint_u64("an entry's number")?;
        let has_snapshot = input.varint_up_to(1, "a snapshot's mark")? == 1;
        let snapshot = Some(input.bytes("a snapshot")?.to_vec()).filter(|_| has_snapshot);
        let mut entries = Vec::new();
        let mut lanes: BTreeMap<u64, Vec<(usize, usize, usize)>> = BTreeMap::new();
        for index in 0..input.count("entries")? {
            let mut at = 0;
            for _ in 0..input.count("counts of lanes")? {
                let lane = input.varint_u64("a lane")?;
                at += input.count("a gap")?;
                let length = input.count("a length")?;
                lanes.entry(lane).or_default().push((index, at, length));
                at += length;
            }
            entries.push((input.bytes("an entry")?, Vec::new()));
        }
        for (index, at, length) in lanes.into_values().flatten() {
            entries[index].1.push((at, input.slice(length, "the counts of a lane")?));
        }
        if !input.is_done() {
            return Err(input.invalid("bytes after the counts"));
        }
        let entries = entries.into_iter().map(|(rest, counts)| join(rest, counts));
        let entries = entries.collect::<Option<_>>().ok_or(input.invalid("a gap"))?;
        Ok(Self { first, snapshot, entries })
    }
}

/// The entry with its counts back at their places; `None` if they do not fit.
fn join(mut rest: &[u8], mut counts: Vec<(usize, &[u8])>) -> Option<Vec<u8>> {
    counts.sort_unstable_by_key(|(at, _)| *at);
    let mut entry =
        Vec::with_capacity(rest.len() + counts.iter().map(|(_, counts)| counts.len()).sum::<usize>());
    for (at, counts) in counts {
        let (gap, after) = rest.split_at_checked(at.checked_sub(entry.len())?)?;
        entry.extend_from_slice(gap);
        entry.extend_from_slice(counts);
        rest = after;
    }
    entry.extend_from_slice(rest);
    Some(entry)
}

/// Where the counts of lanes are in an entry of a city's log.
fn find_counts(entry: &[u8]) -> Result<Vec<LaneCounts>, Corrupt> {
    let mut input = wire::open(entry, Kind::CityEntry)?;
    input.text("a city")?;
    input.varint_u64("an entry's number")?;
    input.instant("an arrival time")?;
    input.varint_u64("a compaction's mark")?;
    input.text("a sequence number")?;
    let mut found = Vec::new();
    while !input.is_done() {
        match input.byte("a step")? {
            op::CONFIG => skip_config(&mut input)?,
            op::LANES => drop(input.varint_u64("a lane count")?),
            op::CONTINUED => {
                input.varint_u64("a version")?;
                input.instant("a tick")?;
                input.instant("an arrival time")?;
            }
            op::COUNTS => {
                input.varint_u64("a lane count")?;
                let lane = input.varint_u64("a lane")?;
                input.instant("an arrival time")?;
                ProductTable::read(&mut input)?;
                let length = input.bytes("tick counts")?.len();
                let end = wire::HEAD + input.position();
                found.push(LaneCounts { lane, range: end - length..end });
            }
            _ => return Err(input.invalid("a step")),
        }
    }
    Ok(found)
}

fn skip_config(input: &mut Reader<'_>) -> Result<(), Corrupt> {
    input.varint_u64("a hold")?;
    input.bytes("a policy")?;
    input.varint_u64("a version").map(drop)
}

/// The newest tick that had closed before a snapshot of a city; `None` if there was none.
///
/// # Errors
/// [`Corrupt`] if the bytes are not a snapshot of a city.
pub fn snapshot_as_of(snapshot: &[u8]) -> Result<Option<i64>, Corrupt> {
    let mut input = wire::open(snapshot, Kind::CitySnapshot)?;
    input.text("a city")?;
    skip_config(&mut input)?;
    input.varint_u64("an entry's number")?;
    input.instant("an arrival time")?;
    input.varint_u64("an epoch")?;
    input.text("a sequence number")?;
    input.varint_u64("a version")?;
    let is_known = input.varint_up_to(1, "an instant's mark")? == 1;
    let closed = input.instant("an instant")?;
    Ok(is_known.then_some(closed))
}
