//! One city's market: what its lanes counted comes in, its ticks' prices go out (CONTRACT §3).
//!
//! Like a lane, a market is what its checkpoint log says: [`Market::entry`] writes down what came in, and
//! [`Market::load`] prices it again; the maps and changes an entry owes are what that gives.

mod lane_progress;

use std::sync::Arc;

use lane_progress::{LaneProgress, ProductMapping};

use crate::count::config::MAX_PRODUCTS;
use crate::count::sightings::Count;
use crate::count::tick_counts::{CityCountsRef, TickCounts, read_products, read_tick_counts, write_products};
use crate::event::sequence::{Sequence, SequenceRef};
use crate::id::{CityId, LaneCount, LaneId, ProductId};
use crate::policy::Policy;
use crate::surge::grid::{Grid, Side};
use crate::surge::map::{ClosedTick, MapHead, encode_chunk};
use crate::time::tick_at_or_after;
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_u64_le, put_varint_i64, put_varint_u64};

/// What a market goes by: its city's policy, and how long it waits for a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct PricingConfig {
    /// The policy.
    pub policy: Policy,
    /// How long a tick waits for its last lane, in milliseconds of the log's arrival times from its
    /// first report (CONTRACT §3).
    pub max_hold_ms: i64,
}

/// A city's market in memory.
#[derive(Debug)]
pub struct CityPricing {
    city: CityId,
    config: Arc<PricingConfig>,
    lanes: Vec<LaneProgress>,
    grid: Grid,
    /// The newest closed tick.
    closed: Option<i64>,
    /// Ticks closed so far.
    version: u64,
    /// The latest arrival seen.
    now: i64,
    next_entry: u64,
    last_processed: Option<Sequence>,
    log: Vec<u8>,
    ticks: Vec<ClosedTick>,
    /// The version when the last entry began.
    version_before: u64,
    entry_bytes: usize,
    snapshot_bytes: usize,
    snapshot_due: bool,
}

/// What a batch leaves to be sent and saved.
#[derive(Clone, Debug)]
pub struct Output {
    /// Every tick that closed, in order.
    pub ticks: Vec<ClosedTick>,
    /// The map as of the last of them.
    pub map: MapHead,
    /// The chunks of that map that are new: parent, version, bytes.
    pub chunks: Vec<(u64, u64, Vec<u8>)>,
}

/// Entries are replaced by a snapshot when they outweigh the last one, but not below this.
const SNAPSHOT_FLOOR: usize = 1 << 20;

mod op {
    pub const CONFIG: u8 = 1;
    pub const COUNTS: u8 = 2;
}

impl CityPricing {
    /// A market in which nothing has happened yet.
    #[must_use]
    pub fn new(city: CityId, lanes: LaneCount, terms: Arc<PricingConfig>) -> Self {
        let mut market = Self::bare(city, lanes, terms);
        market.log_config();
        market
    }

    fn bare(city: CityId, lanes: LaneCount, terms: Arc<PricingConfig>) -> Self {
        Self {
            city,
            grid: Grid::new(&terms.policy),
            config: terms,
            lanes: lanes.iter().map(|_| LaneProgress::default()).collect(),
            closed: None,
            version: 0,
            now: i64::MIN,
            next_entry: 0,
            last_processed: None,
            log: Vec::new(),
            ticks: Vec::new(),
            version_before: 0,
            entry_bytes: 0,
            snapshot_bytes: 0,
            snapshot_due: false,
        }
    }

    /// The number of the entry that [`Self::entry`] writes next.
    #[must_use]
    pub fn next_entry(&self) -> u64 {
        self.next_entry
    }

    /// Whether the record at `sequence` was taken in before.
    #[must_use]
    pub fn already_processed(&self, sequence: SequenceRef<'_>) -> bool {
        self.last_processed.as_ref().is_some_and(|reached| sequence <= reached.borrowed())
    }

    /// Goes over to other terms, if they are others.
    pub fn apply_config(&mut self, terms: &Arc<PricingConfig>) {
        if Arc::ptr_eq(&self.config, terms) {
            return;
        }
        if self.config == *terms {
            self.config = Arc::clone(terms);
            return;
        }
        self.set_config(Arc::clone(terms));
        self.log_config();
    }

    fn log_config(&mut self) {
        self.log.push(op::CONFIG);
        write_config(&mut self.log, &self.config);
    }

