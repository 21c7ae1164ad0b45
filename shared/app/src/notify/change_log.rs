//! The changes of the last minutes in one process, in order, for every subscriber.
//!
//! One ring holds them all: a subscriber has only its place in the ring, so that one that reads slowly holds nothing back
//! and takes no memory. Once the ring has dropped what it has not read, it gets a reload instead. Each change is encoded
//! once, by the first subscriber that needs it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::recovery::Recovery;
use equilibrium_domain::surge::fallback::{Fallback, Mode};
use equilibrium_domain::surge::map::{ClosedTick, MapHead};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::notify::change::{
    Change, FeedChanged, ModeChanged, Pulse, RecoveryChanged, SurgeChanged, VersionId,
};
use crate::policy::policy_set::CityConfig;
use crate::policy::ports::PolicySource;
use crate::price::ports::MapStore;
use crate::price::report::{FrozenMaps, ReportedCell, Reporting};
use crate::surge::ports::TickLog;
use crate::unavailable::Unavailable;

/// How long changes are kept, in milliseconds (CONTRACT §10).
pub const KEPT_MS: i64 = 300_000;

/// The most cells of all kept changes together: at 100 bytes each, encoded, 100 MB.
pub const MAX_KEPT_CELLS: usize = 1_000_000;

/// The log of changes. It is the pipeline's [`TickLog`].
#[derive(Debug)]
pub struct ChangeLog<P, M> {
    policies: P,
    pub(super) maps: M,
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

/// A city as of its newest recorded tick, and as last reported.
#[derive(Debug)]
struct City {
    map: MapHead,
    tick: ClosedTick,
    mode: Mode,
    /// The number of the bounds.
    bounds: u64,
    /// The hash of the laws in force.
    laws: u64,
    /// For each product of the map, by cell.
    reported: Vec<Vec<ReportedCell>>,
}

impl City {
    /// What is reported of the last closed tick within the bounds in force at `now_ms`.
    fn new(
        config: &CityConfig,
        (map, tick, frozen): (&MapHead, &ClosedTick, &FrozenMaps),
        now_ms: i64,
    ) -> Self {
        let policy = &config.pricing.policy;
        let bounds = config.bounds.in_force(now_ms);
        let fallback = Fallback::new(policy, Some(tick.at), now_ms);
        let reporting = Reporting { bounds: &bounds, fallback: &fallback, frozen };
        let reported = reporting.lists(policy, &map.products, &tick.rows);
        let (map, tick) = (MapHead { chunks: Vec::new(), ..map.clone() }, tick.clone());
        Self { map, tick, mode: fallback.mode, bounds: bounds.number, laws: bounds.laws, reported }
    }

    /// The run and version of the tick.
    fn version(&self) -> (i64, u64) {
        (self.map.began_ms, self.tick.version)
    }

    /// The changes since `before`, one for each product.
    fn changes_since(&self, before: Option<&Self>, from: u64, now_ms: i64) -> impl Iterator<Item = Change> {
        let Self { map, tick, .. } = self;
        map.products.iter().zip(&self.reported).map(move |(product, reported)| {
            let index = before.and_then(|before| before.map.products.iter().position(|of| of == product));
            let reported_before = before.zip(index).map_or(&[][..], |(before, at)| &before.reported[at]);
            let (cells, gone) = difference(reported_before, reported);
            Change::Surge(SurgeChanged {
                city: map.city.clone(),
                product: product.clone(),
                from,
                version: tick.version,
                bounds: self.bounds,
                as_of: tick.at,
                mode: self.mode,
                feed: tick.feed,
                completeness: f64::from(tick.lanes_reported) / f64::from(map.lanes.max(1)),
                now_ms,
                cells,
                gone,
            })
        })
    }
}

impl State {
    /// The number of the change that will be recorded next.
    pub(super) fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// The run and version of the newest recorded tick of a city.
    pub(super) fn newest(&self, city: &CityId) -> Option<(i64, u64)> {
        self.cities.get(city).map(City::version)
    }

