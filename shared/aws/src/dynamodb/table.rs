//! Requests for single items of one table.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::{PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{KeysAndAttributes, TransactWriteItem};

use super::Connection;
use super::item::{EXPIRES, Item, number};
use crate::retry::{RetryPolicy, log_unavailable};
use equilibrium_app::unavailable::Unavailable;

/// Keys of one page (`BatchGetItem`, Amazon DynamoDB API reference).
const MAX_PAGE_KEYS: usize = 100;

/// One table and its client.
#[derive(Clone, Debug)]
pub(super) struct Table {
    connection: Connection,
    name: String,
}

impl Table {
    pub(super) fn new(connection: &Connection, name: &str) -> Self {
        Self { connection: connection.clone(), name: name.to_owned() }
    }

    pub(super) fn retry_policy(&self) -> RetryPolicy {
        self.connection.retry_policy
    }

    /// A consistent read of one item.
    pub(super) fn get_item(&self, key: Item) -> GetItemFluentBuilder {
        let request = self.connection.client.get_item().table_name(&self.name);
        request.set_key(Some(key)).consistent_read(true)
    }

    /// A write of one item, unconditional unless the caller adds a condition.
    pub(super) fn put_item(&self, item: Item) -> PutItemFluentBuilder {
        self.connection.client.put_item().table_name(&self.name).set_item(Some(item))
    }

    /// An update of one item, unconditional unless the caller adds a condition.
    pub(super) fn update_item(&self, key: Item) -> UpdateItemFluentBuilder {
        self.connection.client.update_item().table_name(&self.name).set_key(Some(key))
    }

    /// The items with these keys, in any order, without those that do not exist: pages of [`MAX_PAGE_KEYS`], and what a
    /// page left over for its size (`BatchGetItem`, Amazon DynamoDB API reference).
    pub(super) async fn batch_get(
        &self,
        keys: Vec<Item>,
        consistent: bool,
    ) -> Result<Vec<Item>, Unavailable> {
        let mut items = Vec::with_capacity(keys.len());
        let mut pages: Vec<Vec<Item>> = keys.chunks(MAX_PAGE_KEYS).map(<[Item]>::to_vec).collect();
        while let Some(keys) = pages.pop() {
            let page = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent).build();
            let page = page.map_err(|error| log_unavailable("BatchGetItem", &error))?;
            let request = self.connection.client.batch_get_item().request_items(&self.name, page);
            let read = request.send().await.map_err(|error| log_unavailable("BatchGetItem", &error))?;
            let found = read.responses.and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default();
            let left = read.unprocessed_keys.and_then(|mut tables| tables.remove(&self.name));
            if let Some(left) = left {
                if found.is_empty() {
                    tracing::warn!(request = "BatchGetItem", "request throttled");
                    return Err(Unavailable);
                }
                pages.push(left.keys);
            }
            items.extend(found);
        }
        Ok(items)
    }

    /// A write of several items, all or none.
    pub(super) fn transact_write(
        &self,
        puts: impl IntoIterator<Item = PutBuilder>,
        updates: impl IntoIterator<Item = UpdateBuilder>,
    ) -> Result<TransactWriteItemsFluentBuilder, BuildError> {
        let mut request = self.connection.client.transact_write_items();
        for put in puts {
            let put = put.table_name(&self.name).build()?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        for update in updates {
            let update = update.table_name(&self.name).build()?;
            request = request.transact_items(TransactWriteItem::builder().update(update).build());
        }
        Ok(request)
    }

    /// A consistent query.
    pub(super) fn query(&self) -> QueryFluentBuilder {
        self.connection.client.query().table_name(&self.name).consistent_read(true)
    }

    /// Sets the expiry of an existing item, in seconds since the epoch. `partition` is the attribute of the
    /// table's partition key. If the item does not exist, the request fails and creates nothing.
    pub(super) async fn set_expiry(
        &self,
        partition: &str,
        key: Item,
        expires: u64,
    ) -> Result<(), Unavailable> {
        let placeholder = format!("#{partition}");
        let request = self
            .update_item(key)
            .update_expression("SET #expires = :expires")
            .condition_expression(format!("attribute_exists({placeholder})"))
            .expression_attribute_names(placeholder, partition)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":expires", number(expires));
        request.send().await.map(drop).map_err(|error| log_unavailable("UpdateItem", &error))
    }
}
