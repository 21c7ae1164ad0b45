//! A city's map: immutable chunks, and a head that names them, written over a lower version only.

use std::collections::HashSet;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::ReturnValue;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use futures_util::future::join_all;
use tracing::{Span, error_span};

use super::item::{EXPIRES, Item, bytes, now_s, number, take_bytes, text};
use super::{Connection, Tables};
use crate::retry::{unavailable, with_deadline};

const CITY: &str = "city";
const PART: &str = "part";
const VERSION: &str = "version";
const BYTES: &str = "bytes";
const HEAD: &str = "head";

/// A chunk that no head names any more is kept this long, in seconds: whoever read the last head asks for
/// its chunks within a second, and an hour outlives every instance that was frozen in between.
const OUTLIVED_S: u64 = 3600;

/// Maps in a table.
#[derive(Debug)]
pub struct Maps {
    connection: Connection,
    table: String,
}

impl Maps {
    /// The maps of these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { connection: connection.clone(), table: tables.maps.clone() }
    }

    async fn read(&self, city: &CityId, part: String) -> Result<Option<Vec<u8>>, Unavailable> {
        let request = self
            .connection
            .client
            .get_item()
            .table_name(&self.table)
            .key(CITY, text(city.as_str()))
            .key(PART, text(part))
            // What a head names was written before the head: a copy that lags behind may not have it.
            .consistent_read(true)
            .projection_expression("#bytes")
            .expression_attribute_names("#bytes", BYTES);
        let read = request.send().await.map_err(|error| unavailable("GetItem", &error))?;
        Ok(read.item.and_then(|mut item| take_bytes(&mut item, BYTES)))
    }

    /// Writes the head over a lower version; gives the one that it replaced.
    async fn replace_head(&self, head: &MapHead) -> Result<Option<Item>, Unavailable> {
        let request = self
            .connection
            .client
            .put_item()
            .table_name(&self.table)
            .item(CITY, text(head.city.as_str()))
            .item(PART, text(HEAD))
            .item(VERSION, number(head.version))
            .item(BYTES, bytes(&head.encode()))
            .condition_expression("attribute_not_exists(#version) OR #version < :version")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":version", number(head.version))
            .return_values(ReturnValue::AllOld);
        match request.send().await {
            Ok(put) => Ok(put.attributes),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(None)
            }
            Err(error) => Err(unavailable("PutItem", &error)),
        }
    }

    /// Lets go of the chunks that `old` names and `new` does not. One that cannot be is kept for ever,
    /// which costs its few kilobytes and nothing else.
    async fn outlive(&self, old: &MapHead, new: &MapHead) {
        let named: HashSet<_> = new.chunks.iter().copied().collect();
        let outlived = old.chunks.iter().filter(|chunk| !named.contains(*chunk));
        let updates = outlived.map(async |name| {
            let request = self
                .connection
                .client
                .update_item()
                .table_name(&self.table)
                .key(CITY, text(new.city.as_str()))
                .key(PART, text(chunk_key(*name)))
                .update_expression("SET #expires = :expires")
                .condition_expression("attribute_exists(#city)")
                .expression_attribute_names("#expires", EXPIRES)
                .expression_attribute_names("#city", CITY)
                .expression_attribute_values(":expires", number(now_s() + OUTLIVED_S));
            if let Err(error) = request.send().await {
                unavailable("UpdateItem", &error);
            }
        });
        join_all(updates).await;
    }
}

/// What the log names beside what befalls a city's map.
fn of(city: &CityId) -> Span {
    error_span!("map", %city)
}

fn chunk_key(name: ChunkName) -> String {
    let ChunkName { parent: Cell(parent), version } = name;
    format!("chunk#{parent:x}#{version}")
}

impl MapStore for Maps {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        let request = self
            .connection
            .client
            .put_item()
            .table_name(&self.table)
            .item(CITY, text(city.as_str()))
            .item(PART, text(chunk_key(name)))
            .item(VERSION, number(name.version))
            .item(BYTES, bytes(chunk));
        let put = async { request.send().await.map_err(|error| unavailable("PutItem", &error)) };
        with_deadline(self.connection.patience.deadline(), of(city), put).await.map(drop)
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let deadline = self.connection.patience.deadline();
        let Some(mut old) = with_deadline(deadline, of(&head.city), self.replace_head(head)).await? else {
            return Ok(());
        };
        // The head is saved whatever becomes of these. One that cannot be read names nothing.
        if let Some(Ok(old)) = take_bytes(&mut old, BYTES).map(|bytes| MapHead::decode(&bytes)) {
            let outlive = async {
                self.outlive(&old, head).await;
                Ok(())
            };
            with_deadline(deadline, of(&head.city), outlive).await.ok();
        }
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        let read = self.read(city, HEAD.into());
        let Some(bytes) = with_deadline(self.connection.patience.deadline(), of(city), read).await? else {
            return Ok(None);
        };
        // The next tick writes it anew.
        MapHead::decode(&bytes).map(Some).map_err(|corrupt| unavailable("GetItem", &corrupt))
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        let read = self.read(city, chunk_key(name));
        with_deadline(self.connection.patience.deadline(), of(city), read).await
    }
}
