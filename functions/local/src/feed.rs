//! Feeds a file's events to the log as `ingest` feeds live ones, by their own time alone.

use std::sync::Arc;

use equilibrium_app::book::PolicyBook;
use equilibrium_app::ingesting::{Feeder, Records, TimeRule};
use equilibrium_domain::id::{Lane, LaneCount};

use crate::store::Store;

/// A feeder of replayed events that has fed nothing yet.
pub fn replayed<R: Records>(log: R, lanes: LaneCount, book: Arc<PolicyBook>) -> Feeder<R> {
    Feeder::new(log, lanes, book, Arc::default(), TimeRule::Replay)
}

impl Records for Store {
    fn put(&mut self, lane: Lane, record: Vec<u8>) {
        self.put_at_once(lane, record);
    }
}
