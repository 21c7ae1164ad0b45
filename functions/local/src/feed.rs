//! Feeds a file's events to the log as `ingest` feeds live ones, by their own time alone.

use std::sync::Arc;

use equilibrium_app::ingesting::{RecordPacker, RecordSink, TimeRule};
use equilibrium_app::policy_set::PolicySet;
use equilibrium_domain::id::{LaneCount, LaneId};

use crate::store::Store;

/// A feeder of replayed events that has fed nothing yet.
pub fn replayed<R: RecordSink>(log: R, lanes: LaneCount, book: Arc<PolicySet>) -> RecordPacker<R> {
    RecordPacker::new(log, lanes, book, Arc::default(), TimeRule::Replay)
}

impl RecordSink for Store {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        self.put_at_once(lane, record);
    }
}
