//! The changes of the last minutes in one process, in order, for every subscriber.
//!
//! One ring holds them all: a subscriber has only its place in the ring, so that one that reads slowly holds nothing back
//! and takes no memory. Once the ring has dropped what it has not read, it gets a reload instead. Each change is encoded
//! once, by the first subscriber that needs it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::{Fallback, Mode};
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ClosedTick, MapHead, Row};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::notify::change::{Change, FeedChanged, ModeChanged, Pulse, SurgeChanged, VersionId};
use crate::policy::policy_set::CityConfig;
use crate::policy::ports::PolicySource;
use crate::surge::ports::TickLog;
use crate::unavailable::Unavailable;

/// How long changes are kept, in milliseconds (CONTRACT §10).
pub const KEPT_MS: i64 = 300_000;

/// The most cells of all kept changes together: at 100 bytes each, encoded, 100 MB.
pub const MAX_KEPT_CELLS: usize = 1_000_000;

/// The log of changes. It is the pipeline's [`TickLog`].
#[derive(Debug)]
pub struct ChangeLog<P> {
    policies: P,
    clock: Clock,
    state: Mutex<State>,
}

/// A change in the log.
#[derive(Debug)]
pub struct LoggedChange {
    /// The id of its version; `None` for a change that belongs to no version.
    pub id: Option<VersionId>,
    /// The change.
    pub change: Change,
    /// The change as it is sent, once a subscriber has needed it.
    pub encoded: OnceLock<Arc<[u8]>>,
}

/// The pulse, and its number, by which a subscriber recognises a new one.
#[derive(Debug)]
pub struct LoggedPulse {
    /// The number of pulses before it.
    pub number: u64,
    /// The pulse.
    pub pulse: Pulse,
    /// The pulse as it is sent, once a subscriber has needed it.
    pub encoded: OnceLock<Arc<[u8]>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of the first kept change.
    pub(super) first: u64,
    pub(super) kept: VecDeque<Arc<LoggedChange>>,
    kept_cells: usize,
    pub(super) pulse: Option<Arc<LoggedPulse>>,
    cities: HashMap<CityId, City>,
    /// Subscribers that wait for more.
    pub(super) waiting: Vec<Waker>,
}

/// A city as of its newest recorded tick.
#[derive(Debug)]
struct City {
    run: i64,
    version: u64,
    feed: Feed,
    mode: Mode,
    products: Vec<ProductId>,
    rows: Vec<Row>,
}

impl City {
    fn rows(&self, product: &ProductId) -> &[Row] {
        self.products.iter().position(|known| known == product).map_or(&[], |at| of_product(&self.rows, at))
    }
}

impl State {
    /// The number of the change that will be recorded next.
    pub(super) fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// The run and version of the newest recorded tick of a city.
    pub(super) fn newest(&self, city: &CityId) -> Option<(i64, u64)> {
        self.cities.get(city).map(|city| (city.run, city.version))
    }

    fn push(&mut self, id: Option<VersionId>, change: Change) {
        self.kept_cells += cells(&change);
        self.kept.push_back(Arc::new(LoggedChange { id, change, encoded: OnceLock::new() }));
    }

