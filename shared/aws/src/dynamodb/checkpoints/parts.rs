//! Entries and snapshots that are larger than an item: parts in items of their own.
//!
//! Each part has a partition key of its own, so that the parts of one snapshot are spread over the partitions of the
//! table: a partition takes 1,000 write units a second, which is less than three parts ("Quotas in Amazon DynamoDB").

use std::io::{Read, Write};
use std::time::Duration;

use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_app::unavailable::Unavailable;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::sleep;

use super::{ENTRY, MAX_CONCURRENT_REQUESTS, key};
use crate::dynamodb::item::{EXPIRES, Item, bytes, number, take_bytes};
use crate::dynamodb::table::Table;
use crate::retry::log_unavailable;

/// Bytes of a part. DynamoDB's limit of 409 600 includes names and keys ("Quotas in Amazon DynamoDB").
const MAX_PART_BYTES: usize = 400_000;

/// The pause before a part that the table does not take is written again: a new on-demand table takes 4,000 write
/// units a second, ten parts.
const PART_BACKOFF: Duration = Duration::from_millis(200);

/// The parts of an entry or snapshot.
#[derive(Debug)]
pub(super) struct Parts {
    /// The beginning of the partition keys.
    prefix: String,
    count: u64,
}

impl Parts {
    /// The parts that the call with the token `writer` writes of `content`, beside entry `number` of the log.
    pub(super) fn of(log: &CheckpointKey, number: u64, writer: &str, content: &[u8]) -> Self {
        Self::new(log, number, writer, content.len().div_ceil(MAX_PART_BYTES) as u64)
    }

    pub(super) fn new(log: &CheckpointKey, number: u64, writer: &str, count: u64) -> Self {
        Self { prefix: format!("{log}#{number}#{writer}"), count }
    }

    /// The keys of the parts, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = Item> {
        (0..self.count).map(|index| self.key(index))
    }

    fn key(&self, index: u64) -> Item {
        key(format!("{}#{index}", self.prefix), 0)
    }

    async fn write_part(
        &self,
        table: &Table,
        (index, content): (u64, &[u8]),
        expires: u64,
    ) -> Result<(), Unavailable> {
        let start = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(MAX_PART_BYTES);
        let part = &content[start..content.len().min(start + MAX_PART_BYTES)];
        let mut item = self.key(index);
        item.insert(ENTRY.into(), bytes(part));
        item.insert(EXPIRES.into(), number(expires));
        let put = table.put_item(item).send().await;
        put.map(drop).map_err(|error| log_unavailable("PutItem", &error))
    }

    /// Writes the parts, and returns their number. No reader sees them before an entry names them.
    pub(super) async fn write(
        &self,
        table: &Table,
        content: &[u8],
        expires: u64,
    ) -> Result<u64, Unavailable> {
        let writes =
            (0..self.count).map(async |index| self.write_part(table, (index, content), expires).await);
        let writes = stream::iter(writes).buffer_unordered(MAX_CONCURRENT_REQUESTS);
        writes.try_for_each(async |()| Ok(())).await?;
        Ok(self.count)
    }

    /// As [`Self::write`], but a part that cannot be written is written again, until the caller gives up.
    pub(super) async fn write_patiently(
        &self,
        table: &Table,
        content: &[u8],
        expires: u64,
    ) -> Result<u64, Unavailable> {
        let writes = (0..self.count).map(async |index| {
            while self.write_part(table, (index, content), expires).await.is_err() {
                sleep(PART_BACKOFF).await;
            }
        });
        stream::iter(writes).buffer_unordered(MAX_CONCURRENT_REQUESTS).collect::<()>().await;
        Ok(self.count)
    }

    /// Reads the parts; `None` where one is missing.
    pub(super) async fn read(&self, table: &Table) -> Result<Option<Vec<u8>>, Unavailable> {
        let reads = (0..self.count).map(async |index| {
            let read = table.get_item(self.key(index)).send().await;
            let read = read.map_err(|error| log_unavailable("GetItem", &error))?;
            Ok(read.item.and_then(|mut item| take_bytes(&mut item, ENTRY)))
        });
        let parts: Vec<Option<Vec<u8>>> =
            stream::iter(reads).buffered(MAX_CONCURRENT_REQUESTS).try_collect().await?;
        Ok(parts.into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.concat()))
    }
}

/// Compresses a snapshot, quickly: sorted counts shrink to a third.
pub(super) fn deflate(snapshot: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(snapshot.len() / 2), Compression::fast());
    encoder.write_all(snapshot).and_then(|()| encoder.finish()).expect("a vector accepts every write")
}

/// Decompresses a snapshot; `None` if it is not one.
pub(super) fn inflate(deflated: &[u8]) -> Option<Vec<u8>> {
    let mut snapshot = Vec::with_capacity(deflated.len() * 3);
    DeflateDecoder::new(deflated).read_to_end(&mut snapshot).ok()?;
    Some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deflated_snapshot_is_inflated() {
        let counts: Vec<u8> = (0..100_000_u32).flat_map(|n| [(n % 7) as u8, 0, 1]).collect();
        let deflated = deflate(&counts);
        assert!(deflated.len() * 3 < counts.len(), "{}", deflated.len());
        assert_eq!(inflate(&deflated), Some(counts));
        assert_eq!(inflate(&deflated[..deflated.len() - 1]), None);
        assert_eq!(inflate(&deflate(b"")), Some(Vec::new()));
    }
}
