//! The contract of the changes stream.

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::MAX_CHANGES_RECORD_BYTES;

use super::partitions::ordered_partitions;
use crate::surge::ports::ChangeStream;

/// The contract of [`ChangeStream`]. `read` returns all records of a city, in order.
///
/// # Panics
/// If the adapter breaks it.
pub async fn change_stream(changes: &impl ChangeStream, read: impl AsyncFn(&CityId) -> Vec<Vec<u8>>) {
    let city = |part: u16| CityId::new(&format!("contract-{part}")).expect("well-formed");
    let put = async |part, record| changes.send(&city(part), record).await;
    ordered_partitions(put, async |part| read(&city(part)).await, MAX_CHANGES_RECORD_BYTES).await;
}
