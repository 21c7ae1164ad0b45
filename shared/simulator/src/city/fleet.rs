//! The drivers: where each is, what they do, and when they rest.

use super::demand::Demand;
use super::geography::Point;
use super::nearby::Nearby;
use super::route::Route;
use crate::rng::SplitMix64;
use crate::rounding::{real, whole};

/// A driver's phone tells its place this often, each at a moment of its own, up to so much later.
const PING_MS: i64 = 4_000;
const PING_JITTER_MS: i64 = 400;

/// From one break to the next, and how long a break at noon is; in quieter hours it is longer.
const SHIFT_MS: (i64, i64) = (90 * 60_000, 210 * 60_000);
const BREAK_MS: (i64, i64) = (10 * 60_000, 40 * 60_000);

/// How long a driver waits at a place before trying another.
const PARKED_MS: (i64, i64) = (60_000, 240_000);

/// Hot spots a driver thinks of, and how much farther they would go to have one rival less in the square
/// kilometre there.
const SPOTS: usize = 4;
const RIVAL_M: f64 = 600.0;

/// At the start: the share of drivers that rest, and that drive riders from before.
const RESTING: f64 = 0.12;
const RIDING: f64 = 0.45;

/// The share of drivers whose cars serve every product.
const SERVES_ALL: f64 = 0.3;

/// What a driver does.
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
    /// How fast they drive, as a multiple of the roads' usual.
    pace: f64,
    serves_all: bool,
    /// They drive a rider whose request was before the start: no event ends it.
    from_before: bool,
    /// The ping is due then, or up to the jitter later.
    ping_ms: i64,
    /// A free driver drives elsewhere then, or takes a break.
    move_on_ms: i64,
    break_ms: i64,
}

/// What a ping shows.
pub(super) struct Sight {
    pub(super) at: Point,
    pub(super) status: Status,
    pub(super) serves_all: bool,
}

/// All the city's drivers.
#[derive(Debug)]
pub(super) struct Fleet {
    drivers: Vec<Driver>,
    free: Nearby,
}

impl Fleet {
    /// A fleet in the middle of its day.
    pub(super) fn new(drivers: u32, demand: &Demand, rng: &mut SplitMix64) -> Self {
        let mut free = Nearby::new(drivers);
        let drivers: Vec<Driver> = (0..drivers).map(|_| Driver::somewhere(demand, rng)).collect();
        for (driver, number) in drivers.iter().zip(0..) {
            if driver.status == Status::Available {
                free.put(number, driver.route.at(0));
            }
        }
        Self { drivers, free }
    }

    /// When each driver is first heard of.
    pub(super) fn first_pings_ms(&self) -> impl Iterator<Item = i64> {
        self.drivers.iter().map(|driver| driver.ping_ms)
    }

    /// A driver's ping is due: what they decide, what the ping shows and when the next is due.
    pub(super) fn ping(
        &mut self,
        number: u32,
        now_ms: i64,
        demand: &Demand,
        rng: &mut SplitMix64,
    ) -> (Sight, i64) {
        let driver = &mut self.drivers[number as usize];
        driver.decide(now_ms, &self.free, demand, rng);
        let at = driver.route.at(now_ms);
        if driver.status == Status::Available {
            self.free.put(number, at);
        } else {
            self.free.remove(number);
        }
        let next_ms = if driver.status == Status::Offline {
            driver.ping_ms
        } else {
            driver.ping_ms += PING_MS;
            driver.ping_ms + rng.between(0, PING_JITTER_MS)
        };
        (Sight { at, status: driver.status, serves_all: driver.serves_all }, next_ms)
    }

    /// Sends the nearest free driver who serves the product to a rider: who, and when they will be there.
    pub(super) fn send(&mut self, to: Point, first_product: bool, now_ms: i64) -> Option<(u32, i64)> {
        let distance_m = |number: u32| {
            let driver = &self.drivers[number as usize];
            (first_product || driver.serves_all).then(|| driver.route.at(now_ms).distance_m(to))
        };
        let number = self.free.nearest(to, distance_m)?;
        self.free.remove(number);
        let driver = &mut self.drivers[number as usize];
        driver.status = Status::EnRoute;
        driver.head_for(to, now_ms);
        Some((number, driver.route.there_ms()))
    }

