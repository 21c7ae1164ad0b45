//! The encoding of the records that one database row holds.

use equilibrium_domain::wire::{Corrupt, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// A record of one of the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The lane of events, or the city group of counts.
    pub partition: u32,
    /// Arrival, in milliseconds since the Unix epoch.
    pub arrival_ms: i64,
    /// The record's content.
    pub data: Vec<u8>,
}

/// Most bytes that partition, arrival and length add to a record's content.
const MAX_FRAME_BYTES: usize = 5 + 10 + 5;

/// Encodes records as one row.
pub fn encode<'a>(records: impl Iterator<Item = &'a StoredRecord> + Clone) -> Vec<u8> {
    let bytes = records.clone().map(|record| record.data.len() + MAX_FRAME_BYTES).sum();
    let mut row = Vec::with_capacity(bytes);
    for record in records {
        put_varint_u64(&mut row, u64::from(record.partition));
        put_varint_i64(&mut row, record.arrival_ms);
        put_bytes(&mut row, &record.data);
    }
    row
}

/// Decodes the records of a row.
///
/// # Errors
/// [`Corrupt`] if [`encode`] did not write the row.
pub fn decode(row: &[u8]) -> Result<Vec<StoredRecord>, Corrupt> {
    let mut input = Reader::new(row);
    let mut records = Vec::new();
    while !input.is_done() {
        let partition = input.varint_u32("a lane or group")?;
        let arrival_ms = input.varint_i64("an arrival")?;
        let data = input.bytes("a record")?.to_vec();
        records.push(StoredRecord { partition, arrival_ms, data });
    }
    Ok(records)
}
