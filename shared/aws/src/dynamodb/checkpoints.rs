//! Checkpoint logs: one item per entry, written conditionally. An entry that is larger than an item is stored
//! in parts, which become visible with it (ARCHITECTURE.md, "The checkpoint log").

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event_sourced::Entry;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::timeout_at;
use tracing::{Instrument, Span, error_span};

use super::item::{
    EXPIRES, Item, WRITER, WriterTokens, bytes, now_s, number, read_number, read_text, take_bytes, text,
};
use super::table::Table;
use super::{Connection, Tables};
use crate::resources::DEFAULT_RETENTION_HOURS;
use crate::retry::{log_unavailable, with_deadline};

const LOG: &str = "log";
const N: &str = "n";
const ENTRY: &str = "entry";
const PARTS: &str = "parts";
const SNAPSHOT: &str = "snapshot";

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Lifetime of an entry beyond the retention of the stream, in seconds: no record is delivered after its entry has
/// expired.
const ENTRY_EXTRA_TTL_S: u64 = DAY_S;

/// Lifetime of an entry with a snapshot beyond the retention, one day longer: the entries after it are useless without
/// it. They are written within two hours of it, because a snapshot is due every half minute, an instance trusts its state
/// for an hour, and [`Checkpoints::load`] renews entries older than [`RENEW_AFTER_S`] before any is appended.
const SNAPSHOT_EXTRA_TTL_S: u64 = 2 * DAY_S;

/// Parts expire this much later than the entry that names them: only the entry's expiry is checked.
const PART_EXTRA_TTL_S: u64 = HOUR_S;

/// Loading renews the lifetime of entries that are older than this.
const RENEW_AFTER_S: u64 = HOUR_S;

/// Bytes of an entry in one item. DynamoDB's limit of 409 600 includes names and keys ("Quotas in Amazon
/// DynamoDB"); the log's key and the writer's token need 200.
const MAX_ITEM_BYTES: usize = 400_000;

/// Concurrent requests for parts of one entry: as many as the bandwidth of a function serves.
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// Items per page of a query. A snapshot is due every half minute and a batch arrives about every second, so
/// the first page usually contains the newest snapshot.
const PAGE_ITEMS: i32 = 40;

/// Checkpoint logs in a table.
///
/// A caller of `append` must have loaded or written the entry before: its existence is not checked.
#[derive(Debug)]
pub struct Checkpoints {
    table: Table,
    writers: WriterTokens,
    /// How long the stream keeps a record, in seconds.
    retention_s: u64,
}

/// The item of an entry.
#[derive(Debug)]
struct StoredEntry {
    number: u64,
    snapshot: bool,
    expires: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Whole(Vec<u8>),
    Parts { prefix: String, count: u64 },
}

/// Outcome of the request to write an entry.
enum WriteOutcome {
    Ours,
    Conflict,
    Unknown,
}

