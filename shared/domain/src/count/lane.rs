//! One lane's counting: events and watermarks in, the counts of each city's ticks out (CONTRACT §2, §3).
//!
//! The state is a part of that of its range of lanes, which share a checkpoint log
//! ([`LaneRangeState`](super::range_state::LaneRangeState)); its output is the counts of the ticks that a batch closed.

mod city;
mod role;

use std::sync::Arc;

use city::{LaneCity, op};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::count::config::CountingConfig;
use crate::count::tick_counts::{CityCounts, TickCountsWriter};
use crate::event::sequence::{Sequence, SequenceRef};
use crate::event::watermark::CityWatermark;
use crate::event::{MarketEvent, Refusal};
use crate::geo::locate::Locators;
use crate::id::{CityId, LaneCount, LaneId};
use crate::wire::{Corrupt, Reader, put_bytes, put_varint_u64};

/// A lane's state in memory: the cities it counts.
#[derive(Debug)]
pub struct LaneState {
    lane: LaneId,
    /// The last record of the lane that is in the state.
    last_processed: Option<Sequence>,
    cities: Vec<LaneCity>,
    /// The indices of the cities, by the hash of the name.
    by_name: HashTable<u32>,
    /// Entities evicted before the current batch.
    evicted_before: u64,
}

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
    pub fn new(lane: LaneId) -> Self {
        Self { lane, last_processed: None, cities: Vec::new(), by_name: HashTable::new(), evicted_before: 0 }
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// Whether the record at `sequence` is in the state.
    #[must_use]
    pub fn already_processed(&self, sequence: SequenceRef<'_>) -> bool {
        self.last_processed.as_ref().is_some_and(|last| sequence <= last.borrowed())
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
        let is_named = |index: &u32| self.cities[*index as usize].name.as_str() == name;
        self.by_name.find(hash(name), is_named).map(|index| CityIndex(*index as usize))
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
        let index = self.cities.len();
        if index == self.cities.capacity() {
            // By an eighth: a range has as many of these as lanes, and the half of each would be empty.
            self.cities.reserve_exact(index / 8 + 1);
        }
        self.cities.push(city);
        let cities = &self.cities;
        let hash_at = |index: &u32| hash(cities[*index as usize].name.as_str());
        let number = u32::try_from(index).expect("memory for fewer than 2³² cities");
        self.by_name.insert_unique(hash_at(&number), number, hash_at);
        index
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

    /// Whether a watermark record about the city would change the state's output: it reaches a tick, or the lane does
    /// not know the city's first tick.
    #[must_use]
    pub fn is_watermark_due(&self, city: &str, watermark: &CityWatermark) -> bool {
        self.find(city).is_none_or(|index| self.cities[index.0].is_watermark_due(watermark))
    }

    /// Whether the sightings have slots to compact.
    pub(super) fn needs_compaction(&self) -> bool {
        self.cities.iter().any(|city| city.drivers.needs_compaction() || city.riders.needs_compaction())
    }

    /// Begins the lane's part of an entry.
    pub(super) fn begin_entry(&mut self) {
        self.evicted_before = self.evicted();
    }

    /// Ends the lane's part of an entry, and appends what happened; the lane advances to the record at
    /// `last_processed`.
    pub(super) fn end_entry(&mut self, last_processed: Option<&Sequence>, entry: &mut Vec<u8>) {
        self.last_processed = last_processed.cloned().or(self.last_processed.take());
        self.cities.iter_mut().for_each(|city| city.take_log(entry));
    }

    /// Replays the lane's part of an entry.
    pub(super) fn replay(
        &mut self,
        last_processed: Option<&Sequence>,
        entry: &mut Reader<'_>,
    ) -> Result<(), Corrupt> {
        while !entry.is_done() {
            self.replay_city(entry)?;
        }
        self.last_processed = last_processed.cloned().or(self.last_processed.take());
        Ok(())
    }

    /// Drops the pending counts.
    pub(super) fn clear_counts(&mut self) {
        self.cities.iter_mut().for_each(|city| city.tick_counts = TickCountsWriter::default());
    }

    /// Takes the pending counts.
    pub(super) fn take_counts(&mut self) -> Vec<CityCounts> {
        let pending = self.cities.iter_mut().filter(|city| !city.tick_counts.is_empty());
        pending.map(LaneCity::take_counts).collect()
    }

    /// Appends the lane's part of a snapshot.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let last = self.last_processed.as_ref().map_or("", Sequence::as_str);
        put_bytes(out, last.as_bytes());
        put_varint_u64(out, self.cities.len() as u64);
        self.cities.iter().for_each(|city| city.write(out));
    }

    /// Reads a part of a snapshot that [`Self::write`] wrote.
    pub(super) fn read(lane: LaneId, input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let mut state = Self::new(lane);
        let last = input.text("a sequence number")?;
        if !last.is_empty() {
            state.last_processed = Some(Sequence::new(last).ok_or(input.invalid("a sequence number"))?);
        }
        for _ in 0..input.count("cities")? {
            let city = LaneCity::read(input)?;
            if state.find(city.name.as_str()).is_some() {
                return Err(input.invalid("a duplicate city"));
            }
            state.insert(city);
        }
        Ok(state)
    }

    /// Keeps the entities whose lane among `lanes` is this one, as its half of a lane that has become two.
    pub(super) fn keep_half(&mut self, lanes: LaneCount) {
        let is_first = self.lane.0.is_multiple_of(2);
        self.cities.iter_mut().for_each(|city| city.keep_half(|key| key.lane(lanes) == self.lane, is_first));
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

fn hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

#[cfg(test)]
mod tests;
