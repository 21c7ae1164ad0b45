//! Confirmed quotes: one item each, written once.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use equilibrium_app::quote::ports::{Confirmation, KEPT_MS, QuoteStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::quote::QuoteId;
use tokio::time::timeout_at;
use tracing::error_span;

use super::item::{EXPIRES, Item, WRITER, WriterTokens, number, read_number, read_text, signed, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{log_unavailable, with_deadline};

const QUOTE: &str = "quote";
const TOKEN: &str = "token";
const CONFIRMED_AT: &str = "confirmed_at_ms";
const IDEMPOTENCY_KEY: &str = "idempotency_key";
/// 1 once the event of the confirmation is in the log.
const LOGGED: &str = "logged";

/// Confirmed quotes in a table.
#[derive(Debug)]
pub struct Quotes {
    table: Table,
    writers: WriterTokens,
}

impl Quotes {
    /// The confirmed quotes in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.quotes), writers: WriterTokens::default() }
    }

    /// Writes an item unless there is one, and returns the one that is stored.
    async fn put(&self, item: Item) -> Result<Item, Unavailable> {
        let request = self
            .table
            .put_item(item.clone())
            .condition_expression("attribute_not_exists(#quote)")
            .expression_attribute_names("#quote", QUOTE)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Ok(item),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.into_err() {
                    aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
                        failed,
                    ) => failed.item.ok_or(Unavailable),
                    error => Err(log_unavailable("PutItem", &error)),
                }
            }
            Err(error) => Err(log_unavailable("PutItem", &error)),
        }
    }
}

impl QuoteStore for Quotes {
    async fn confirmation(&self, id: QuoteId) -> Result<Option<Confirmation>, Unavailable> {
        let read = async {
            let read = self.table.get_item(key(id)).send().await;
            read.map_err(|error| log_unavailable("GetItem", &error))
        };
        let span = error_span!("quote", %id);
        let item = with_deadline(self.table.retry_policy().deadline(), span, read).await?.item;
        item.map(|item| read_item(&item).ok_or(Unavailable)).transpose()
    }

    async fn confirm(&self, id: QuoteId, new: &Confirmation) -> Result<Option<Confirmation>, Unavailable> {
        let writer = self.writers.next_token();
        let mut item = key(id);
        let expires = u64::try_from((new.confirmed_at + KEPT_MS) / 1_000).unwrap_or(0);
        item.insert(TOKEN.into(), text(&new.token));
        item.insert(CONFIRMED_AT.into(), signed(new.confirmed_at));
        item.insert(LOGGED.into(), number(u64::from(new.is_logged)));
        item.insert(EXPIRES.into(), number(expires));
        item.insert(WRITER.into(), text(&writer));
        if let Some(idempotency_key) = &new.idempotency_key {
            item.insert(IDEMPOTENCY_KEY.into(), text(idempotency_key));
        }
        let deadline = self.table.retry_policy().write_deadline();
        let stored = timeout_at(deadline, self.put(item)).await.map_err(|_| Unavailable)??;
        // An earlier attempt of this call, whose answer was lost, may have written the stored item.
        if read_text(&stored, WRITER) == Some(&writer) {
            return Ok(None);
        }
        read_item(&stored).map(Some).ok_or(Unavailable)
    }

    async fn logged(&self, id: QuoteId) -> Result<(), Unavailable> {
        let request = self
            .table
            .update_item(key(id))
            .update_expression("SET #logged = :one")
            .condition_expression("attribute_exists(#quote)")
            .expression_attribute_names("#logged", LOGGED)
            .expression_attribute_names("#quote", QUOTE)
            .expression_attribute_values(":one", number(1));
        let update =
            async { request.send().await.map(drop).map_err(|error| log_unavailable("UpdateItem", &error)) };
        with_deadline(self.table.retry_policy().deadline(), error_span!("quote", %id), update).await
    }
}

fn key(id: QuoteId) -> Item {
    Item::from([(QUOTE.into(), text(id.to_string()))])
}

fn read_item(item: &Item) -> Option<Confirmation> {
    let confirmed_at = item.get(CONFIRMED_AT)?.as_n().ok()?.parse().ok()?;
    Some(Confirmation {
        token: read_text(item, TOKEN)?.to_owned(),
        confirmed_at,
        idempotency_key: read_text(item, IDEMPOTENCY_KEY).map(str::to_owned),
        is_logged: read_number(item, LOGGED)? == 1,
    })
}
