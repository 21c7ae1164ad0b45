//! A city's map: immutable chunks, and a head that names them and only replaces a lower version.

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

use super::item::{Item, bytes, now_s, number, take_bytes, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{log_unavailable, with_deadline};

const CITY: &str = "city";
const PART: &str = "part";
const VERSION: &str = "version";
const BYTES: &str = "bytes";
const HEAD: &str = "head";

/// Lifetime of a chunk that the newest head does not name, in seconds. A reader of the previous head reads its
/// chunks within a second; an hour also covers instances that were frozen in between.
const UNREFERENCED_CHUNK_TTL_S: u64 = 3600;

/// Maps in a table.
#[derive(Debug)]
pub struct Maps {
    table: Table,
}

impl Maps {
    /// The maps in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.maps) }
    }

    /// Reads a head or a chunk. The read is consistent: a chunk is written before the head that names it, so
    /// an eventually consistent read could miss it.
    async fn read(&self, city: &CityId, part: String) -> Result<Option<Vec<u8>>, Unavailable> {
        let request = self
            .table
            .get_item(key(city, part))
            .projection_expression("#bytes")
            .expression_attribute_names("#bytes", BYTES);
        let read = request.send().await.map_err(|error| log_unavailable("GetItem", &error))?;
        Ok(read.item.and_then(|mut item| take_bytes(&mut item, BYTES)))
    }

    /// Writes the head over a lower version and returns the item that it replaced.
    async fn replace_head(&self, head: &MapHead) -> Result<Option<Item>, Unavailable> {
        let request = self
            .table
            .put_item(item(&head.city, HEAD, head.version, &head.encode()))
            .condition_expression("attribute_not_exists(#version) OR #version < :version")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":version", number(head.version))
            .return_values(ReturnValue::AllOld);
        match request.send().await {
            Ok(put) => Ok(put.attributes),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(None)
            }
            Err(error) => Err(log_unavailable("PutItem", &error)),
        }
    }

    /// Sets the expiry of the chunks that `old` names and `new` does not. A chunk for which this fails is kept
    /// for ever; it costs a few kilobytes.
    async fn expire_unreferenced(&self, old: &MapHead, new: &MapHead) {
        let referenced: HashSet<_> = new.chunks.iter().copied().collect();
        let unreferenced = old.chunks.iter().filter(|chunk| !referenced.contains(*chunk));
        let updates = unreferenced.map(|name| {
            let key = key(&new.city, chunk_key(*name));
            self.table.set_expiry(CITY, key, now_s() + UNREFERENCED_CHUNK_TTL_S)
        });
        join_all(updates).await;
    }
}

/// The span that names the city in log lines.
fn log_span(city: &CityId) -> Span {
    error_span!("map", %city)
}

fn chunk_key(name: ChunkName) -> String {
    let ChunkName { parent: Cell(parent), version } = name;
    format!("chunk#{parent:x}#{version}")
}

fn key(city: &CityId, part: impl Into<String>) -> Item {
    Item::from([(CITY.into(), text(city.as_str())), (PART.into(), text(part))])
}

fn item(city: &CityId, part: impl Into<String>, version: u64, content: &[u8]) -> Item {
    let mut item = key(city, part);
    item.insert(VERSION.into(), number(version));
    item.insert(BYTES.into(), bytes(content));
    item
}

impl MapStore for Maps {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        let request = self.table.put_item(item(city, chunk_key(name), name.version, chunk));
        let put = async { request.send().await.map_err(|error| log_unavailable("PutItem", &error)) };
        with_deadline(self.table.retry_policy().deadline(), log_span(city), put).await.map(drop)
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let deadline = self.table.retry_policy().deadline();
        let replace = self.replace_head(head);
        let Some(mut old) = with_deadline(deadline, log_span(&head.city), replace).await? else {
            return Ok(());
        };
        // The head is saved, whatever the outcome of the rest. A corrupt old head names no chunks.
        if let Some(Ok(old)) = take_bytes(&mut old, BYTES).map(|bytes| MapHead::decode(&bytes)) {
            let expire = async {
                self.expire_unreferenced(&old, head).await;
                Ok(())
            };
            with_deadline(deadline, log_span(&head.city), expire).await.ok();
        }
        Ok(())
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        let read = self.read(city, HEAD.into());
        let deadline = self.table.retry_policy().deadline();
        let Some(bytes) = with_deadline(deadline, log_span(city), read).await? else {
            return Ok(None);
        };
        // The next tick replaces a corrupt head.
        MapHead::decode(&bytes).map(Some).map_err(|corrupt| log_unavailable("GetItem", &corrupt))
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        let read = self.read(city, chunk_key(name));
        with_deadline(self.table.retry_policy().deadline(), log_span(city), read).await
    }
}
