//! The contract of the log of market events.

use equilibrium_domain::id::LaneId;

use super::partitions::ordered_partitions;
use crate::ingest::ports::EventLog;
use crate::ingest::record_packer::MAX_RECORD_BYTES;

/// The contract of [`EventLog`], which must have at least [`super::STREAM_PARTS`] lanes. `read` returns all records of
/// a lane, in order.
///
/// # Panics
/// If the adapter breaks it.
pub async fn event_log(log: &impl EventLog, read: impl AsyncFn(LaneId) -> Vec<Vec<u8>>) {
    let put = async |part, record| log.put(LaneId(part), record).await;
    ordered_partitions(put, async |part| read(LaneId(part)).await, MAX_RECORD_BYTES).await;
}
