//! A simulated New York: drivers that take rides and breaks, riders by place and hour, a stadium that empties.
//!
//! The same seed, settings and policy give the same bytes on every machine. The loop is open: prices never
//! reach the city, so the behaviour of drivers and riders does not depend on them.

mod delivery_delay;
mod demand;
mod event_writer;
mod export;
mod fleet;
mod free_drivers;
mod geography;
pub mod policy;
mod riders;
mod rides;
mod route;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use equilibrium_domain::policy::Policy;

use self::delivery_delay::DeliveryDelay;
use self::demand::{Demand, STADIUM};
use self::event_writer::EventWriter;
pub use self::export::write_city;
use self::fleet::Fleet;
use self::geography::{Frame, Point};
use self::riders::Riders;
use crate::rng::SplitMix64;

/// Default number of drivers: about 2 600 are on the road at noon and send 670 events a second.
const DRIVERS: NonZeroU32 = NonZeroU32::new(3_000).expect("it is not zero");

/// How much history a live city has at its first event, in milliseconds.
const WARM_UP_MS: i64 = 120_000;

/// The initial conditions of a city.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Random seed.
    pub seed: u64,
    /// Start of the simulation, in milliseconds since the Unix epoch. Another start gives the same events at
    /// shifted times.
    pub start_ms: i64,
    /// Local time of day at the start, in milliseconds.
    pub day_ms: i64,
    /// Number of drivers, whether on the road or not; demand is in proportion.
    pub drivers: NonZeroU32,
    /// Approximate number of people that leave the stadium and want a ride.
    pub crowd: u32,
    /// When the stadium begins to empty, in milliseconds after the start.
    pub stadium_ms: i64,
    /// Maximum time between an event and its delivery, in milliseconds; with 0 events are delivered in the
    /// order of their times.
    pub delay_ms: i64,
    /// Latitude and longitude of the stadium, in degrees: the city lies around it. `None`: in New York.
    pub stadium_at: Option<(f64, f64)>,
}

impl Settings {
    /// A city that starts at noon, with a stadium that empties one minute later and events in order.
    #[must_use]
    pub fn new(seed: u64, start_ms: i64) -> Self {
        Self {
            seed,
            start_ms,
            day_ms: 12 * 3_600_000,
            drivers: DRIVERS,
            crowd: 1_000,
            stadium_ms: 60_000,
            delay_ms: 0,
            stadium_at: None,
        }
    }

    /// A city that started two minutes before `now_ms`, so that its first prices are fresh, and whose
    /// stadium empties one minute after `now_ms`.
    #[must_use]
    pub fn live(seed: u64, now_ms: i64) -> Self {
        let settings = Self::new(seed, now_ms - WARM_UP_MS);
        Self { stadium_ms: WARM_UP_MS + settings.stadium_ms, ..settings }
    }
}

/// The simulated city. All times inside are milliseconds after its start.
#[derive(Debug)]
pub struct City {
    start_ms: i64,
    rng: SplitMix64,
    demand: Demand,
    fleet: Fleet,
    riders: Riders,
    products: usize,
    requests: u64,
    riders_created: u64,
    writer: EventWriter,
    delay: Option<DeliveryDelay>,
    /// What is due next, earliest first: one entry for each driver, one for each rider, one for the next new
    /// rider.
    due: BinaryHeap<Reverse<(i64, u64, Due)>>,
    /// Entries scheduled so far: of two entries due at the same time the older one comes first.
    scheduled: u64,
}

/// A scheduled action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A driver's next ping.
    Ping(u32),
    /// The next candidate for a ride request.
    NewRider,
    /// The next step of the rider in this slot.
    Rider(u32),
}

impl City {
    /// A city at its start. `policy` gives its id and products; its geography is New York's, wherever it lies.
    #[must_use]
    pub fn new(settings: &Settings, policy: &Policy) -> Self {
        let mut rng = SplitMix64::new(settings.seed);
        let drivers = settings.drivers.get();
        let demand = Demand::new(drivers, settings.day_ms, settings.crowd, settings.stadium_ms);
        let fleet = Fleet::new(drivers, &demand, &mut rng);
        let products: Vec<_> = policy.products.iter().map(|product| product.id.clone()).collect();
        let stadium = Point::at(STADIUM.0, STADIUM.1);
        let frame = settings.stadium_at.map_or(Frame::NEW_YORK, |at| Frame::with(stadium, at));
        let first_pings: Vec<i64> = fleet.first_pings_ms().collect();
        let mut city = Self {
            start_ms: settings.start_ms,
            rng,
            demand,
            fleet,
            riders: Riders::default(),
            products: products.len(),
            requests: 0,
            riders_created: 0,
            writer: EventWriter::new(policy.city.clone(), products, settings.start_ms, frame),
            delay: DeliveryDelay::new(settings.delay_ms, settings.seed),
            due: BinaryHeap::new(),
            scheduled: 0,
        };
        for (ping_ms, driver) in first_pings.into_iter().zip(0..) {
            city.schedule(ping_ms, Due::Ping(driver));
        }
        city.schedule_new_rider(0);
        city
    }

    /// Simulates until `until_ms` (exclusive, milliseconds since the Unix epoch) and appends the events
    /// delivered in that time to `out`: NDJSON, in the order of delivery. How the time is divided into calls
    /// does not change the output.
    pub fn advance(&mut self, until_ms: i64, out: &mut Vec<u8>) {
        let until_ms = until_ms - self.start_ms;
        while let Some(Reverse((now_ms, ..))) = self.due.peek()
            && *now_ms < until_ms
            && let Some(Reverse((now_ms, _, due))) = self.due.pop()
        {
            let written = out.len();
            self.step(now_ms, due, out);
            if let Some(delay) = &mut self.delay {
                delay.send(now_ms, &out[written..]);
                out.truncate(written);
            }
        }
        if let Some(delay) = &mut self.delay {
            delay.deliver(until_ms, out);
        }
    }

    /// Number of events written so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.writer.events()
    }

    fn step(&mut self, now_ms: i64, due: Due, out: &mut Vec<u8>) {
        match due {
            Due::Ping(driver) => self.ping(driver, now_ms, out),
            Due::NewRider => self.new_rider(now_ms, out),
            Due::Rider(slot) => self.rider(slot, now_ms, out),
        }
    }

    fn ping(&mut self, driver: u32, now_ms: i64, out: &mut Vec<u8>) {
        let (ping, next_ms) = self.fleet.ping(driver, now_ms, &self.demand, &mut self.rng);
        self.writer.driver_location(now_ms, driver, &ping, out);
        self.schedule(next_ms, Due::Ping(driver));
    }

    fn schedule(&mut self, at_ms: i64, due: Due) {
        self.due.push(Reverse((at_ms, self.scheduled, due)));
        self.scheduled += 1;
    }
}

#[cfg(test)]
mod tests;
