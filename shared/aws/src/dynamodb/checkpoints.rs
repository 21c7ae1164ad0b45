//! Checkpoint logs: one item per entry, written conditionally, to which the snapshot before it is added later. What is
//! larger than an item is stored in parts, which become visible with it (ARCHITECTURE.md, "The checkpoint log").

mod parts;
mod past;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event_sourced::Entry;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, error_span};

use super::item::{
    EXPIRES, Item, WRITER, WriterTokens, bytes, now_s, number, read_number, read_text, signed, take_bytes,
    text,
};
use super::table::Table;
use super::{Connection, Tables};
use crate::dynamodb::checkpoints::parts::{Parts, deflate, inflate};
use crate::resources::DEFAULT_RETENTION_HOURS;
use crate::retry::{log_unavailable, with_deadline};

const LOG: &str = "log";
const N: &str = "n";
const ENTRY: &str = "entry";
const PARTS: &str = "parts";
/// The newest tick that had closed before the entry.
const AS_OF: &str = "as_of";
/// The snapshot before the entry, deflated, or the number of its parts and the token of their writer.
const SNAPSHOT: &str = "snapshot";
const SNAPSHOT_PARTS: &str = "snapshot_parts";
const SNAPSHOT_WRITER: &str = "snapshot_writer";

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Lifetime of an entry beyond the retention of the stream, in seconds: no record is delivered after its entry has
/// expired.
const ENTRY_EXTRA_TTL_S: u64 = DAY_S;

/// Lifetime of an entry with a snapshot beyond the retention, one day longer: the entries after it are useless without
/// it. A snapshot is due every half minute of the log, and [`Checkpoints::load`] renews entries older than
/// [`RENEW_AFTER_S`] before any is appended.
const SNAPSHOT_EXTRA_TTL_S: u64 = 2 * DAY_S;

/// Parts expire this much later than the entry that names them: only the entry's expiry is checked.
const PART_EXTRA_TTL_S: u64 = HOUR_S;

/// Loading renews the lifetime of entries that are older than this.
const RENEW_AFTER_S: u64 = HOUR_S;

/// Bytes of an entry in one item, so that a snapshot of as many still fits beside it. DynamoDB's limit of 409 600
/// includes names and keys ("Quotas in Amazon DynamoDB").
const MAX_ITEM_BYTES: usize = 200_000;

/// The largest snapshot in an item, deflated: an entry beside it still fits.
const MAX_INLINE_SNAPSHOT_BYTES: usize = 200_000;

/// Concurrent requests for items of one log: as many as the bandwidth of a function serves.
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// Limit of saving a snapshot, in which a table that throttles can take a few megabytes. The batch has been delivered
/// by then; the next batch of the shard waits.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);

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
    expires: u64,
    content: Content,
    /// The snapshot before the entry, deflated.
    snapshot: Option<Content>,
}

#[derive(Debug)]
enum Content {
    Whole(Vec<u8>),
    Parts(Parts),
    /// The item lacks it.
    Missing,
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

    /// The items of the entry after the newest snapshot, or of the first entry, and of all that follow, in order; as if the
    /// entry `last` were the last.
    async fn newest_items(
        &self,
        log: &CheckpointKey,
        last: Option<u64>,
    ) -> Result<Vec<StoredEntry>, Unavailable> {
        let mut newest_first: Vec<StoredEntry> = Vec::new();
        let mut from: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let request = self
                .table
                .query()
                .key_condition_expression("#log = :log AND #n <= :last")
                .expression_attribute_names("#log", LOG)
                .expression_attribute_names("#n", N)
                .expression_attribute_values(":log", text(log.to_string()))
                .expression_attribute_values(":last", number(last.unwrap_or(u64::MAX)))
                .scan_index_forward(false)
                .limit(PAGE_ITEMS)
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(|error| log_unavailable("Query", &error))?;
            let now_s = now_s();
            for item in page.items.unwrap_or_default() {
                let Some(stored) = StoredEntry::read(item, log).filter(|stored| stored.expires > now_s)
                else {
                    continue;
                };
                let is_base = stored.snapshot.is_some() || stored.number == 0;
                newest_first.push(stored);
                if is_base {
                    newest_first.reverse();
                    return Ok(newest_first);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                newest_first.reverse();
                return Ok(newest_first);
            }
        }
    }

