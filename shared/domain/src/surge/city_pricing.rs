//! One city's pricing: the counts of its lanes in, the prices of its ticks out (CONTRACT §3).
//!
//! The state is a function of the city's checkpoint log ([`EventSourced`]); its output is the map and the changes of
//! the ticks that a batch closed.

mod continuation;
mod lane_progress;
mod observation;
mod segment;
mod snapshot;

use std::sync::Arc;

use lane_progress::LaneProgress;
pub use observation::{CellAtTick, GuardAtTick, Watch};
pub use segment::{Segment, snapshot_as_of};
use snapshot::{open_snapshot, read_config, write_config};
use xxhash_rust::xxh3::xxh3_64;

use crate::count::sightings::Count;
use crate::count::tick_counts::{CityCountsRef, TickCounts, read_tick_counts};
use crate::event::sequence::{Sequence, SequenceRef};
use crate::event_sourced::{Entry, EntryHeader, EventSourced, LogPosition};
use crate::id::{CityId, LaneCount, LaneId, ProductId};
use crate::parking::Epoch;
use crate::policy::Policy;
use crate::surge::feed_guard::{Feed, FeedGuard, GuardConfig};
use crate::surge::grid::{Grid, Moved, Side};
use crate::surge::map::{ChunkName, ClosedTick, MapHead, encode_chunk};
use crate::time::tick_at_or_after;
use crate::wire::products::{ProductMapping, ProductTable};
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// What a city is priced by: its policy, and how long a tick waits for a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct PricingConfig {
    /// The policy.
    pub policy: Policy,
    /// The version of the policy in its store; 0 for a policy that no store holds.
    pub policy_version: u64,
    /// How long a tick waits for its last lane, in milliseconds of the log's arrival times from the first report
    /// (CONTRACT §3).
    pub max_hold_ms: i64,
}

/// A city's pricing state in memory, and its place in its checkpoint log.
#[derive(Debug)]
pub struct CityPricing {
    city: CityId,
    config: Arc<PricingConfig>,
    /// The products of `config`.
    products: ProductTable,
    lanes: Vec<LaneProgress>,
    grid: Grid,
    guard: FeedGuard,
    /// The newest closed tick.
    closed: Option<i64>,
    /// The tick that closes next; `None` before the first counts.
    next: Option<NextTick>,
    /// The number of closed ticks.
    version: u64,
    /// The arrival of the first counts.
    began_ms: Option<i64>,
    /// The time of the log: the latest arrival seen, unless arrivals have gone back since.
    now_ms: i64,
    log: LogPosition,
    last_processed: Option<Sequence>,
    steps: Vec<u8>,
    ticks: Vec<ClosedTick>,
    /// The version when the last entry began, and the newest closed tick then.
    version_before: u64,
    closed_before: Option<i64>,
    /// The cell whose ticks are observed.
    observer: Option<Box<observation::Observer>>,
}

/// The tick that closes next, and how far the lanes are.
#[derive(Clone, Copy, Debug)]
struct NextTick {
    at: i64,
    /// The lanes that have not reported it.
    missing: usize,
    /// The earliest arrival of counts of this tick or a later one.
    first_ms: Option<i64>,
}

/// What a batch puts out.
#[derive(Clone, Debug)]
pub struct Output {
    /// Every tick that closed, in order.
    pub ticks: Vec<ClosedTick>,
    /// The map as of the last of them.
    pub map: MapHead,
    /// The chunks of that map that are new, encoded.
    pub chunks: Vec<(ChunkName, Vec<u8>)>,
    /// What the ticks were priced by.
    pub config: Arc<PricingConfig>,
}

/// A snapshot replaces entries that outweigh the last one, but not below this.
const SNAPSHOT_FLOOR: usize = 1 << 20;

mod op {
    /// The config that applies from here on.
    pub const CONFIG: u8 = 1;
    /// The counts of a lane.
    pub const COUNTS: u8 = 2;
    /// The number of lanes from here on.
    pub const LANES: u8 = 3;
    /// The map of an earlier log, which this one continues.
    pub const CONTINUED: u8 = 4;
}

impl CityPricing {
    /// A city in which no tick has closed yet.
    #[must_use]
    pub fn new(city: CityId, config: Arc<PricingConfig>) -> Self {
        let mut city = Self::without_log(city, config);
        city.log_config();
        city
    }