    /// Replaces what is known of a city, and pushes the changes.
    fn replace(&mut self, known: City, changes: Vec<Change>, now_ms: i64) {
        let (run, version) = known.version();
        let city = known.map.city.clone();
        for change in changes {
            let id = || VersionId { run, city: city.clone(), version };
            self.push(matches!(change, Change::Surge(_)).then(id), change);
        }
        self.cities.insert(city, known);
        self.trim(now_ms);
        self.wake();
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
        Change::Mode(_) | Change::Feed(_) | Change::Recovery(_) => 1,
    }
}

fn recorded_at(change: &Change) -> i64 {
    match change {
        Change::Surge(change) => change.now_ms,
        Change::Mode(change) => change.now_ms,
        Change::Feed(change) => change.now_ms,
        Change::Recovery(change) => change.now_ms,
    }
}

impl<P, M: MapStore> ChangeLog<P, M> {
    /// An empty log of changes of the maps in a store under `policies`, by the time of `clock`.
    pub fn new(policies: P, maps: M, clock: Clock) -> Self {
        Self { policies, maps, clock, state: Mutex::default() }
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

    /// Records that a recovery has begun, gone on or ended.
    pub fn record_recovery(&self, recovery: &Recovery) {
        let now_ms = self.clock.now_ms();
        let state = &mut *self.state.lock();
        state.push(None, Change::Recovery(RecoveryChanged { recovery: recovery.clone(), now_ms }));
        state.trim(now_ms);
        state.wake();
    }

    /// Replaces the pulse.
    pub fn record_pulse(&self, pulse: Pulse) {
        let state = &mut *self.state.lock();
        let number = state.pulse.as_ref().map_or(0, |last| last.number + 1);
        state.pulse = Some(Arc::new(LoggedPulse { number, pulse, encoded: OnceLock::new() }));
        state.trim(pulse.now_ms);
        state.wake();
    }

    /// Records what is reported otherwise since the policy, the overrides or the laws in force of a city have changed.
    pub async fn record_bounds(&self, config: &CityConfig, now_ms: i64) {
        let city = &config.pricing.policy.city;
        let bounds = config.bounds.in_force(now_ms);
        let as_of = {
            let state = self.state.lock();
            let is_other = |before: &&City| (before.bounds, before.laws) != (bounds.number, bounds.laws);
            let Some(before) = state.cities.get(city).filter(is_other) else {
                return;
            };
            before.tick.at
        };
        let frozen = self.frozen_maps(config, as_of, now_ms).await;
        let state = &mut *self.state.lock();
        let Some(before) = state.cities.get(city).filter(|before| before.tick.at == as_of) else { return };
        let known = City::new(config, (&before.map, &before.tick, &frozen), now_ms);
        let changes: Vec<Change> = known.changes_since(Some(before), before.tick.version, now_ms).collect();
        state.replace(known, changes, now_ms);
    }

    /// The maps of the freezes in force at `now_ms` that began before the tick `as_of`.
    async fn frozen_maps(&self, config: &CityConfig, as_of: i64, now_ms: i64) -> FrozenMaps {
        let bounds = config.bounds.in_force(now_ms);
        let city = &config.pricing.policy.city;
        FrozenMaps::read(&self.maps, city, bounds.bounds(), as_of).await.unwrap_or_default()
    }

    fn record_tick(
        &self,
        config: &CityConfig,
        (map, tick, frozen): (&MapHead, &ClosedTick, &FrozenMaps),
        now_ms: i64,
    ) {
        let state = &mut *self.state.lock();
        let last = state.cities.get(&map.city);
        let before = last.filter(|city| city.map.began_ms == map.began_ms);
        if before.is_some_and(|city| city.tick.version >= tick.version) {
            return;
        }
        let run_length = u64::try_from(tick.instants().count()).unwrap_or(u64::MAX);
        let is_first = tick.version == run_length;
        let from = before.map_or(if is_first { 0 } else { tick.version }, |city| city.tick.version);
        let known = City::new(config, (map, tick, frozen), now_ms);
        let city = || map.city.clone();
        let mut changes = Vec::with_capacity(known.reported.len());
        if let Some(last) = last {
            if last.mode != known.mode {
                let (from, mode) = (last.mode, known.mode);
                changes.push(Change::Mode(ModeChanged {
                    city: city(),
                    from,
                    mode,
                    as_of: Some(tick.at),
                    now_ms,
                }));
            }
            if last.tick.feed != tick.feed {
                let (from, feed) = (last.tick.feed, tick.feed);
                changes.push(Change::Feed(FeedChanged { city: city(), from, feed, as_of: tick.at, now_ms }));
            }
        }
        changes.extend(known.changes_since(before, from, now_ms));
        state.replace(known, changes, now_ms);
    }
}

impl<P: PolicySource, M: MapStore> TickLog for ChangeLog<P, M> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        let now_ms = self.clock.now_ms();
        let policies = self.policies.policies(now_ms).await?;
        let Some(config) = policies.city(map.city.as_str()) else { return Ok(()) };
        for tick in ticks {
            let frozen = self.frozen_maps(&config, tick.at, now_ms).await;
            self.record_tick(&config, (map, tick, &frozen), now_ms);
        }
        Ok(())
    }
}

/// What subscribers see of a cell.
fn values(reported: &ReportedCell) -> (u32, u32, Multiplier) {
    (reported.demand, reported.supply, reported.multiplier)
}

/// The cells of `after` that `before` lacks or has with other values, and those that `after` lacks; both are ordered by cell.
fn difference(before: &[ReportedCell], after: &[ReportedCell]) -> (Vec<ReportedCell>, Vec<Cell>) {
    let (mut cells, mut gone) = (Vec::new(), Vec::new());
    let mut old = before.iter().peekable();
    for reported in after {
        while let Some(missing) = old.next_if(|old| old.cell < reported.cell) {
            gone.push(missing.cell);
        }
        let last = old.next_if(|old| old.cell == reported.cell);
        if last.is_none_or(|last| values(last) != values(reported)) {
            cells.push(*reported);
        }
    }
    gone.extend(old.map(|old| old.cell));
    (cells, gone)
}
