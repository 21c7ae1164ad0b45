//! Pages of the history of a city: changes of 90 days, or every tick of a day.

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::city_pricing::Output;
use equilibrium_domain::surge::history::{HistoryItem, HistoryKey};
use equilibrium_domain::surge::map::{ClosedTick, Row};

use crate::checkpoint::ports::{CheckpointKey, PAST_MS, PastLog};
use crate::history::bounds::PastBounds;
use crate::history::explainer::{LogReplay, Step};
use crate::history::ports::{HISTORY_MS, HistoryStore, PastStores};
use crate::price::map_reader::MapReader;
use crate::price::ports::MapStore;
use crate::price::report::{ReportedCell, ReportedTick};
use crate::timer::Timer;
use crate::unavailable::Unavailable;

/// Items of a history that one page reads at most: those of a few hours of a city whose prices move at every tick.
const MAX_ITEMS: usize = 4_000;

/// Items of one read.
const READ_ITEMS: usize = 500;

/// Parts of the log that one page replays at most: on AWS each is half a minute.
const MAX_PARTS: usize = 20;

/// The rows that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The city.
    pub city: CityId,
    /// This cell alone.
    pub cell: Option<Cell>,
    /// This product alone.
    pub product: Option<ProductId>,
    /// The first instant, in milliseconds since the epoch.
    pub from: i64,
    /// The end, which is not in it.
    pub to: i64,
    /// The position of the last row that was read, or of the last tick.
    pub after: Option<HistoryPosition>,
    /// The most rows.
    pub limit: usize,
}

/// A position in a history: after the rows of a tick, or after one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPosition {
    /// The tick, in milliseconds since the epoch.
    pub at: i64,
    /// The row; `None` is after the last row of the tick.
    pub row: Option<(ProductId, Cell)>,
}

/// What was reported of a cell and product at a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The tick, in milliseconds since the epoch.
    pub at: i64,
    /// The product.
    pub product: ProductId,
    /// The cell.
    pub cell: Cell,
    /// The multiplier.
    pub multiplier: Multiplier,
    /// Riders in the cell itself.
    pub demand: u32,
    /// Drivers in the cell itself.
    pub supply: u32,
    /// The map's version at this tick.
    pub version: u64,
}

impl HistoryEntry {
    fn position(&self) -> HistoryPosition {
        HistoryPosition { at: self.at, row: Some((self.product.clone(), self.cell)) }
    }
}

/// A page of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The rows, oldest first, those of a tick by product and cell.
    pub rows: Vec<HistoryEntry>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<HistoryPosition>,
}

/// A page of the changes of the multipliers at `now_ms`, in milliseconds since the epoch.
///
/// # Errors
/// [`Unavailable`].
pub async fn changes(
    store: &impl HistoryStore,
    query: &HistoryQuery,
    now_ms: i64,
) -> Result<HistoryPage, Unavailable> {
    let mut page = PageBuilder::new(query, now_ms.saturating_sub(HISTORY_MS));
    // An item has the key of its last tick, so the first that is read may begin earlier.
    let mut from = HistoryKey { at: page.first(), part: 0 };
    for _ in 0..MAX_ITEMS / READ_ITEMS {
        let items = store.history(&query.city, from, READ_ITEMS).await?;
        let Some((last, _)) = items.last() else { return Ok(page.end()) };
        from = HistoryKey { part: last.part + 1, ..*last };
        for (key, item) in &items {
            // An item that cannot be read is passed over.
            let HistoryItem { products, ticks } = HistoryItem::decode(item).unwrap_or_default();
            for tick in &ticks {
                for row in &tick.rows {
                    let product = &products[usize::from(row.product)];
                    if !page.wants(tick.at, product, row.cell) {
                        continue;
                    }
                    let entry = HistoryEntry {
                        at: tick.at,
                        product: product.clone(),
                        cell: row.cell,
                        multiplier: row.multiplier,
                        demand: row.demand,
                        supply: row.supply,
                        version: tick.version,
                    };
                    if page.is_full_with(entry) {
                        return Ok(page.page);
                    }
                }
            }
            if key.at >= query.to {
                return Ok(page.end());
            }
        }
        // Other items may end with the same tick.
        page.passed = Some(last.at - 1);
    }
    Ok(page.continued())
}