    fn without_log(city: CityId, config: Arc<PricingConfig>) -> Self {
        Self {
            log: LogPosition::new(phase(&city)),
            last_processed: None,
            lanes: vec![LaneProgress::default()],
            city,
            products: product_table(&config.policy),
            grid: Grid::new(&config.policy),
            guard: FeedGuard::default(),
            config,
            closed: None,
            next: None,
            version: 0,
            began_ms: None,
            now_ms: i64::MIN,
            steps: Vec::new(),
            ticks: Vec::new(),
            version_before: 0,
            closed_before: None,
            observer: None,
        }
    }

    /// Whether the record at `sequence` is in the state.
    #[must_use]
    pub fn already_processed(&self, sequence: SequenceRef<'_>) -> bool {
        self.last_processed.as_ref().is_some_and(|last| sequence <= last.borrowed())
    }

    /// The version of the newest map.
    #[must_use]
    pub fn map_version(&self) -> u64 {
        self.version
    }

    /// The whole map of the newest tick that is pending, with all its chunks; `None` where no tick is.
    #[must_use]
    pub fn pending_map(&self) -> Option<(MapHead, Vec<(ChunkName, Vec<u8>)>)> {
        let last = self.ticks.last()?;
        let chunks = self.grid.chunked(&last.rows);
        let map = self.map_head(last, chunks.iter().map(|(name, _)| *name).collect());
        Some((map, chunks.iter().map(|(name, rows)| (*name, encode_chunk(rows))).collect()))
    }

    /// Prices by `config` from here on.
    pub fn apply_config(&mut self, config: &Arc<PricingConfig>) {
        if Arc::ptr_eq(&self.config, config) {
            return;
        }
        if self.config == *config {
            self.config = Arc::clone(config);
            return;
        }
        self.set_config(Arc::clone(config));
        self.log_config();
    }

    fn log_config(&mut self) {
        self.steps.push(op::CONFIG);
        write_config(&mut self.steps, &self.config);
    }

    /// Starts a map under another configuration; cells of the same resolution keep their smoothed multipliers.
    fn set_config(&mut self, config: Arc<PricingConfig>) {
        let old = std::mem::replace(&mut self.grid, Grid::new(&config.policy));
        if old.policy().resolution == config.policy.resolution {
            self.grid.inherit(&old);
        }
        let products = product_table(&config.policy);
        let mapping = self.products.mapping_to(&products);
        for lane in &mut self.lanes {
            lane.remap(&mapping);
        }
        (self.config, self.products) = (config, products);
        self.next = self.find_next();
        self.count_lanes();
    }

    /// Adds the counts of every lane to an empty map.
    fn count_lanes(&mut self) {
        for lane in &self.lanes {
            for (side, counts) in [(Side::Demand, &lane.demand), (Side::Supply, &lane.supply)] {
                for Count { place, entities } in counts {
                    self.grid.count(place.cell, place.products, side, i64::from(*entities));
                }
            }
        }
    }

    /// Absorbs what a lane reports in a record that arrived at `arrival_ms`, and closes the ticks that this completes.
    /// Where the lane is one of more lanes than the city had so far, these have doubled; where it is one of fewer, its
    /// report is that of all lanes which it became.
    ///
    /// # Errors
    /// [`Corrupt`] where `counts` cannot be read; nothing has changed then.
    pub fn absorb(
        &mut self,
        (lane, lanes): (LaneId, LaneCount),
        counts: &CityCountsRef<'_>,
        arrival_ms: i64,
    ) -> Result<(), Corrupt> {
        let ticks = read_tick_counts(counts.ticks, counts.products.len())?;
        if lanes > self.lane_count() {
            self.set_lanes(lanes);
            self.steps.push(op::LANES);
            put_varint_u64(&mut self.steps, u64::from(lanes.get()));
        }
        self.steps.push(op::COUNTS);
        put_varint_u64(&mut self.steps, u64::from(lanes.get()));
        put_varint_u64(&mut self.steps, u64::from(lane.0));
        put_varint_i64(&mut self.steps, arrival_ms);
        counts.products.write(&mut self.steps);
        put_bytes(&mut self.steps, counts.ticks);
        self.apply_counts((lane, lanes), &counts.products, ticks, arrival_ms);
        Ok(())
    }

    /// Doubles the lanes until there are `lanes`.
    fn set_lanes(&mut self, lanes: LaneCount) {
        while self.lanes.len() < lanes.get() as usize {
            let halves = std::mem::take(&mut self.lanes).into_iter().flat_map(LaneProgress::into_halves);
            self.lanes = halves.collect();
        }
        self.next = self.find_next();
    }

