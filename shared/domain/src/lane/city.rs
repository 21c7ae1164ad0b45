//! What a lane knows of one city: who is where, how far the clock has come, and what is owed.

use std::sync::Arc;

use crate::event::{MarketEvent, Refusal, What};
use crate::id::{CityId, EntityKey, ProductId};
use crate::locate::Locators;
use crate::report::{Reports, read_dictionary, write_dictionary};
use crate::rules::{PRODUCTS, Rules};
use crate::sightings::{Lifetime, Place, Sightings};
use crate::time::{tick_at_or_after, tick_at_or_before};
use crate::wire::{Corrupt, Reader, put_bytes, put_number, put_signed};

/// What a lane knows of one city.
#[derive(Debug)]
pub(super) struct City {
    pub(super) name: CityId,
    rules: Arc<Rules>,
    /// Products ever met, a bit each in this order; a policy may drop one and take it up again.
    pub(super) dictionary: Vec<ProductId>,
    /// For each product of the rules, its bit.
    bits: Vec<u8>,
    /// The city's first tick; unknown until a clock record names it, and until then none closes.
    pub(super) first: Option<i64>,
    /// The newest closed tick.
    closed: Option<i64>,
    /// The greatest watermark heard or seen.
    watermark: i64,
    pub(super) late: u64,
    pub(super) drivers: Sightings,
    pub(super) riders: Sightings,
    log: Vec<u8>,
    logged_clock: (i64, Option<i64>),
    pub(super) logged_late: u64,
    pub(super) reports: Reports,
}

/// Before any time that an event can have.
const NEVER: i64 = -(1 << 60);

/// The steps of a city's log.
pub(super) mod op {
    pub const RULES: u8 = 1;
    pub const DRIVERS: u8 = 2;
    pub const RIDERS: u8 = 3;
    pub const CLOCK: u8 = 4;
}

impl City {
    pub(super) fn new(name: CityId, rules: Arc<Rules>) -> Self {
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
    pub(super) fn adopt(&mut self, rules: &Arc<Rules>) {
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
        // Shorter ticks may have been passed already: whoever does this again will close them here, too.
        self.advance(self.watermark);
    }

    pub(super) fn write_rules(&mut self) {
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
        let other_ticks = self.rules.tick_ms != rules.tick_ms;
        self.rules = rules;
        self.number_products();
        if other_ticks {
            let (drivers, riders) = (self.drivers_life(), self.riders_life());
            self.drivers.wait_for_other_ticks(self.closed, drivers);
            self.riders.wait_for_other_ticks(self.closed, riders);
        }
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

    pub(super) fn absorb(
        &mut self,
        event: &MarketEvent<'_>,
        time: i64,
        locators: &mut Locators,
    ) -> Result<(), Refusal> {
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
    pub(super) fn advance(&mut self, watermark: i64) {
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
        Some(change.map_or(last, |change| last.min(tick_at_or_before(change - 1, tick_ms))))
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

    pub(super) fn take_log(&mut self, entry: &mut Vec<u8>) {
        self.flush();
        if (self.watermark, self.first) != self.logged_clock {
            self.write_clock();
        }
        if self.log.is_empty() && self.late == self.logged_late {
            return;
        }
        put_bytes(entry, self.name.as_str().as_bytes());
        put_number(entry, self.late - self.logged_late);
        put_bytes(entry, &std::mem::take(&mut self.log));
        self.logged_late = self.late;
    }

    /// Does the steps of a log again.
    pub(super) fn repeat(&mut self, log: &mut Reader<'_>) -> Result<(), Corrupt> {
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

    pub(super) fn write(&self, out: &mut Vec<u8>) {
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

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
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