/// A page of every tick of the last day at `now_ms`, in milliseconds since the epoch.
///
/// # Errors
/// [`Unavailable`].
pub async fn ticks<M, K, T>(
    (past, maps): (&impl PastStores, &MapReader<M, K, T>),
    query: &HistoryQuery,
    now_ms: i64,
) -> Result<HistoryPage, Unavailable>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    let mut page = PageBuilder::new(query, now_ms.saturating_sub(PAST_MS));
    let key = CheckpointKey::City(query.city.clone());
    let mut first = page.first();
    let mut bounds = PastBounds::from(past.bounds(), &query.city, first).await?;
    for _ in 0..MAX_PARTS {
        let Some(loaded) = past.logs().load_past(&key, first).await? else { return Ok(page.end()) };
        let mut replay = LogReplay::new(&query.city, &loaded, None);
        loop {
            match replay.step() {
                Step::End => break,
                Step::NoTick => {}
                Step::Ticks(output) => {
                    for (tick, at) in
                        output.ticks.iter().flat_map(|tick| tick.instants().map(move |at| (tick, at)))
                    {
                        if at < page.first() {
                            continue;
                        }
                        let in_force = bounds.in_force(&output.config, at).await?;
                        let frozen = maps.frozen_maps(&query.city, in_force.bounds(), Some(at), now_ms).await;
                        let reported = ReportedTick { at, bounds: &in_force, frozen: &frozen };
                        if page.is_full_with_tick(&output, tick, &reported) {
                            return Ok(page.page);
                        }
                    }
                }
            }
        }
        let Some(last) = replay.as_of().filter(|last| *last >= first && *last + 1 < query.to) else {
            return Ok(page.end());
        };
        (first, page.passed) = (last + 1, Some(last));
    }
    Ok(page.continued())
}

/// A page while it is filled.
struct PageBuilder<'a> {
    query: &'a HistoryQuery,
    oldest: i64,
    page: HistoryPage,
    /// The last tick whose rows have all been passed.
    passed: Option<i64>,
}

impl<'a> PageBuilder<'a> {
    fn new(query: &'a HistoryQuery, oldest: i64) -> Self {
        Self { query, oldest, page: HistoryPage::default(), passed: None }
    }

    /// The first instant whose rows belong to the page.
    fn first(&self) -> i64 {
        let after = match &self.query.after {
            Some(HistoryPosition { at, row: Some(_) }) => *at,
            Some(HistoryPosition { at, row: None }) => at.saturating_add(1),
            None => i64::MIN,
        };
        after.max(self.query.from).max(self.oldest)
    }

    /// Whether a row belongs to the page or to a later one.
    fn wants(&self, at: i64, product: &ProductId, cell: Cell) -> bool {
        let query = self.query;
        let is_after = query.after.as_ref().is_none_or(|after| match &after.row {
            Some((last_product, last_cell)) if after.at == at => (last_product, *last_cell) < (product, cell),
            _ => after.at < at,
        });
        // A part of the log may begin with ticks that have been passed.
        (self.first()..query.to).contains(&at)
            && self.passed.is_none_or(|passed| at > passed)
            && query.cell.is_none_or(|wanted| wanted == cell)
            && query.product.as_ref().is_none_or(|wanted| wanted == product)
            && is_after
    }

    /// Adds a row; returns whether the page was full already.
    fn is_full_with(&mut self, entry: HistoryEntry) -> bool {
        if self.page.rows.len() == self.query.limit {
            self.page.next = self.page.rows.last().map(HistoryEntry::position);
            return true;
        }
        self.page.rows.push(entry);
        false
    }

    fn is_full_with_tick(&mut self, output: &Output, tick: &ClosedTick, reported: &ReportedTick<'_>) -> bool {
        let at = reported.at;
        let skipped = ((tick.at - at) / tick.tick_ms).unsigned_abs();
        let products = &output.map.products;
        let is_wanted = |row: &&Row| self.query.cell.is_none_or(|wanted| wanted == row.cell);
        let rows: Vec<Row> = tick.rows.iter().filter(is_wanted).copied().collect();
        let cells = reported.cells(&output.config.policy, products, &rows);
        let mut in_order: Vec<_> = products.iter().zip(cells).collect();
        in_order.sort_by_key(|(product, _)| *product);
        for (product, cells) in in_order {
            for cell in cells {
                if !self.wants(at, product, cell.cell) {
                    continue;
                }
                let ReportedCell { cell, multiplier, demand, supply, .. } = cell;
                let (product, version) = (product.clone(), tick.version - skipped);
                let entry = HistoryEntry { at, product, cell, multiplier, demand, supply, version };
                if self.is_full_with(entry) {
                    return true;
                }
            }
        }
        false
    }

    /// The last page.
    fn end(self) -> HistoryPage {
        self.page
    }

    /// A page that ends because it took long enough.
    fn continued(mut self) -> HistoryPage {
        let tick = self.passed.map(|at| HistoryPosition { at, row: None });
        let row = self.page.rows.last().filter(|row| self.passed.is_none_or(|passed| row.at > passed));
        self.page.next = row.map(HistoryEntry::position).or(tick);
        self.page
    }
}
