//! Recoveries, and a lease per component.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Put, ReturnValue, Update};
use equilibrium_app::recover::ports::{AcquireError, LEASE_MS, Lease, PageKey, RecoveryStore, SaveError};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::recovery::{Component, KEPT_MS, Recovery, RecoveryId};
use tokio::time::{sleep, timeout_at};
use tracing::{Span, error_span};

use super::item::{EXPIRES, Item, number, read_number, read_text, signed, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{jittered_backoff, log_unavailable, with_deadline};

const PART: &str = "part";
const ID: &str = "id";
const DOCUMENT: &str = "document";
/// The key of a recovery among [`RECOVERIES`].
const AT: &str = "at";
const FENCE: &str = "fence";
const UNTIL: &str = "until_ms";
const UNFINISHED: &str = "unfinished";

/// Recoveries by when they were started.
const RECOVERIES: &str = "recovery";
/// Where the recovery of a name is.
const NAMES: &str = "name";
/// The leases.
const LEASES: &str = "lease";

/// The longest pause after a write that conflicted with another.
const MAX_CONFLICT_BACKOFF: std::time::Duration = std::time::Duration::from_millis(100);

/// Recoveries in a table.
#[derive(Debug)]
pub struct Recoveries {
    table: Table,
}

impl Recoveries {
    /// The recoveries in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.recoveries) }
    }

    async fn get(&self, part: &str, id: &str) -> Result<Option<Item>, Unavailable> {
        let read = async {
            let read = self.table.get_item(key(part, id)).send().await;
            Ok(read.map_err(|error| log_unavailable("GetItem", &error))?.item)
        };
        with_deadline(self.table.retry_policy().deadline(), Span::none(), read).await
    }

    async fn write(&self, lease: Lease, recovery: &Recovery, now_ms: i64) -> Result<(), SaveError> {
        let at = at(recovery.started_at_ms, &recovery.id);
        let expires = number(u64::try_from((recovery.started_at_ms + KEPT_MS) / 1_000).unwrap_or(0));
        let mut document = key(RECOVERIES, &at);
        document.insert(DOCUMENT.into(), text(recovery.to_stored()));
        document.insert(EXPIRES.into(), expires.clone());
        let mut name = key(NAMES, recovery.id.as_str());
        name.insert(AT.into(), text(at));
        name.insert(EXPIRES.into(), expires);
        let puts = [document, name].map(|item| Put::builder().set_item(Some(item)));
        for attempt in 0.. {
            let update = held(lease, recovery, now_ms);
            let request = self.table.transact_write(puts.clone(), [update]);
            let request = request.map_err(|error| log_unavailable("TransactWriteItems", &error))?;
            match request.send().await {
                Ok(_) => return Ok(()),
                Err(SdkError::ServiceError(error)) => match error.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        let reasons = cancelled.cancellation_reasons.unwrap_or_default();
                        let is = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
                        if is("ConditionalCheckFailed") {
                            return Err(SaveError::Fenced);
                        }
                        // Another process tries to acquire the lease.
                        if !is("TransactionConflict") {
                            return Err(Unavailable.into());
                        }
                    }
                    error => return Err(log_unavailable("TransactWriteItems", &error).into()),
                },
                Err(error) => return Err(log_unavailable("TransactWriteItems", &error).into()),
            }
            sleep(jittered_backoff(attempt, MAX_CONFLICT_BACKOFF)).await;
        }
        Err(Unavailable.into())
    }
}

/// Prolongs a lease that is still this one.
fn held(lease: Lease, recovery: &Recovery, now_ms: i64) -> UpdateBuilder {
    let update = Update::builder()
        .set_key(Some(key(LEASES, lease.component.as_str())))
        .condition_expression("#fence = :fence")
        .expression_attribute_names("#fence", FENCE)
        .expression_attribute_names("#until", UNTIL)
        .expression_attribute_names("#unfinished", UNFINISHED)
        .expression_attribute_values(":fence", number(lease.fence))
        .expression_attribute_values(":until", signed(now_ms + LEASE_MS));
    if recovery.has_ended() {
        return update.update_expression("SET #until = :until REMOVE #unfinished");
    }
    update
        .update_expression("SET #until = :until, #unfinished = :id")
        .expression_attribute_values(":id", text(recovery.id.as_str()))
}

fn key(part: &str, id: &str) -> Item {
    Item::from([(PART.into(), text(part)), (ID.into(), text(id))])
}

