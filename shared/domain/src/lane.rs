//! One lane's counting: events and clocks in, the counts of each city's ticks out (CONTRACT §2, §3).
//!
//! A lane's state is what its checkpoint log says: [`Lane::entry`] writes a batch down, [`Lane::load`]
//! does what the entries say again. Reports are a function of both, so none is stored: an entry owes
//! the reports that doing it again gives.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::clock::CityClock;
use crate::event::{MarketEvent, Refusal, What};
use crate::id::{CityId, EntityKey, LaneCount, ProductId};
use crate::locate::Locators;
use crate::report::{Reports, Section, read_dictionary, write_dictionary};
use crate::rules::{PRODUCTS, Rules};
use crate::sequence::{Sequence, SequenceRef};
use crate::sightings::{Lifetime, Place, Sightings};
use crate::time::{tick_at_or_after, tick_at_or_before};
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_number, put_signed};

pub use crate::id::Lane as LaneNumber;

/// A lane's state in memory: the cities it counts, and where in the log and in its checkpoint it is.
#[derive(Debug)]
pub struct Lane {
    number: LaneNumber,
    lanes: LaneCount,
    next_entry: u64,
    reached: Option<Sequence>,
    cities: Vec<City>,
    by_name: HashMap<CityId, usize>,
    /// Bytes of entries since the last snapshot, and of that: when the former outweigh, one is due.
    entry_bytes: usize,
    snapshot_bytes: usize,
    snapshot_due: bool,
}

/// What a lane knows of one city.
#[derive(Debug)]
struct City {
    name: CityId,
    rules: Arc<Rules>,
    /// Products ever met, a bit each in this order; a policy may drop one and take it up again.
    dictionary: Vec<ProductId>,
    /// For each product of the rules, its bit.
    bits: Vec<u8>,
    /// The city's first tick; unknown until a clock record names it, and until then none closes.
    first: Option<i64>,
    /// The newest closed tick.
    closed: Option<i64>,
    /// The greatest watermark heard or seen.
    watermark: i64,
    late: u64,
    drivers: Sightings,
    riders: Sightings,
    log: Vec<u8>,
    logged_clock: (i64, Option<i64>),
    logged_late: u64,
    reports: Reports,
}

/// Before any time that an event can have.
const NEVER: i64 = -(1 << 60);

/// Entries are replaced by a snapshot when they outweigh the last one, but not below this: loading 256
/// KiB takes about a millisecond.
const SNAPSHOT_FLOOR: usize = 256 << 10;

mod op {
    pub const RULES: u8 = 1;
    pub const DRIVERS: u8 = 2;
    pub const RIDERS: u8 = 3;
    pub const CLOCK: u8 = 4;
}

/// A lane's city, by its place in the lane's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityIndex(usize);

impl Lane {
    /// A lane that has counted nothing yet.
    #[must_use]
    pub fn new(number: LaneNumber, lanes: LaneCount) -> Self {
        Self {
            number,
            lanes,
            next_entry: 0,
            reached: None,
            cities: Vec::new(),
            by_name: HashMap::new(),
            entry_bytes: 0,
            snapshot_bytes: 0,
            snapshot_due: false,
        }
    }

    /// Which lane this is.
    #[must_use]
    pub fn number(&self) -> LaneNumber {
        self.number
    }

    /// The number of the entry that [`Self::entry`] writes next.
    #[must_use]
    pub fn next_entry(&self) -> u64 {
        self.next_entry
    }