    /// Applies the report of a lane among `lanes`, which are not more than those of the city.
    fn apply_counts(
        &mut self,
        (lane, lanes): (LaneId, LaneCount),
        products: &ProductTable,
        ticks: Vec<TickCounts>,
        arrival_ms: i64,
    ) {
        let mapping = products.mapping_to(&self.products);
        let became = self.lanes.len() / lanes.get() as usize;
        let first = usize::from(lane.0) * became;
        for other in first + 1..first + became {
            let empty = ticks.iter().filter_map(TickCounts::emptied).collect();
            self.enqueue(other, empty, &mapping, arrival_ms);
        }
        self.enqueue(first, ticks, &mapping, arrival_ms);
        self.began_ms.get_or_insert(arrival_ms);
        self.advance_time(arrival_ms);
        self.close_ticks();
    }

    fn enqueue(&mut self, lane: usize, ticks: Vec<TickCounts>, mapping: &ProductMapping, arrival_ms: i64) {
        let Some(progress) = self.lanes.get_mut(lane) else { return };
        let had_reported = self.next.is_some_and(|next| progress.has_reported(next.at));
        for tick in ticks {
            progress.enqueue(tick, mapping, arrival_ms);
        }
        let lanes = self.lanes.len();
        let progress = &self.lanes[lane];
        if let Some(first) = progress.queue.front() {
            let next = self.next.get_or_insert(NextTick { at: first.from, missing: lanes, first_ms: None });
            if self.closed.is_none() {
                // The lanes so far have reported later ticks, and so this one.
                next.at = next.at.min(first.from);
            }
            next.missing -= usize::from(!had_reported && progress.has_reported(next.at));
            next.first_ms = next.first_ms.into_iter().chain(progress.arrival_ms(next.at)).min();
        }
    }

    /// Advances the time of the log to an arrival. One that is earlier by more than a tick may wait comes after a clock
    /// was set back: what is pending has waited since then at the earliest, for it would else wait as long as the clock
    /// was wrong, or not at all.
    fn advance_time(&mut self, arrival_ms: i64) {
        if self.now_ms.saturating_sub(arrival_ms) <= self.config.max_hold_ms {
            self.now_ms = self.now_ms.max(arrival_ms);
            return;
        }
        self.now_ms = arrival_ms;
        for lane in &mut self.lanes {
            lane.limit_arrivals(arrival_ms);
        }
        if let Some(next) = &mut self.next {
            next.first_ms = next.first_ms.map(|first_ms| first_ms.min(arrival_ms));
        }
    }

    fn close_ticks(&mut self) {
        while let Some(NextTick { at, missing, first_ms }) = self.next {
            let has_waited = |first_ms| self.now_ms.saturating_sub(first_ms) >= self.config.max_hold_ms;
            if missing > 0 && !first_ms.is_some_and(has_waited) {
                return;
            }
            if missing > 0 || !self.skip_unchanged_ticks(at) {
                self.close(at, self.lanes.len() - missing);
            }
            self.next = self.find_next();
        }
    }

    /// The tick that closes next: the one after the newest, or the earliest that a lane reports. Looks at every lane.
    fn find_next(&self) -> Option<NextTick> {
        let at = match self.closed {
            Some(closed) => tick_at_or_after(closed + 1, self.config.policy.clock.tick_ms),
            None => {
                self.lanes.iter().filter_map(|lane| lane.queue.front()).map(|pending| pending.from).min()?
            }
        };
        let missing = self.lanes.iter().filter(|lane| !lane.has_reported(at)).count();
        Some(NextTick {
            at,
            missing,
            first_ms: self.lanes.iter().filter_map(|lane| lane.arrival_ms(at)).min(),
        })
    }

    /// Closes, from `tick` on, every tick that all lanes have reported and at which no entity counts and no price
    /// moves, in one step; returns whether there was one.
    fn skip_unchanged_ticks(&mut self, tick: i64) -> bool {
        let is_settled = self.grid.is_quiet() || self.grid.is_steady() && self.guard.is_idle();
        if !is_settled || !self.lanes.iter().all(LaneProgress::is_empty) {
            return false;
        }
        let tick_ms = self.config.policy.clock.tick_ms;
        let last = self.lanes.iter().filter_map(|lane| lane.last_quiet(tick_ms)).min();
        let Some(last) = last.map(|last| last.div_euclid(tick_ms) * tick_ms) else { return false };
        if last < tick {
            return false;
        }
        self.version += ((last - tick) / tick_ms + 1).unsigned_abs();
        self.closed = Some(last);
        for lane in &mut self.lanes {
            lane.skip_to(last);
        }
        self.observe_guard();
        let feed = self.guard.skip(tick, last, &self.guard_config());
        self.price_run(tick, last, feed, self.lanes.len());
        true
    }

