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

    let lane = LaneId(0);
    let before = read(lane).await;
    let records: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; 3]).collect();
    log.put_all(lane, records.clone()).await.expect("the log is available");
    assert_eq!(
        read(lane).await,
        [before, records].concat(),
        "records that are put together keep their order"
    );
}