    /// A rider got in: when they will be where they want to go.
    pub(super) fn carry(&mut self, number: u32, to: Point, now_ms: i64) -> i64 {
        let driver = &mut self.drivers[number as usize];
        driver.status = Status::OnTrip;
        driver.head_for(to, now_ms);
        driver.route.there_ms()
    }

    /// A rider got out.
    pub(super) fn release(&mut self, number: u32, now_ms: i64, rng: &mut SplitMix64) {
        let driver = &mut self.drivers[number as usize];
        driver.become_free(now_ms, rng);
        self.free.put(number, driver.route.at(now_ms));
    }

    /// What a driver does, and whether they serve every product.
    #[cfg(test)]
    pub(super) fn driver(&self, number: u32) -> (Status, bool) {
        let driver = &self.drivers[number as usize];
        (driver.status, driver.serves_all)
    }
}

impl Driver {
    fn somewhere(demand: &Demand, rng: &mut SplitMix64) -> Self {
        let at = demand.hot_spot(0, rng);
        let pace = 0.9 + 0.2 * rng.fraction();
        let mut driver = Self {
            status: Status::Available,
            route: Route::parked(at, 0),
            pace,
            serves_all: rng.chance(SERVES_ALL),
            from_before: false,
            ping_ms: rng.between(0, PING_MS - 1),
            move_on_ms: rng.between(0, PARKED_MS.1),
            break_ms: rng.between(0, SHIFT_MS.1),
        };
        let fate = rng.fraction();
        if fate < RESTING {
            driver.status = Status::Offline;
            driver.ping_ms += rng.between(0, BREAK_MS.1);
        } else if fate < RESTING + RIDING {
            driver.status = Status::OnTrip;
            driver.from_before = true;
            let to = demand.destination(at, 0, rng);
            driver.route = Route::drive(at, to, pace, 0).begun(rng.fraction());
        }
        driver
    }

    fn decide(&mut self, now_ms: i64, free: &Nearby, demand: &Demand, rng: &mut SplitMix64) {
        match self.status {
            Status::Offline => {
                self.status = Status::Available;
                self.move_on_ms = now_ms;
                self.break_ms = now_ms + rng.between(SHIFT_MS.0, SHIFT_MS.1);
            }
            Status::OnTrip if self.from_before && now_ms >= self.route.there_ms() => {
                self.from_before = false;
                self.become_free(now_ms, rng);
            }
            Status::Available if now_ms >= self.break_ms => {
                self.status = Status::Offline;
                self.route = Route::parked(self.route.at(now_ms), now_ms);
                let rest_ms = rng.between(BREAK_MS.0, BREAK_MS.1);
                self.ping_ms = now_ms + whole(real(rest_ms) / demand.bustle(now_ms));
            }
            Status::Available if now_ms >= self.move_on_ms => {
                let to = self.hope(now_ms, free, demand, rng);
                self.head_for(to, now_ms);
                self.move_on_ms = self.route.there_ms() + rng.between(PARKED_MS.0, PARKED_MS.1);
            }
            _ => {}
        }
    }

    /// Of a few hot spots the one that is near and has few free drivers.
    fn hope(&self, now_ms: i64, free: &Nearby, demand: &Demand, rng: &mut SplitMix64) -> Point {
        let at = self.route.at(now_ms);
        let mut best = (f64::INFINITY, at);
        for _ in 0..SPOTS {
            let spot = demand.hot_spot(now_ms, rng);
            let cost_m = spot.distance_m(at) + RIVAL_M * f64::from(free.around(spot));
            if cost_m < best.0 {
                best = (cost_m, spot);
            }
        }
        best.1
    }

    fn head_for(&mut self, to: Point, now_ms: i64) {
        self.route = Route::drive(self.route.at(now_ms), to, self.pace, now_ms);
    }

    fn become_free(&mut self, now_ms: i64, rng: &mut SplitMix64) {
        self.status = Status::Available;
        self.route = Route::parked(self.route.at(now_ms), now_ms);
        self.move_on_ms = now_ms + rng.between(PARKED_MS.0, PARKED_MS.1);
    }
}
