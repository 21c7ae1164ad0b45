//! One lane's counting: events and clocks in, the counts of each city's ticks out (CONTRACT §2, §3).
//!
//! A lane's state is what its checkpoint log says: [`Lane::entry`] writes a batch down, [`Lane::load`]
//! does what the entries say again. Reports are a function of both, so none is stored: an entry owes
//! the reports that doing it again gives.

mod city;

use std::sync::Arc;

use city::{LaneCity, op};
use hashbrown::HashMap;

use crate::count::config::CountingConfig;
use crate::count::tick_counts::{CityCounts, TickCountsWriter};
use crate::event::sequence::{Sequence, SequenceRef};
use crate::event::watermark::CityWatermark;
use crate::event::{MarketEvent, Refusal};
use crate::geo::locate::Locators;
use crate::id::{CityId, LaneCount};
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_varint_u64};

pub use crate::id::LaneId;

/// A lane's state in memory: the cities it counts, and where in the log and in its checkpoint it is.
#[derive(Debug)]
pub struct LaneState {
    number: LaneId,
    lanes: LaneCount,
    next_entry: u64,
    last_processed: Option<Sequence>,
    cities: Vec<LaneCity>,
    by_name: HashMap<CityId, usize>,
    /// Bytes of entries since the last snapshot, and of that: when the former outweigh, one is due.
    entry_bytes: usize,
    snapshot_bytes: usize,
    snapshot_due: bool,
}

/// Entries are replaced by a snapshot when they outweigh the last one, but not below this: loading 256
/// KiB takes about a millisecond.
const SNAPSHOT_FLOOR: usize = 256 << 10;

/// A lane's city, by its place in the lane's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityIndex(usize);

impl LaneState {
    /// A lane that has counted nothing yet.
    #[must_use]
    pub fn new(number: LaneId, lanes: LaneCount) -> Self {
        Self {
            number,
            lanes,
            next_entry: 0,
            last_processed: None,
            cities: Vec::new(),
            by_name: HashMap::new(),
            entry_bytes: 0,
            snapshot_bytes: 0,
            snapshot_due: false,
        }
    }

    /// Which lane this is.
    #[must_use]
    pub fn number(&self) -> LaneId {
        self.number
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

    /// Late events since the beginning.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.cities.iter().map(|city| city.late).sum()
    }

