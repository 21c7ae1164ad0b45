//! What one process keeps: logs, checkpoints and maps, all in memory and, where it has a folder, on disk.
//!
//! What changes is written behind, group by group, each in one transaction: what is found again is what the
//! process knew at one moment. Only events are waited for: they are in the log, and seen by `count`, once
//! they are on disk. A group that cannot be written is tried again until it can; meanwhile no event is
//! taken.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;

use crate::stream_log::StreamLog;
use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::map::MapHead;
use equilibrium_event_source::record::Position;
use equilibrium_lambda::kinesis::record::ShardId;
use tokio::sync::{Notify, oneshot};

use crate::database::{Changes, Contents, Disk, Row};
use crate::record_batch;
use crate::record_batch::Record;
use crate::state::{PendingWrites, Put, Shared, State};
use crate::write_behind;
use equilibrium_app::clock::Clock;
use equilibrium_app::ingest::record_packer::RecordSink;

/// Groups of cities in the log of counts.
pub const GROUPS: u32 = 16;

/// Most bytes of events that wait to be counted: some seconds' worth at the rate at which they are counted.
pub const BACKLOG_BYTES: usize = 64 << 20;

/// How long an event waits for room.
const BACKPRESSURE_TIMEOUT: Duration = Duration::from_secs(2);

/// Everything kept; clones are the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

impl Store {
    /// A store in memory.
    #[must_use]
    pub fn in_memory(lanes: LaneCount, clock: Clock) -> Self {
        Self::of(lanes, clock, State::default())
    }

    /// A store of `lanes` on `disk` that goes on from what was found there.
    #[must_use]
    pub fn on_disk(lanes: LaneCount, clock: Clock, disk: Disk, contents: Contents) -> Self {
        let Contents { logs, maps, events, counts, marks } = contents;
        let groups = events.iter().map(|(first, group)| (*first, first + group.len() as u64 - 1)).collect();
        let counts_from = counts.first().map_or(marks.counts + 1, |(number, _)| *number);
        let changes = Changes { marks, ..Changes::default() };
        let ledger = PendingWrites { changes, groups, counts_from, ..PendingWrites::default() };
        let store = Self::of(lanes, clock, State { logs, maps, ledger: Some(ledger) });
        for (number, record) in numbered(events) {
            store.0.enter(number, record);
        }
        for (number, Record { place, arrival_ms, data }) in numbered(counts) {
            let put =
                store.0.counts.put_numbered(number, hash_key(place), group_key(place), data, arrival_ms);
            put.expect("rows come in the order of their numbers");
        }
        store.0.events.number_behind(marks.event);
        store.0.counts.number_behind(marks.counts);
        let shared = Arc::clone(&store.0);
        *store.0.writer.lock() = Some(std::thread::spawn(move || write_behind::write_behind(&shared, disk)));
        store
    }

    fn of(lanes: LaneCount, clock: Clock, kept: State) -> Self {
        Self(Arc::new(Shared {
            lanes,
            clock,
            events: Arc::new(StreamLog::new(1)),
            counts: Arc::new(StreamLog::new(1)),
            kept: Mutex::new(kept),
            changed: Condvar::new(),
            arrived: Notify::new(),
            room: Notify::new(),
            writer: Mutex::default(),
        }))
    }

    /// Its lanes.
    #[must_use]
    pub fn lanes(&self) -> LaneCount {
        self.0.lanes
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// The log of events that are to be counted.
    #[must_use]
    pub fn events(&self) -> &Arc<StreamLog> {
        &self.0.events
    }

    /// The log of counts that are to be priced.
    #[must_use]
    pub fn counts(&self) -> &Arc<StreamLog> {
        &self.0.counts
    }

    /// Ends once events have arrived since the last call.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Puts a record into the event log of a store in memory, which needs no waiting.
    pub fn put_at_once(&self, lane: LaneId, data: Vec<u8>) {
        let number =
            self.0.events.put(lane.hash_key(self.0.lanes), lane.to_string(), data, self.0.clock.arrival_ms());
        number.expect("a log in memory is open until it is dropped");
        self.0.arrived.notify_one();
    }

    /// Lets go of events that were counted.
    pub fn trim_events<'a>(&self, positions: impl Iterator<Item = (&'a ShardId, &'a Position)>) {
        for (shard, position) in positions {
            self.0.events.trim(shard, position);
            self.0.room.notify_waiters();
            let Some(done) = number(position) else { continue };
            let mut kept = self.0.kept.lock();
            let Some(ledger) = &mut kept.ledger else { continue };
            while let Some((first, _)) = ledger.groups.pop_front_if(|(_, last)| *last <= done) {
                ledger.changes.rows.insert(Row::Events(first), None);
                self.0.changed.notify_one();
            }
        }
    }

