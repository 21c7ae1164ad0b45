//! Checkpoint logs: one item an entry, written by condition; an entry beyond one item lies in parts that
//! become visible with it (HOUSE, "The checkpoint").

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
    EXPIRES, Item, WRITER, Writers, bytes, now_s, number, read_number, read_text, take_bytes, text,
};
use super::{Connection, Tables};
use crate::retry::{unavailable, with_deadline};

const LOG: &str = "log";
const N: &str = "n";
const ENTRY: &str = "entry";
const PARTS: &str = "parts";
const SNAPSHOT: &str = "snapshot";

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// An entry is kept this long: a day longer than the longest time for which a stream of this system keeps
/// records, 7 days, so that no record comes again of which no entry knows.
const ENTRY_S: u64 = 8 * DAY_S;

/// A snapshot is kept a day longer, for what follows it means nothing without it. They are written within
/// two hours of each other: memory writes a snapshot every half minute and is trusted for an hour, and
/// [`Checkpoints::load`] gives entries older than [`RENEWED_S`] a new life before anything follows them.
const SNAPSHOT_S: u64 = 9 * DAY_S;

/// Parts are kept longer than the entry that names them, whose expiry is all that is looked at.
const PART_S: u64 = HOUR_S;

/// Entries that lived this long live anew once they are loaded.
const RENEWED_S: u64 = HOUR_S;

/// Most bytes of an entry in one item, of which DynamoDB takes 409 600 with names and keys ("Quotas in
/// Amazon DynamoDB"): a log's name and a writer's token need 200.
const ITEM_BYTES: usize = 400_000;

/// Requests for parts of one entry under way at once: as many as a function's bandwidth can feed.
const AT_ONCE: usize = 8;

/// Items asked for at once: a snapshot is due every half minute and a batch comes about every second, so
/// that the newest snapshot is as a rule among them.
const PAGE: i32 = 40;

/// Checkpoint logs in a table.
///
/// Whoever appends must have loaded or written the entry before: that there is one is not looked for.
#[derive(Debug)]
pub struct Checkpoints {
    connection: Connection,
    table: String,
    writers: Writers,
}

/// An entry's item.
#[derive(Debug)]
struct Stored {
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

/// What came of the request to write an entry.
enum Written {
    Ours,
    Anothers,
    Unknown,
}

impl Checkpoints {
    /// The checkpoints of these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        let (connection, table) = (connection.clone(), tables.checkpoints.clone());
        Self { connection, table, writers: Writers::default() }
    }

    /// Writes an entry in as many parts, which nobody sees before an entry names them.
    async fn write_parts(
        &self,
        prefix: &str,
        entry: &[u8],
        count: usize,
        expires: u64,
    ) -> Result<(), Unavailable> {
        let writes = (0..count).map(async |at| {
            let part = &entry[at * ITEM_BYTES..entry.len().min((at + 1) * ITEM_BYTES)];
            let request = self
                .connection
                .client
                .put_item()
                .table_name(&self.table)
                .item(LOG, text(prefix))
                .item(N, number(at as u64))
                .item(ENTRY, bytes(part))
                .item(EXPIRES, number(expires + PART_S));
            request.send().await.map_err(|error| unavailable("PutItem", &error))
        });
        stream::iter(writes).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await
    }

