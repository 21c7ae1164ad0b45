//! A lane's state of one city: its sightings, its watermark, and the counts of ticks that are pending output.

use std::sync::Arc;

use super::Absorbed;
use super::role::Role;
use crate::count::config::CountingConfig;
use crate::count::sightings::{Lifetime, Place, Sightings};
use crate::count::tick_counts::{CityCounts, TickCountsWriter};
use crate::event::watermark::CityWatermark;
use crate::event::{DriverStatus, MarketEvent, Position, ProductList, Refusal, What};
use crate::geo::locate::Locators;
use crate::id::{CityId, EntityKey, ProductId};
use crate::time::{tick_at_or_after, tick_at_or_before};
use crate::wire::products::{MAX_PRODUCTS, ProductTable, write_products};
use crate::wire::{Corrupt, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// A lane's state of one city.
#[derive(Debug)]
pub(super) struct LaneCity {
    pub(super) name: CityId,
    config: Arc<CountingConfig>,
    /// All products of the configs so far, unless they are those of this one.
    products: Option<Box<KnownProducts>>,
    /// The city's first tick; unknown until a watermark record names it, and until then no tick closes.
    pub(super) first_tick: Option<i64>,
    /// The newest closed tick.
    closed: Option<i64>,
    /// The greatest watermark so far, of a watermark record or of this lane's events, in milliseconds since the epoch.
    watermark: i64,
    pub(super) late: u64,
    pub(super) drivers: Role,
    pub(super) riders: Role,
    log: Vec<u8>,
    logged_watermark: (i64, Option<i64>),
    logged_late: u64,
    pub(super) tick_counts: TickCountsWriter,
}

/// All products of a city's configs so far: a policy may drop a product and add it again.
#[derive(Debug)]
struct KnownProducts {
    table: ProductTable,
    /// For each product of the config, its bit in the table.
    bits: Vec<u8>,
}

/// The watermark before the first event: less than the time of any event.
const NO_WATERMARK: i64 = -(1 << 60);

/// The steps of a city's log.
pub(super) mod op {
    /// The config that applies from here on.
    pub const CONFIG: u8 = 1;
    /// Sightings of drivers.
    pub const DRIVERS: u8 = 2;
    /// Sightings of riders.
    pub const RIDERS: u8 = 3;
    /// The watermark, and the first tick.
    pub const WATERMARK: u8 = 4;
}

impl LaneCity {
    pub(super) fn new(name: CityId, config: Arc<CountingConfig>) -> Self {
        let mut city = Self {
            name,
            config: Arc::clone(&config),
            products: None,
            first_tick: None,
            closed: None,
            watermark: NO_WATERMARK,
            late: 0,
            drivers: Role::default(),
            riders: Role::default(),
            log: Vec::new(),
            logged_watermark: (NO_WATERMARK, None),
            logged_late: 0,
            tick_counts: TickCountsWriter::default(),
        };
        city.set_config(config);
        city
    }

    fn driver_lifetime(&self) -> Lifetime {
        let CountingConfig { driver_ttl_ms, absent_ms, tick_ms, max_entities, .. } = *self.config;
        Lifetime {
            ttl_ms: driver_ttl_ms.max(absent_ms),
            contact_ms: driver_ttl_ms,
            log_off_ends_standing: absent_ms == 0,
            tick_ms,
            max_entities,
        }
    }

    fn rider_lifetime(&self) -> Lifetime {
        let CountingConfig { window_ms, tick_ms, max_entities, .. } = *self.config;
        Lifetime {
            ttl_ms: window_ms,
            contact_ms: window_ms,
            log_off_ends_standing: false,
            tick_ms,
            max_entities,
        }
    }

    /// Counts by `config` from here on, and logs it if it differs from the current one.
    pub(super) fn apply_config(&mut self, config: &Arc<CountingConfig>) {
        if Arc::ptr_eq(&self.config, config) {
            return;
        }
        if self.config.replays_like(config) {
            self.config = Arc::clone(config);
            return;
        }
        self.flush();
        self.set_config(Arc::clone(config));
        self.log_config();
        // The watermark may have passed shorter ticks already. A replay closes them at this step of the log, too.
        self.advance(self.watermark);
    }

    pub(super) fn log_config(&mut self) {
        self.log.push(op::CONFIG);
        self.config.write(&mut self.log);
    }

    fn set_config(&mut self, config: Arc<CountingConfig>) {
        let mut products = self.products().to_vec();
        let new = config.products.iter().filter(|product| !self.products().contains(product));
        products.extend(new.cloned());
        if products.len() > MAX_PRODUCTS {
            // More products over time than the bits of a set: start over with those of this config.
            products.clone_from(&config.products);
            self.drivers = Role::default();
            self.riders = Role::default();
        }
        let has_other_ticks = self.config.tick_ms != config.tick_ms;
        let ends_standings = self.config.absent_ms != 0 && config.absent_ms == 0;
        self.config = config;
        self.set_products(products.into());
        if has_other_ticks {
            let (drivers, riders) = (self.driver_lifetime(), self.rider_lifetime());
            self.drivers.change(|sightings| sightings.rebucket(self.closed, drivers));
            self.riders.change(|sightings| sightings.rebucket(self.closed, riders));
        }
        if ends_standings {
            let life = self.driver_lifetime();
            self.drivers.change(|sightings| sightings.end_standings_by_log_off(self.closed, life));
        }
    }

    /// The products that the bits of a set stand for.
    fn products(&self) -> &[ProductId] {
        self.products.as_ref().map_or(&self.config.products, |known| &known.table)
    }

    /// Makes `table` the products that the bits of a set stand for; it has all products of the config.
    fn set_products(&mut self, table: ProductTable) {
        let bit = |product| table.iter().position(|known| known == product);
        let bits = self.config.products.iter().filter_map(bit);
        let bits: Vec<u8> = bits.filter_map(|bit| u8::try_from(bit).ok()).collect();
        let is_of_config = *table == *self.config.products;
        self.products = (!is_of_config).then(|| Box::new(KnownProducts { table, bits }));
    }

    /// The bit of the config's product at `index`.
    #[inline]
    fn bit_at(&self, index: usize) -> u8 {
        // A policy has at most 64 products.
        #[expect(clippy::cast_possible_truncation)]
        self.products.as_ref().map_or(index as u8, |known| known.bits[index])
    }

    fn bit(&self, product: &[u8]) -> Result<u8, Refusal> {
        self.config.product(product).map(|index| self.bit_at(index))
    }

    /// See [`LaneState::absorb`](super::LaneState::absorb).
    pub(super) fn absorb(
        &mut self,
        event: &MarketEvent<'_>,
        time_ms: i64,
        locators: &mut Locators,
    ) -> Result<Absorbed, Refusal> {
        let is_outside = match &event.what {
            What::Driver { driver, place, status, products } => {
                let products = match products {
                    None => {
                        (0..self.config.products.len()).fold(0, |set, index| set | 1 << self.bit_at(index))
                    }
                    Some(list) => self.product_set(*list)?,
                };
                let is_outside = self.config.is_outside(*place);
                let at = match status {
                    DriverStatus::Offline => Place::OFFLINE,
                    DriverStatus::Available if products != 0 && !is_outside => {
                        self.place(*place, products, locators)
                    }
                    _ => Place::NOWHERE,
                };
                let life = self.driver_lifetime();
                self.drivers.absorb(EntityKey::driver(driver), at, time_ms, self.closed, life);
                is_outside
            }
            What::Request { rider, place, product } => {
                let bit = match product {
                    Some(product) => self.bit(product)?,
                    None => self.bit_at(0),
                };
                let is_outside = self.config.is_outside(*place);
                let at = if is_outside { Place::NOWHERE } else { self.place(*place, 1 << bit, locators) };
                let life = self.rider_lifetime();
                self.riders.absorb(EntityKey::rider(rider, bit), at, time_ms, self.closed, life);
                is_outside
            }
            What::Progress { .. } => false,
        };
        self.count_if_late(time_ms);
        self.advance(time_ms - self.config.lateness_ms);
        Ok(Absorbed { is_outside })
    }

    fn place(&self, position: Position, products: u64, locators: &mut Locators) -> Place {
        Place { cell: locators.locate(position, self.config.resolution).0, products }
    }

    /// The bits of the products that a driver serves.
    fn product_set(&self, list: ProductList<'_>) -> Result<u64, Refusal> {
        let mut set = 0;
        list.try_for_each(|product| self.bit(&product).map(|bit| set |= 1 << bit))?;
        Ok(set)
    }

    /// Counts the event as late if its own tick has closed. A tick before the city's first never closes.
    #[inline]
    fn count_if_late(&mut self, time_ms: i64) {
        let (Some(first), Some(closed)) = (self.first_tick, self.closed) else { return };
        if time_ms <= closed && tick_at_or_after(time_ms, self.config.tick_ms) >= first {
            self.late += 1;
        }
    }

    /// Raises the watermark, and closes every tick that it reaches.
    pub(super) fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
        if self.next_tick().is_some_and(|next| next <= self.watermark) {
            self.flush();
            self.log_watermark();
            self.close_ticks();
        }
    }

    /// Whether a watermark record would change the output: see
    /// [`LaneState::is_watermark_due`](super::LaneState::is_watermark_due).
    pub(super) fn is_watermark_due(&self, watermark: &CityWatermark) -> bool {
        self.first_tick.is_none() || self.next_tick().is_some_and(|next| next <= watermark.watermark)
    }

    /// Keeps the entities that `is_kept`. What counts for the whole lane stays with its first half.
    pub(super) fn keep_half(&mut self, is_kept: impl Fn(EntityKey) -> bool, is_first: bool) {
        let (drivers, riders) = (self.driver_lifetime(), self.rider_lifetime());
        self.drivers.change(|sightings| sightings.retain(&is_kept, self.closed, drivers));
        self.riders.change(|sightings| sightings.retain(&is_kept, self.closed, riders));
        if !is_first {
            (self.late, self.logged_late) = (0, 0);
            self.drivers.change(Sightings::reset_evicted);
            self.riders.change(Sightings::reset_evicted);
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
            let contact = self.drivers.close(tick, drivers);
            self.riders.close(tick, riders);
            self.tick_counts.add_tick(tick, tick_ms, contact, self.drivers.counts(), self.riders.counts());
            self.closed = Some(tick);
        }
    }

    /// The last of the consecutive ticks from `tick` up to the watermark at which no entity counts; `None` if an entity
    /// may count at `tick`.
    fn last_empty(&mut self, tick: i64) -> Option<i64> {
        let tick_ms = self.config.tick_ms;
        let drivers = self.drivers.next_change(self.driver_lifetime());
        let riders = self.riders.next_change(self.rider_lifetime());
        let change = drivers.into_iter().chain(riders).min();
        if change.is_some_and(|change| change <= tick) {
            return None;
        }
        let is_empty = self.drivers.in_touch() == 0
            && self.drivers.counts().next().is_none()
            && self.riders.counts().next().is_none();
        if !is_empty {
            return None;
        }
        let last = tick_at_or_before(self.watermark, tick_ms);
        Some(change.map_or(last, |change| last.min(tick_at_or_before(change - 1, tick_ms))))
    }

    /// Moves the logs of the sightings into the city's log, before the step that follows them.
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

    /// Moves the city's part of the entry to `entry`, if there is one.
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
                    let config = CountingConfig::read(log)?;
                    self.set_config(Arc::new(config));
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

    /// Late events since the last entry.
    pub(super) fn late_since_last_entry(&self) -> u64 {
        self.late - self.logged_late
    }

    /// Takes the pending counts.
    pub(super) fn take_counts(&mut self) -> CityCounts {
        CityCounts {
            city: self.name.clone(),
            products: self.products().to_vec().into(),
            ticks: std::mem::take(&mut self.tick_counts),
        }
    }

    /// Appends the city's part of a snapshot.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_str().as_bytes());
        self.config.write(out);
        write_products(out, self.products());
        for instant in [self.first_tick, self.closed] {
            put_varint_u64(out, u64::from(instant.is_some()));
            put_varint_i64(out, instant.unwrap_or(0));
        }
        put_varint_i64(out, self.watermark);
        put_varint_u64(out, self.late);
        self.drivers.write(out, self.closed);
        self.riders.write(out, self.closed);
    }

    /// Reads a part of a snapshot that [`Self::write`] wrote.
    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let name = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let mut city = Self::new(name, Arc::new(CountingConfig::read(input)?));
        let products = ProductTable::read(input)?;
        if !city.config.products.iter().all(|product| products.contains(product)) {
            return Err(input.invalid("a product table without one of the products"));
        }
        city.set_products(products);
        for instant in [&mut city.first_tick, &mut city.closed] {
            let known = input.varint_up_to(1, "a tick's mark")? == 1;
            let tick = input.instant("a tick")?;
            *instant = known.then_some(tick);
        }
        city.watermark = input.instant("a watermark")?;
        city.logged_watermark = (city.watermark, city.first_tick);
        city.late = input.varint_u64("late events")?;
        city.logged_late = city.late;
        city.drivers = Role::read(input, city.closed, city.driver_lifetime())?;
        city.riders = Role::read(input, city.closed, city.rider_lifetime())?;
        Ok(city)
    }
}
