//! Records that were put together, as one row holds them.

use equilibrium_domain::wire::{Corrupt, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// A record and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The lane of events, the group of cities of counts.
    pub place: u32,
    /// When it arrived, in milliseconds since the epoch.
    pub arrival_ms: i64,
    /// What it carries.
    pub data: Vec<u8>,
}

/// Beside its bytes a record takes a place, a time and a length, each of so many bytes at most.
const FRAME_BYTES: usize = 5 + 10 + 5;

/// The records as one row.
pub fn encode<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> Vec<u8> {
    let bytes = records.clone().map(|record| record.data.len() + FRAME_BYTES).sum();
    let mut row = Vec::with_capacity(bytes);
    for record in records {
        put_varint_u64(&mut row, u64::from(record.place));
        put_varint_i64(&mut row, record.arrival_ms);
        put_bytes(&mut row, &record.data);
    }
    row
}

/// The records of a row.
///
/// # Errors
/// [`Corrupt`] where it was not written so.
pub fn decode(row: &[u8]) -> Result<Vec<Record>, Corrupt> {
    let mut input = Reader::new(row);
    let mut records = Vec::new();
    while !input.is_done() {
        let place = input.varint_u32("a lane or group")?;
        let arrival_ms = input.varint_i64("an arrival")?;
        let data = input.bytes("a record")?.to_vec();
        records.push(Record { place, arrival_ms, data });
    }
    Ok(records)
}