impl Checkpoints {
    /// The checkpoint logs in these tables, of streams with the default retention.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        let table = Table::new(connection, &tables.checkpoints);
        let retention_s = u64::from(DEFAULT_RETENTION_HOURS) * HOUR_S;
        Self { table, writers: WriterTokens::default(), retention_s }
    }

    /// The same logs, of streams that keep a record for so many hours.
    #[must_use]
    pub fn with_retention_hours(self, hours: u32) -> Self {
        Self { retention_s: u64::from(hours) * HOUR_S, ..self }
    }

    fn ttl_s(&self, snapshot: bool) -> u64 {
        self.retention_s + if snapshot { SNAPSHOT_EXTRA_TTL_S } else { ENTRY_EXTRA_TTL_S }
    }

    /// Writes an entry in parts, which no reader sees before an entry names them.
    async fn write_parts(
        &self,
        prefix: &str,
        entry: &[u8],
        count: usize,
        expires: u64,
    ) -> Result<(), Unavailable> {
        let writes = (0..count).map(async |index| {
            let part = &entry[index * MAX_ITEM_BYTES..entry.len().min((index + 1) * MAX_ITEM_BYTES)];
            let mut item = key(prefix, index as u64);
            item.insert(ENTRY.into(), bytes(part));
            item.insert(EXPIRES.into(), number(expires + PART_EXTRA_TTL_S));
            let put = self.table.put_item(item).send().await;
            put.map_err(|error| log_unavailable("PutItem", &error))
        });
        let writes = stream::iter(writes).buffer_unordered(MAX_CONCURRENT_REQUESTS);
        writes.try_for_each(async |_| Ok(())).await
    }

    /// Writes the item that makes an entry visible, unless there is one that has not expired.
    async fn write_entry(&self, item: Item, writer: &str) -> WriteOutcome {
        let request = self
            .table
            .put_item(item)
            .condition_expression("attribute_not_exists(#log) OR #expires <= :now")
            .expression_attribute_names("#log", LOG)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":now", number(now_s()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => WriteOutcome::Ours,
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.err() {
                    PutItemError::ConditionalCheckFailedException(failed) => {
                        failed.item().map_or(WriteOutcome::Unknown, |item| outcome_for(writer, item))
                    }
                    _ => WriteOutcome::Unknown,
                }
            }
            Err(error) => {
                log_unavailable("PutItem", &error);
                WriteOutcome::Unknown
            }
        }
    }

    /// Reads which writer's entry is stored, after a write without an answer.
    async fn read_outcome(
        &self,
        log: &CheckpointKey,
        n: u64,
        writer: &str,
    ) -> Result<WriteOutcome, Unavailable> {
        let request = self
            .table
            .get_item(key(log.to_string(), n))
            .projection_expression("#writer, #expires")
            .expression_attribute_names("#writer", WRITER)
            .expression_attribute_names("#expires", EXPIRES);
        let read = request.send().await.map_err(|error| log_unavailable("GetItem", &error))?;
        let stored = read.item.filter(|item| read_number(item, EXPIRES).is_some_and(|at| at > now_s()));
        Ok(stored.map_or(WriteOutcome::Unknown, |item| outcome_for(writer, &item)))
    }

    /// The items of the newest snapshot, or the first entry, and of all entries that follow, in order.
    async fn items(&self, log: &CheckpointKey) -> Result<Vec<StoredEntry>, Unavailable> {
        let mut newest_first: Vec<StoredEntry> = Vec::new();
        let mut from: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let request = self
                .table
                .query()
                .key_condition_expression("#log = :log")
                .expression_attribute_names("#log", LOG)
                .expression_attribute_values(":log", text(log.to_string()))
                .scan_index_forward(false)
                .limit(PAGE_ITEMS)
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(|error| log_unavailable("Query", &error))?;
            let now_s = now_s();
            for item in page.items.unwrap_or_default() {
                let stored =
                    StoredEntry::read(item, log).ok_or_else(|| unreadable(log, "an item is malformed"))?;
                if stored.expires <= now_s {
                    continue;
                }
                if newest_first.last().is_some_and(|newer| newer.number != stored.number + 1) {
                    return Err(unreadable(log, "an entry is missing"));
                }
                let is_base = stored.snapshot || stored.number == 0;
                newest_first.push(stored);
                if is_base {
                    newest_first.reverse();
                    return Ok(newest_first);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        if newest_first.is_empty() {
            Ok(newest_first)
        } else {
            Err(unreadable(log, "the snapshot before the entries is missing"))
        }
    }

    /// Renews the lifetime of the entries and their parts, if one of them is older than [`RENEW_AFTER_S`].
    async fn renew(&self, log: &CheckpointKey, entries: &[StoredEntry]) -> Result<(), Unavailable> {
        let now_s = now_s();
        if entries.iter().all(|entry| entry.expires + RENEW_AFTER_S >= now_s + self.ttl_s(entry.snapshot)) {
            return Ok(());
        }
        let mut parts = Vec::new();
        let mut items = Vec::new();
        for entry in entries {
            let expires = now_s + self.ttl_s(entry.snapshot);
            items.push((key(log.to_string(), entry.number), expires));
            if let Content::Parts { prefix, count } = &entry.content {
                let part = |index| (key(prefix.as_str(), index), expires + PART_EXTRA_TTL_S);
                parts.extend((0..*count).map(part));
            }
        }
        for items in [parts, items] {
            let updates = items.into_iter().map(|(key, expires)| self.table.set_expiry(LOG, key, expires));
            let updates = stream::iter(updates).buffer_unordered(MAX_CONCURRENT_REQUESTS);
            updates.try_for_each(async |()| Ok(())).await?;
        }
        Ok(())
    }

    async fn content(&self, log: &CheckpointKey, content: Content) -> Result<Vec<u8>, Unavailable> {
        let (prefix, count) = match content {
            Content::Whole(bytes) => return Ok(bytes),
            Content::Parts { prefix, count } => (prefix, count),
        };
        let reads = (0..count).map(async |index| {
            let read = self.table.get_item(key(prefix.as_str(), index)).send().await;
            let read = read.map_err(|error| log_unavailable("GetItem", &error))?;
            let part = read.item.and_then(|mut item| take_bytes(&mut item, ENTRY));
            part.ok_or_else(|| unreadable(log, "a part is missing"))
        });
        let parts: Vec<_> = stream::iter(reads).buffered(MAX_CONCURRENT_REQUESTS).try_collect().await?;
        Ok(parts.concat())
    }
}

/// The span that names the log in log lines.
fn log_span(log: &CheckpointKey) -> Span {
    match log {
        CheckpointKey::Lane(lane) => error_span!("checkpoints", %lane),
        CheckpointKey::City(city) => error_span!("checkpoints", %city),
    }
}

impl CheckpointLog for Checkpoints {
    async fn load(&self, log: &CheckpointKey) -> Result<Vec<Vec<u8>>, Unavailable> {
        let load = async {
            let entries = self.items(log).await?;
            self.renew(log, &entries).await?;
            let contents = entries.into_iter().map(|entry| self.content(log, entry.content));
            join_all(contents).await.into_iter().collect()
        };
        with_deadline(self.table.retry_policy().deadline(), log_span(log), load).await
    }

    async fn append(&self, log: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        let policy = self.table.retry_policy();
        let (deadline, write_deadline) = (policy.deadline(), policy.write_deadline());
        let writer = self.writers.next_token();
        let expires = now_s() + self.ttl_s(entry.has_snapshot);
        let mut item = key(log.to_string(), entry.number);
        item.insert(SNAPSHOT.into(), AttributeValue::Bool(entry.has_snapshot));
        item.insert(WRITER.into(), text(writer.as_str()));
        item.insert(EXPIRES.into(), number(expires));
        if entry.bytes.len() <= MAX_ITEM_BYTES {
            item.insert(ENTRY.into(), bytes(&entry.bytes));
        } else {
            let parts = entry.bytes.len().div_ceil(MAX_ITEM_BYTES);
            item.insert(PARTS.into(), number(parts as u64));
            // A failure here leaves no entry: parts are invisible until an entry names them.
            let prefix = prefix(log, entry.number, &writer);
            let write = self.write_parts(&prefix, &entry.bytes, parts, expires);
            with_deadline(write_deadline, log_span(log), write).await?;
        }
        let write = self.write_entry(item, &writer).instrument(log_span(log));
        let outcome = timeout_at(write_deadline, write).await.unwrap_or(WriteOutcome::Unknown);
        let outcome = match outcome {
            WriteOutcome::Unknown => {
                let read = self.read_outcome(log, entry.number, &writer);
                with_deadline(deadline, log_span(log), read).await?
            }
            known => known,
        };
        match outcome {
            WriteOutcome::Ours => Ok(()),
            WriteOutcome::Conflict => Err(AppendError::Conflict),
            // An attempt may still be in flight.
            WriteOutcome::Unknown => Err(Unavailable.into()),
        }
    }
}

impl StoredEntry {
    fn read(mut item: Item, log: &CheckpointKey) -> Option<Self> {
        let number = read_number(&item, N)?;
        let snapshot = *item.get(SNAPSHOT)?.as_bool().ok()?;
        let expires = read_number(&item, EXPIRES)?;
        let content = match read_number(&item, PARTS) {
            Some(count) => Content::Parts { prefix: prefix(log, number, read_text(&item, WRITER)?), count },
            None => Content::Whole(take_bytes(&mut item, ENTRY)?),
        };
        Some(Self { number, snapshot, expires, content })
    }
}

/// The key of an entry, or of a part.
fn key(log: impl Into<String>, n: u64) -> Item {
    Item::from([(LOG.into(), text(log)), (N.into(), number(n))])
}

/// The log in which a writer stores the parts of one entry.
fn prefix(log: &CheckpointKey, number: u64, writer: &str) -> String {
    format!("{log}#{number}#{writer}")
}

fn outcome_for(writer: &str, stored: &Item) -> WriteOutcome {
    if read_text(stored, WRITER) == Some(writer) { WriteOutcome::Ours } else { WriteOutcome::Conflict }
}

/// Logs that a log is unreadable. If its entries are about to expire, the error disappears with them.
fn unreadable(log: &CheckpointKey, reason: &'static str) -> Unavailable {
    tracing::error!(%log, reason, "checkpoint log unreadable");
    Unavailable
}