/// The place of a recovery in the order of starts.
fn at(started_at_ms: i64, id: &RecoveryId) -> String {
    format!("{started_at_ms:015}#{id}")
}

fn read(item: &Item) -> Result<Recovery, Unavailable> {
    let document = read_text(item, DOCUMENT).and_then(Recovery::from_stored);
    document.ok_or_else(|| {
        tracing::error!("recovery unreadable");
        Unavailable
    })
}

impl RecoveryStore for Recoveries {
    async fn acquire(&self, component: Component, now_ms: i64) -> Result<Lease, AcquireError> {
        let request = self
            .table
            .update_item(key(LEASES, component.as_str()))
            .update_expression("SET #until = :until ADD #fence :one")
            // One that ends later than any save could have made it is of a clock that was ahead.
            .condition_expression("attribute_not_exists(#until) OR #until <= :now OR #until > :latest")
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_names("#fence", FENCE)
            .expression_attribute_values(":until", signed(now_ms + LEASE_MS))
            .expression_attribute_values(":now", signed(now_ms))
            .expression_attribute_values(":latest", signed(now_ms + 2 * LEASE_MS))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew);
        let deadline = self.table.retry_policy().write_deadline();
        // An earlier attempt, whose answer was lost, may have acquired it: then it is held until it ends.
        match timeout_at(deadline, request.send()).await.map_err(|_| Unavailable)? {
            Ok(updated) => {
                let fence = updated.attributes.as_ref().and_then(|item| read_number(item, FENCE));
                Ok(Lease { component, fence: fence.ok_or(Unavailable)? })
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Err(AcquireError::Held)
            }
            Err(error) => Err(log_unavailable("UpdateItem", &error).into()),
        }
    }

    async fn release(&self, lease: Lease) -> Result<(), Unavailable> {
        let request = self
            .table
            .update_item(key(LEASES, lease.component.as_str()))
            .update_expression("SET #until = :zero")
            .condition_expression("#fence = :fence")
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_names("#fence", FENCE)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":fence", number(lease.fence));
        let release = async {
            match request.send().await {
                Ok(_) => Ok(()),
                Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                    Ok(())
                }
                Err(error) => Err(log_unavailable("UpdateItem", &error)),
            }
        };
        with_deadline(self.table.retry_policy().deadline(), Span::none(), release).await
    }

    async fn save(&self, lease: Lease, recovery: &Recovery, now_ms: i64) -> Result<(), SaveError> {
        let deadline = self.table.retry_policy().write_deadline();
        timeout_at(deadline, self.write(lease, recovery, now_ms)).await.map_err(|_| Unavailable)?
    }

    async fn unfinished(&self, component: Component) -> Result<Option<RecoveryId>, Unavailable> {
        let lease = self.get(LEASES, component.as_str()).await?;
        Ok(lease.as_ref().and_then(|lease| read_text(lease, UNFINISHED)).and_then(RecoveryId::new))
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<Recovery>, Unavailable> {
        let Some(name) = self.get(NAMES, id.as_str()).await? else { return Ok(None) };
        let at = read_text(&name, AT).ok_or(Unavailable)?;
        let stored = self.get(RECOVERIES, at).await?;
        stored.as_ref().map(read).transpose()
    }

    async fn page(&self, before: Option<&PageKey>, limit: usize) -> Result<Vec<Recovery>, Unavailable> {
        // No key of a recovery begins with a later character than a digit.
        let before = before.map_or_else(|| "~".to_owned(), |(at_ms, id)| at(*at_ms, id));
        let query = async {
            let mut found = Vec::new();
            let mut from: Option<Item> = None;
            loop {
                let query = self
                    .table
                    .query()
                    .scan_index_forward(false)
                    .limit(i32::try_from((limit - found.len()).max(1)).unwrap_or(i32::MAX))
                    .key_condition_expression("#part = :part AND #id < :before")
                    .expression_attribute_names("#part", PART)
                    .expression_attribute_names("#id", ID)
                    .expression_attribute_values(":part", text(RECOVERIES))
                    .expression_attribute_values(":before", text(before.clone()))
                    .set_exclusive_start_key(from.take());
                let page = query.send().await.map_err(|error| log_unavailable("Query", &error))?;
                for item in page.items.unwrap_or_default() {
                    found.push(read(&item)?);
                }
                from = page.last_evaluated_key;
                if from.is_none() || found.len() >= limit {
                    found.truncate(limit);
                    return Ok(found);
                }
            }
        };
        with_deadline(self.table.retry_policy().deadline(), error_span!("recoveries"), query).await
    }
}
