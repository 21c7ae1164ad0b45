//! A city's map: immutable chunks, and a head that names them and only replaces a lower version. A chunk expires by
//! itself; one that heads name for long is renewed.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::error::SdkError;
use equilibrium_app::history::ports::HistoryStore;
use equilibrium_app::laws::ports::DayStore;
use equilibrium_app::price::ports::{Consistency, MapStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use futures_util::future::{join, join_all};
use parking_lot::Mutex;
use tracing::{Span, error_span};

use super::item::{EXPIRES, Item, bytes, now_s, number, read_number, read_text, take_bytes, text};
use super::table::Table;
use super::{Connection, Days, History, Tables};
use crate::retry::{log_unavailable, with_deadline};

const CITY: &str = "city";
const PART: &str = "part";
const VERSION: &str = "version";
const BYTES: &str = "bytes";
const HEAD: &str = "head";

/// Lifetime of a chunk since it was written or renewed, in seconds. A chunk that is replaced by the next tick is never
/// written again; it is kept for readers of its head and for instances that were frozen meanwhile.
const CHUNK_TTL_S: u64 = 6 * 3600;

/// A chunk that heads still name is renewed this long after, in seconds. A city may stand still for the rest of
/// [`CHUNK_TTL_S`] before its map is incomplete.
const RENEW_AFTER_S: u64 = 2 * 3600;

/// The most chunks that are renewed beside one head: as many as take no longer than the head itself.
const MAX_RENEWALS: usize = 16;

/// Lifetime of the map at the start of a freeze, in seconds: longer than a freeze that begins as late as it may.
const FROZEN_TTL_S: u64 = 61 * 86_400;

/// The most bytes of a part: an item has at most 400 KB with its names (Amazon DynamoDB, quotas).
const MAX_PART_BYTES: usize = 380_000;

/// Maps in a table, and histories and the figures of days in others.
#[derive(Debug)]
pub struct Maps {
    table: Table,
    history: History,
    days: Days,
    /// By city, when each chunk of its newest head was last written or renewed by this instance, in seconds since the
    /// epoch.
    renewed: Mutex<HashMap<CityId, HashMap<ChunkName, u64>>>,
}

impl Maps {
    /// The maps in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self {
            table: Table::new(connection, &tables.maps),
            history: History::new(connection, tables),
            days: Days::new(connection, tables),
            renewed: Mutex::default(),
        }
    }

    async fn read(&self, city: &CityId, part: String) -> Result<Option<Vec<u8>>, Unavailable> {
        let request = self
            .table
            .get_item(key(city, part))
            .projection_expression("#bytes")
            .expression_attribute_names("#bytes", BYTES);
        let read = request.send().await.map_err(|error| log_unavailable("GetItem", &error))?;
        Ok(read.item.and_then(|mut item| take_bytes(&mut item, BYTES)))
    }

    /// The contents of these parts, in their order.
    async fn read_all(
        &self,
        parts: Vec<Item>,
        consistent: bool,
    ) -> Result<Vec<Option<Vec<u8>>>, Unavailable> {
        let read = with_deadline(
            self.table.retry_policy().deadline(),
            Span::none(),
            self.table.batch_get(parts.clone(), consistent),
        );
        let of = |item: &Item| Some((read_text(item, CITY)?.to_owned(), read_text(item, PART)?.to_owned()));
        let mut found: HashMap<_, _> =
            read.await?.into_iter().filter_map(|item| Some((of(&item)?, item))).collect();
        let take = |part: &Item| take_bytes(&mut found.remove(&of(part)?)?, BYTES);
        Ok(parts.iter().map(take).collect())
    }

    /// Writes the head over a lower version; one of this or a higher version stays.
    async fn replace_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let request = self
            .table
            .put_item(item(&head.city, HEAD, head.version, &head.encode()))
            .condition_expression("attribute_not_exists(#version) OR #version < :version")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":version", number(head.version));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(())
            }
            Err(error) => Err(log_unavailable("PutItem", &error)),
        }
    }

    /// Renews some chunks of the head that were written or renewed long ago, or by another instance. A chunk for which
    /// this fails is renewed beside a later head.
    async fn renew(&self, head: &MapHead) {
        let now_s = now_s();
        let due = self.due_renewals(head, now_s);
        let renewals = due.into_iter().map(async |name| {
            let key = key(&head.city, chunk_key(name));
            let renewed = self.table.set_expiry(CITY, key, now_s + CHUNK_TTL_S).await;
            renewed.is_ok().then_some(name)
        });
        let renewed = join_all(renewals).await;
        let mut cities = self.renewed.lock();
        let chunks = cities.entry(head.city.clone()).or_default();
        chunks.extend(renewed.into_iter().flatten().map(|name| (name, now_s)));
    }

    /// The chunks to renew. Forgets those that the head no longer names.
    fn due_renewals(&self, head: &MapHead, now_s: u64) -> Vec<ChunkName> {
        let mut cities = self.renewed.lock();
        let chunks = cities.entry(head.city.clone()).or_default();
        let named: HashSet<_> = head.chunks.iter().collect();
        chunks.retain(|name, _| named.contains(name) || name.version > head.version);
        let is_due = |name: &&ChunkName| chunks.get(*name).is_none_or(|at_s| at_s + RENEW_AFTER_S <= now_s);
        head.chunks.iter().filter(is_due).take(MAX_RENEWALS).copied().collect()
    }
}

