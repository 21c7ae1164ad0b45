//! One lane's counting: events and watermarks in, the counts of each city's ticks out (CONTRACT §2, §3).
//!
//! The state is a function of the lane's checkpoint log ([`EventSourced`]); its output is the counts of the ticks that
//! a batch closed.

mod city;

use std::sync::Arc;

use city::{LaneCity, op};
use hashbrown::HashMap;

use crate::count::config::CountingConfig;
use crate::count::tick_counts::{CityCounts, TickCountsWriter};
use crate::event::sequence::SequenceRef;
use crate::event::watermark::CityWatermark;
use crate::event::{MarketEvent, Refusal};
use crate::event_sourced::{Entry, EventSourced, LogPosition};
use crate::geo::locate::Locators;
use crate::id::{CityId, LaneCount, LaneId};
use crate::wire::{self, Corrupt, Kind, Reader, put_varint_u64};

/// A lane's state in memory: the cities it counts, and its place in its checkpoint log.
#[derive(Debug)]
pub struct LaneState {
    identity: LaneIdentity,
    log: LogPosition,
    cities: Vec<LaneCity>,
    by_name: HashMap<CityId, usize>,
    /// Entities evicted before the current batch.
    evicted_before: u64,
}

/// Which lane of which stream a log belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneIdentity {
    /// The lane.
    pub lane: LaneId,
    /// The number of lanes of its stream.
    pub lanes: LaneCount,
}

/// A snapshot replaces entries that outweigh the last one, but not below this: loading 256 KiB takes about a
/// millisecond.
const SNAPSHOT_FLOOR: usize = 256 << 10;

/// What a lane notes of an event that it has absorbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absorbed {
    /// Whether the event's place is outside the city's boundary, so that it counts nowhere.
    pub is_outside: bool,
}

/// The index of a city in a lane's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityIndex(usize);

impl LaneState {
    /// A lane that has counted nothing yet.
    #[must_use]
    pub fn new(identity: LaneIdentity) -> Self {
        Self {
            identity,
            log: LogPosition::default(),
            cities: Vec::new(),
            by_name: HashMap::new(),
            evicted_before: 0,
        }
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> LaneId {
        self.identity.lane
    }

    /// Late events since the first entry of the log.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.cities.iter().map(|city| city.late).sum()
    }

    /// Late events of the batch that has begun.
    #[must_use]
    pub fn late_in_batch(&self) -> u64 {
        self.cities.iter().map(LaneCity::late_since_last_entry).sum()
    }

    /// Entities evicted in the batch that has begun, because a city had too many.
    #[must_use]
    pub fn evicted_in_batch(&self) -> u64 {
        self.evicted() - self.evicted_before
    }

    fn evicted(&self) -> u64 {
        self.cities.iter().map(|city| city.drivers.evicted() + city.riders.evicted()).sum()
    }