    /// Writes the item that makes an entry visible, unless one stands there that has not expired.
    async fn write_entry(&self, item: Item, writer: &str) -> Written {
        let request = self
            .connection
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#log) OR #expires <= :now")
            .expression_attribute_names("#log", LOG)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":now", number(now_s()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Written::Ours,
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.err() {
                    PutItemError::ConditionalCheckFailedException(failed) => {
                        failed.item().map_or(Written::Unknown, |item| whose(item, writer))
                    }
                    _ => Written::Unknown,
                }
            }
            Err(error) => {
                unavailable("PutItem", &error);
                Written::Unknown
            }
        }
    }

    /// Looks what stands in an entry's place after its writer was left without an answer.
    async fn read_page(&self, log: &CheckpointKey, n: u64, writer: &str) -> Result<Written, Unavailable> {
        let request = self
            .connection
            .client
            .get_item()
            .table_name(&self.table)
            .key(LOG, text(log.to_string()))
            .key(N, number(n))
            .consistent_read(true)
            .projection_expression("#writer, #expires")
            .expression_attribute_names("#writer", WRITER)
            .expression_attribute_names("#expires", EXPIRES);
        let read = request.send().await.map_err(|error| unavailable("GetItem", &error))?;
        let standing = read.item.filter(|item| read_number(item, EXPIRES).is_some_and(|at| at > now_s()));
        Ok(standing.map_or(Written::Unknown, |item| whose(&item, writer)))
    }

    /// The items of the newest snapshot, or the first entry, and all that follow, in order.
    async fn items(&self, log: &CheckpointKey) -> Result<Vec<Stored>, Unavailable> {
        let mut newest_first: Vec<Stored> = Vec::new();
        let mut from: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let request = self
                .connection
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#log = :log")
                .expression_attribute_names("#log", LOG)
                .expression_attribute_values(":log", text(log.to_string()))
                .scan_index_forward(false)
                .consistent_read(true)
                .limit(PAGE)
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(|error| unavailable("Query", &error))?;
            let now = now_s();
            for item in page.items.unwrap_or_default() {
                let stored = Stored::read(item, log).ok_or_else(|| broken(log, "an item is no entry"))?;
                if stored.expires <= now {
                    continue;
                }
                if newest_first.last().is_some_and(|newer| newer.number != stored.number + 1) {
                    return Err(broken(log, "an entry is missing"));
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
            Err(broken(log, "what the entries follow is gone"))
        }
    }

    /// Gives entries and their parts a new life, if one of them has lived a while of its own.
    async fn renew(&self, log: &CheckpointKey, entries: &[Stored]) -> Result<(), Unavailable> {
        let now = now_s();
        if entries.iter().all(|entry| entry.expires + RENEWED_S >= now + lifetime(entry.snapshot)) {
            return Ok(());
        }
        let mut parts = Vec::new();
        let mut items = Vec::new();
        for entry in entries {
            let expires = now + lifetime(entry.snapshot);
            items.push((log.to_string(), entry.number, expires));
            if let Content::Parts { prefix, count } = &entry.content {
                parts.extend((0..*count).map(|at| (prefix.clone(), at, expires + PART_S)));
            }
        }
        for items in [parts, items] {
            let updates = items.into_iter().map(|(log, n, expires)| self.set_expiry(log, n, expires));
            stream::iter(updates).buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await?;
        }
        Ok(())
    }

    async fn set_expiry(&self, log: String, n: u64, expires: u64) -> Result<(), Unavailable> {
        let request = self
            .connection
            .client
            .update_item()
            .table_name(&self.table)
            .key(LOG, text(log))
            .key(N, number(n))
            .update_expression("SET #expires = :expires")
            .condition_expression("attribute_exists(#log)")
            .expression_attribute_names("#log", LOG)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":expires", number(expires));
        request.send().await.map_err(|error| unavailable("UpdateItem", &error))?;
        Ok(())
    }

    async fn content(&self, log: &CheckpointKey, content: Content) -> Result<Vec<u8>, Unavailable> {
        let (prefix, count) = match content {
            Content::Whole(bytes) => return Ok(bytes),
            Content::Parts { prefix, count } => (prefix, count),
        };
        let reads = (0..count).map(async |at| {
            let request = self
                .connection
                .client
                .get_item()
                .table_name(&self.table)
                .key(LOG, text(prefix.as_str()))
                .key(N, number(at))
                .consistent_read(true);
            let read = request.send().await.map_err(|error| unavailable("GetItem", &error))?;
            let part = read.item.and_then(|mut item| take_bytes(&mut item, ENTRY));
            part.ok_or_else(|| broken(log, "a part is missing"))
        });
        let parts: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(parts.concat())
    }
}

/// What the log of the function names beside what befalls a checkpoint log.
fn of(log: &CheckpointKey) -> Span {
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
        with_deadline(self.connection.patience.deadline(), of(log), load).await
    }

    async fn append(&self, log: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        let Entry { number: n, bytes: ref entry, has_snapshot: snapshot } = *entry;
        let patience = self.connection.patience;
        let (deadline, write_deadline) = (patience.deadline(), patience.write_deadline());
        let writer = self.writers.token();
        let expires = now_s() + lifetime(snapshot);
        let mut item = Item::from([
            (LOG.into(), text(log.to_string())),
            (N.into(), number(n)),
            (SNAPSHOT.into(), AttributeValue::Bool(snapshot)),
            (WRITER.into(), text(writer.as_str())),
            (EXPIRES.into(), number(expires)),
        ]);
        if entry.len() <= ITEM_BYTES {
            item.insert(ENTRY.into(), bytes(entry));
        } else {
            let parts = entry.len().div_ceil(ITEM_BYTES);
            item.insert(PARTS.into(), number(parts as u64));
            // Until the entry names them they are nothing: it was certainly not written.
            let prefix = prefix(log, n, &writer);
            with_deadline(write_deadline, of(log), self.write_parts(&prefix, entry, parts, expires)).await?;
        }
        let written = timeout_at(write_deadline, self.write_entry(item, &writer).instrument(of(log))).await;
        let written = match written.unwrap_or(Written::Unknown) {
            Written::Unknown => with_deadline(deadline, of(log), self.read_page(log, n, &writer)).await?,
            known => known,
        };
        match written {
            Written::Ours => Ok(()),
            Written::Anothers => Err(AppendError::Conflict),
            // An attempt may be under way still.
            Written::Unknown => Err(Unavailable.into()),
        }
    }
}

impl Stored {
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

/// The log under which a writer keeps the parts of one entry.
fn prefix(log: &CheckpointKey, number: u64, writer: &str) -> String {
    format!("{log}#{number}#{writer}")
}

fn lifetime(snapshot: bool) -> u64 {
    if snapshot { SNAPSHOT_S } else { ENTRY_S }
}

fn whose(item: &Item, writer: &str) -> Written {
    if read_text(item, WRITER) == Some(writer) { Written::Ours } else { Written::Anothers }
}

/// A log that cannot be read as it stands. Where entries are about to expire, this passes.
fn broken(log: &CheckpointKey, reason: &'static str) -> Unavailable {
    tracing::error!(%log, reason, "a checkpoint log was unreadable");
    Unavailable
}
