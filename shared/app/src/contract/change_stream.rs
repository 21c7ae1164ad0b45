//! The contract of the changes stream.

use equilibrium_domain::id::CityId;

use super::partitions::ordered_partitions;
use crate::surge::ports::ChangeStream;

/// The largest record that is sent: with its partition key it stays within the mebibyte that every stream accepts.
const MAX_RECORD_BYTES: usize = 1_000_000;

/// The contract of [`ChangeStream`]. `read` returns all records of a city, in order.
///
/// # Panics
/// If the adapter breaks it.
pub async fn change_stream(changes: &impl ChangeStream, read: impl AsyncFn(&CityId) -> Vec<Vec<u8>>) {
    let city = |part: u16| CityId::new(&format!("contract-{part}")).expect("well-formed");
    let put = async |part, record| changes.send(&city(part), record).await;
    ordered_partitions(put, async |part| read(&city(part)).await, MAX_RECORD_BYTES).await;
}