    /// Whether the record at `sequence` was taken in before.
    #[must_use]
    pub fn holds(&self, sequence: SequenceRef<'_>) -> bool {
        self.reached.as_ref().is_some_and(|reached| sequence <= reached.borrowed())
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
    pub fn enter(&mut self, name: &CityId, rules: &Arc<Rules>) -> CityIndex {
        if let Some(index) = self.find(name.as_str()) {
            self.cities[index.0].adopt(rules);
            return index;
        }
        let mut city = City::new(name.clone(), Arc::clone(rules));
        city.write_rules();
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
    pub fn hear(&mut self, city: CityIndex, clock: &CityClock) {
        let city = &mut self.cities[city.0];
        city.first.get_or_insert(clock.first_tick);
        city.advance(clock.watermark);
    }

    /// Asks for a snapshot with the next entry.
    pub fn ask_for_snapshot(&mut self) {
        self.snapshot_due = true;
    }

    /// Whether the next entry should hold a snapshot: [`Self::begin`] takes it.
    #[must_use]
    pub fn needs_snapshot(&self) -> bool {
        self.snapshot_due
            || self.entry_bytes > self.snapshot_bytes.max(SNAPSHOT_FLOOR)
            || self.cities.iter().any(|city| city.drivers.is_littered() || city.riders.is_littered())
    }

    /// Begins a batch: gives the snapshot that its entry must hold, if one is due.
    ///
    /// The state in memory is then read back from the snapshot, so that whoever loads it later, and does
    /// again what follows, has the same down to the order of free slots.
    #[must_use]
    pub fn begin(&mut self) -> Option<Vec<u8>> {
        if !self.needs_snapshot() || self.next_entry == 0 {
            return None;
        }
        let mut snapshot = Vec::with_capacity(self.snapshot_bytes);
        put_number(&mut snapshot, self.cities.len() as u64);
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
            let city = City::read(&mut input)?;
            if self.by_name.insert(city.name.clone(), self.cities.len()).is_some() {
                return Err(input.nonsense("a city known already"));
            }
            self.cities.push(city);
        }
        if input.is_done() { Ok(()) } else { Err(input.nonsense("what follows the cities")) }
    }

    /// Writes the batch down that ends with the record at `reached`; the lane stands behind it then.
    #[must_use]
    pub fn entry(&mut self, snapshot: Option<&[u8]>, reached: SequenceRef<'_>) -> Vec<u8> {
        let mut entry = Vec::with_capacity(256);
        wire::begin(&mut entry, Kind::LaneEntry);
        put_number(&mut entry, u64::from(self.number.0));
        put_number(&mut entry, u64::from(self.lanes.get()));
        put_number(&mut entry, self.next_entry);
        put_bytes(&mut entry, reached.as_str().as_bytes());
        put_number(&mut entry, u64::from(snapshot.is_some()));
        if let Some(snapshot) = snapshot {
            put_bytes(&mut entry, snapshot);
        }
        for city in &mut self.cities {
            city.take_log(&mut entry);
        }
        wire::seal(&mut entry);
        self.next_entry += 1;
        self.reached = Some(reached.to_owned());
        if snapshot.is_none() {
            self.entry_bytes += entry.len();
        }
        entry
    }

    /// The reports that the last entry owes, city by city; they are no longer owed then.
    pub fn take_reports(&mut self) -> Vec<Section> {
        let owing = self.cities.iter_mut().filter(|city| !city.reports.is_empty());
        owing
            .map(|city| Section {
                city: city.name.clone(),
                dictionary: city.dictionary.clone(),
                reports: std::mem::take(&mut city.reports),
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
        number: LaneNumber,
        lanes: LaneCount,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, Corrupt> {
        let mut lane = Self::new(number, lanes);
        for (at, entry) in entries.into_iter().enumerate() {
            lane.cities.iter_mut().for_each(|city| city.reports = Reports::default());
            lane.repeat(entry, at == 0)?;
        }
        Ok(lane)
    }

    fn repeat(&mut self, entry: &[u8], first: bool) -> Result<(), Corrupt> {
        let length = entry.len();
        let mut entry = wire::open(entry, Kind::LaneEntry)?;
        if entry.number("a lane")? != u64::from(self.number.0) {
            return Err(entry.nonsense("another lane's entry"));
        }
        if entry.number("a lane count")? != u64::from(self.lanes.get()) {
            return Err(entry.nonsense("another stream's entry"));
        }
        let number = entry.number("an entry's number")?;
        if !first && number != self.next_entry {
            return Err(entry.nonsense("an entry out of order"));
        }
        let reached = entry.text("a sequence number")?;
        self.reached = Some(Sequence::new(reached).ok_or(entry.nonsense("a sequence number"))?);
        self.next_entry = number + 1;
        self.entry_bytes += length;
        if entry.number_to(1, "a snapshot's mark")? == 1 {
            let snapshot = entry.bytes("a snapshot")?;
            self.restore(snapshot)?;
            self.snapshot_bytes = snapshot.len();
            self.entry_bytes = 0;
        } else if first && number != 0 {
            return Err(entry.nonsense("a beginning without a snapshot"));
        }
        while !entry.is_done() {
            let name = CityId::new(entry.text("a city")?).ok_or(entry.nonsense("a city"))?;
            let late = entry.number("late events")?;
            let mut log = Reader::new(entry.bytes("a city's log")?);
            let index = match self.find(name.as_str()) {
                Some(index) => index.0,
                None => self.begin_city(name, &mut log)?,
            };
            self.cities[index].repeat(&mut log)?;
            self.cities[index].late += late;
            self.cities[index].logged_late += late;
        }
        Ok(())
    }

    fn begin_city(&mut self, name: CityId, log: &mut Reader<'_>) -> Result<usize, Corrupt> {
        if log.byte("a step")? != op::RULES {
            return Err(log.nonsense("a city without rules"));
        }
        let rules = Rules::read(log)?;
        self.by_name.insert(name.clone(), self.cities.len());
        self.cities.push(City::new(name, Arc::new(rules)));
        Ok(self.cities.len() - 1)
    }
}

impl City {
    fn new(name: CityId, rules: Arc<Rules>) -> Self {
        let mut city = Self {
            name,
            rules: Arc::clone(&rules),
            dictionary: Vec::new(),
            bits: Vec::new(),
            first: None,
            closed: None,
            watermark: NEVER,
            late: 0,
            drivers: Sightings::default(),
            riders: Sightings::default(),
            log: Vec::new(),
            logged_clock: (NEVER, None),
            logged_late: 0,
            reports: Reports::default(),
        };
        city.take_up(rules);
        city
    }

    fn drivers_life(&self) -> Lifetime {
        let Rules { driver_ttl_ms: ttl_ms, tick_ms, most_entities: most, .. } = *self.rules;
        Lifetime { ttl_ms, tick_ms, most }
    }

    fn riders_life(&self) -> Lifetime {
        Lifetime { ttl_ms: self.rules.window_ms, ..self.drivers_life() }
    }

    /// Goes over to other rules, if they are others, and writes it down.
    fn adopt(&mut self, rules: &Arc<Rules>) {
        if Arc::ptr_eq(&self.rules, rules) {
            return;
        }
        if self.rules == *rules {
            self.rules = Arc::clone(rules);
            return;
        }
        self.flush();
        self.take_up(Arc::clone(rules));
        self.write_rules();
    }

    fn write_rules(&mut self) {
        self.log.push(op::RULES);
        self.rules.write(&mut self.log);
    }

    fn take_up(&mut self, rules: Arc<Rules>) {
        let new: Vec<_> =
            rules.products.iter().filter(|product| !self.dictionary.contains(product)).cloned().collect();
        if self.dictionary.len() + new.len() > PRODUCTS {
            // More products over time than a place has bits for: begin anew with those of today.
            self.dictionary.clone_from(&rules.products);
            self.drivers = Sightings::default();
            self.riders = Sightings::default();
        } else {
            self.dictionary.extend(new);
        }
        self.rules = rules;
        self.number_products();
    }

    /// Looks up the bit of each product of the rules.
    fn number_products(&mut self) {
        let bit = |product| self.dictionary.iter().position(|known| known == product);
        self.bits = self
            .rules
            .products
            .iter()
            .filter_map(bit)
            .map(|bit| u8::try_from(bit).expect("a dictionary holds at most 64 products"))
            .collect();
    }

    fn bit(&self, product: &[u8]) -> Result<u8, Refusal> {
        self.rules.product(product).map(|at| self.bits[at])
    }

    fn absorb(&mut self, event: &MarketEvent<'_>, time: i64, locators: &mut Locators) -> Result<(), Refusal> {
        match &event.what {
            What::Driver { driver, place, available, products } => {
                let products = match products {
                    None => self.bits.iter().fold(0, |all, bit| all | 1 << bit),
                    Some(list) => {
                        let mut served = Ok(0);
                        list.for_each(|product| {
                            if let Ok(bits) = served {
                                served = self.bit(&product).map(|bit| bits | 1 << bit);
                            }
                        });
                        served?
                    }
                };
                let at = if *available && products != 0 {
                    Place { cell: locators.locate(*place, self.rules.resolution).0, products }
                } else {
                    Place::NOWHERE
                };
                let life = self.drivers_life();
                self.drivers.absorb(EntityKey::driver(driver), at, time, self.closed, life);
            }
            What::Request { rider, place, product } => {
                let bit = match product {
                    Some(product) => self.bit(product)?,
                    None => self.bits[0],
                };
                let cell = locators.locate(*place, self.rules.resolution).0;
                let at = Place { cell, products: 1 << bit };
                let life = self.riders_life();
                self.riders.absorb(EntityKey::rider(rider, bit), at, time, self.closed, life);
            }
            What::Progress { .. } => {}
        }
        self.note_late(time);
        self.advance(time - self.rules.lateness_ms);
        Ok(())
    }

    /// Counts an event whose own tick has closed; a tick before the city's first never closes.
    fn note_late(&mut self, time: i64) {
        let (Some(first), Some(closed)) = (self.first, self.closed) else { return };
        if time <= closed && tick_at_or_after(time, self.rules.tick_ms) >= first {
            self.late += 1;
        }
    }

    /// Raises the watermark and closes every tick that it passes.
    fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
        if self.next_tick().is_some_and(|next| next <= self.watermark) {
            self.flush();
            self.write_clock();
            self.close_ticks();
        }
    }

    fn next_tick(&self) -> Option<i64> {
        match self.closed {
            Some(closed) => Some(tick_at_or_after(closed + 1, self.rules.tick_ms)),
            None => self.first,
        }
    }

    fn close_ticks(&mut self) {
        let tick_ms = self.rules.tick_ms;
        let (drivers, riders) = (self.drivers_life(), self.riders_life());
        while let Some(tick) = self.next_tick().filter(|tick| *tick <= self.watermark) {
            if let Some(last) = self.last_empty(tick) {
                self.reports.add_empty(tick, last, tick_ms);
                self.closed = Some(last);
                continue;
            }
            self.drivers.close(tick, drivers);
            self.riders.close(tick, riders);
            self.reports.add_tick(tick, tick_ms, self.drivers.counts(), self.riders.counts());
            self.closed = Some(tick);
        }
    }

    /// Where nobody counts, and nobody is about to at `tick`: the last tick of which that is so.
    fn last_empty(&mut self, tick: i64) -> Option<i64> {
        let tick_ms = self.rules.tick_ms;
        let drivers = self.drivers.next_change(self.drivers_life());
        let riders = self.riders.next_change(self.riders_life());
        let change = drivers.into_iter().chain(riders).min();
        if change.is_some_and(|change| change <= tick) {
            return None;
        }
        if self.drivers.counts().next().is_some() || self.riders.counts().next().is_some() {
            return None;
        }
        let last = tick_at_or_before(self.watermark, tick_ms);
        Some(change.map_or(last, |change| last.min(change - tick_ms)))
    }

    /// Moves the sightings' logs into the city's: what follows in it happened after them.
    fn flush(&mut self) {
        let mut log = Vec::new();
        for (step, sightings) in [(op::DRIVERS, &mut self.drivers), (op::RIDERS, &mut self.riders)] {
            sightings.take_log(&mut log);
            if !log.is_empty() {
                self.log.push(step);
                put_bytes(&mut self.log, &log);
                log.clear();
            }
        }
    }

    fn write_clock(&mut self) {
        self.log.push(op::CLOCK);
        put_signed(&mut self.log, self.watermark);
        put_number(&mut self.log, u64::from(self.first.is_some()));
        if let Some(first) = self.first {
            put_signed(&mut self.log, first);
        }
        self.logged_clock = (self.watermark, self.first);
    }

    fn take_log(&mut self, entry: &mut Vec<u8>) {
        self.flush();
        if (self.watermark, self.first) != self.logged_clock {
            self.write_clock();
        }
        if self.log.is_empty() && self.late == self.logged_late {
            return;
        }
        put_bytes(entry, self.name.as_str().as_bytes());
        put_number(entry, self.late - self.logged_late);
        put_bytes(entry, &self.log);
        self.log.clear();
        self.logged_late = self.late;
    }

    /// Does the steps of a log again.
    fn repeat(&mut self, log: &mut Reader<'_>) -> Result<(), Corrupt> {
        while !log.is_done() {
            match log.byte("a step")? {
                op::RULES => {
                    let rules = Rules::read(log)?;
                    self.take_up(Arc::new(rules));
                }
                op::DRIVERS => {
                    let life = self.drivers_life();
                    self.drivers.repeat(log.bytes("drivers")?, self.closed, life)?;
                }
                op::RIDERS => {
                    let life = self.riders_life();
                    self.riders.repeat(log.bytes("riders")?, self.closed, life)?;
                }
                op::CLOCK => {
                    self.watermark = log.instant("a watermark")?;
                    self.first = match log.number_to(1, "a first tick's mark")? {
                        0 => None,
                        _ => Some(log.instant("a first tick")?),
                    };
                    self.logged_clock = (self.watermark, self.first);
                    self.close_ticks();
                }
                _ => return Err(log.nonsense("a step")),
            }
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_str().as_bytes());
        self.rules.write(out);
        write_dictionary(out, &self.dictionary);
        for instant in [self.first, self.closed] {
            put_number(out, u64::from(instant.is_some()));
            put_signed(out, instant.unwrap_or(0));
        }
        put_signed(out, self.watermark);
        put_number(out, self.late);
        self.drivers.write(out, self.closed);
        self.riders.write(out, self.closed);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let name = CityId::new(input.text("a city")?).ok_or(input.nonsense("a city"))?;
        let mut city = Self::new(name, Arc::new(Rules::read(input)?));
        city.dictionary = read_dictionary(input)?;
        city.number_products();
        if city.bits.len() != city.rules.products.len() {
            return Err(input.nonsense("a dictionary without one of the products"));
        }
        for instant in [&mut city.first, &mut city.closed] {
            let known = input.number_to(1, "a tick's mark")? == 1;
            let tick = input.instant("a tick")?;
            *instant = known.then_some(tick);
        }
        city.watermark = input.instant("a watermark")?;
        city.logged_clock = (city.watermark, city.first);
        city.late = input.number("late events")?;
        city.logged_late = city.late;
        city.drivers = Sightings::read(input, city.closed, city.drivers_life())?;
        city.riders = Sightings::read(input, city.closed, city.riders_life())?;
        Ok(city)
    }
}

#[cfg(test)]
mod tests;
