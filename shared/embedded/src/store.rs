//! The store of one process: logs, checkpoints and maps, all in memory and, given a database, on disk.
//!
//! Changes are written behind, each batch in one transaction, so the database always holds the state of one moment.
//! Only events are waited for: they enter the event log, from which `count` reads, once they are on disk. A batch that
//! cannot be written is retried until it can; meanwhile no event is accepted.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::clock::Clock;
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::ingest::record_packer::RecordSink;
use equilibrium_app::memory::{Histories, Logs};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use equilibrium_event_source::record::Position;
use equilibrium_lambda::kinesis::record::ShardId;
use tokio::sync::{Notify, oneshot};

use crate::database::{Changes, Contents, Database, Row};
use crate::record_batch::{self, StoredRecord};
use crate::state::{PendingEvent, PendingWrites, Shared, State};
use crate::stream_log::StreamLog;
use crate::write_behind;

/// Number of city groups in the counts log.
pub const GROUPS: GroupCount = GroupCount::new(16).expect("there is at least one");

/// Most bytes of events that wait to be counted: the events of a few seconds at the rate at which they are counted.
pub const MAX_BACKLOG_BYTES: usize = 64 << 20;

/// How long a put waits for the backlog to shrink.
const BACKPRESSURE_TIMEOUT: Duration = Duration::from_secs(2);

/// The store; clones share its state.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Shared>);

impl Store {
    /// A store in memory, which keeps nothing of the past.
    #[must_use]
    pub fn in_memory(lanes: LaneCount, clock: Clock) -> Self {
        Self::with_state(lanes, clock, State::default())
    }

    /// A store in memory, which keeps the past for as long as its contracts say.
    #[must_use]
    pub fn in_memory_with_past(lanes: LaneCount, clock: Clock) -> Self {
        let state = State { logs: Logs::keeping_past(), keeps_past: true, ..State::default() };
        Self::with_state(lanes, clock, state)
    }

    /// A store that continues from the `contents` of `database` and writes its changes to it.
    #[must_use]
    pub fn on_disk(lanes: LaneCount, clock: Clock, database: Database, contents: Contents) -> Self {
        let Contents { logs, maps, policies, overrides, quotes, recoveries, days, events, counts, ends } =
            contents;
        let event_rows = events.iter().map(|(first, row)| (*first, first + row.len() as u64 - 1)).collect();
        let first_counts = counts.first().map_or(ends.counts + 1, |(number, _)| *number);
        let changes = Changes { ends, ..Changes::default() };
        let pending = PendingWrites { changes, event_rows, first_counts, ..PendingWrites::default() };
        let histories = Histories::default();
        let state = State {
            logs,
            maps,
            policies,
            overrides,
            quotes,
            recoveries,
            days,
            histories,
            keeps_past: true,
            pending: Some(pending),
        };
        let store = Self::with_state(lanes, clock, state);
        *store.0.past.lock() = Some(database.past());
        for (number, record) in numbered(events) {
            store.0.append_event(number, record);
        }
        for (number, StoredRecord { partition, arrival_ms, data }) in numbered(counts) {
            let group = CityGroup(partition);
            let (key, partition) = (group.hash_key(GROUPS), group.to_string());
            let put = store.0.counts.put_numbered(number, key, partition, data, arrival_ms);
            put.expect("rows are in the order of their numbers");
        }
        store.0.events.skip_numbers_to(ends.event);
        store.0.counts.skip_numbers_to(ends.counts);
        let shared = Arc::clone(&store.0);
        let writer = thread::spawn(move || write_behind::write_behind(&shared, database));
        *store.0.writer.lock() = Some(writer);
        store
    }

