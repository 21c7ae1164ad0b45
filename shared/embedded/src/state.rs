//! The state that a store shares with its writer thread.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use equilibrium_app::clock::Clock;
use equilibrium_app::memory::{DayTable, Histories, Logs, Maps, OverrideTable, RecoveryTable};
use equilibrium_domain::id::{LaneCount, LaneId};
use tokio::sync::{Notify, oneshot};

use crate::confirmed_quotes::ConfirmedQuotes;
use crate::database::Changes;
use crate::past_tables::PastReader;
use crate::policies::StoredPolicies;
use crate::record_batch::StoredRecord;
use crate::stream_log::StreamLog;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) lanes: LaneCount,
    pub(crate) clock: Clock,
    pub(crate) events: Arc<StreamLog>,
    pub(crate) counts: Arc<StreamLog>,
    pub(crate) state: Mutex<State>,
    /// Reads from the database, while it is open.
    pub(crate) past: Mutex<Option<PastReader>>,
    /// Signals the writer: there is something to write, or the store is closing.
    pub(crate) changed: Condvar,
    /// Signals that events are there to be counted.
    pub(crate) arrived: Notify,
    /// Signals that events were counted and the backlog has shrunk.
    pub(crate) trimmed: Notify,
    pub(crate) writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) logs: Logs,
    pub(crate) maps: Maps,
    pub(crate) policies: StoredPolicies,
    pub(crate) overrides: OverrideTable,
    pub(crate) quotes: ConfirmedQuotes,
    pub(crate) recoveries: RecoveryTable,
    /// The figures of days.
    pub(crate) days: DayTable,
    /// The histories, or of those on disk what is not there yet.
    pub(crate) histories: Histories,
    /// Whether the store keeps logs and histories for those who ask about the past.
    pub(crate) keeps_past: bool,
    /// `None` for a store in memory.
    pub(crate) pending: Option<PendingWrites>,
}

/// What is not on disk yet.
#[derive(Debug, Default)]
pub(crate) struct PendingWrites {
    pub(crate) changes: Changes,
    pub(crate) events: Vec<PendingEvent>,
    /// Receive `()` once the changes are on disk; dropped if the write failed.
    pub(crate) written: Vec<oneshot::Sender<()>>,
    /// First and last number of each row of events on disk.
    pub(crate) event_rows: VecDeque<(u64, u64)>,
    /// Number of the first record of counts that was not removed.
    pub(crate) first_counts: u64,
    /// Why the last write failed; `None` after a successful one.
    pub(crate) write_error: Option<Arc<str>>,
    pub(crate) closing: bool,
}

/// A record on its way into the event log.
#[derive(Debug)]
pub(crate) struct PendingEvent {
    pub(crate) record: StoredRecord,
    /// Receives `()` once the record and those before it are on disk; dropped if the write failed. Of records that were
    /// put together, the last has one.
    pub(crate) written: Option<oneshot::Sender<()>>,
}

impl Shared {
    /// Appends a record that is on disk to the event log, from which `count` reads.
    pub(crate) fn append_event(&self, number: u64, record: StoredRecord) {
        // The lane of every record was written as a `u16`.
        let lane = LaneId(u16::try_from(record.partition).unwrap_or(u16::MAX));
        let (key, arrival_ms) = (lane.hash_key(self.lanes), record.arrival_ms);
        let put = self.events.put_numbered(number, key, lane.to_string(), record.data, arrival_ms);
        put.expect("numbers grow, and the log is open until it is dropped");
    }
}
