//! The drivers: their routes, status and breaks.

use super::demand::Demand;
use super::free_drivers::FreeDrivers;
use super::geography::Point;
use super::route::Route;
use crate::rng::SplitMix64;
use crate::rounding::{real, whole};

/// Interval of a driver's pings, with a phase of its own, and the greatest jitter.
const PING_MS: i64 = 4_000;
const PING_JITTER_MS: i64 = 400;

/// Time between two breaks, and the length of a break at noon; with less demand breaks are longer.
const SHIFT_MS: (i64, i64) = (90 * 60_000, 210 * 60_000);
const BREAK_MS: (i64, i64) = (10 * 60_000, 40 * 60_000);

/// How long a free driver stays parked before moving.
const PARKED_MS: (i64, i64) = (60_000, 240_000);

/// Hot spots that a driver chooses among, and the extra distance that one free driver less in the square
/// kilometre there is worth.
const HOT_SPOTS: usize = 4;
const COMPETITOR_M: f64 = 600.0;

/// Shares of drivers that are on a break, and on a trip, at the start.
const ON_BREAK: f64 = 0.12;
const ON_TRIP: f64 = 0.45;

/// The share of drivers whose cars serve every product.
const SERVES_ALL: f64 = 0.3;

/// A driver's status, as in `driver_location` (CONTRACT §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Available,
    EnRoute,
    OnTrip,
    Offline,
}

/// One driver.
#[derive(Debug)]
struct Driver {
    status: Status,
    route: Route,
    /// Speed as a multiple of the usual one.
    pace: f64,
    serves_all: bool,
    /// On a trip that was requested before the start and that ends without an event.
    initial_trip: bool,
    /// When the next ping is due, before jitter.
    ping_ms: i64,
    /// When a parked driver moves.
    move_ms: i64,
    /// When a free driver takes a break.
    break_ms: i64,
}

/// The content of a ping.
pub(super) struct Ping {
    pub(super) at: Point,
    pub(super) status: Status,
    pub(super) serves_all: bool,
}

/// All drivers of the city.
#[derive(Debug)]
pub(super) struct Fleet {
    drivers: Vec<Driver>,
    free: FreeDrivers,
}

impl Fleet {
    /// A fleet in the middle of its day.
    pub(super) fn new(drivers: u32, demand: &Demand, rng: &mut SplitMix64) -> Self {
        let mut free = FreeDrivers::new(drivers);
        let drivers: Vec<Driver> = (0..drivers).map(|_| Driver::new(demand, rng)).collect();
        for (driver, number) in drivers.iter().zip(0..) {
            if driver.status == Status::Available {
                free.insert(number, driver.route.at(0));
            }
        }
        Self { drivers, free }
    }

    /// The time of each driver's first ping.
    pub(super) fn first_pings_ms(&self) -> impl Iterator<Item = i64> {
        self.drivers.iter().map(|driver| driver.ping_ms)
    }

    /// Lets a driver whose ping is due decide what to do; returns the ping and the time of the next one.
    pub(super) fn ping(
        &mut self,
        number: u32,
        now_ms: i64,
        demand: &Demand,
        rng: &mut SplitMix64,
    ) -> (Ping, i64) {
        let driver = &mut self.drivers[number as usize];
        driver.decide(now_ms, &self.free, demand, rng);
        let at = driver.route.at(now_ms);
        if driver.status == Status::Available {
            self.free.insert(number, at);
        } else {
            self.free.remove(number);
        }
        let next_ms = if driver.status == Status::Offline {
            driver.ping_ms
        } else {
            driver.ping_ms += PING_MS;
            driver.ping_ms + rng.between(0, PING_JITTER_MS)
        };
        (Ping { at, status: driver.status, serves_all: driver.serves_all }, next_ms)
    }

    /// Sends the nearest free driver that serves the product to a rider; returns the driver and the time of
    /// arrival.
    pub(super) fn dispatch(&mut self, to: Point, first_product: bool, now_ms: i64) -> Option<(u32, i64)> {
        let distance_m = |number: u32| {
            let driver = &self.drivers[number as usize];
            (first_product || driver.serves_all).then(|| driver.route.at(now_ms).distance_m(to))
        };
        let number = self.free.nearest(to, distance_m)?;
        self.free.remove(number);
        let driver = &mut self.drivers[number as usize];
        driver.status = Status::EnRoute;
        driver.drive_to(to, now_ms);
        Some((number, driver.route.end_ms()))
    }