    /// Lets go of counts that were priced.
    pub fn trim_counts<'a>(&self, positions: impl Iterator<Item = (&'a ShardId, &'a Position)>) {
        for (shard, position) in positions {
            self.0.counts.trim(shard, position);
            let Some(done) = number(position) else { continue };
            let mut kept = self.0.kept.lock();
            let Some(ledger) = &mut kept.ledger else { continue };
            if ledger.counts_from <= done {
                let rows = (ledger.counts_from..=done).map(|number| (Row::Counts(number), None));
                ledger.changes.rows.extend(rows);
                ledger.counts_from = done + 1;
                self.0.changed.notify_one();
            }
        }
    }

    /// Waits until counting has kept up.
    async fn wait_for_capacity(&self) -> Result<(), Unavailable> {
        let has_room = || self.0.events.bytes() < BACKLOG_BYTES;
        if has_room() {
            return Ok(());
        }
        let room = async {
            loop {
                let counted = self.0.room.notified();
                if has_room() {
                    return;
                }
                counted.await;
            }
        };
        tokio::time::timeout(BACKPRESSURE_TIMEOUT, room).await.map_err(|_| Unavailable)
    }

    /// Why nothing can be written to disk just now, if so.
    #[must_use]
    pub fn write_error(&self) -> Option<Arc<str>> {
        self.0.kept.lock().ledger.as_ref()?.trouble.clone()
    }

    /// Writes what is left and lets the disk go. Nothing is kept afterwards.
    pub fn close(&self) {
        if let Some(ledger) = &mut self.0.kept.lock().ledger {
            ledger.closing = true;
        }
        self.0.changed.notify_one();
        if let Some(writer) = self.0.writer.lock().take() {
            // A writer that panicked has said so.
            drop(writer.join());
        }
    }
}

impl EventLog for Store {
    async fn put(&self, lane: LaneId, data: Vec<u8>) -> Result<(), Unavailable> {
        self.wait_for_capacity().await?;
        let kept = {
            let mut kept = self.0.kept.lock();
            let Some(ledger) = &mut kept.ledger else {
                drop(kept);
                self.put_at_once(lane, data);
                return Ok(());
            };
            if ledger.trouble.is_some() || ledger.closing {
                return Err(Unavailable);
            }
            let record = Record { place: u32::from(lane.0), arrival_ms: self.0.clock.arrival_ms(), data };
            let (sender, kept) = oneshot::channel();
            ledger.puts.push(Put { record, kept: sender });
            self.0.changed.notify_one();
            kept
        };
        kept.await.map_err(|_| Unavailable)
    }
}

impl RecordSink for Store {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        self.put_at_once(lane, record);
    }
}

impl CountsStream for Store {
    async fn send(&self, group: u32, data: Vec<u8>) -> Result<(), Unavailable> {
        let mut kept = self.0.kept.lock();
        let arrival_ms = self.0.clock.arrival_ms();
        let row = kept.ledger.is_some().then(|| {
            let record = Record { place: group, arrival_ms, data: data.clone() };
            record_batch::encode(std::iter::once(&record))
        });
        let number = self.0.counts.put(hash_key(group), group_key(group), data, arrival_ms);
        let number = number.map_err(|_| Unavailable)?;
        if let Some((ledger, row)) = kept.ledger.as_mut().zip(row) {
            ledger.changes.rows.insert(Row::Counts(number), Some(row));
            ledger.changes.marks.counts = number;
            self.0.changed.notify_one();
        }
        Ok(())
    }
}

impl CheckpointLog for Store {
    async fn load(&self, log: &CheckpointKey) -> Result<Vec<Vec<u8>>, Unavailable> {
        Ok(self.0.kept.lock().logs.entries(log).to_vec())
    }

    async fn append(
        &self,
        log: &CheckpointKey,
        number: u64,
        entry: &[u8],
        snapshot: bool,
    ) -> Result<(), AppendError> {
        let mut kept = self.0.kept.lock();
        let let_go = kept.logs.append(log, number, entry.to_vec(), snapshot)?;
        if let Some(ledger) = &mut kept.ledger {
            let rows = let_go.map(|number| (Row::Entry(log.clone(), number), None));
            ledger.changes.rows.extend(rows);
            ledger.changes.rows.insert(Row::Entry(log.clone(), number), Some(entry.to_vec()));
            self.0.changed.notify_one();
        }
        Ok(())
    }
}

impl MapStore for Store {
    async fn save_chunk(
        &self,
        city: &CityId,
        parent: u64,
        version: u64,
        chunk: &[u8],
    ) -> Result<(), Unavailable> {
        let mut kept = self.0.kept.lock();
        kept.maps.save_chunk(city, (parent, version), chunk.to_vec());
        if let Some(ledger) = &mut kept.ledger {
            let row = Row::Chunk(city.clone(), (parent, version));
            ledger.changes.rows.insert(row, Some(chunk.to_vec()));
            self.0.changed.notify_one();
        }
        Ok(())
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let mut kept = self.0.kept.lock();
        let Some(let_go) = kept.maps.save_head(head) else { return Ok(()) };
        if let Some(ledger) = &mut kept.ledger {
            let rows = let_go.into_iter().map(|name| (Row::Chunk(head.city.clone(), name), None));
            ledger.changes.rows.extend(rows);
            ledger.changes.rows.insert(Row::Head(head.city.clone()), Some(head.encode()));
            self.0.changed.notify_one();
        }
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        Ok(self.0.kept.lock().maps.head(city).cloned())
    }

    async fn chunk(&self, city: &CityId, parent: u64, version: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.0.kept.lock().maps.chunk(city, (parent, version)).map(<[u8]>::to_vec))
    }
}

fn numbered(groups: Vec<(u64, Vec<Record>)>) -> impl Iterator<Item = (u64, Record)> {
    groups.into_iter().flat_map(|(first, group)| (first..).zip(group))
}

/// Where a group of cities lies in the log of counts.
fn hash_key(group: u32) -> u128 {
    u128::MAX / u128::from(GROUPS) * u128::from(group)
}

fn group_key(group: u32) -> String {
    group.to_string()
}

/// The last record that is done; none where nothing or, with the log, everything is.
fn number(position: &Position) -> Option<u64> {
    match position {
        Position::After(sequence) => sequence.as_str().parse().ok(),
        Position::Oldest | Position::End => None,
    }
}

#[cfg(test)]
mod tests;