    fn close(&mut self, tick: i64, reported: usize) {
        let ttl_ms = self.config.policy.clock.driver_ttl_ms;
        for lane in &mut self.lanes {
            lane.advance(tick, ttl_ms, &mut self.grid, &mut self.guard);
        }
        let in_touch = self.lanes.iter().map(|lane| u64::from(lane.in_touch)).sum();
        let feed = self.guard.close(tick, in_touch, &self.guard_config());
        self.version += 1;
        self.closed = Some(tick);
        self.price_run(tick, tick, feed, reported);
    }

    /// Prices the newest tick; the rows are those of every tick from `from` on.
    fn price_run(&mut self, from: i64, at: i64, feed: Feed, reported: usize) {
        let mut moved = Moved::default();
        let observed = self.observe_before(from);
        let rows = self.grid.price(self.version, feed, &mut moved);
        if let Some(before) = observed {
            self.observe(from, at, before);
        }
        let Moved { changes, edges } = moved;
        let lanes_reported = u32::try_from(reported).expect("not more than the greatest lane count");
        let (version, tick_ms) = (self.version, self.config.policy.clock.tick_ms);
        self.ticks.push(ClosedTick {
            from,
            at,
            tick_ms,
            version,
            lanes_reported,
            feed,
            rows,
            changes,
            edges,
        });
    }

    fn guard_config(&self) -> GuardConfig {
        let Policy { clock, guard, .. } = &self.config.policy;
        GuardConfig { guard: *guard, driver_ttl_ms: clock.driver_ttl_ms, tick_ms: clock.tick_ms }
    }

    /// As [`EventSourced::replay`], and observes the ticks that close from here on.
    ///
    /// # Errors
    /// [`Corrupt`] where `bytes` are not that entry of this log.
    pub fn replay_observed(
        before: Option<Self>,
        identity: &CityId,
        (number, bytes): (u64, &[u8]),
        watch: Option<&Watch>,
    ) -> Result<Self, Corrupt> {
        let mut entry = wire::open(bytes, Kind::CityEntry)?;
        if entry.text("a city")? != identity.as_str() {
            return Err(entry.invalid("another city's entry"));
        }
        let (mut city, header) = match before {
            Some(mut before) => {
                let header = before.log.read_header(&mut entry)?;
                (before, header)
            }
            None => Self::before_first(identity, number, &mut entry)?,
        };
        if let Some(watch) = watch {
            city.observe_ticks(watch);
        }
        if city.log.needs_compaction(&header) {
            city.compact()?;
        }
        city.ticks.clear();
        (city.version_before, city.closed_before) = (city.version, city.closed);
        while !entry.is_done() {
            city.replay_step(&mut entry)?;
        }
        city.last_processed = Some(header.last_processed);
        city.log.advance(bytes.len());
        Ok(city)
    }

    fn lane_count(&self) -> LaneCount {
        let lanes = u32::try_from(self.lanes.len()).ok().and_then(LaneCount::new);
        lanes.expect("lanes double, up to the greatest lane count")
    }

    fn map_head(&self, last: &ClosedTick, chunks: Vec<ChunkName>) -> MapHead {
        MapHead {
            city: self.city.clone(),
            began_ms: self.began_ms.unwrap_or(0),
            version: self.version,
            as_of: last.at,
            lanes_reported: last.lanes_reported,
            lanes: self.lane_count().get(),
            feed: last.feed,
            resolution: self.config.policy.resolution,
            products: self.products.to_vec(),
            chunks,
        }
    }

