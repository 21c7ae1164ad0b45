//! A simulated New York: drivers who serve and rest, riders by place and hour, a stadium that empties.
//!
//! A seed decides everything: the same settings and policy give the same bytes on every machine. Prices do
//! not reach its people; what they do does not depend on them.

mod delay;
mod demand;
mod export;
mod fleet;
mod geography;
mod lines;
mod nearby;
pub mod policy;
mod riders;
mod rides;
mod route;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use equilibrium_domain::policy::Policy;

use self::delay::Delay;
use self::demand::Demand;
pub use self::export::write_city;
use self::fleet::Fleet;
use self::lines::Lines;
use self::riders::Riders;
use crate::rng::SplitMix64;

/// Drivers of a city that does not say: some 2 600 on the road at noon, 670 events a second.
const DRIVERS: NonZeroU32 = NonZeroU32::new(3_000).expect("it is not zero");

/// How long a living city has lived, in milliseconds.
const PAST_MS: i64 = 120_000;

/// What a city begins with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Decides what happens.
    pub seed: u64,
    /// When it begins, in milliseconds since the Unix epoch. Another start gives the same events at other
    /// times.
    pub start_ms: i64,
    /// The local time of day it begins at, in milliseconds.
    pub day_ms: i64,
    /// Drivers, at work or at rest; demand is in proportion.
    pub drivers: NonZeroU32,
    /// How many people leave the stadium and want a ride, about.
    pub crowd: u32,
    /// When the stadium begins to empty, in milliseconds after the start.
    pub stadium_ms: i64,
    /// How much later than it happened an event may be delivered, in milliseconds; 0 gives all of them in
    /// the order of their times.
    pub delay_ms: i64,
}

impl Settings {
    /// A city that begins at noon, its stadium emptying one minute later, its events in order.
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
        }
    }

    /// A city that has lived for two minutes at `now_ms`, so that its first prices are fresh, and whose
    /// stadium empties a minute later.
    #[must_use]
    pub fn living(seed: u64, now_ms: i64) -> Self {
        let settings = Self::new(seed, now_ms - PAST_MS);
        Self { stadium_ms: PAST_MS + settings.stadium_ms, ..settings }
    }
}

/// The simulated city. Its times are milliseconds after its start.
#[derive(Debug)]
pub struct City {
    start_ms: i64,
    rng: SplitMix64,
    demand: Demand,
    fleet: Fleet,
    riders: Riders,
    products: usize,
    requests: u64,
    people: u64,
    lines: Lines,
    delay: Option<Delay>,
    /// What is due next: one entry for each driver, one for each rider, one for who comes next.
    due: BinaryHeap<Reverse<(i64, u64, Due)>>,
    /// Entries ever made: of two due at once the older comes first.
    made: u64,
}

/// What may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Ping(u32),
    NewRider,
    Rider(u32),
}

impl City {
    /// A city at its start. `policy` gives its id and products; its place is always New York's.
    #[must_use]
    pub fn new(settings: &Settings, policy: &Policy) -> Self {
        let mut rng = SplitMix64::new(settings.seed);
        let drivers = settings.drivers.get();
        let demand = Demand::new(drivers, settings.day_ms, settings.crowd, settings.stadium_ms);
        let fleet = Fleet::new(drivers, &demand, &mut rng);
        let products: Vec<_> = policy.products.iter().map(|product| product.id.clone()).collect();
        let first_pings: Vec<i64> = fleet.first_pings_ms().collect();
        let mut city = Self {
            start_ms: settings.start_ms,
            rng,
            demand,
            fleet,
            riders: Riders::default(),
            products: products.len(),
            requests: 0,
            people: 0,
            lines: Lines::new(policy.city.clone(), products, settings.start_ms),
            delay: Delay::new(settings.delay_ms, settings.seed),
            due: BinaryHeap::new(),
            made: 0,
        };
        for (ping_ms, driver) in first_pings.into_iter().zip(0..) {
            city.expect(ping_ms, Due::Ping(driver));
        }
        city.await_somebody(0);
        city
    }

    /// Lives on until `until_ms`, milliseconds since the Unix epoch and not itself reached, and appends
    /// what is delivered meanwhile to `out`: NDJSON, in the order of delivery. How the time is cut into
    /// calls changes nothing.
    pub fn advance(&mut self, until_ms: i64, out: &mut Vec<u8>) {
        let until_ms = until_ms - self.start_ms;
        while let Some(Reverse((now_ms, ..))) = self.due.peek()
            && *now_ms < until_ms
            && let Some(Reverse((now_ms, _, due))) = self.due.pop()
        {
            let before = out.len();
            self.happen(now_ms, due, out);
            if let Some(delay) = &mut self.delay {
                delay.send(now_ms, &out[before..]);
                out.truncate(before);
            }
        }
        if let Some(delay) = &mut self.delay {
            delay.deliver(until_ms, out);
        }
    }

    /// Events that have happened so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.lines.events()
    }

    fn happen(&mut self, now_ms: i64, due: Due, out: &mut Vec<u8>) {
        match due {
            Due::Ping(driver) => self.ping(driver, now_ms, out),
            Due::NewRider => self.somebody(now_ms, out),
            Due::Rider(seat) => self.rider(seat, now_ms, out),
        }
    }

    fn ping(&mut self, driver: u32, now_ms: i64, out: &mut Vec<u8>) {
        let (sight, next_ms) = self.fleet.ping(driver, now_ms, &self.demand, &mut self.rng);
        self.lines.driver_location(now_ms, driver, &sight, out);
        self.expect(next_ms, Due::Ping(driver));
    }

    fn expect(&mut self, at_ms: i64, due: Due) {
        self.due.push(Reverse((at_ms, self.made, due)));
        self.made += 1;
    }
}

#[cfg(test)]
mod tests;
