//! Policies: one item per city, replaced conditionally.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use equilibrium_app::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use tokio::time::timeout_at;
use tracing::{Span, error_span};

use super::item::{Item, WRITER, WriterTokens, number, read_number, read_text, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{log_unavailable, with_deadline};

const CITY: &str = "city";
const VERSION: &str = "version";
const DOCUMENT: &str = "document";

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

    /// Writes `item` over version `after`. Returns the item that is stored afterwards, if that is known.
    async fn replace(&self, item: Item, after: Option<u64>) -> Option<Item> {
        let request = self
            .table
            .put_item(item.clone())
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
                    // Without an item, there was none to replace.
                    PutItemError::ConditionalCheckFailedException(failed) => {
                        Some(failed.item.unwrap_or_default())
                    }
                    _ => None,
                }
            }
            Err(error) => {
                log_unavailable("PutItem", &error);
                None
            }
        }
    }

    async fn read(&self, city: &CityId) -> Result<Option<Item>, Unavailable> {
        let request = self.table.get_item(Item::from([(CITY.into(), text(city.as_str()))]));
        let read = request.send().await.map_err(|error| log_unavailable("GetItem", &error))?;
        Ok(read.item)
    }
}

impl PolicyStore for Policies {
    async fn all(&self) -> Result<Vec<StoredPolicy>, Unavailable> {
        let scan = async {
            let mut policies = Vec::new();
            let mut from = None;
            loop {
                let page = self.table.scan().set_exclusive_start_key(from).send().await;
                let page = page.map_err(|error| log_unavailable("Scan", &error))?;
                for item in page.items() {
                    policies.push(read_policy(item).ok_or_else(|| {
                        tracing::error!(?item, "policy unreadable");
                        Unavailable
                    })?);
                }
                from = page.last_evaluated_key;
                if from.is_none() {
                    return Ok(policies);
                }
            }
        };
        with_deadline(self.table.retry_policy().deadline(), Span::none(), scan).await
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
        match timeout_at(write_deadline, self.replace(item, after)).await {
            // An earlier attempt of this call, whose answer was lost, may have written the stored item.
            Ok(Some(stored)) if is_ours(&stored) => Ok(version),
            Ok(Some(_)) => Err(ReplaceError::VersionMismatch),
            Ok(None) | Err(_) => {
                let span = error_span!("policy", %city);
                let stored = with_deadline(deadline, span, self.read(city)).await?;
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

fn read_policy(item: &Item) -> Option<StoredPolicy> {
    Some(StoredPolicy {
        city: CityId::new(read_text(item, CITY)?)?,
        version: read_number(item, VERSION)?,
        document: read_text(item, DOCUMENT)?.into(),
    })
}