    /// Starts the ride of a rider that has got in; returns the time of arrival.
    pub(super) fn begin_ride(&mut self, number: u32, to: Point, now_ms: i64) -> i64 {
        let driver = &mut self.drivers[number as usize];
        driver.status = Status::OnTrip;
        driver.drive_to(to, now_ms);
        driver.route.end_ms()
    }

    /// Frees a driver after the drop-off.
    pub(super) fn release(&mut self, number: u32, now_ms: i64, rng: &mut SplitMix64) {
        let driver = &mut self.drivers[number as usize];
        driver.become_free(now_ms, rng);
        self.free.insert(number, driver.route.at(now_ms));
    }

    /// A driver's status, and whether it serves every product.
    #[cfg(test)]
    pub(super) fn driver(&self, number: u32) -> (Status, bool) {
        let driver = &self.drivers[number as usize];
        (driver.status, driver.serves_all)
    }
}

impl Driver {
    fn new(demand: &Demand, rng: &mut SplitMix64) -> Self {
        let at = demand.hot_spot(0, rng);
        let pace = 0.9 + 0.2 * rng.fraction();
        let mut driver = Self {
            status: Status::Available,
            route: Route::parked(at, 0),
            pace,
            serves_all: rng.chance(SERVES_ALL),
            initial_trip: false,
            ping_ms: rng.between(0, PING_MS - 1),
            move_ms: rng.between(0, PARKED_MS.1),
            break_ms: rng.between(0, SHIFT_MS.1),
        };
        let draw = rng.fraction();
        if draw < ON_BREAK {
            driver.status = Status::Offline;
            driver.ping_ms += rng.between(0, BREAK_MS.1);
        } else if draw < ON_BREAK + ON_TRIP {
            driver.status = Status::OnTrip;
            driver.initial_trip = true;
            let to = demand.destination(at, 0, rng);
            driver.route = Route::drive(at, to, pace, 0).in_progress(rng.fraction());
        }
        driver
    }

    fn decide(&mut self, now_ms: i64, free: &FreeDrivers, demand: &Demand, rng: &mut SplitMix64) {
        match self.status {
            Status::Offline => {
                self.status = Status::Available;
                self.move_ms = now_ms;
                self.break_ms = now_ms + rng.between(SHIFT_MS.0, SHIFT_MS.1);
            }
            Status::OnTrip if self.initial_trip && now_ms >= self.route.end_ms() => {
                self.initial_trip = false;
                self.become_free(now_ms, rng);
            }
            Status::Available if now_ms >= self.break_ms => {
                self.status = Status::Offline;
                self.route = Route::parked(self.route.at(now_ms), now_ms);
                let break_ms = rng.between(BREAK_MS.0, BREAK_MS.1);
                self.ping_ms = now_ms + whole(real(break_ms) / demand.activity(now_ms));
            }
            Status::Available if now_ms >= self.move_ms => {
                let to = self.best_hot_spot(now_ms, free, demand, rng);
                self.drive_to(to, now_ms);
                self.move_ms = self.route.end_ms() + rng.between(PARKED_MS.0, PARKED_MS.1);
            }
            _ => {}
        }
    }

    /// The hot spot, of a few, with the best combination of short distance and few free drivers.
    fn best_hot_spot(&self, now_ms: i64, free: &FreeDrivers, demand: &Demand, rng: &mut SplitMix64) -> Point {
        let at = self.route.at(now_ms);
        let mut best = (f64::INFINITY, at);
        for _ in 0..HOT_SPOTS {
            let hot_spot = demand.hot_spot(now_ms, rng);
            let cost_m = hot_spot.distance_m(at) + COMPETITOR_M * f64::from(free.count_in_square(hot_spot));
            if cost_m < best.0 {
                best = (cost_m, hot_spot);
            }
        }
        best.1
    }

    fn drive_to(&mut self, to: Point, now_ms: i64) {
        self.route = Route::drive(self.route.at(now_ms), to, self.pace, now_ms);
    }

    fn become_free(&mut self, now_ms: i64, rng: &mut SplitMix64) {
        self.status = Status::Available;
        self.route = Route::parked(self.route.at(now_ms), now_ms);
        self.move_ms = now_ms + rng.between(PARKED_MS.0, PARKED_MS.1);
    }
}
