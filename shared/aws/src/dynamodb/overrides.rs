//! Overrides: one item each, and an index with the number of changes of every city, written with each.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{Put, Update};
use equilibrium_app::overrides::ports::{CreateError, KEPT_MS, MAX_OVERRIDES, OverrideStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::overrides::{Override, OverrideState};
use equilibrium_domain::surge::bounds::OverrideSet;
use tokio::time::{sleep, timeout_at};
use tracing::{Span, error_span};

use super::item::{EXPIRES, Item, number, read_number, read_text, signed, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{jittered_backoff, log_unavailable, with_deadline};

const CITY: &str = "city";
const ID: &str = "id";
const DOCUMENT: &str = "document";
const CREATED: &str = "created";
const REVISION: &str = "revision";
/// The end, in milliseconds since the epoch.
const END_MS: &str = "end_ms";

/// The ids of the items that are no overrides: before all ids of overrides.
const COUNTS: &str = "#counts";
const INDEX: &str = "#revisions";
/// What the names of the index's attributes begin with; the city follows.
const INDEXED: &str = "@";

/// The longest pause before a change is written again that was written beside another.
const MAX_CONFLICT_BACKOFF: Duration = Duration::from_millis(200);

/// Overrides in a table.
#[derive(Debug)]
pub struct Overrides {
    table: Table,
}

impl Overrides {
    /// The overrides in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.overrides) }
    }

    /// Writes an override conditionally, and the change into the counts of its city and the index. Returns whether the
    /// condition held.
    async fn write(&self, city: &CityId, put: PutBuilder, created: u64) -> Result<bool, Unavailable> {
        let counts = Update::builder()
            .set_key(Some(key(city.as_str(), COUNTS)))
            .update_expression("ADD #created :created, #revision :one")
            .expression_attribute_names("#created", CREATED)
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_values(":created", number(created))
            .expression_attribute_values(":one", number(1));
        let index = Update::builder()
            .set_key(Some(key(INDEX, INDEX)))
            .update_expression("ADD #indexed :one")
            .expression_attribute_names("#indexed", format!("{INDEXED}{city}"))
            .expression_attribute_values(":one", number(1));
        for attempt in 0.. {
            let request = self.table.transact_write([put.clone()], [counts.clone(), index.clone()]);
            let request = request.map_err(|error| log_unavailable("TransactWriteItems", &error))?;
            match request.send().await {
                Ok(_) => return Ok(true),
                Err(SdkError::ServiceError(error)) => match error.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        let reasons = cancelled.cancellation_reasons.unwrap_or_default();
                        let is = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
                        if is("ConditionalCheckFailed") {
                            return Ok(false);
                        }
                        // Another override is being changed: both write the counts.
                        if !is("TransactionConflict") {
                            return Err(Unavailable);
                        }
                    }
                    error => return Err(log_unavailable("TransactWriteItems", &error)),
                },
                Err(error) => return Err(log_unavailable("TransactWriteItems", &error)),
            }
            sleep(jittered_backoff(attempt, MAX_CONFLICT_BACKOFF)).await;
        }
        Err(Unavailable)
    }

    /// The items of a city with ids below `before`, or all, the newest first, up to `limit` overrides that `includes` keeps.
    async fn query(
        &self,
        city: &CityId,
        (before, limit): (Option<&str>, usize),
        includes: impl Fn(&Override) -> bool,
    ) -> Result<Vec<Arc<Override>>, Unavailable> {
        let mut found = Vec::new();
        let mut from: Option<Item> = None;
        loop {
            let query = self
                .table
                .query()
                .scan_index_forward(false)
                .key_condition_expression("#city = :city AND #id < :before")
                .expression_attribute_names("#city", CITY)
                .expression_attribute_names("#id", ID)
                .expression_attribute_values(":city", text(city.as_str()))
                // No id of an override begins with a later character.
                .expression_attribute_values(":before", text(before.unwrap_or("~")))
                .set_exclusive_start_key(from.take());
            let page = query.send().await.map_err(|error| log_unavailable("Query", &error))?;
            for item in page.items.unwrap_or_default() {
                let Some(document) = read_text(&item, DOCUMENT) else { continue };
                let one = Override::from_stored(document).map_err(|faults| {
                    tracing::error!(?faults, %city, "override unreadable");
                    Unavailable
                })?;
                if includes(&one) {
                    found.push(Arc::new(one));
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(found);
            }
        }
    }

    /// The number of overrides that the city has had.
    async fn created(&self, city: &CityId) -> Result<u64, Unavailable> {
        let read = self.table.get_item(key(city.as_str(), COUNTS)).send().await;
        let counts = read.map_err(|error| log_unavailable("GetItem", &error))?.item;
        Ok(counts.and_then(|counts| read_number(&counts, CREATED)).unwrap_or(0))
    }

    async fn read(&self, city: &CityId, id: &str) -> Result<Option<Override>, Unavailable> {
        let request = self.table.get_item(key(city.as_str(), id));
        let read = request.send().await.map_err(|error| log_unavailable("GetItem", &error))?;
        let document = read.item.as_ref().and_then(|item| read_text(item, DOCUMENT).map(str::to_owned));
        document.map(|document| Override::from_stored(&document)).transpose().map_err(|faults| {
            tracing::error!(?faults, %city, "override unreadable");
            Unavailable
        })
    }
}

