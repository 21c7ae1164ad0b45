//! Feeds a file's events to the log as `ingest` feeds live ones, by their own time alone.

use std::sync::Arc;

use equilibrium_app::book::PolicyBook;
use equilibrium_app::ingesting::{Feeder, Records, TimeRule};
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::time::Timestamp;

/// A feeder of replayed events that has fed nothing yet.
pub fn replayed<R: Records>(log: R, lanes: LaneCount, book: Arc<PolicyBook>) -> Feeder<R> {
    Feeder::new(log, lanes, book, Arc::default(), TimeRule::Replay)
}

/// When a replayed record arrives: so late that nothing is ever held back by it.
#[must_use]
pub fn arrival() -> i64 {
    Timestamp::END_OF_TIME.ms()
}
