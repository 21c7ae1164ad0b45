//! `GET /v1/cities/{city}/history`: how the city's multipliers changed, or every tick of a day.

use equilibrium_app::checkpoint::ports::PAST_MS;
use equilibrium_app::history::ports::PastStores;
use equilibrium_app::history::reader::{self, HistoryEntry, HistoryPosition, HistoryQuery};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::ProductId;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, page_token, parameters};
use serde::Serialize;

use crate::{PriceApi, cell_of, instant, past_unavailable, product_of, with_no_cache};

/// The most rows of a page, and those of a page if the client does not give a limit (CONTRACT §10).
const MAX_PAGE_SIZE: usize = 1_000;

#[derive(Serialize)]
struct Row<'a> {
    at: Option<Timestamp>,
    product: &'a str,
    cell: Cell,
    multiplier: Multiplier,
    demand: u32,
    supply: u32,
    version: u64,
}

#[derive(Serialize)]
struct Page<'a> {
    changes: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<M, K, T, P> PriceApi<'_, M, K, T, P>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
    P: PastStores,
{
    pub(crate) async fn history(&self, request: &Request<'_>, city: &str) -> Result<Response, Problem> {
        let names = ["cell", "product", "from", "to", "ticks", "limit", "next"];
        let [cell, product, from, to, ticks, limit, next] = request.parameters(names)?;
        let config = self.city(city)?;
        let policy = &config.pricing.policy;
        let ticks = match ticks.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                let problem = Problem::new(400, "malformed_parameter", "must be true or false");
                return Err(problem.for_parameter("ticks"));
            }
        };
        let time = |name, text: Option<&str>| text.map(|text| instant(name, text)).transpose();
        // What closes now is in it.
        let to = time("to", to.as_deref())?.unwrap_or(self.now_ms + 1);
        let limit = parameters::count("limit", limit.as_deref(), 1..=MAX_PAGE_SIZE)?;
        let query = HistoryQuery {
            city: policy.city.clone(),
            cell: cell.as_deref().map(|text| cell_of(policy, text, Some("cell"))).transpose()?,
            product: product.as_deref().map(|id| product_of(policy, id)).transpose()?,
            from: time("from", from.as_deref())?.unwrap_or(to.saturating_sub(PAST_MS)),
            to,
            after: next.as_deref().map(|token| page_token::decode("next", token, position)).transpose()?,
            limit: limit.unwrap_or(MAX_PAGE_SIZE),
        };
        let page = if ticks {
            reader::ticks((self.past, self.maps), &query, self.now_ms).await
        } else {
            reader::changes(self.past.histories(), &query, self.now_ms).await
        };
        let page = page.map_err(past_unavailable)?;
        let page = Page {
            changes: page.rows.iter().map(Row::of).collect(),
            next: page.next.map(|position| page_token::encode(&key(&position))),
        };
        let response = with_no_cache(Response::of(200, "application/json", &page));
        let accepted = request.header("accept-encoding");
        Ok(response.with("vary", "accept-encoding").compressed_for(accepted))
    }
}

impl<'a> Row<'a> {
    fn of(entry: &'a HistoryEntry) -> Self {
        let HistoryEntry { at, ref product, cell, multiplier, demand, supply, version } = *entry;
        let at = Timestamp::from_ms(at);
        Self { at, product: product.as_str(), cell, multiplier, demand, supply, version }
    }
}

/// The key of a position, for a page token: `TICK` or `TICK/PRODUCT/CELL`.
fn key(position: &HistoryPosition) -> String {
    let HistoryPosition { at, row } = position;
    match row {
        Some((product, cell)) => format!("{at}/{product}/{cell}"),
        None => at.to_string(),
    }
}

/// The position with this key.
fn position(key: &str) -> Option<HistoryPosition> {
    let mut parts = key.split('/');
    let at = parts.next()?.parse().ok()?;
    let row = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        (Some(product), Some(cell), None) => Some((ProductId::new(product)?, Cell::parse(cell)?)),
        _ => return None,
    };
    Some(HistoryPosition { at, row })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_from_its_key() {
        let row = Some((ProductId::new("xl").unwrap(), Cell(0x0882_a100_d63f_ffff)));
        for position_of in [HistoryPosition { at: -5_000, row: None }, HistoryPosition { at: 5_000, row }] {
            assert_eq!(position(&key(&position_of)), Some(position_of));
        }
        for key in ["", "x", "1/", "1/xl", "1/xl/0", "1/xl/882a100d63fffff/", "1//882a100d63fffff"] {
            assert_eq!(position(key), None, "{key}");
        }
    }
}
