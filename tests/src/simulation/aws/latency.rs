//! How long requests take.

use std::time::Duration;

use equilibrium_simulator::rng::SplitMix64;

/// Bytes of a body that a function sends in a millisecond: some 70 MB/s, what a function with a whole core has.
const BYTES_PER_MS: usize = 70_000;

/// The round trip of a request with a body of `bytes`: single-digit milliseconds for an item, as DynamoDB documents, more
/// for a transaction and for Kinesis, whose records are in three zones when it answers; one in a hundred takes five
/// times as long.
pub(super) fn of(operation: &str, bytes: usize, rng: &mut SplitMix64) -> Duration {
    let (least_us, most_us) = match operation {
        "GetItem" => (2_000, 5_000),
        "Query" | "BatchGetItem" => (3_000, 7_000),
        "PutItem" | "UpdateItem" => (4_000, 9_000),
        "TransactWriteItems" => (10_000, 20_000),
        _ => (10_000, 25_000),
    };
    let usual = rng.between(least_us, most_us);
    let round_trip = if rng.below(100) == 0 { usual * 5 } else { usual };
    let transfer = (bytes / BYTES_PER_MS) as u64;
    Duration::from_micros(u64::try_from(round_trip).unwrap_or(0)) + Duration::from_millis(transfer)
}