    fn replay_step(&mut self, entry: &mut Reader<'_>) -> Result<(), Corrupt> {
        match entry.byte("a step")? {
            op::CONFIG => {
                let config = read_config(entry)?;
                self.set_config(Arc::new(config));
            }
            op::LANES => {
                let lanes = read_lanes(entry)?;
                self.set_lanes(lanes);
            }
            op::CONTINUED => self.replay_continuation(entry)?,
            op::COUNTS => {
                let lanes = read_lanes(entry)?;
                if lanes > self.lane_count() {
                    return Err(entry.invalid("a lane count"));
                }
                let lane = entry.varint_up_to(u64::from(lanes.get()) - 1, "a lane")?;
                let lane = LaneId(u16::try_from(lane).map_err(|_| entry.invalid("a lane"))?);
                let arrival_ms = entry.instant("an arrival time")?;
                let products = ProductTable::read(entry)?;
                let ticks = read_tick_counts(entry.bytes("tick counts")?, products.len())?;
                self.apply_counts((lane, lanes), &products, ticks, arrival_ms);
            }
            _ => return Err(entry.invalid("a step")),
        }
        Ok(())
    }

    /// The state before the first entry of a log: nothing but its configuration.
    fn before_first(
        city: &CityId,
        number: u64,
        entry: &mut Reader<'_>,
    ) -> Result<(Self, EntryHeader), Corrupt> {
        let mut log = LogPosition::new(phase(city));
        log.skip_to(number);
        let header = log.read_header(entry)?;
        if entry.byte("a step")? != op::CONFIG {
            return Err(entry.invalid("a beginning without a configuration"));
        }
        let config = read_config(entry)?;
        Ok((Self { log, ..Self::without_log(city.clone(), Arc::new(config)) }, header))
    }
}

impl EventSourced for CityPricing {
    type Identity = CityId;
    type Output = Output;

    fn next_entry(&self) -> u64 {
        self.log.next_entry()
    }

    fn begin_batch(&mut self, arrival_ms: i64) {
        (self.version_before, self.closed_before) = (self.version, self.closed);
        self.log.reach(arrival_ms);
        if self.log.is_snapshot_due(SNAPSHOT_FLOOR) {
            let snapshot = self.compact().expect("a snapshot that was just written can be read");
            self.log.set_snapshot(snapshot);
        }
    }

    fn seal_entry(&mut self, last_processed: SequenceRef<'_>) -> Entry {
        let mut entry = Vec::with_capacity(self.steps.len() + 256);
        wire::begin(&mut entry, Kind::CityEntry);
        put_bytes(&mut entry, self.city.as_str().as_bytes());
        self.log.put_header(&mut entry, last_processed);
        entry.append(&mut self.steps);
        self.last_processed = Some(last_processed.to_owned());
        Entry { as_of: self.closed_before, ..self.log.seal(entry) }
    }

    fn restore(city: &CityId, snapshot: &[u8]) -> Result<Self, Corrupt> {
        let (_, config) = open_snapshot(city, snapshot)?;
        let mut state = Self::without_log(city.clone(), Arc::new(config));
        state.read(snapshot)?;
        Ok(state)
    }

    fn replay(before: Option<Self>, identity: &CityId, number: u64, bytes: &[u8]) -> Result<Self, Corrupt> {
        Self::replay_observed(before, identity, (number, bytes), None)
    }

    fn skip_to(&mut self, number: u64) {
        self.log.skip_to(number);
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn reached_ms(&self) -> Option<i64> {
        self.log.reached_ms()
    }

    fn raise_epoch(&mut self, epoch: Epoch) {
        self.log.raise_epoch(epoch);
    }

    fn take_output(&mut self) -> Option<Output> {
        let ticks = std::mem::take(&mut self.ticks);
        let last = ticks.last()?;
        let chunks = self.grid.chunked(&last.rows);
        let map = self.map_head(last, chunks.iter().map(|(name, _)| *name).collect());
        let new = chunks.iter().filter(|(name, _)| name.version > self.version_before);
        let chunks = new.map(|(name, rows)| (*name, encode_chunk(rows))).collect();
        Some(Output { ticks, map, chunks, config: Arc::clone(&self.config) })
    }
}

/// A hash of the city, different for most.
fn phase(city: &CityId) -> u64 {
    xxh3_64(city.as_str().as_bytes())
}

fn read_lanes(input: &mut Reader<'_>) -> Result<LaneCount, Corrupt> {
    LaneCount::new(input.varint_u32("a lane count")?).ok_or(input.invalid("a lane count"))
}

fn product_table(policy: &Policy) -> ProductTable {
    let products: Vec<ProductId> = policy.products.iter().map(|product| product.id.clone()).collect();
    products.into()
}

#[cfg(test)]
mod tests;
