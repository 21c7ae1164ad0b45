//! The figures of days: one item for each day of a city, which expires after the time of the contract.

use aws_sdk_dynamodb::error::SdkError;
use equilibrium_app::laws::ports::{BoundStores, DayStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::daily::{DayFigures, KEPT_DAYS, LocalDay};
use tracing::{Span, error_span};

use super::item::{EXPIRES, Item, bytes, now_s, number, signed, take_bytes, text};
use super::table::Table;
use super::{Connection, Overrides, Tables};
use crate::retry::{log_unavailable, with_deadline};

const CITY: &str = "city";
/// A date.
const DAY: &str = "day";
const FIGURES: &str = "figures";
const RUN: &str = "began_ms";
const VERSION: &str = "version";

const DAY_S: u64 = 86_400;

/// The figures of days in a table.
#[derive(Debug)]
pub struct Days {
    table: Table,
}

impl Days {
    /// The figures in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.days) }
    }
}

/// The overrides and the figures of days in these tables.
#[must_use]
pub fn bounds(connection: &Connection, tables: &Tables) -> BoundStores<Overrides, Days> {
    BoundStores { overrides: Overrides::new(connection, tables), days: Days::new(connection, tables) }
}

/// The span that names the city in log lines.
fn log_span(city: &CityId) -> Span {
    error_span!("days", %city)
}

impl DayStore for Days {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        // Longer than readers look back, whatever the time zone.
        let kept_s = DAY_S * (u64::from(KEPT_DAYS.unsigned_abs()) + 2);
        let request = self
            .table
            .put_item(Item::from([
                (CITY.into(), text(city.as_str())),
                (DAY.into(), text(day.to_string())),
                (FIGURES.into(), bytes(&figures.encode())),
                (RUN.into(), signed(figures.began_ms)),
                (VERSION.into(), number(figures.version)),
                (EXPIRES.into(), number(now_s() + kept_s)),
            ]))
            .condition_expression("attribute_not_exists(#run) OR #run <> :run OR #version < :version")
            .expression_attribute_names("#run", RUN)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":run", signed(figures.began_ms))
            .expression_attribute_values(":version", number(figures.version));
        let put = async {
            match request.send().await {
                Ok(_) => Ok(()),
                Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                    Ok(())
                }
                Err(error) => Err(log_unavailable("PutItem", &error)),
            }
        };
        with_deadline(self.table.retry_policy().deadline(), log_span(city), put).await
    }

    /// A day that cannot be decoded is left out: a law then refers to the others.
    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        if from > to {
            return Ok(Vec::new());
        }
        let read = async {
            let mut found = Vec::new();
            let mut next: Option<Item> = None;
            loop {
                let query = self
                    .table
                    .query()
                    .consistent_read(true)
                    .key_condition_expression("#city = :city AND #day BETWEEN :from AND :to")
                    .expression_attribute_names("#city", CITY)
                    .expression_attribute_names("#day", DAY)
                    .expression_attribute_values(":city", text(city.as_str()))
                    .expression_attribute_values(":from", text(from.to_string()))
                    .expression_attribute_values(":to", text(to.to_string()))
                    .set_exclusive_start_key(next.take());
                let page = query.send().await.map_err(|error| log_unavailable("Query", &error))?;
                found.extend(page.items.unwrap_or_default().into_iter().filter_map(read_day));
                next = page.last_evaluated_key;
                if next.is_none() {
                    return Ok(found);
                }
            }
        };
        with_deadline(self.table.retry_policy().deadline(), log_span(city), read).await
    }
}

fn read_day(mut item: Item) -> Option<(LocalDay, DayFigures)> {
    let day = LocalDay::parse(item.get(DAY)?.as_s().ok()?)?;
    match DayFigures::decode(&take_bytes(&mut item, FIGURES)?) {
        Ok(figures) => Some((day, figures)),
        Err(corrupt) => {
            tracing::error!(%corrupt, %day, "figures of a day unreadable");
            None
        }
    }
}