    /// Begins the map anew under other terms; cells of the same resolution keep their memory.
    fn set_config(&mut self, terms: Arc<PricingConfig>) {
        let old = std::mem::replace(&mut self.grid, Grid::new(&terms.policy));
        if old.policy().resolution == terms.policy.resolution {
            self.grid.inherit(&old);
        }
        let before: Vec<ProductId> = products(&self.config.policy);
        let mapping = ProductMapping::new(&before, &products(&terms.policy));
        for lane in &mut self.lanes {
            lane.remap(&mapping);
        }
        self.config = terms;
        self.count_lanes();
    }

    /// Counts what every lane counts into a map that counts nothing.
    fn count_lanes(&mut self) {
        for lane in &self.lanes {
            for (side, counts) in [(Side::Demand, &lane.demand), (Side::Supply, &lane.supply)] {
                for Count { place, entities } in counts {
                    self.grid.count(place.cell, place.products, side, i64::from(*entities));
                }
            }
        }
    }

    /// Takes in what `lane` reports in a record that arrived at `arrival`, and closes the ticks that
    /// this completes.
    ///
    /// # Errors
    /// [`Corrupt`] where the section holds no reports; nothing has changed then.
    pub fn absorb(&mut self, lane: LaneId, section: &CityCountsRef<'_>, arrival: i64) -> Result<(), Corrupt> {
        let reports = read_tick_counts(section.reports, section.dictionary.len())?;
        self.log.push(op::COUNTS);
        put_varint_u64(&mut self.log, u64::from(lane.0));
        put_varint_i64(&mut self.log, arrival);
        write_products(&mut self.log, &section.dictionary);
        put_bytes(&mut self.log, section.reports);
        self.apply_counts(lane, &section.dictionary, reports, arrival);
        Ok(())
    }

    fn apply_counts(
        &mut self,
        lane: LaneId,
        dictionary: &[ProductId],
        reports: Vec<TickCounts>,
        arrival: i64,
    ) {
        let Some(view) = self.lanes.get_mut(usize::from(lane.0)) else { return };
        let mapping = ProductMapping::new(dictionary, &products(&self.config.policy));
        for report in reports {
            view.enqueue(report, &mapping, arrival);
        }
        self.now = self.now.max(arrival);
        self.close_ticks();
    }

    fn close_ticks(&mut self) {
        while let Some(tick) = self.next_tick() {
            let heard = self.lanes.iter().filter(|lane| lane.has_reported(tick)).count();
            if heard < self.lanes.len() && !self.has_waited_max_hold(tick) {
                return;
            }
            if heard == self.lanes.len() && self.skip_quiet_ticks(tick) {
                continue;
            }
            self.close(tick, heard);
        }
    }

    /// The tick that closes next: the one after the newest, or the earliest that a lane speaks of.
    fn next_tick(&self) -> Option<i64> {
        match self.closed {
            Some(closed) => Some(tick_at_or_after(closed + 1, self.config.policy.clock.tick_ms)),
            None => self.lanes.iter().filter_map(|lane| lane.queue.front()).map(|report| report.from).min(),
        }
    }

    fn has_waited_max_hold(&self, tick: i64) -> bool {
        let first = self.lanes.iter().filter_map(|lane| lane.arrival_of(tick)).min();
        first.is_some_and(|first| self.now.saturating_sub(first) >= self.config.max_hold_ms)
    }