    /// The items of the entries from `first` on, in order.
    async fn items_from(&self, log: &CheckpointKey, first: u64) -> Result<Vec<StoredEntry>, Unavailable> {
        let mut items: Vec<StoredEntry> = Vec::new();
        let mut from: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let request = self
                .table
                .query()
                .key_condition_expression("#log = :log AND #n >= :first")
                .projection_expression("#n, #entry, #parts, #writer, #expires")
                .expression_attribute_names("#log", LOG)
                .expression_attribute_names("#n", N)
                .expression_attribute_names("#entry", ENTRY)
                .expression_attribute_names("#parts", PARTS)
                .expression_attribute_names("#writer", WRITER)
                .expression_attribute_names("#expires", EXPIRES)
                .expression_attribute_values(":log", text(log.to_string()))
                .expression_attribute_values(":first", number(first))
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(|error| log_unavailable("Query", &error))?;
            let now_s = now_s();
            let read = page.items.unwrap_or_default().into_iter();
            let read = read.filter_map(|item| StoredEntry::read(item, log));
            items.extend(read.filter(|stored| stored.expires > now_s));
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    /// Renews the lifetime of the entries and their parts, if one of them is older than [`RENEW_AFTER_S`].
    async fn renew(&self, log: &CheckpointKey, entries: &[StoredEntry]) -> Result<(), Unavailable> {
        let now_s = now_s();
        let ttl_s = |entry: &StoredEntry| self.ttl_s(entry.snapshot.is_some());
        if entries.iter().all(|entry| entry.expires + RENEW_AFTER_S >= now_s + ttl_s(entry)) {
            return Ok(());
        }
        let mut parts = Vec::new();
        let mut items = Vec::new();
        for entry in entries {
            let expires = now_s + ttl_s(entry);
            items.push((key(log.to_string(), entry.number), expires));
            for content in std::iter::once(&entry.content).chain(&entry.snapshot) {
                if let Content::Parts(of) = content {
                    parts.extend(of.keys().map(|key| (key, expires + PART_EXTRA_TTL_S)));
                }
            }
        }
        for items in [parts, items] {
            let updates = items.into_iter().map(|(key, expires)| self.table.set_expiry(LOG, key, expires));
            let updates = stream::iter(updates).buffer_unordered(MAX_CONCURRENT_REQUESTS);
            updates.try_for_each(async |()| Ok(())).await?;
        }
        Ok(())
    }

    /// The bytes of an entry or snapshot; none where a part of them is missing.
    async fn content(&self, content: Content) -> Result<Vec<u8>, Unavailable> {
        match content {
            Content::Whole(bytes) => Ok(bytes),
            Content::Parts(parts) => Ok(parts.read(&self.table).await?.unwrap_or_default()),
            Content::Missing => Ok(Vec::new()),
        }
    }

    async fn loaded(&self, log: &CheckpointKey, items: Vec<StoredEntry>) -> Result<Loaded, Unavailable> {
        let mut items = without_gaps(items).peekable();
        let first = items.peek().map_or(0, |first| first.number);
        let snapshot = items.peek_mut().and_then(|first| first.snapshot.take());
        let snapshot = async {
            let Some(snapshot) = snapshot else { return Ok(None) };
            let deflated = self.content(snapshot).await?;
            Ok(Some(inflate(&deflated).unwrap_or_default()))
        };
        let entries = join_all(items.map(|item| self.content(item.content)));
        let (snapshot, entries) = futures_util::join!(snapshot, entries);
        let entries: Vec<Vec<u8>> = entries.into_iter().collect::<Result<_, _>>()?;
        if entries.iter().any(Vec::is_empty) {
            tracing::error!(%log, "a checkpoint entry is missing, or a part of it");
        }
        Ok(Loaded { snapshot: snapshot?, first, entries })
    }

    /// Whether the log has an entry `n`, so that its parts need not be written.
    async fn has_entry(&self, log: &CheckpointKey, n: u64) -> Result<bool, Unavailable> {
        let outcome = self.read_outcome(log, n, "").await?;
        Ok(matches!(outcome, WriteOutcome::Conflict))
    }
}

/// The span that names the log in log lines.
fn log_span(log: &CheckpointKey) -> Span {
    match log {
        CheckpointKey::Lanes(lanes) => error_span!("checkpoints", %lanes),
        CheckpointKey::City(city) => error_span!("checkpoints", %city),
        parked => error_span!("checkpoints", %parked),
    }
}

impl CheckpointLog for Checkpoints {
    async fn load(&self, log: &CheckpointKey, next: Option<u64>) -> Result<Loaded, Unavailable> {
        let load = async {
            if let Some(next) = next {
                let items = self.items_from(log, next).await?;
                if items.first().is_none_or(|first| first.number == next) {
                    let loaded = self.loaded(log, items).await?;
                    return Ok(Loaded { first: next, ..loaded });
                }
            }
            let items = self.newest_items(log, None).await?;
            self.renew(log, &items).await?;
            self.loaded(log, items).await
        };
        with_deadline(self.table.retry_policy().deadline(), log_span(log), load).await
    }