fn key(city: &str, id: &str) -> Item {
    Item::from([(CITY.into(), text(city)), (ID.into(), text(id))])
}

fn put(city: &CityId, one: &Override) -> PutBuilder {
    let mut item = key(city.as_str(), &one.id);
    let expires = u64::try_from((one.end() + KEPT_MS) / 1_000).unwrap_or(0);
    item.insert(DOCUMENT.into(), text(one.to_json().to_string()));
    item.insert(END_MS.into(), signed(one.end()));
    item.insert(EXPIRES.into(), number(expires));
    Put::builder().set_item(Some(item))
}

impl OverrideStore for Overrides {
    async fn revisions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        let read = async {
            let read = self.table.get_item(key(INDEX, INDEX)).send().await;
            read.map_err(|error| log_unavailable("GetItem", &error))
        };
        let read = with_deadline(self.table.retry_policy().deadline(), Span::none(), read).await?;
        let index = read.item.unwrap_or_default();
        let revision = |name: &String| {
            let city = CityId::new(name.strip_prefix(INDEXED)?)?;
            Some((city, read_number(&index, name)?))
        };
        Ok(index.keys().filter_map(revision).collect())
    }

    async fn not_ended(&self, city: &CityId, now_ms: i64) -> Result<OverrideSet, Unavailable> {
        let read = async {
            let created = self.created(city).await?;
            let includes = |one: &Override| one.state(now_ms) != OverrideState::Ended;
            let overrides = self.query(city, (None, usize::MAX), includes).await?;
            Ok(OverrideSet { created, overrides })
        };
        with_deadline(self.table.retry_policy().deadline(), error_span!("overrides", %city), read).await
    }

    async fn create(&self, city: &CityId, new: &Override) -> Result<(), CreateError> {
        let policy = self.table.retry_policy();
        let created = with_deadline(policy.deadline(), error_span!("overrides", %city), self.created(city));
        // Most cities have not had so many overrides: those that have not ended are counted in the others alone.
        if created.await? >= MAX_OVERRIDES as u64
            && self.not_ended(city, new.created_at).await?.overrides.len() >= MAX_OVERRIDES
        {
            return Err(CreateError::TooMany);
        }
        let deadline = policy.write_deadline();
        let put = put(city, new).condition_expression("attribute_not_exists(#id)");
        let write = self.write(city, put.expression_attribute_names("#id", ID), 1);
        // An earlier attempt of this call, whose answer was lost, may have written the item: ids are not used again.
        timeout_at(deadline, write).await.map_err(|_| Unavailable)??;
        Ok(())
    }

    async fn end(&self, city: &CityId, id: &str, at_ms: i64) -> Result<Option<Arc<Override>>, Unavailable> {
        let policy = self.table.retry_policy();
        let span = || error_span!("override", %city, id);
        let Some(one) = with_deadline(policy.deadline(), span(), self.read(city, id)).await? else {
            return Ok(None);
        };
        if one.state(at_ms) == OverrideState::Ended {
            return Ok(Some(Arc::new(one)));
        }
        let ended = Override { ended_at: Some(at_ms), ..one };
        let put = put(city, &ended).condition_expression("#end > :end");
        let put = put.expression_attribute_names("#end", END_MS);
        let write = self.write(city, put.expression_attribute_values(":end", signed(at_ms)), 0);
        let is_written = timeout_at(policy.write_deadline(), write).await.map_err(|_| Unavailable)??;
        if is_written {
            return Ok(Some(Arc::new(ended)));
        }
        let read = with_deadline(policy.deadline(), span(), self.read(city, id)).await?;
        Ok(read.map(Arc::new))
    }

    async fn one(&self, city: &CityId, id: &str) -> Result<Option<Arc<Override>>, Unavailable> {
        let read = self.read(city, id);
        let span = error_span!("override", %city, id);
        Ok(with_deadline(self.table.retry_policy().deadline(), span, read).await?.map(Arc::new))
    }

    async fn page(
        &self,
        city: &CityId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Override>>, Unavailable> {
        let read = self.query(city, (before, limit), |_| true);
        with_deadline(self.table.retry_policy().deadline(), error_span!("overrides", %city), read).await
    }
}
