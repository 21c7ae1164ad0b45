//! Policies: one item per city, replaced conditionally, and an index of their versions, written with each.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, Update};
use equilibrium_app::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use tokio::time::{sleep, timeout_at};
use tracing::{Span, error_span};

use super::item::{Item, WRITER, WriterTokens, number, read_number, read_text, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{jittered_backoff, log_unavailable, with_deadline};

const CITY: &str = "city";
const VERSION: &str = "version";
const DOCUMENT: &str = "document";

/// The key of the index, which cannot be a city's.
const INDEX: &str = "#versions";
/// What the names of the index's attributes begin with; the city follows. An item of 400 KB has room for 8,000 cities.
const INDEXED: &str = "@";

/// The longest pause before a policy is saved again that was saved beside another.
const MAX_CONFLICT_BACKOFF: Duration = Duration::from_millis(200);

/// Policies in a table.
#[derive(Debug)]
pub struct Policies {
    table: Table,
    writers: WriterTokens,
}

impl Policies {
    /// The policies in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.policies), writers: WriterTokens::default() }
    }

    /// Writes `item` of `city` over version `after`, and its version into the index. Returns the item that is stored
    /// afterwards, if that is known.
    async fn replace(&self, city: &CityId, item: Item, (after, version): (Option<u64>, u64)) -> Option<Item> {
        let put = Put::builder()
            .set_item(Some(item.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match after {
            None => put
                .condition_expression("attribute_not_exists(#city)")
                .expression_attribute_names("#city", CITY),
            Some(version) => put
                .condition_expression("#version = :after")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":after", number(version)),
        };
        let update = Update::builder()
            .set_key(Some(key(INDEX)))
            .update_expression("SET #indexed = :version")
            .expression_attribute_names("#indexed", indexed(city))
            .expression_attribute_values(":version", number(version));
        for attempt in 0.. {
            let request = self.table.transact_write(put.clone(), update.clone());
            let request = request.map_err(|error| log_unavailable("TransactWriteItems", &error)).ok()?;
            match request.send().await {
                Ok(_) => return Some(item),
                Err(SdkError::ServiceError(error)) => match error.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        let reasons = cancelled.cancellation_reasons.unwrap_or_default();
                        let is = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
                        if is("ConditionalCheckFailed") {
                            // Without an item, there was none to replace.
                            return Some(
                                reasons.into_iter().find_map(|reason| reason.item).unwrap_or_default(),
                            );
                        }
                        // Another policy is being saved: both write the index.
                        if !is("TransactionConflict") {
                            return None;
                        }
                    }
                    error => {
                        log_unavailable("TransactWriteItems", &error);
                        return None;
                    }
                },
                Err(error) => {
                    log_unavailable("TransactWriteItems", &error);
                    return None;
                }
            }
            sleep(jittered_backoff(attempt, MAX_CONFLICT_BACKOFF)).await;
        }
        None
    }

    async fn read_one(&self, city: &CityId) -> Result<Option<Item>, Unavailable> {
        let request = self.table.get_item(key(city.as_str()));
        let read = request.send().await.map_err(|error| log_unavailable("GetItem", &error))?;
        Ok(read.item)
    }
}

impl PolicyStore for Policies {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        let read = async {
            let read = self.table.get_item(key(INDEX)).send().await;
            read.map_err(|error| log_unavailable("GetItem", &error))
        };
        let read = with_deadline(self.table.retry_policy().deadline(), Span::none(), read).await?;
        let index = read.item.unwrap_or_default();
        let version = |name: &String| {
            let city = CityId::new(name.strip_prefix(INDEXED)?)?;
            Some((city, read_number(&index, name)?))
        };
        Ok(index.keys().filter_map(version).collect())
    }

    /// Most documents are older than a moment: they are read eventually consistent, and again where that was too early.
    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        let deadline = self.table.retry_policy().deadline();
        let mut policies: Vec<StoredPolicy> = Vec::with_capacity(cities.len());
        for consistent in [false, true] {
            let is_read = |city: &CityId| policies.iter().any(|policy| policy.city == *city);
            let missing = cities.iter().filter(|(city, _)| !is_read(city));
            let wanted: BTreeMap<&str, u64> = missing.map(|(city, at)| (city.as_str(), *at)).collect();
            let keys: Vec<Item> = wanted.keys().map(|city| key(city)).collect();
            if keys.is_empty() {
                break;
            }
            let read = with_deadline(deadline, Span::none(), self.table.batch_get(keys, consistent)).await?;
            for item in read {
                let policy = read_policy(&item).ok_or_else(|| {
                    tracing::error!(?item, "policy unreadable");
                    Unavailable
                })?;
                if wanted.get(policy.city.as_str()).is_some_and(|version| policy.version >= *version) {
                    policies.push(policy);
                }
            }
        }
        Ok(policies)
    }

    async fn save(&self, city: &CityId, document: &str, after: Option<u64>) -> Result<u64, ReplaceError> {
        let policy = self.table.retry_policy();
        let (deadline, write_deadline) = (policy.deadline(), policy.write_deadline());
        let version = after.unwrap_or(0) + 1;
        let writer = self.writers.next_token();
        let item = Item::from([
            (CITY.into(), text(city.as_str())),
            (VERSION.into(), number(version)),
            (DOCUMENT.into(), text(document)),
            (WRITER.into(), text(writer.as_str())),
        ]);
        let is_ours = |item: &Item| read_text(item, WRITER) == Some(&writer);
        match timeout_at(write_deadline, self.replace(city, item, (after, version))).await {
            // An earlier attempt of this call, whose answer was lost, may have written the stored item.
            Ok(Some(stored)) if is_ours(&stored) => Ok(version),
            Ok(Some(_)) => Err(ReplaceError::VersionMismatch),
            Ok(None) | Err(_) => {
                let span = error_span!("policy", %city);
                let stored = with_deadline(deadline, span, self.read_one(city)).await?;
                if stored.as_ref().is_some_and(is_ours) {
                    return Ok(version);
                }
                let stored = stored.and_then(|item| read_number(&item, VERSION));
                // If the version to replace is still stored, an attempt may still be in flight.
                Err(if stored == after { Unavailable.into() } else { ReplaceError::VersionMismatch })
            }
        }
    }
}

fn key(city: &str) -> Item {
    Item::from([(CITY.into(), text(city))])
}

/// The attribute of the index with the version of this city.
fn indexed(city: &CityId) -> String {
    format!("{INDEXED}{city}")
}

fn read_policy(item: &Item) -> Option<StoredPolicy> {
    Some(StoredPolicy {
        city: CityId::new(read_text(item, CITY)?)?,
        version: read_number(item, VERSION)?,
        document: read_text(item, DOCUMENT)?.into(),
    })
}
