//! What the store keeps of the past: on disk where there is a database, and in memory until it is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_app::checkpoint::ports::{CheckpointKey, Loaded, PastLog};
use equilibrium_app::history::ports::{HISTORY_MS, HistoryStore};
use equilibrium_app::memory::{FoundPast, PackedSegment};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::city_pricing::Segment;
use equilibrium_domain::surge::history::HistoryKey;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition};

use crate::database::{Row, WriteError};
use crate::state::State;
use crate::store::Store;

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
    fn begin(&self) -> Result<ReadTransaction, WriteError> {
        Ok(self.0.begin_read()?)
    }

    fn segment(&self, key: &CheckpointKey, first: u64) -> Result<Option<Vec<u8>>, WriteError> {
        let table = self.begin()?.open_table(SEGMENTS)?;
        let segment = table.get((key.to_string().as_str(), first))?;
        Ok(segment.and_then(|row| read_segment_row(row.value()).map(|(_, packed)| packed.to_vec())))
    }

    fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, WriteError> {
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

impl State {
    /// Has the database alone hold what has been written to it.
    pub(crate) fn forget_written<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) {
        for row in rows {
            match row {
                Row::Segment(key, first) => self.logs.forget_content(key, *first),
                Row::History(city, key) => self.histories.remove(city, *key),
                _ => {}
            }
        }
    }
}

impl Store {
    /// Archives a segment that is due.
    pub(crate) fn archive(&self, key: &CheckpointKey, segment: &Segment) {
        let packed = PackedSegment::of(segment);
        let (first, bytes) = (segment.first, Arc::clone(&packed.bytes));
        let mut state = self.shared().state.lock();
        let archived = state.logs.archive(key, packed);
        if archived.entries.is_empty() {
            return;
        }
        let Some(pending) = &mut state.pending else { return };
        let rows = &mut pending.changes.rows;
        rows.insert(Row::Segment(key.clone(), first), Some(segment_row(archived.as_of, &bytes)));
        rows.insert(Row::Snapshot(key.clone(), first), None);
        rows.extend(archived.entries.map(|number| (Row::Entry(key.clone(), number), None)));
        rows.extend(archived.expired.into_iter().map(|first| (Row::Segment(key.clone(), first), None)));
        self.shared().changed.notify_one();
    }

    fn past_reader(&self) -> Result<PastReader, Unavailable> {
        // Without one, the database could not be written to and is being opened again.
        self.shared().past.lock().clone().ok_or(Unavailable)
    }
}

/// The content of a row of a segment: the newest closed tick before it, and the packed bytes.
fn segment_row(as_of: Option<i64>, packed: &[u8]) -> Vec<u8> {
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

impl PastLog for Store {
    async fn load_past(&self, key: &CheckpointKey, tick: i64) -> Result<Option<Loaded>, Unavailable> {
        let found = self.shared().state.lock().logs.find_past(key, tick);
        let packed: Arc<[u8]> = match found {
            FoundPast::Nothing => return Ok(None),
            FoundPast::Loaded(loaded) => return Ok(Some(loaded)),
            FoundPast::Packed(packed) => packed,
            FoundPast::Elsewhere(first) => {
                let segment = self.past_reader()?.segment(key, first).map_err(|_| Unavailable)?;
                // It has expired meanwhile.
                let Some(segment) = segment else { return Ok(None) };
                segment.into()
            }
        };
        PackedSegment::unpack(&packed).map(Some).ok_or(Unavailable)
    }
}

impl HistoryStore for Store {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        let mut state = self.shared().state.lock();
        if !state.keeps_past {
            return Ok(());
        }
        state.histories.save(city, key, item.into());
        if let Some(pending) = &mut state.pending {
            pending.changes.rows.insert(Row::History(city.clone(), key), Some(item.to_vec()));
            self.shared().changed.notify_one();
        }
        Ok(())
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        let (unwritten, has_database) = {
            let state = self.shared().state.lock();
            (state.histories.items(city, from, limit), state.pending.is_some())
        };
        let unwritten = unwritten.into_iter().map(|(key, item)| (key, item.to_vec()));
        if !has_database {
            return Ok(unwritten.collect());
        }
        // Read second: what is no longer in memory is in the database.
        let written = self.past_reader()?.history(city, from, limit).map_err(|_| Unavailable)?;
        let items: BTreeMap<HistoryKey, Vec<u8>> = written.into_iter().chain(unwritten).collect();
        Ok(items.into_iter().take(limit).collect())
    }
}
