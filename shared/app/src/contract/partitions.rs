//! The part of the contract that all streams share: each partition keeps its records, whole and in order.

use std::fmt::Debug;

use futures_util::future::join_all;

use super::without_repeats;

/// The number of partitions (lanes, groups, cities) that a stream needs at least for its contract suite, which sends
/// to all of them at once.
pub const STREAM_PARTS: u16 = 16;

/// Checks a stream of which `put` sends to a partition and `read` returns all records of one, in order. `largest` is
/// the size of the largest record.
pub(super) async fn ordered_partitions<E: Debug>(
    put: impl AsyncFn(u16, Vec<u8>) -> Result<(), E>,
    read: impl AsyncFn(u16) -> Vec<Vec<u8>>,
    largest: usize,
) {
    let put =
        async |part, record: &[u8]| put(part, record.to_vec()).await.expect("the stream accepts a record");
    let mut parts = vec![Vec::new(); usize::from(STREAM_PARTS)];

    put(3, b"\n").await;
    parts[3].push(b"\n".to_vec());
    assert_eq!(without_repeats(read(3).await), parts[3], "an acknowledged record is readable at once");

    // The largest record, every byte, and text.
    let bytes: Vec<u8> = (0..=255).collect();
    let full: Vec<u8> = bytes.iter().rev().copied().cycle().take(largest).collect();
    for record in [&full[..], b"0", &bytes, "{\"place\":\"Zürich\"}\n".as_bytes(), b"\0", &full[1..]] {
        put(5, record).await;
        parts[5].push(record.to_vec());
    }
    check(&parts, &read).await;

    join_all((0..STREAM_PARTS).map(async |part| {
        for number in 0..9 {
            put(part, format!("{part} {number}").as_bytes()).await;
        }
    }))
    .await;
    for (part, records) in (0..STREAM_PARTS).zip(&mut parts) {
        records.extend((0..9).map(|number| format!("{part} {number}").into_bytes()));
    }
    check(&parts, &read).await;
}

/// Checks that each partition holds its own records, whole and in order, and no others.
async fn check(parts: &[Vec<Vec<u8>>], read: &impl AsyncFn(u16) -> Vec<Vec<u8>>) {
    for (part, records) in (0..STREAM_PARTS).zip(parts) {
        let found = without_repeats(read(part).await);
        let same = found.iter().zip(records).take_while(|(found, put)| found == put).count();
        assert_eq!(same, records.len(), "partition {part}: a record was lost, changed or overtaken");
        assert_eq!(found.len(), records.len(), "partition {part}: a record of another partition");
    }
}