    /// Entities that had to go since the beginning because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.cities.iter().map(|city| city.drivers.evicted() + city.riders.evicted()).sum()
    }

    /// Entities held: drivers, and riders per product.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.cities.iter().map(|city| city.drivers.len() + city.riders.len()).sum()
    }

    /// The city's place, where the lane knows it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<CityIndex> {
        self.by_name.get(name).copied().map(CityIndex)
    }

    /// The name of the city at `index`.
    #[must_use]
    pub fn name(&self, index: CityIndex) -> &CityId {
        &self.cities[index.0].name
    }

    /// The city under the rules now in force, known or new.
    pub fn city_mut(&mut self, name: &CityId, rules: &Arc<CountingConfig>) -> CityIndex {
        if let Some(index) = self.find(name.as_str()) {
            self.cities[index.0].apply_config(rules);
            return index;
        }
        let mut city = LaneCity::new(name.clone(), Arc::clone(rules));
        city.log_config();
        self.by_name.insert(name.clone(), self.cities.len());
        self.cities.push(city);
        CityIndex(self.cities.len() - 1)
    }

    /// Takes in an event of the city, at the time it counts.
    ///
    /// # Errors
    /// [`Refusal::UnknownProduct`]; nothing has changed then.
    pub fn absorb(
        &mut self,
        city: CityIndex,
        event: &MarketEvent<'_>,
        time: i64,
        locators: &mut Locators,
    ) -> Result<(), Refusal> {
        self.cities[city.0].absorb(event, time, locators)
    }

    /// Hears a clock record's word on the city.
    pub fn advance_watermark(&mut self, city: CityIndex, clock: &CityWatermark) {
        let city = &mut self.cities[city.0];
        city.first_tick.get_or_insert(clock.first_tick);
        city.advance(clock.watermark);
    }

    /// Asks for a snapshot with the next entry.
    pub fn request_snapshot(&mut self) {
        self.snapshot_due = true;
    }

    /// Whether the next entry should hold a snapshot: [`Self::begin`] takes it.
    #[must_use]
    pub fn needs_snapshot(&self) -> bool {
        self.snapshot_due
            || self.entry_bytes > self.snapshot_bytes.max(SNAPSHOT_FLOOR)
            || self
                .cities
                .iter()
                .any(|city| city.drivers.needs_compaction() || city.riders.needs_compaction())
    }

    /// Begins a batch: gives the snapshot that its entry must hold, if one is due.
    ///
    /// The state in memory is then read back from the snapshot, so that whoever loads it later, and does
    /// again what follows, has the same down to the order of free slots.
    #[must_use]
    pub fn begin_batch(&mut self) -> Option<Vec<u8>> {
        if !self.needs_snapshot() || self.next_entry == 0 {
            return None;
        }
        let mut snapshot = Vec::with_capacity(self.snapshot_bytes);
        put_varint_u64(&mut snapshot, self.cities.len() as u64);
        self.cities.iter().for_each(|city| city.write(&mut snapshot));
        self.restore(&snapshot).expect("what was just written can be read");
        self.snapshot_due = false;
        self.snapshot_bytes = snapshot.len();
        self.entry_bytes = 0;
        Some(snapshot)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Corrupt> {
        let mut input = Reader::new(snapshot);
        let count = input.count("cities")?;
        self.cities.clear();
        self.by_name.clear();
        for _ in 0..count {
            let city = LaneCity::read(&mut input)?;
            if self.by_name.insert(city.name.clone(), self.cities.len()).is_some() {
                return Err(input.invalid("a city known already"));
            }
            self.cities.push(city);
        }
        if input.is_done() { Ok(()) } else { Err(input.invalid("what follows the cities")) }
    }

    /// Writes the batch down that ends with the record at `reached`; the lane stands behind it then.
    #[must_use]
    pub fn seal_entry(&mut self, snapshot: Option<&[u8]>, reached: SequenceRef<'_>) -> Vec<u8> {
        let mut entry = Vec::with_capacity(256);
        wire::begin(&mut entry, Kind::LaneEntry);
        put_varint_u64(&mut entry, u64::from(self.number.0));
        put_varint_u64(&mut entry, u64::from(self.lanes.get()));
        put_varint_u64(&mut entry, self.next_entry);
        put_bytes(&mut entry, reached.as_str().as_bytes());
        put_varint_u64(&mut entry, u64::from(snapshot.is_some()));
        if let Some(snapshot) = snapshot {
            put_bytes(&mut entry, snapshot);
        }
        for city in &mut self.cities {
            city.take_log(&mut entry);
        }
        wire::seal(&mut entry);
        self.next_entry += 1;
        self.last_processed = Some(reached.to_owned());
        if snapshot.is_none() {
            self.entry_bytes += entry.len();
        }
        entry
    }

    /// The reports that the last entry owes, city by city; they are no longer owed then.
    pub fn take_output(&mut self) -> Vec<CityCounts> {
        let owing = self.cities.iter_mut().filter(|city| !city.tick_counts.is_empty());
        owing
            .map(|city| CityCounts {
                city: city.name.clone(),
                dictionary: city.products.clone(),
                ticks: std::mem::take(&mut city.tick_counts),
            })
            .collect()
    }

    /// A lane as its checkpoint log leaves it, owing what the last entry owes.
    ///
    /// `entries` are the newest that holds a snapshot, or the very first, and all that follow.
    ///
    /// # Errors
    /// [`Corrupt`] where they are not this.
    pub fn load<'a>(
        number: LaneId,
        lanes: LaneCount,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, Corrupt> {
        let mut lane = Self::new(number, lanes);
        for (at, entry) in entries.into_iter().enumerate() {
            lane.cities.iter_mut().for_each(|city| city.tick_counts = TickCountsWriter::default());
            lane.replay(entry, at == 0)?;
        }
        Ok(lane)
    }

    fn replay(&mut self, entry: &[u8], first: bool) -> Result<(), Corrupt> {
        let length = entry.len();
        let mut entry = wire::open(entry, Kind::LaneEntry)?;
        if entry.varint_u64("a lane")? != u64::from(self.number.0) {
            return Err(entry.invalid("another lane's entry"));
        }
        if entry.varint_u64("a lane count")? != u64::from(self.lanes.get()) {
            return Err(entry.invalid("another stream's entry"));
        }
        let number = entry.varint_u64("an entry's number")?;
        if !first && number != self.next_entry {
            return Err(entry.invalid("an entry out of order"));
        }
        let reached = entry.text("a sequence number")?;
        self.last_processed = Some(Sequence::new(reached).ok_or(entry.invalid("a sequence number"))?);
        self.next_entry = number + 1;
        self.entry_bytes += length;
        if entry.varint_up_to(1, "a snapshot's mark")? == 1 {
            let snapshot = entry.bytes("a snapshot")?;
            self.restore(snapshot)?;
            self.snapshot_bytes = snapshot.len();
            self.entry_bytes = 0;
        } else if first && number != 0 {
            return Err(entry.invalid("a beginning without a snapshot"));
        }
        while !entry.is_done() {
            let name = CityId::new(entry.text("a city")?).ok_or(entry.invalid("a city"))?;
            let late = entry.varint_u64("late events")?;
            let mut log = Reader::new(entry.bytes("a city's log")?);
            let index = match self.find(name.as_str()) {
                Some(index) => index.0,
                None => self.begin_city(name, &mut log)?,
            };
            self.cities[index].replay(&mut log)?;
            self.cities[index].late += late;
            self.cities[index].logged_late += late;
        }
        Ok(())
    }

    fn begin_city(&mut self, name: CityId, log: &mut Reader<'_>) -> Result<usize, Corrupt> {
        if log.byte("a step")? != op::CONFIG {
            return Err(log.invalid("a city without rules"));
        }
        let rules = CountingConfig::read(log)?;
        self.by_name.insert(name.clone(), self.cities.len());
        self.cities.push(LaneCity::new(name, Arc::new(rules)));
        Ok(self.cities.len() - 1)
    }
}

#[cfg(test)]
mod tests;