    /// Drops what is too old at `now_ms`, and the oldest changes while there are too many cells.
    fn trim(&mut self, now_ms: i64) {
        while let Some(oldest) = self.kept.front() {
            let is_old = now_ms.saturating_sub(recorded_at(&oldest.change)) > KEPT_MS;
            if !is_old && self.kept_cells <= MAX_KEPT_CELLS {
                return;
            }
            self.kept_cells -= cells(&oldest.change);
            self.kept.pop_front();
            self.first += 1;
        }
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

fn cells(change: &Change) -> usize {
    match change {
        Change::Surge(change) => change.cells.len() + change.gone.len() + 1,
        Change::Mode(_) | Change::Feed(_) => 1,
    }
}

fn recorded_at(change: &Change) -> i64 {
    match change {
        Change::Surge(change) => change.now_ms,
        Change::Mode(change) => change.now_ms,
        Change::Feed(change) => change.now_ms,
    }
}

impl<P> ChangeLog<P> {
    /// An empty log of changes under `policies`, by the time of `clock`.
    pub fn new(policies: P, clock: Clock) -> Self {
        Self { policies, clock, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> &Mutex<State> {
        &self.state
    }

    /// Records the mode of a city's prices with a map of the tick `as_of`, both in milliseconds since the epoch, if it is
    /// another one than before.
    pub fn record_mode(&self, city: &CityId, as_of: Option<i64>, mode: Mode, now_ms: i64) {
        let state = &mut *self.state.lock();
        let Some(known) = state.cities.get_mut(city) else { return };
        let from = std::mem::replace(&mut known.mode, mode);
        if from != mode {
            let change = ModeChanged { city: city.clone(), from, mode, as_of, now_ms };
            state.push(None, Change::Mode(change));
            state.wake();
        }
    }

    /// Replaces the pulse.
    pub fn record_pulse(&self, pulse: Pulse) {
        let state = &mut *self.state.lock();
        let number = state.pulse.as_ref().map_or(0, |last| last.number + 1);
        state.pulse = Some(Arc::new(LoggedPulse { number, pulse, encoded: OnceLock::new() }));
        state.trim(pulse.now_ms);
        state.wake();
    }

    fn record_tick(&self, config: &CityConfig, map: &MapHead, tick: &ClosedTick) {
        let now_ms = self.clock.now_ms();
        let state = &mut *self.state.lock();
        let before = state.cities.get(&map.city).filter(|city| city.run == map.began_ms);
        if before.is_some_and(|city| city.version >= tick.version) {
            return;
        }
        let run_length = u64::try_from(tick.instants().count()).unwrap_or(u64::MAX);
        let is_first = tick.version == run_length;
        let from = before.map_or(if is_first { 0 } else { tick.version }, |city| city.version);
        let mode = Fallback::new(&config.pricing.policy, Some(tick.at), now_ms).mode;
        let known = state.cities.remove(&map.city);
        let city = || map.city.clone();
        if let Some(known) = &known {
            if known.mode != mode {
                let change =
                    ModeChanged { city: city(), from: known.mode, mode, as_of: Some(tick.at), now_ms };
                state.push(None, Change::Mode(change));
            }
            if known.feed != tick.feed {
                let feed = tick.feed;
                let change = FeedChanged { city: city(), from: known.feed, feed, as_of: tick.at, now_ms };
                state.push(None, Change::Feed(change));
            }
        }
        let known = known.filter(|known| known.run == map.began_ms);
        for (index, product) in map.products.iter().enumerate() {
            let rows_before = known.as_ref().map_or(&[][..], |known| known.rows(product));
            let (cells, gone) = difference(rows_before, of_product(&tick.rows, index));
            let change = SurgeChanged {
                city: city(),
                product: product.clone(),
                from,
                version: tick.version,
                bounds: config.version,
                as_of: tick.at,
                mode,
                feed: tick.feed,
                completeness: f64::from(tick.lanes_reported) / f64::from(map.lanes.max(1)),
                now_ms,
                cells,
                gone,
            };
            let id = VersionId { run: map.began_ms, city: city(), version: tick.version };
            state.push(Some(id), Change::Surge(change));
        }
        let (run, version, feed) = (map.began_ms, tick.version, tick.feed);
        state.cities.insert(
            city(),
            City { run, version, feed, mode, products: map.products.clone(), rows: tick.rows.clone() },
        );
        state.trim(now_ms);
        state.wake();
    }
}

impl<P: PolicySource> TickLog for ChangeLog<P> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        let policies = self.policies.policies(self.clock.now_ms()).await?;
        let Some(config) = policies.city(map.city.as_str()) else { return Ok(()) };
        for tick in ticks {
            self.record_tick(&config, map, tick);
        }
        Ok(())
    }
}

/// The rows of a product, of rows ordered by product in any order of products.
fn of_product(rows: &[Row], index: usize) -> &[Row] {
    let is_of = |row: &Row| usize::from(row.product) == index;
    let Some(first) = rows.iter().position(is_of) else { return &[] };
    let length = rows[first..].iter().take_while(|row| is_of(row)).count();
    &rows[first..first + length]
}

/// What subscribers see of a row; the index of a product may be another one after its policy has changed.
fn values(row: &Row) -> (u32, u32, Multiplier) {
    (row.demand, row.supply, row.multiplier)
}

/// The rows of `after` that `before` lacks or has with other values, and the cells that `after` lacks; both are ordered by
/// cell.
fn difference(before: &[Row], after: &[Row]) -> (Vec<Row>, Vec<Cell>) {
    let (mut cells, mut gone) = (Vec::new(), Vec::new());
    let mut old = before.iter().peekable();
    for row in after {
        while let Some(missing) = old.next_if(|old| old.cell < row.cell) {
            gone.push(missing.cell);
        }
        let last = old.next_if(|old| old.cell == row.cell);
        if last.is_none_or(|last| values(last) != values(row)) {
            cells.push(*row);
        }
    }
    gone.extend(old.map(|old| old.cell));
    (cells, gone)
}