    fn with_state(lanes: LaneCount, clock: Clock, state: State) -> Self {
        Self(Arc::new(Shared {
            lanes,
            clock,
            events: Arc::new(StreamLog::new(1)),
            counts: Arc::new(StreamLog::new(1)),
            state: Mutex::new(state),
            past: Mutex::default(),
            changed: Condvar::new(),
            arrived: Notify::new(),
            trimmed: Notify::new(),
            writer: Mutex::default(),
        }))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// The number of lanes of the event log.
    #[must_use]
    pub fn lanes(&self) -> LaneCount {
        self.0.lanes
    }

    /// The process clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// The event log, from which `count` reads.
    #[must_use]
    pub fn events(&self) -> &Arc<StreamLog> {
        &self.0.events
    }

    /// The counts log, from which `surge` reads.
    #[must_use]
    pub fn counts(&self) -> &Arc<StreamLog> {
        &self.0.counts
    }

    /// The checkpoint logs of ranges of lanes and of cities.
    #[must_use]
    pub fn state_logs(&self) -> Vec<CheckpointKey> {
        let state = self.0.state.lock();
        let is_of_state = |key: &&CheckpointKey| match key {
            // Before the lanes doubled, others had logs of their own, which have ended.
            CheckpointKey::Lanes(range) => range.lane_count() == self.0.lanes,
            CheckpointKey::City(_) => true,
            CheckpointKey::ParkedRecords(_) | CheckpointKey::ParkedLogs => false,
        };
        state.logs.keys().filter(is_of_state).cloned().collect()
    }

    /// Completes once events have arrived since the last call.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Puts a record into the event log of a store in memory, without waiting for capacity.
    pub fn put_in_memory(&self, lane: LaneId, data: Vec<u8>) {
        let number =
            self.0.events.put(lane.hash_key(self.0.lanes), lane.to_string(), data, self.0.clock.arrival_ms());
        number.expect("a log in memory is open until it is dropped");
        self.0.arrived.notify_one();
    }

    /// Removes the events that `count` has processed.
    pub fn trim_events<'a>(&self, positions: impl Iterator<Item = (&'a ShardId, &'a Position)>) {
        for (shard, position) in positions {
            self.0.events.trim(shard, position);
            self.0.trimmed.notify_waiters();
            let Some(processed) = number(position) else { continue };
            let mut state = self.0.state.lock();
            let Some(pending) = &mut state.pending else { continue };
            while let Some((first, _)) = pending.event_rows.pop_front_if(|(_, last)| *last <= processed) {
                pending.changes.rows.insert(Row::Events(first), None);
                self.0.changed.notify_one();
            }
        }
    }

    /// Removes the counts that `surge` has processed.
    pub fn trim_counts<'a>(&self, positions: impl Iterator<Item = (&'a ShardId, &'a Position)>) {
        for (shard, position) in positions {
            self.0.counts.trim(shard, position);
            let Some(processed) = number(position) else { continue };
            let mut state = self.0.state.lock();
            let Some(pending) = &mut state.pending else { continue };
            if pending.first_counts <= processed {
                let removed = (pending.first_counts..=processed).map(|number| (Row::Counts(number), None));
                pending.changes.rows.extend(removed);
                pending.first_counts = processed + 1;
                self.0.changed.notify_one();
            }
        }
    }

    /// Waits until the backlog is below [`MAX_BACKLOG_BYTES`].
    async fn wait_for_capacity(&self) -> Result<(), Unavailable> {
        let has_capacity = || self.0.events.bytes() < MAX_BACKLOG_BYTES;
        if has_capacity() {
            return Ok(());
        }
        let capacity = async {
            loop {
                let trimmed = self.0.trimmed.notified();
                if has_capacity() {
                    return;
                }
                trimmed.await;
            }
        };
        tokio::time::timeout(BACKPRESSURE_TIMEOUT, capacity).await.map_err(|_| Unavailable)
    }

    /// The error of the last write to disk, if it failed.
    #[must_use]
    pub fn write_error(&self) -> Option<Arc<str>> {
        self.0.state.lock().pending.as_ref()?.write_error.clone()
    }

    /// Writes what is pending and closes the database. Later changes are not written.
    pub fn close(&self) {
        if let Some(pending) = &mut self.0.state.lock().pending {
            pending.closing = true;
        }
        self.0.changed.notify_one();
        if let Some(writer) = self.0.writer.lock().take() {
            // A panic of the writer has been printed.
            drop(writer.join());
            *self.0.past.lock() = None;
        }
    }
}

impl EventLog for Store {
    async fn put(&self, lane: LaneId, data: Vec<u8>) -> Result<(), Unavailable> {
        self.put_all(lane, vec![data]).await
    }

    /// All records are in one transaction.
    async fn put_all(&self, lane: LaneId, records: Vec<Vec<u8>>) -> Result<(), Unavailable> {
        self.wait_for_capacity().await?;
        if records.is_empty() {
            return Ok(());
        }
        let (written, on_disk) = oneshot::channel();
        {
            let mut state = self.0.state.lock();
            let Some(pending) = &mut state.pending else {
                drop(state);
                for record in records {
                    self.put_in_memory(lane, record);
                }
                return Ok(());
            };
            if pending.write_error.is_some() || pending.closing {
                return Err(Unavailable);
            }
            let (partition, arrival_ms) = (u32::from(lane.0), self.0.clock.arrival_ms());
            let records = records.into_iter().map(|data| StoredRecord { partition, arrival_ms, data });
            pending.events.extend(records.map(|record| PendingEvent { record, written: None }));
            if let Some(last) = pending.events.last_mut() {
                last.written = Some(written);
            }
            self.0.changed.notify_one();
        }
        on_disk.await.map_err(|_| Unavailable)
    }
}

impl RecordSink for Store {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        self.put_in_memory(lane, record);
    }
}

