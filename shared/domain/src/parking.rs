//! What is written for a log that cannot go on: marks in its checkpoint log, and the records that wait for it.

use std::fmt;

use crate::event::record_batch::{RecordBatch, RecordRef};
use crate::event::sequence::Sequence;
use crate::time::Timestamp;
use crate::wire::{self, Corrupt, Kind, put_bytes, put_varint_i64, put_varint_u64};

/// A mark in a checkpoint log, in the place of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogMark {
    /// The log cannot be read: its records are parked from here on.
    Parked {
        /// When, in milliseconds since the epoch.
        at_ms: i64,
        /// Why.
        reason: String,
    },
    /// The log is read again from here on, its parked records first.
    Resumed,
    /// As [`Self::Resumed`], without the entries that cannot be read.
    Restarted,
    /// Everything before is done with.
    Emptied,
    /// The log has this epoch from here on: an instance that loaded it at a lower one cannot append any more.
    Fenced(Epoch),
}

/// The fencing epoch of a checkpoint log: 0 until it is raised, and never lower than before. A recovery raises it, so that
/// an instance which still runs can no longer append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

mod tag {
    pub const PARKED: u8 = 1;
    pub const RESUMED: u8 = 2;
    pub const RESTARTED: u8 = 3;
    pub const EMPTIED: u8 = 4;
    pub const FENCED: u8 = 5;
}

impl LogMark {
    /// Encodes the mark.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        wire::begin(&mut out, Kind::LogMark);
        match self {
            Self::Parked { at_ms, reason } => {
                out.push(tag::PARKED);
                put_varint_i64(&mut out, *at_ms);
                put_bytes(&mut out, reason.as_bytes());
            }
            Self::Resumed => out.push(tag::RESUMED),
            Self::Restarted => out.push(tag::RESTARTED),
            Self::Emptied => out.push(tag::EMPTIED),
            Self::Fenced(epoch) => {
                out.push(tag::FENCED);
                put_varint_u64(&mut out, epoch.0);
            }
        }
        wire::seal(&mut out);
        out
    }

    /// Decodes a mark; `None` if the bytes are not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = wire::open(bytes, Kind::LogMark).ok()?;
        let mark = match input.byte("a mark").ok()? {
            tag::PARKED => Self::Parked {
                at_ms: input.instant("a time").ok()?,
                reason: input.text("a reason").ok()?.to_owned(),
            },
            tag::RESUMED => Self::Resumed,
            tag::RESTARTED => Self::Restarted,
            tag::EMPTIED => Self::Emptied,
            tag::FENCED => Self::Fenced(Epoch(input.varint_u64("an epoch").ok()?)),
            _ => return None,
        };
        input.is_done().then_some(mark)
    }
}

/// A record that waits for its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedRecord {
    /// Its sequence number in its shard.
    pub sequence: Sequence,
    /// When it arrived in the stream, in milliseconds since the epoch.
    pub arrival_ms: i64,
    /// Its payload.
    pub data: Vec<u8>,
}

/// Encodes the records of one batch, in the order of the log.
#[must_use]
pub fn encode_records<'a>(records: impl IntoIterator<Item = RecordRef<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    wire::begin(&mut out, Kind::ParkedRecords);
    for RecordRef { sequence, arrival_ms, data } in records {
        put_bytes(&mut out, sequence.as_str().as_bytes());
        put_varint_i64(&mut out, arrival_ms);
        put_varint_u64(&mut out, data.len() as u64);
        out.extend_from_slice(data);
    }
    wire::seal(&mut out);
    out
}

/// Decodes the records of one batch.
///
/// # Errors
/// [`Corrupt`] if the bytes are anything else.
pub fn decode_records(bytes: &[u8]) -> Result<Vec<ParkedRecord>, Corrupt> {
    let mut input = wire::open(bytes, Kind::ParkedRecords)?;
    let mut records = Vec::new();
    while !input.is_done() {
        let digits = input.text("a sequence number")?;
        let sequence = Sequence::new(digits).filter(|sequence| sequence.as_str() == digits);
        let sequence = sequence.ok_or(input.invalid("a sequence number"))?;
        let arrival_ms = input.instant("an arrival time")?;
        records.push(ParkedRecord { sequence, arrival_ms, data: input.bytes("a record")?.to_vec() });
    }
    Ok(records)
}

