//! The contract of the counts stream.

use equilibrium_domain::count::city_group::CityGroup;
use equilibrium_domain::count::tick_counts::MAX_RECORD_BYTES;

use super::partitions::ordered_partitions;
use crate::count::ports::CountsStream;

/// The contract of [`CountsStream`], which must have at least [`super::STREAM_PARTS`] city groups. `read` returns all
/// records of a group, in order.
///
/// # Panics
/// If the adapter breaks it.
pub async fn counts_stream(counts: &impl CountsStream, read: impl AsyncFn(CityGroup) -> Vec<Vec<u8>>) {
    let put = async |part: u16, record| counts.send(CityGroup(part.into()), record).await;
    ordered_partitions(put, async |part: u16| read(CityGroup(part.into())).await, MAX_RECORD_BYTES).await;
}
