//! The tables of the past in the database, and reads of them.

use std::sync::Arc;

use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_app::history::ports::HISTORY_MS;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::history::HistoryKey;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition};

/// The past could not be read.
#[derive(Debug)]
pub(crate) struct ReadError;

impl<E: Into<redb::Error>> From<E> for ReadError {
    fn from(_: E) -> Self {
        Self
    }
}

type Bytes = &'static [u8];

/// Packed segments of cities' logs, by log and first entry: the newest closed tick before them, and their content.
pub(crate) const SEGMENTS: TableDefinition<'_, (&str, u64), Bytes> = TableDefinition::new("segments");

/// Items of histories, by city, last tick and part.
pub(crate) const HISTORY: TableDefinition<'_, (&str, i64, u32), Bytes> = TableDefinition::new("history");

/// Items that expire beside one that is saved, at most: more than one, so that the table becomes no longer.
const MAX_EXPIRED: usize = 4;

/// Reads the past from the database.
#[derive(Clone, Debug)]
pub struct PastReader(pub(crate) Arc<redb::Database>);

impl PastReader {
    fn begin(&self) -> Result<ReadTransaction, ReadError> {
        Ok(self.0.begin_read()?)
    }

    pub(crate) fn segment(&self, key: &CheckpointKey, first: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let table = self.begin()?.open_table(SEGMENTS)?;
        let segment = table.get((key.to_string().as_str(), first))?;
        Ok(segment.and_then(|row| read_segment_row(row.value()).map(|(_, packed)| packed.to_vec())))
    }

    pub(crate) fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, ReadError> {
        let table = self.begin()?.open_table(HISTORY)?;
        let city = city.as_str();
        let mut items = Vec::new();
        for item in table.range((city, from.at, from.part)..=(city, i64::MAX, u32::MAX))?.take(limit) {
            let (key, item) = item?;
            let (_, at, part) = key.value();
            items.push((HistoryKey { at, part }, item.value().to_vec()));
        }
        Ok(items)
    }
}

/// Puts an item into the table, and removes some that have expired.
pub(crate) fn put_history(
    table: &mut Table<'_, (&'static str, i64, u32), Bytes>,
    city: &str,
    key: HistoryKey,
    item: &[u8],
) -> Result<(), StorageError> {
    table.insert((city, key.at, key.part), item)?;
    let oldest = key.at.saturating_sub(HISTORY_MS);
    let mut expired = Vec::new();
    for item in table.range((city, i64::MIN, 0)..(city, oldest, 0))?.take(MAX_EXPIRED) {
        let (_, at, part) = item?.0.value();
        expired.push((at, part));
    }
    for (at, part) in expired {
        table.remove((city, at, part))?;
    }
    Ok(())
}

/// The content of a row of a segment: the newest closed tick before it, and the packed bytes.
pub(crate) fn segment_row(as_of: Option<i64>, packed: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(9 + packed.len());
    row.push(u8::from(as_of.is_some()));
    row.extend_from_slice(&as_of.unwrap_or(0).to_le_bytes());
    row.extend_from_slice(packed);
    row
}

/// What [`segment_row`] wrote.
pub(crate) fn read_segment_row(row: &[u8]) -> Option<(Option<i64>, &[u8])> {
    let (is_known, row) = row.split_first()?;
    let (as_of, packed) = row.split_first_chunk()?;
    Some(((*is_known == 1).then_some(i64::from_le_bytes(*as_of)), packed))
}