/// The records of a batch that waited.
#[must_use]
pub fn record_batch(records: &[ParkedRecord]) -> RecordBatch<'_> {
    let mut batch = RecordBatch::with_capacity(records.iter().map(|record| record.data.len()).sum());
    for ParkedRecord { sequence, arrival_ms, data } in records {
        batch.push_with(sequence.borrowed(), *arrival_ms, |bytes| bytes.extend_from_slice(data));
    }
    batch
}

/// A list of parked logs, as entries of a log of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedLogNote {
    /// The key of the log, as text.
    pub key: String,
    /// Since when it is parked, and why; `None` where it goes on.
    pub parked: Option<(Timestamp, String)>,
}

impl ParkedLogNote {
    /// Encodes the note.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        wire::begin(&mut out, Kind::ParkedLog);
        put_bytes(&mut out, self.key.as_bytes());
        if let Some((at, reason)) = &self.parked {
            put_varint_i64(&mut out, at.ms());
            put_bytes(&mut out, reason.as_bytes());
        }
        wire::seal(&mut out);
        out
    }

    /// Decodes a note.
    ///
    /// # Errors
    /// [`Corrupt`] if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::ParkedLog)?;
        let key = input.text("a key")?.to_owned();
        if input.is_done() {
            return Ok(Self { key, parked: None });
        }
        let at = Timestamp::from_ms(input.instant("a time")?).ok_or(input.invalid("a time"))?;
        let reason = input.text("a reason")?.to_owned();
        if !input.is_done() {
            return Err(input.invalid("bytes after the reason"));
        }
        Ok(Self { key, parked: Some((at, reason)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_back() {
        let parked = LogMark::Parked { at_ms: 1_772_000_000_000, reason: "a wrong checksum".into() };
        for mark in [
            parked,
            LogMark::Resumed,
            LogMark::Restarted,
            LogMark::Emptied,
            LogMark::Fenced(Epoch(0)),
            LogMark::Fenced(Epoch(u64::MAX)),
        ] {
            assert_eq!(LogMark::decode(&mark.encode()), Some(mark));
        }
        assert_eq!(LogMark::decode(&encode_records([])), None);
        assert_eq!(LogMark::decode(b""), None);
    }

    #[test]
    fn bytes_after_a_mark_or_a_note_are_refused() {
        let mut mark = Vec::new();
        wire::begin(&mut mark, Kind::LogMark);
        mark.extend([tag::RESUMED, 0]);
        wire::seal(&mut mark);
        assert_eq!(LogMark::decode(&mark), None);
        let mut note = Vec::new();
        wire::begin(&mut note, Kind::ParkedLog);
        note.extend(*b"\x01k\x0a\x01r\x00");
        wire::seal(&mut note);
        assert!(ParkedLogNote::decode(&note).is_err());
    }

    #[test]
    fn a_parked_record_whose_sequence_number_begins_with_zeros_is_refused() {
        for (digits, is_valid) in [("7", true), ("07", false)] {
            let mut records = Vec::new();
            wire::begin(&mut records, Kind::ParkedRecords);
            put_bytes(&mut records, digits.as_bytes());
            records.extend([0, 0]);
            wire::seal(&mut records);
            assert_eq!(decode_records(&records).is_ok(), is_valid, "{digits}");
        }
    }

    #[test]
    fn parked_records_read_back() {
        let sequences = [Sequence::from(7), Sequence::from(12)];
        let record = |number: usize| RecordRef {
            sequence: sequences[number].borrowed(),
            arrival_ms: 1_000,
            data: [&b"one"[..], b""][number],
        };
        let bytes = encode_records([record(0), record(1)]);
        let parked = |number: usize| ParkedRecord {
            sequence: sequences[number].clone(),
            arrival_ms: 1_000,
            data: record(number).data.to_vec(),
        };
        assert_eq!(decode_records(&bytes), Ok(vec![parked(0), parked(1)]));
        assert!(decode_records(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn notes_read_back() {
        let at = Timestamp::from_ms(1_772_000_000_000).unwrap();
        for parked in [None, Some((at, "why".to_owned()))] {
            let note = ParkedLogNote { key: "lanes-64/3".into(), parked };
            assert_eq!(ParkedLogNote::decode(&note.encode()), Ok(note));
        }
    }
}