    /// From `tick` on, passes every tick that all lanes have reported and at which nothing is reported
    /// of any cell; tells whether there was one.
    fn skip_quiet_ticks(&mut self, tick: i64) -> bool {
        let quiet = self.grid.is_quiet() && self.lanes.iter().all(LaneProgress::is_empty);
        if !quiet {
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
        let heard = self.lane_count();
        let (at, version) = (last, self.version);
        self.ticks.push(ClosedTick { at, version, heard, rows: Vec::new(), changes: Vec::new() });
        true
    }

    fn close(&mut self, tick: i64, heard: usize) {
        let ttl_ms = self.config.policy.clock.driver_ttl_ms;
        for lane in &mut self.lanes {
            lane.advance(tick, ttl_ms, &mut self.grid);
        }
        self.version += 1;
        self.closed = Some(tick);
        let mut changes = Vec::new();
        let rows = self.grid.price(self.version, &mut changes);
        let heard = u32::try_from(heard).expect("at most 65 536 lanes");
        self.ticks.push(ClosedTick { at: tick, version: self.version, heard, rows, changes });
    }

    fn lane_count(&self) -> u32 {
        u32::try_from(self.lanes.len()).expect("at most 65 536 lanes")
    }

    /// What the last entry owes; it is no longer owed then. `None` where no tick closed.
    pub fn take_output(&mut self) -> Option<Output> {
        let ticks = std::mem::take(&mut self.ticks);
        let last = ticks.last()?;
        let chunks = self.grid.chunked(&last.rows);
        let map = MapHead {
            city: self.city.clone(),
            version: self.version,
            as_of: last.at,
            heard: last.heard,
            lanes: self.lane_count(),
            resolution: self.config.policy.resolution,
            products: products(&self.config.policy),
            chunks: chunks.iter().map(|(chunk, _)| (chunk.parent, chunk.version)).collect(),
        };
        let chunks = chunks
            .iter()
            .filter(|(chunk, _)| chunk.version > self.version_before)
            .map(|(chunk, rows)| (chunk.parent.0, chunk.version, encode_chunk(rows)))
            .collect();
        Some(Output { ticks, map, chunks })
    }

    /// Asks for a snapshot with the next entry.
    pub fn request_snapshot(&mut self) {
        self.snapshot_due = true;
    }

    /// Begins a batch: gives the snapshot that its entry must hold, if one is due. The state in memory
    /// is then read back from it, as for a lane.
    #[must_use]
    pub fn begin_batch(&mut self) -> Option<Vec<u8>> {
        self.version_before = self.version;
        let outweighed = self.entry_bytes > self.snapshot_bytes.max(SNAPSHOT_FLOOR);
        if !(self.snapshot_due || outweighed) || self.next_entry == 0 {
            return None;
        }
        let mut snapshot = Vec::with_capacity(self.snapshot_bytes);
        self.write(&mut snapshot);
        self.restore(&snapshot).expect("what was just written can be read");
        self.snapshot_due = false;
        self.snapshot_bytes = snapshot.len();
        self.entry_bytes = 0;
        Some(snapshot)
    }

    /// Writes the batch down that ends with the record at `reached`; the market stands behind it then.
    #[must_use]
    pub fn seal_entry(&mut self, snapshot: Option<&[u8]>, reached: SequenceRef<'_>) -> Vec<u8> {
        let mut entry = Vec::with_capacity(self.log.len() + 256);
        wire::begin(&mut entry, Kind::CityEntry);
        put_bytes(&mut entry, self.city.as_str().as_bytes());
        put_varint_u64(&mut entry, self.lanes.len() as u64);
        put_varint_u64(&mut entry, self.next_entry);
        put_bytes(&mut entry, reached.as_str().as_bytes());
        put_varint_u64(&mut entry, u64::from(snapshot.is_some()));
        if let Some(snapshot) = snapshot {
            put_bytes(&mut entry, snapshot);
        }
        entry.append(&mut self.log);
        wire::seal(&mut entry);
        self.next_entry += 1;
        self.last_processed = Some(reached.to_owned());
        if snapshot.is_none() {
            self.entry_bytes += entry.len();
        }
        entry
    }

    /// A market as its checkpoint log leaves it, owing what the last entry owes; `None` where there is
    /// no entry.
    ///
    /// `entries` are the newest that holds a snapshot, or the very first, and all that follow.
    ///
    /// # Errors
    /// [`Corrupt`] where they are not this.
    pub fn load<'a>(
        city: &CityId,
        lanes: LaneCount,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, Corrupt> {
        let mut market = None;
        for entry in entries {
            market = Some(Self::replay(market, city, lanes, entry)?);
        }
        Ok(market)
    }

    fn replay(before: Option<Self>, city: &CityId, lanes: LaneCount, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut entry = wire::open(bytes, Kind::CityEntry)?;
        if entry.text("a city")? != city.as_str() {
            return Err(entry.invalid("another city's entry"));
        }
        if entry.varint_u64("a lane count")? != u64::from(lanes.get()) {
            return Err(entry.invalid("another stream's entry"));
        }
        let number = entry.varint_u64("an entry's number")?;
        if before.as_ref().is_some_and(|before| before.next_entry != number) {
            return Err(entry.invalid("an entry out of order"));
        }
        let reached = entry.text("a sequence number")?;
        let reached = Sequence::new(reached).ok_or(entry.invalid("a sequence number"))?;
        let snapshot = match entry.varint_up_to(1, "a snapshot's mark")? {
            0 => None,
            _ => Some(entry.bytes("a snapshot")?),
        };
        let mut market = match (before, snapshot) {
            (Some(before), None) => before,
            (_, Some(snapshot)) => Self::restored(city, lanes, snapshot)?,
            (None, None) => Self::at_first_entry(city, lanes, number, &mut entry)?,
        };
        market.ticks.clear();
        market.version_before = market.version;
        while !entry.is_done() {
            market.replay_step(&mut entry)?;
        }
        market.next_entry = number + 1;
        market.last_processed = Some(reached);
        match snapshot {
            Some(snapshot) => (market.snapshot_bytes, market.entry_bytes) = (snapshot.len(), 0),
            None => market.entry_bytes += bytes.len(),
        }
        Ok(market)
    }

    fn at_first_entry(
        city: &CityId,
        lanes: LaneCount,
        number: u64,
        entry: &mut Reader<'_>,
    ) -> Result<Self, Corrupt> {
        if number != 0 || entry.byte("a step")? != op::CONFIG {
            return Err(entry.invalid("a beginning without a snapshot"));
        }
        let terms = read_config(entry)?;
        Ok(Self::bare(city.clone(), lanes, Arc::new(terms)))
    }

    fn replay_step(&mut self, entry: &mut Reader<'_>) -> Result<(), Corrupt> {
        match entry.byte("a step")? {
            op::CONFIG => {
                let terms = read_config(entry)?;
                self.set_config(Arc::new(terms));
            }
            op::COUNTS => {
                let lane = entry.varint_up_to(self.lanes.len() as u64 - 1, "a lane")?;
                let lane = LaneId(u16::try_from(lane).map_err(|_| entry.invalid("a lane"))?);
                let arrival = entry.instant("an arrival")?;
                let dictionary = read_products(entry)?;
                let reports = read_tick_counts(entry.bytes("reports")?, dictionary.len())?;
                self.apply_counts(lane, &dictionary, reports, arrival);
            }
            _ => return Err(entry.invalid("a step")),
        }
        Ok(())
    }

    fn restored(city: &CityId, lanes: LaneCount, snapshot: &[u8]) -> Result<Self, Corrupt> {
        let terms = read_config(&mut Reader::new(snapshot))?;
        let mut market = Self::bare(city.clone(), lanes, Arc::new(terms));
        market.restore(snapshot)?;
        Ok(market)
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        write_config(out, &self.config);
        put_varint_u64(out, self.version);
        put_varint_u64(out, u64::from(self.closed.is_some()));
        put_varint_i64(out, self.closed.unwrap_or(0));
        put_u64_le(out, self.now.cast_unsigned());
        self.lanes.iter().for_each(|lane| lane.write(out));
        self.grid.write(out);
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Corrupt> {
        let mut input = Reader::new(snapshot);
        let terms = read_config(&mut input)?;
        self.grid = Grid::new(&terms.policy);
        if *self.config != terms {
            self.config = Arc::new(terms);
        }
        self.version = input.varint_u64("a version")?;
        let closed = input.varint_up_to(1, "a tick's mark")? == 1;
        let tick = input.instant("a tick")?;
        self.closed = closed.then_some(tick);
        self.now = input.u64_le("an arrival")?.cast_signed();
        for lane in &mut self.lanes {
            *lane = LaneProgress::read(&mut input)?;
        }
        self.grid.read(&mut input)?;
        if !input.is_done() {
            return Err(input.invalid("what follows the map"));
        }
        self.count_lanes();
        Ok(())
    }
}

fn products(policy: &Policy) -> Vec<ProductId> {
    policy.products.iter().map(|product| product.id.clone()).collect()
}

fn write_config(out: &mut Vec<u8>, terms: &PricingConfig) {
    put_varint_u64(out, terms.max_hold_ms.unsigned_abs());
    put_bytes(out, terms.policy.to_json().to_string().as_bytes());
}

fn read_config(input: &mut Reader<'_>) -> Result<PricingConfig, Corrupt> {
    let max_hold_ms = input.varint_up_to(i64::MAX.unsigned_abs(), "a hold")?.cast_signed();
    let policy = input.text("a policy")?;
    let policy = serde_json::from_str(policy).ok().and_then(|policy| Policy::from_json(&policy).ok());
    Ok(PricingConfig { policy: policy.ok_or(input.invalid("a policy"))?, max_hold_ms })
}

const _: () = assert!(MAX_PRODUCTS == u64::BITS as usize, "a place has one bit for each product");

#[cfg(test)]
mod tests;