/// The span that names the city in log lines.
fn log_span(city: &CityId) -> Span {
    error_span!("map", %city)
}

fn frozen_key(start_ms: i64, part: usize) -> String {
    format!("frozen#{start_ms}#{part}")
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
        let now_s = now_s();
        let mut item = item(city, chunk_key(name), name.version, chunk);
        item.insert(EXPIRES.into(), number(now_s + CHUNK_TTL_S));
        let request = self.table.put_item(item);
        let put = async { request.send().await.map_err(|error| log_unavailable("PutItem", &error)) };
        with_deadline(self.table.retry_policy().deadline(), log_span(city), put).await?;
        self.renewed.lock().entry(city.clone()).or_default().insert(name, now_s);
        Ok(())
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let deadline = self.table.retry_policy().deadline();
        let save = async { join(self.replace_head(head), self.renew(head)).await.0 };
        with_deadline(deadline, log_span(&head.city), save).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        let read = self.read(city, HEAD.into());
        let deadline = self.table.retry_policy().deadline();
        let Some(bytes) = with_deadline(deadline, log_span(city), read).await? else {
            return Ok(None);
        };
        decode(&bytes).map(Some)
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        let read = self.read(city, chunk_key(name));
        with_deadline(self.table.retry_policy().deadline(), log_span(city), read).await
    }

    /// The last part is written last, on condition: an incomplete map is not read.
    async fn save_frozen(&self, city: &CityId, start_ms: i64, map: &FrozenMap) -> Result<(), Unavailable> {
        let content = map.encode();
        let expires = now_s() + FROZEN_TTL_S;
        let parts: Vec<&[u8]> = content.chunks(MAX_PART_BYTES).collect();
        let save = async {
            for (index, part) in parts.iter().enumerate().rev() {
                let mut item = item(city, frozen_key(start_ms, index), parts.len() as u64, part);
                item.insert(EXPIRES.into(), number(expires));
                let request = self.table.put_item(item);
                let request = if index == 0 {
                    let absent = "attribute_not_exists(#version)";
                    request.condition_expression(absent).expression_attribute_names("#version", VERSION)
                } else {
                    request
                };
                match request.send().await {
                    Ok(_) => {}
                    Err(SdkError::ServiceError(error))
                        if error.err().is_conditional_check_failed_exception() => {}
                    Err(error) => return Err(log_unavailable("PutItem", &error)),
                }
            }
            Ok(())
        };
        with_deadline(self.table.retry_policy().deadline(), log_span(city), save).await
    }

    async fn frozen(&self, city: &CityId, start_ms: i64) -> Result<Option<FrozenMap>, Unavailable> {
        let read = async {
            let first = self.table.get_item(key(city, frozen_key(start_ms, 0))).send().await;
            let first = first.map_err(|error| log_unavailable("GetItem", &error))?;
            let Some(mut first) = first.item else { return Ok(None) };
            let parts = read_number(&first, VERSION).unwrap_or(1);
            let mut content = take_bytes(&mut first, BYTES).unwrap_or_default();
            for index in 1..usize::try_from(parts).unwrap_or(1) {
                content.extend(self.read(city, frozen_key(start_ms, index)).await?.unwrap_or_default());
            }
            let map = FrozenMap::decode(&content).map_err(|corrupt| log_unavailable("GetItem", &corrupt))?;
            Ok(Some(map))
        };
        with_deadline(self.table.retry_policy().deadline(), log_span(city), read).await
    }

    async fn heads(&self, cities: &[CityId]) -> Result<Vec<Option<MapHead>>, Unavailable> {
        let heads = self.read_all(cities.iter().map(|city| key(city, HEAD)).collect(), false).await?;
        Ok(heads.into_iter().map(|bytes| decode(&bytes?).ok()).collect())
    }

    async fn chunks(
        &self,
        names: &[(CityId, ChunkName)],
        consistency: Consistency,
    ) -> Result<Vec<Option<Vec<u8>>>, Unavailable> {
        let parts = names.iter().map(|(city, name)| key(city, chunk_key(*name))).collect();
        self.read_all(parts, consistency == Consistency::Strong).await
    }
}

impl HistoryStore for Maps {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.history.save_history(city, key, item).await
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        self.history.history(city, from, limit).await
    }
}

impl DayStore for Maps {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.days.save_day(city, day, figures).await
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        self.days.days(city, from, to).await
    }
}

/// The next tick replaces a corrupt head.
fn decode(bytes: &[u8]) -> Result<MapHead, Unavailable> {
    MapHead::decode(bytes).map_err(|corrupt| log_unavailable("GetItem", &corrupt))
}
