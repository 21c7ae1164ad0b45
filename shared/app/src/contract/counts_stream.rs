//! The contract of the counts stream.

use equilibrium_domain::count::city_group::CityGroup;
use equilibrium_domain::count::tick_counts::MAX_RECORD_BYTES;
use equilibrium_domain::id::LaneId;

use super::partitions::ordered_partitions;
use crate::count::ports::CountsStream;

/// The contract of [`CountsStream`], which must have at least [`super::STREAM_PARTS`] lanes and city groups. Each lane
/// sends to a group of its own; `read` returns all records of both, in order.
///
/// # Panics
/// If the adapter breaks it.
pub async fn counts_stream(
    counts: &impl CountsStream,
    read: impl AsyncFn(LaneId, CityGroup) -> Vec<Vec<u8>>,
) {
    let put = async |part: u16, record| counts.send(LaneId(part), CityGroup(part.into()), record).await;
    let read = async |part: u16| read(LaneId(part), CityGroup(part.into())).await;
    ordered_partitions(put, read, MAX_RECORD_BYTES).await;
}
