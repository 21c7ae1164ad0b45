//! What the store keeps of the past: on disk where there is a database, and in memory until it is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_app::checkpoint::ports::{CheckpointKey, Loaded, PastLog};
use equilibrium_app::history::ports::{HistoryStore, PastStores};
use equilibrium_app::memory::{FoundPast, PackedSegment};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::city_pricing::Segment;
use equilibrium_domain::surge::history::HistoryKey;

use crate::database::Row;
use crate::past_tables::{PastReader, segment_row};
use crate::state::State;
use crate::store::Store;

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

impl PastStores for Store {
    type Logs = Self;
    type Histories = Self;
    type Bounds = Self;

    fn logs(&self) -> &Self {
        self
    }

    fn histories(&self) -> &Self {
        self
    }

    fn bounds(&self) -> &Self {
        self
    }
}
