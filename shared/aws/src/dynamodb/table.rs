//! Requests for single items of one table.

use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

use super::Connection;
use super::item::{EXPIRES, Item, number};
use crate::retry::{RetryPolicy, log_unavailable};
use equilibrium_app::unavailable::Unavailable;

/// One table and its client.
#[derive(Debug)]
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

    /// A consistent query.
    pub(super) fn query(&self) -> QueryFluentBuilder {
        self.connection.client.query().table_name(&self.name).consistent_read(true)
    }

    /// A consistent scan of the whole table.
    pub(super) fn scan(&self) -> ScanFluentBuilder {
        self.connection.client.scan().table_name(&self.name).consistent_read(true)
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
