//! What a lane knows of one city: who is where, how far the clock has come, and what is owed.

use std::sync::Arc;

use crate::count::config::CountingConfig;
use crate::count::sightings::{Lifetime, Place, Sightings};
use crate::count::tick_counts::{CityCounts, TickCountsWriter};
use crate::event::{MarketEvent, Refusal, What};
use crate::geo::locate::Locators;
use crate::id::{CityId, EntityKey};
use crate::time::{tick_at_or_after, tick_at_or_before};
use crate::wire::products::{MAX_PRODUCTS, ProductTable};
use crate::wire::{Corrupt, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// What a lane knows of one city.
#[derive(Debug)]
pub(super) struct LaneCity {
    pub(super) name: CityId,
    config: Arc<CountingConfig>,
    /// Products ever met, a bit each in this order; a policy may drop one and take it up again.
    pub(super) products: ProductTable,
    /// For each product of the rules, its bit.
    bits: Vec<u8>,
    /// The city's first tick; unknown until a clock record names it, and until then none closes.
    pub(super) first_tick: Option<i64>,
    /// The newest closed tick.
    closed: Option<i64>,
    /// The greatest watermark heard or seen.
    watermark: i64,
    pub(super) late: u64,
    pub(super) drivers: Sightings,
    pub(super) riders: Sightings,
    log: Vec<u8>,
    logged_watermark: (i64, Option<i64>),
    logged_late: u64,
    pub(super) tick_counts: TickCountsWriter,
}

/// Before any time that an event can have.
const NEVER: i64 = -(1 << 60);

/// The steps of a city's log.
pub(super) mod op {
    pub const CONFIG: u8 = 1;
    pub const DRIVERS: u8 = 2;
    pub const RIDERS: u8 = 3;
    pub const WATERMARK: u8 = 4;
}

impl LaneCity {
    pub(super) fn new(name: CityId, rules: Arc<CountingConfig>) -> Self {
        let mut city = Self {
            name,
            config: Arc::clone(&rules),
            products: ProductTable::default(),
            bits: Vec::new(),
            first_tick: None,
            closed: None,
            watermark: NEVER,
            late: 0,
            drivers: Sightings::default(),
            riders: Sightings::default(),
            log: Vec::new(),
            logged_watermark: (NEVER, None),
            logged_late: 0,
            tick_counts: TickCountsWriter::default(),
        };
        city.set_config(rules);
        city
    }

    fn driver_lifetime(&self) -> Lifetime {
        let CountingConfig { driver_ttl_ms: ttl_ms, tick_ms, max_entities: most, .. } = *self.config;
        Lifetime { ttl_ms, tick_ms, most }
    }

    fn rider_lifetime(&self) -> Lifetime {
        Lifetime { ttl_ms: self.config.window_ms, ..self.driver_lifetime() }
    }

    /// Goes over to other rules, if they are others, and writes it down.
    pub(super) fn apply_config(&mut self, rules: &Arc<CountingConfig>) {
        if Arc::ptr_eq(&self.config, rules) {
            return;
        }
        if self.config == *rules {
            self.config = Arc::clone(rules);
            return;
        }
        self.flush();
        self.set_config(Arc::clone(rules));
        self.log_config();
        // Shorter ticks may have been passed already: whoever does this again will close them here, too.
        self.advance(self.watermark);
    }

    pub(super) fn log_config(&mut self) {
        self.log.push(op::CONFIG);
        self.config.write(&mut self.log);
    }

    fn set_config(&mut self, rules: Arc<CountingConfig>) {
        let new: Vec<_> =
            rules.products.iter().filter(|product| !self.products.contains(product)).cloned().collect();
        if self.products.len() + new.len() > MAX_PRODUCTS {
            // More products over time than a place has bits for: begin anew with those of today.
            self.products = rules.products.clone().into();
            self.drivers = Sightings::default();
            self.riders = Sightings::default();
        } else {
            new.into_iter().for_each(|product| self.products.push(product));
        }
        let other_ticks = self.config.tick_ms != rules.tick_ms;
        self.config = rules;
        self.number_products();
        if other_ticks {
            let (drivers, riders) = (self.driver_lifetime(), self.rider_lifetime());
            self.drivers.rebucket(self.closed, drivers);
            self.riders.rebucket(self.closed, riders);
        }
    }

    /// Looks up the bit of each product of the rules.
    fn number_products(&mut self) {
        let bit = |product| self.products.iter().position(|known| known == product);
        self.bits = self
            .config
            .products
            .iter()
            .filter_map(bit)
            .map(|bit| u8::try_from(bit).expect("a table holds at most 64 products"))
            .collect();
    }

    fn bit(&self, product: &[u8]) -> Result<u8, Refusal> {
        self.config.product(product).map(|at| self.bits[at])
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
                    Place { cell: locators.locate(*place, self.config.resolution).0, products }
                } else {
                    Place::NOWHERE
                };
                let life = self.driver_lifetime();
                self.drivers.absorb(EntityKey::driver(driver), at, time, self.closed, life);
            }
            What::Request { rider, place, product } => {
                let bit = match product {
                    Some(product) => self.bit(product)?,
                    None => self.bits[0],
                };
                let cell = locators.locate(*place, self.config.resolution).0;
                let at = Place { cell, products: 1 << bit };
                let life = self.rider_lifetime();
                self.riders.absorb(EntityKey::rider(rider, bit), at, time, self.closed, life);
            }
            What::Progress { .. } => {}
        }
        self.note_late(time);
        self.advance(time - self.config.lateness_ms);
        Ok(())
    }

    /// Counts an event whose own tick has closed; a tick before the city's first never closes.
    fn note_late(&mut self, time: i64) {
        let (Some(first), Some(closed)) = (self.first_tick, self.closed) else { return };
        if time <= closed && tick_at_or_after(time, self.config.tick_ms) >= first {
            self.late += 1;
        }
    }

    /// Raises the watermark and closes every tick that it passes.
    pub(super) fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
        if self.next_tick().is_some_and(|next| next <= self.watermark) {
            self.flush();
            self.log_watermark();
            self.close_ticks();
        }
    }

    fn next_tick(&self) -> Option<i64> {
        match self.closed {
            Some(closed) => Some(tick_at_or_after(closed + 1, self.config.tick_ms)),
            None => self.first_tick,
        }
    }

    fn close_ticks(&mut self) {
        let tick_ms = self.config.tick_ms;
        let (drivers, riders) = (self.driver_lifetime(), self.rider_lifetime());
        while let Some(tick) = self.next_tick().filter(|tick| *tick <= self.watermark) {
            if let Some(last) = self.last_empty(tick) {
                self.tick_counts.add_empty(tick, last, tick_ms);
                self.closed = Some(last);
                continue;
            }
            self.drivers.close(tick, drivers);
            self.riders.close(tick, riders);
            self.tick_counts.add_tick(tick, tick_ms, self.drivers.counts(), self.riders.counts());
            self.closed = Some(tick);
        }
    }

    /// Where nobody counts, and nobody is about to at `tick`: the last tick of which that is so.
    fn last_empty(&mut self, tick: i64) -> Option<i64> {
        let tick_ms = self.config.tick_ms;
        let drivers = self.drivers.next_change(self.driver_lifetime());
        let riders = self.riders.next_change(self.rider_lifetime());
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

    fn log_watermark(&mut self) {
        self.log.push(op::WATERMARK);
        put_varint_i64(&mut self.log, self.watermark);
        put_varint_u64(&mut self.log, u64::from(self.first_tick.is_some()));
        if let Some(first) = self.first_tick {
            put_varint_i64(&mut self.log, first);
        }
        self.logged_watermark = (self.watermark, self.first_tick);
    }

    pub(super) fn take_log(&mut self, entry: &mut Vec<u8>) {
        self.flush();
        if (self.watermark, self.first_tick) != self.logged_watermark {
            self.log_watermark();
        }
        if self.log.is_empty() && self.late == self.logged_late {
            return;
        }
        put_bytes(entry, self.name.as_str().as_bytes());
        put_varint_u64(entry, self.late - self.logged_late);
        put_bytes(entry, &std::mem::take(&mut self.log));
        self.logged_late = self.late;
    }

    /// Replays the steps of a log in which `late` events were late.
    pub(super) fn replay(&mut self, log: &mut Reader<'_>, late: u64) -> Result<(), Corrupt> {
        while !log.is_done() {
            match log.byte("a step")? {
                op::CONFIG => {
                    let rules = CountingConfig::read(log)?;
                    self.set_config(Arc::new(rules));
                }
                op::DRIVERS => {
                    let life = self.driver_lifetime();
                    self.drivers.replay(log.bytes("drivers")?, self.closed, life)?;
                }
                op::RIDERS => {
                    let life = self.rider_lifetime();
                    self.riders.replay(log.bytes("riders")?, self.closed, life)?;
                }
                op::WATERMARK => {
                    self.watermark = log.instant("a watermark")?;
                    self.first_tick = match log.varint_up_to(1, "a first tick's mark")? {
                        0 => None,
                        _ => Some(log.instant("a first tick")?),
                    };
                    self.logged_watermark = (self.watermark, self.first_tick);
                    self.close_ticks();
                }
                _ => return Err(log.invalid("a step")),
            }
        }
        self.late += late;
        self.logged_late += late;
        Ok(())
    }

    /// Late events that no entry holds yet.
    pub(super) fn late_since_last_entry(&self) -> u64 {
        self.late - self.logged_late
    }

    /// Takes the pending counts.
    pub(super) fn take_counts(&mut self) -> CityCounts {
        CityCounts {
            city: self.name.clone(),
            products: self.products.clone(),
            ticks: std::mem::take(&mut self.tick_counts),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_str().as_bytes());
        self.config.write(out);
        self.products.write(out);
        for instant in [self.first_tick, self.closed] {
            put_varint_u64(out, u64::from(instant.is_some()));
            put_varint_i64(out, instant.unwrap_or(0));
        }
        put_varint_i64(out, self.watermark);
        put_varint_u64(out, self.late);
        self.drivers.write(out, self.closed);
        self.riders.write(out, self.closed);
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let name = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let mut city = Self::new(name, Arc::new(CountingConfig::read(input)?));
        city.products = ProductTable::read(input)?;
        city.number_products();
        if city.bits.len() != city.config.products.len() {
            return Err(input.invalid("a product table without one of the products"));
        }
        for instant in [&mut city.first_tick, &mut city.closed] {
            let known = input.varint_up_to(1, "a tick's mark")? == 1;
            let tick = input.instant("a tick")?;
            *instant = known.then_some(tick);
        }
        city.watermark = input.instant("a watermark")?;
        city.logged_watermark = (city.watermark, city.first_tick);
        city.late = input.varint_u64("late events")?;
        city.logged_late = city.late;
        city.drivers = Sightings::read(input, city.closed, city.driver_lifetime())?;
        city.riders = Sightings::read(input, city.closed, city.rider_lifetime())?;
        Ok(city)
    }
}
