//! Histories: one item per batch of ticks, under its last tick, which expires after 90 days.

use equilibrium_app::history::ports::{HISTORY_MS, HistoryStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::history::HistoryKey;
use tracing::{Span, error_span};

use super::item::{EXPIRES, Item, bytes, now_s, number, signed, take_bytes, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{log_unavailable, with_deadline};

const CITY: &str = "city";
/// The last tick of an item in milliseconds since the epoch, times [`PARTS`], plus its part.
const TICK: &str = "tick";
const ITEM: &str = "item";

/// More than the parts of one tick: a tick with as many changes as a city has cells has a few.
const PARTS: i64 = 1_000;

/// Histories in a table.
#[derive(Debug)]
pub struct History {
    table: Table,
}

impl History {
    /// The histories in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.history) }
    }
}

/// The span that names the city in log lines.
fn log_span(city: &CityId) -> Span {
    error_span!("history", %city)
}

fn sort_key(key: HistoryKey) -> i64 {
    key.at.saturating_mul(PARTS).saturating_add(i64::from(key.part))
}

fn read_key(item: &Item) -> Option<HistoryKey> {
    let tick: i64 = item.get(TICK)?.as_n().ok()?.parse().ok()?;
    Some(HistoryKey { at: tick.div_euclid(PARTS), part: u32::try_from(tick.rem_euclid(PARTS)).ok()? })
}

impl HistoryStore for History {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        let request = self.table.put_item(Item::from([
            (CITY.into(), text(city.as_str())),
            (TICK.into(), signed(sort_key(key))),
            (ITEM.into(), bytes(item)),
            (EXPIRES.into(), number(now_s() + HISTORY_MS.unsigned_abs() / 1_000)),
        ]));
        let put = async { request.send().await.map_err(|error| log_unavailable("PutItem", &error)) };
        with_deadline(self.table.retry_policy().deadline(), log_span(city), put).await.map(drop)
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        let request = self
            .table
            .query()
            .key_condition_expression("#city = :city AND #tick >= :from")
            .expression_attribute_names("#city", CITY)
            .expression_attribute_names("#tick", TICK)
            .expression_attribute_values(":city", text(city.as_str()))
            .expression_attribute_values(":from", signed(sort_key(from)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let query = async { request.send().await.map_err(|error| log_unavailable("Query", &error)) };
        let read = with_deadline(self.table.retry_policy().deadline(), log_span(city), query).await?;
        let items = read.items.unwrap_or_default().into_iter();
        Ok(items.filter_map(|mut item| Some((read_key(&item)?, take_bytes(&mut item, ITEM)?))).collect())
    }
}
