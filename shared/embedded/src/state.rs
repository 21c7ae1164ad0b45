//! The state that a store and its writer share.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use equilibrium_app::clock::Clock;
use equilibrium_app::memory::{Logs, Maps};
use equilibrium_domain::id::{LaneCount, LaneId};
use tokio::sync::{Notify, oneshot};

use crate::database::Changes;
use crate::record_batch::Record;
use crate::stream_log::StreamLog;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) lanes: LaneCount,
    pub(crate) clock: Clock,
    pub(crate) events: Arc<StreamLog>,
    pub(crate) counts: Arc<StreamLog>,
    pub(crate) kept: Mutex<State>,
    /// Something is to be written, or the end has come.
    pub(crate) changed: Condvar,
    /// Something is to be counted.
    pub(crate) arrived: Notify,
    /// Something was counted.
    pub(crate) room: Notify,
    pub(crate) writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) logs: Logs,
    pub(crate) maps: Maps,
    /// None where there is no disk.
    pub(crate) ledger: Option<PendingWrites>,
}

/// What the disk does not know yet.
#[derive(Debug, Default)]
pub(crate) struct PendingWrites {
    pub(crate) changes: Changes,
    pub(crate) puts: Vec<Put>,
    /// First and last number of each group of events that was not let go.
    pub(crate) groups: VecDeque<(u64, u64)>,
    /// The number of the first record of counts that was not let go.
    pub(crate) counts_from: u64,
    /// Why nothing can be written just now.
    pub(crate) trouble: Option<Arc<str>>,
    pub(crate) closing: bool,
}

/// A record on its way into the event log.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) record: Record,
    pub(crate) kept: oneshot::Sender<()>,
}

impl Shared {
    /// Enters a record that is kept into the log that `count` reads.
    pub(crate) fn enter(&self, number: u64, record: Record) {
        // A lane's number is below 2¹⁶ wherever it was written.
        let lane = LaneId(u16::try_from(record.place).unwrap_or(u16::MAX));
        let (key, arrival_ms) = (lane.hash_key(self.lanes), record.arrival_ms);
        let put = self.events.put_numbered(number, key, lane.to_string(), record.data, arrival_ms);
        put.expect("numbers grow, and the log is open until it is dropped");
    }
}
