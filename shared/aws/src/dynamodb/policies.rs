//! Policies: one item a city, each replaced by condition.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use equilibrium_app::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use tokio::time::timeout_at;
use tracing::{Span, error_span};

use super::item::{Item, WRITER, Writers, number, read_number, read_text, text};
use super::{Connection, Tables};
use crate::retry::{unavailable, with_deadline};

const CITY: &str = "city";
const VERSION: &str = "version";
const DOCUMENT: &str = "document";

/// Policies in a table.
#[derive(Debug)]
pub struct Policies {
    connection: Connection,
    table: String,
    writers: Writers,
}

impl Policies {
    /// The policies of these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        let (connection, table) = (connection.clone(), tables.policies.clone());
        Self { connection, table, writers: Writers::default() }
    }

    /// Writes `item` over version `after`; gives what stands there afterwards where that is known.
    async fn replace(&self, item: Item, after: Option<u64>) -> Option<Item> {
        let request = self
            .connection
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = match after {
            None => request
                .condition_expression("attribute_not_exists(#city)")
                .expression_attribute_names("#city", CITY),
            Some(version) => request
                .condition_expression("#version = :after")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":after", number(version)),
        };
        match request.send().await {
            Ok(_) => Some(item),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.into_err() {
                    // Without an item there was none to be replaced.
                    PutItemError::ConditionalCheckFailedException(failed) => {
                        Some(failed.item.unwrap_or_default())
                    }
                    _ => None,
                }
            }
            Err(error) => {
                unavailable("PutItem", &error);
                None
            }
        }
    }

    async fn read(&self, city: &CityId) -> Result<Option<Item>, Unavailable> {
        let request = self.connection.client.get_item().table_name(&self.table);
        let request = request.key(CITY, text(city.as_str())).consistent_read(true);
        let read = request.send().await.map_err(|error| unavailable("GetItem", &error))?;
        Ok(read.item)
    }
}

impl PolicyStore for Policies {
    async fn all(&self) -> Result<Vec<StoredPolicy>, Unavailable> {
        let scan = async {
            let mut policies = Vec::new();
            let mut from = None;
            loop {
                let request = self.connection.client.scan().table_name(&self.table).consistent_read(true);
                let page = request.set_exclusive_start_key(from).send().await;
                let page = page.map_err(|error| unavailable("Scan", &error))?;
                for item in page.items() {
                    policies.push(stored(item).ok_or_else(|| {
                        tracing::error!(?item, "a policy was unreadable");
                        Unavailable
                    })?);
                }
                from = page.last_evaluated_key;
                if from.is_none() {
                    return Ok(policies);
                }
            }
        };
        with_deadline(self.connection.patience.deadline(), Span::none(), scan).await
    }

    async fn save(&self, city: &CityId, document: &str, after: Option<u64>) -> Result<u64, ReplaceError> {
        let patience = self.connection.patience;
        let (deadline, write_deadline) = (patience.deadline(), patience.write_deadline());
        let version = after.unwrap_or(0) + 1;
        let writer = self.writers.token();
        let item = Item::from([
            (CITY.into(), text(city.as_str())),
            (VERSION.into(), number(version)),
            (DOCUMENT.into(), text(document)),
            (WRITER.into(), text(writer.as_str())),
        ]);
        let is_ours = |item: &Item| read_text(item, WRITER) == Some(&writer);
        match timeout_at(write_deadline, self.replace(item, after)).await {
            // What stands there may be from an attempt of this call whose answer was lost.
            Ok(Some(standing)) if is_ours(&standing) => Ok(version),
            Ok(Some(_)) => Err(ReplaceError::VersionMismatch),
            Ok(None) | Err(_) => {
                let standing = with_deadline(deadline, error_span!("policy", %city), self.read(city)).await?;
                if standing.as_ref().is_some_and(is_ours) {
                    return Ok(version);
                }
                let standing = standing.and_then(|item| read_number(&item, VERSION));
                // Where the one to be replaced still stands, an attempt may be under way.
                Err(if standing == after { Unavailable.into() } else { ReplaceError::VersionMismatch })
            }
        }
    }
}

fn stored(item: &Item) -> Option<StoredPolicy> {
    Some(StoredPolicy {
        city: CityId::new(read_text(item, CITY)?)?,
        version: read_number(item, VERSION)?,
        document: read_text(item, DOCUMENT)?.into(),
    })
}