    /// Entities in memory: drivers, and riders per product.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.cities.iter().map(|city| city.drivers.len() + city.riders.len()).sum()
    }

    /// The index of a city that the lane knows.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<CityIndex> {
        self.by_name.get(name).copied().map(CityIndex)
    }

    /// The name of the city at `index`.
    #[must_use]
    pub fn name(&self, index: CityIndex) -> &CityId {
        &self.cities[index.0].name
    }

    /// The index of the city, known or new, which counts by `config` from here on.
    pub fn city_mut(&mut self, name: &CityId, config: &Arc<CountingConfig>) -> CityIndex {
        if let Some(index) = self.find(name.as_str()) {
            self.cities[index.0].apply_config(config);
            return index;
        }
        let mut city = LaneCity::new(name.clone(), Arc::clone(config));
        city.log_config();
        CityIndex(self.insert(city))
    }

    fn insert(&mut self, city: LaneCity) -> usize {
        self.by_name.insert(city.name.clone(), self.cities.len());
        self.cities.push(city);
        self.cities.len() - 1
    }

    /// Absorbs an event of the city at `time_ms`, the time at which it counts.
    ///
    /// # Errors
    /// [`Refusal::UnknownProduct`]; nothing has changed then.
    pub fn absorb(
        &mut self,
        city: CityIndex,
        event: &MarketEvent<'_>,
        time_ms: i64,
        locators: &mut Locators,
    ) -> Result<Absorbed, Refusal> {
        self.cities[city.0].absorb(event, time_ms, locators)
    }

    /// Advances the city's watermark to that of a watermark record, and names its first tick.
    pub fn advance_watermark(&mut self, city: CityIndex, watermark: &CityWatermark) {
        let city = &mut self.cities[city.0];
        city.first_tick.get_or_insert(watermark.first_tick);
        city.advance(watermark.watermark);
    }

    /// Whether the next entry holds a snapshot: one was requested, or the entries outweigh the last one, or the
    /// sightings have slots to compact.
    #[must_use]
    pub fn is_snapshot_due(&self) -> bool {
        let needs_compaction =
            |city: &LaneCity| city.drivers.needs_compaction() || city.riders.needs_compaction();
        self.log.is_snapshot_due(SNAPSHOT_FLOOR)
            || !self.log.is_at_start() && self.cities.iter().any(needs_compaction)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Corrupt> {
        let mut input = Reader::new(snapshot);
        let count = input.count("cities")?;
        self.cities.clear();
        self.by_name.clear();
        for _ in 0..count {
            let city = LaneCity::read(&mut input)?;
            if self.by_name.contains_key(&city.name) {
                return Err(input.invalid("a duplicate city"));
            }
            self.insert(city);
        }
        if input.is_done() { Ok(()) } else { Err(input.invalid("bytes after the cities")) }
    }

    fn replay_city(&mut self, entry: &mut Reader<'_>) -> Result<(), Corrupt> {
        let name = CityId::new(entry.text("a city")?).ok_or(entry.invalid("a city"))?;
        let late = entry.varint_u64("late events")?;
        let mut log = Reader::new(entry.bytes("a city's log")?);
        let index = match self.find(name.as_str()) {
            Some(index) => index.0,
            None => self.first_city_log(name, &mut log)?,
        };
        self.cities[index].replay(&mut log, late)
    }

    fn first_city_log(&mut self, name: CityId, log: &mut Reader<'_>) -> Result<usize, Corrupt> {
        if log.byte("a step")? != op::CONFIG {
            return Err(log.invalid("a city without a config"));
        }
        let config = CountingConfig::read(log)?;
        Ok(self.insert(LaneCity::new(name, Arc::new(config))))
    }
}

impl EventSourced for LaneState {
    type Identity = LaneIdentity;
    type Output = Vec<CityCounts>;

    fn already_processed(&self, sequence: SequenceRef<'_>) -> bool {
        self.log.already_processed(sequence)
    }

    fn request_snapshot(&mut self) {
        self.log.request_snapshot();
    }

    /// The state in memory is read back from the snapshot, so that an instance that loads it, and replays what
    /// follows, has the same state down to the order of free slots.
    fn begin_batch(&mut self) {
        if self.is_snapshot_due() {
            let mut snapshot = self.log.snapshot_buffer();
            put_varint_u64(&mut snapshot, self.cities.len() as u64);
            self.cities.iter().for_each(|city| city.write(&mut snapshot));
            self.restore(&snapshot).expect("a snapshot that was just written can be read");
            self.log.set_snapshot(snapshot);
        }
        self.evicted_before = self.evicted();
    }

    fn seal_entry(&mut self, last_processed: SequenceRef<'_>) -> Entry {
        let mut entry = Vec::with_capacity(256);
        wire::begin(&mut entry, Kind::LaneEntry);
        put_varint_u64(&mut entry, u64::from(self.identity.lane.0));
        self.log.put_header(&mut entry, self.identity.lanes, last_processed);
        for city in &mut self.cities {
            city.take_log(&mut entry);
        }
        self.log.seal(entry, last_processed)
    }

    fn replay(before: Option<Self>, identity: &LaneIdentity, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut entry = wire::open(bytes, Kind::LaneEntry)?;
        if entry.varint_u64("a lane")? != u64::from(identity.lane.0) {
            return Err(entry.invalid("another lane's entry"));
        }
        let position = before.as_ref().map(|before| &before.log);
        let header = LogPosition::read_header(position, &mut entry, identity.lanes)?;
        let mut lane = before.unwrap_or_else(|| Self::new(*identity));
        lane.cities.iter_mut().for_each(|city| city.tick_counts = TickCountsWriter::default());
        if let Some(snapshot) = header.snapshot {
            lane.restore(snapshot)?;
        }
        while !entry.is_done() {
            lane.replay_city(&mut entry)?;
        }
        lane.log.replayed(header, bytes.len());
        Ok(lane)
    }

    fn take_output(&mut self) -> Option<Vec<CityCounts>> {
        let pending = self.cities.iter_mut().filter(|city| !city.tick_counts.is_empty());
        let counts: Vec<CityCounts> = pending.map(LaneCity::take_counts).collect();
        (!counts.is_empty()).then_some(counts)
    }
}

#[cfg(test)]
mod tests;