impl CountsStream for Store {
    async fn send(&self, _: LaneId, group: CityGroup, data: Vec<u8>) -> Result<(), SendError> {
        let mut state = self.0.state.lock();
        let arrival_ms = self.0.clock.arrival_ms();
        let row = state.pending.is_some().then(|| {
            let record = StoredRecord { partition: group.0, arrival_ms, data: data.clone() };
            record_batch::encode(std::iter::once(&record))
        });
        let number = self.0.counts.put(group.hash_key(GROUPS), group.to_string(), data, arrival_ms);
        let number = number.map_err(|_| Unavailable)?;
        if let Some((pending, row)) = state.pending.as_mut().zip(row) {
            pending.changes.rows.insert(Row::Counts(number), Some(row));
            pending.changes.ends.counts = number;
            self.0.changed.notify_one();
        }
        Ok(())
    }
}

impl CheckpointLog for Store {
    async fn load(&self, key: &CheckpointKey, next: Option<u64>) -> Result<Loaded, Unavailable> {
        Ok(self.0.state.lock().logs.load(key, next))
    }

    async fn append(&self, key: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        let mut state = self.0.state.lock();
        state.logs.append(key, entry)?;
        if let Some(pending) = &mut state.pending {
            let row = Row::Entry(key.clone(), entry.number);
            pending.changes.rows.insert(row, Some(entry.bytes.clone()));
            self.0.changed.notify_one();
        }
        Ok(())
    }

    async fn save_snapshot(
        &self,
        key: &CheckpointKey,
        number: u64,
        snapshot: &[u8],
    ) -> Result<(), Unavailable> {
        let due = {
            let mut state = self.0.state.lock();
            let Some(saved) = state.logs.save_snapshot(key, number, snapshot) else { return Ok(()) };
            if let Some(pending) = &mut state.pending {
                let rows = &mut pending.changes.rows;
                rows.extend(saved.snapshot.map(|number| (Row::Snapshot(key.clone(), number), None)));
                rows.extend(saved.entries.map(|number| (Row::Entry(key.clone(), number), None)));
                rows.insert(Row::Snapshot(key.clone(), number), Some(snapshot.to_vec()));
                self.0.changed.notify_one();
            }
            saved.due
        };
        // Packing takes a while: not while others wait for the state.
        due.iter().for_each(|segment| self.archive(key, segment));
        Ok(())
    }
}

impl MapStore for Store {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        let mut state = self.0.state.lock();
        state.maps.save_chunk(city, name, chunk.to_vec());
        if let Some(pending) = &mut state.pending {
            let row = Row::Chunk(city.clone(), name);
            pending.changes.rows.insert(row, Some(chunk.to_vec()));
            self.0.changed.notify_one();
        }
        Ok(())
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let mut state = self.0.state.lock();
        let Some(removed) = state.maps.save_head(head) else { return Ok(()) };
        if let Some(pending) = &mut state.pending {
            let rows = removed.into_iter().map(|name| (Row::Chunk(head.city.clone(), name), None));
            pending.changes.rows.extend(rows);
            pending.changes.rows.insert(Row::Head(head.city.clone()), Some(head.encode()));
            self.0.changed.notify_one();
        }
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        Ok(self.0.state.lock().maps.head(city).cloned())
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.0.state.lock().maps.chunk(city, name).map(<[u8]>::to_vec))
    }

    async fn save_frozen(&self, city: &CityId, start_ms: i64, map: &FrozenMap) -> Result<(), Unavailable> {
        let mut state = self.0.state.lock();
        let (is_saved, removed) = state.maps.save_frozen(city, start_ms, map);
        if let Some(pending) = &mut state.pending
            && is_saved
        {
            let rows = &mut pending.changes.rows;
            rows.extend(removed.into_iter().map(|start_ms| (Row::Frozen(city.clone(), start_ms), None)));
            rows.insert(Row::Frozen(city.clone(), start_ms), Some(map.encode()));
            self.0.changed.notify_one();
        }
        Ok(())
    }

    async fn frozen(&self, city: &CityId, start_ms: i64) -> Result<Option<FrozenMap>, Unavailable> {
        Ok(self.0.state.lock().maps.frozen(city, start_ms).cloned())
    }
}

fn numbered(rows: Vec<(u64, Vec<StoredRecord>)>) -> impl Iterator<Item = (u64, StoredRecord)> {
    rows.into_iter().flat_map(|(first, records)| (first..).zip(records))
}

/// The number of the last processed record; `None` before the first one and at the end of a closed shard.
fn number(position: &Position) -> Option<u64> {
    match position {
        Position::After(sequence) => sequence.as_str().parse().ok(),
        Position::Oldest | Position::End => None,
    }
}

#[cfg(test)]
mod tests;