    async fn append(&self, log: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        let policy = self.table.retry_policy();
        let (deadline, write_deadline) = (policy.deadline(), policy.write_deadline());
        let writer = self.writers.next_token();
        let expires = now_s() + self.ttl_s(false);
        let mut item = key(log.to_string(), entry.number);
        item.insert(WRITER.into(), text(writer.as_str()));
        item.insert(EXPIRES.into(), number(expires));
        if let Some(as_of) = entry.as_of {
            item.insert(AS_OF.into(), signed(as_of));
        }
        if entry.bytes.len() <= MAX_ITEM_BYTES {
            item.insert(ENTRY.into(), bytes(&entry.bytes));
        } else {
            let write = async {
                if self.has_entry(log, entry.number).await? {
                    return Ok(None);
                }
                // A failure here leaves no entry: parts are invisible until an entry names them.
                let parts = Parts::of(log, entry.number, &writer, &entry.bytes);
                parts.write(&self.table, &entry.bytes, expires + PART_EXTRA_TTL_S).await.map(Some)
            };
            let parts = with_deadline(write_deadline, log_span(log), write).await?;
            item.insert(PARTS.into(), number(parts.ok_or(AppendError::Conflict)?));
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

    async fn save_snapshot(&self, log: &CheckpointKey, n: u64, snapshot: &[u8]) -> Result<(), Unavailable> {
        let save = async {
            let deflated = deflate(snapshot);
            let expires = now_s() + self.ttl_s(true);
            let request = self
                .table
                .update_item(key(log.to_string(), n))
                // The entry of another instance, where this one was late, has the same state before it.
                .condition_expression("attribute_exists(#log) AND attribute_not_exists(#snapshot)")
                .expression_attribute_names("#log", LOG)
                .expression_attribute_names("#snapshot", SNAPSHOT)
                .expression_attribute_names("#expires", EXPIRES)
                .expression_attribute_values(":expires", number(expires));
            let request = if deflated.len() <= MAX_INLINE_SNAPSHOT_BYTES {
                request
                    .update_expression("SET #snapshot = :snapshot, #expires = :expires")
                    .expression_attribute_values(":snapshot", bytes(&deflated))
            } else {
                let writer = self.writers.next_token();
                let parts = Parts::of(log, n, &writer, &deflated);
                let count = parts.write_patiently(&self.table, &deflated, expires + PART_EXTRA_TTL_S).await?;
                request
                    .update_expression("SET #parts = :parts, #writer = :writer, #expires = :expires")
                    .expression_attribute_names("#parts", SNAPSHOT_PARTS)
                    .expression_attribute_names("#writer", SNAPSHOT_WRITER)
                    .expression_attribute_values(":parts", number(count))
                    .expression_attribute_values(":writer", text(writer))
            };
            match request.send().await {
                Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                    Ok(())
                }
                saved => saved.map(drop).map_err(|error| log_unavailable("UpdateItem", &error)),
            }
        };
        with_deadline(Instant::now() + SNAPSHOT_TIMEOUT, log_span(log), save).await
    }
}

impl StoredEntry {
    fn read(mut item: Item, log: &CheckpointKey) -> Option<Self> {
        let number = read_number(&item, N)?;
        let expires = read_number(&item, EXPIRES)?;
        let parts = |item: &Item, count, writer| {
            let (count, writer) = (read_number(item, count)?, read_text(item, writer)?);
            Some(Content::Parts(Parts::new(log, number, writer, count)))
        };
        let whole = |item: &mut Item, name| take_bytes(item, name).map(Content::Whole);
        let content = parts(&item, PARTS, WRITER).or_else(|| whole(&mut item, ENTRY));
        let snapshot = parts(&item, SNAPSHOT_PARTS, SNAPSHOT_WRITER).or_else(|| whole(&mut item, SNAPSHOT));
        Some(Self { number, expires, content: content.unwrap_or(Content::Missing), snapshot })
    }
}

/// The entries with one for each number between the first and the last, which lacks its content where it is missing.
fn without_gaps(items: Vec<StoredEntry>) -> impl Iterator<Item = StoredEntry> {
    let mut next: Option<u64> = None;
    items.into_iter().flat_map(move |item| {
        let missing = next.unwrap_or(item.number)..item.number;
        next = Some(item.number + 1);
        let missing = missing.map(|number| StoredEntry {
            number,
            expires: 0,
            content: Content::Missing,
            snapshot: None,
        });
        missing.chain(std::iter::once(item))
    })
}

/// The key of an entry, or of a part.
fn key(log: impl Into<String>, n: u64) -> Item {
    Item::from([(LOG.into(), text(log)), (N.into(), number(n))])
}

fn outcome_for(writer: &str, stored: &Item) -> WriteOutcome {
    if read_text(stored, WRITER) == Some(writer) { WriteOutcome::Ours } else { WriteOutcome::Conflict }
}
