//! A ride from the wish to the drop-off, or to where the rider has had enough.

use super::lines::Progress;
use super::riders::{Rider, Stage};
use super::{City, Due};

/// How long riders wait for a driver to be found before they give up.
const RIDER_PATIENCE_MS: (i64, i64) = (60_000, 180_000);

/// How long finding a driver takes at first, and how soon it is tried again.
const SEARCH_MS: (i64, i64) = (1_500, 5_000);
const SEARCH_AGAIN_MS: (i64, i64) = (2_500, 3_500);

/// How long a rider takes to get in.
const BOARDING_MS: (i64, i64) = (15_000, 60_000);

/// How likely a rider who gave up asks again, how soon, and how often in all at most.
const ASKS_AGAIN: f64 = 0.3;
const PAUSE_MS: (i64, i64) = (5_000, 40_000);
const MOST_ASKS: u32 = 3;

/// The share of riders who want another product than the first, where there is one.
const WANTS_OTHER: f64 = 0.15;

impl City {
    /// Awaits who may want a ride next.
    ///
    /// Candidates come at the highest rate there can be, and as many become riders as the rate of the
    /// moment says: thinning (P. Lewis, G. Shedler: "Simulation of nonhomogeneous Poisson processes by
    /// thinning", 1979).
    pub(super) fn await_somebody(&mut self, now_ms: i64) {
        let wait_ms = self.rng.wait_ms(self.demand.most_per_s());
        self.expect(now_ms + wait_ms, Due::NewRider);
    }

    pub(super) fn somebody(&mut self, now_ms: i64, out: &mut Vec<u8>) {
        let level = self.rng.fraction() * self.demand.most_per_s();
        if let Some(pickup) = self.demand.request(now_ms, level, &mut self.rng) {
            let rider = Rider {
                number: self.people,
                request: 0,
                product: self.product(),
                pickup,
                dropoff: self.demand.destination(pickup, now_ms, &mut self.rng),
                stage: Stage::Pausing,
                asked: 0,
            };
            self.people += 1;
            let seat = self.riders.enter(rider);
            self.ask(seat, now_ms, out);
        }
        self.await_somebody(now_ms);
    }

    /// What a rider is waiting for has come, or has not.
    pub(super) fn rider(&mut self, seat: u32, now_ms: i64, out: &mut Vec<u8>) {
        match self.riders.get(seat).stage {
            Stage::Waiting { until_ms } => self.search(seat, until_ms, now_ms, out),
            Stage::Matched { driver } => self.board(seat, driver, now_ms),
            Stage::Riding { driver } => {
                self.fleet.release(driver, now_ms, &mut self.rng);
                self.lines.ride(now_ms, Progress::Completed, self.riders.get(seat), out);
                self.riders.leave(seat);
            }
            Stage::Pausing => self.ask(seat, now_ms, out),
        }
    }

    fn ask(&mut self, seat: u32, now_ms: i64, out: &mut Vec<u8>) {
        let until_ms = now_ms + self.between(RIDER_PATIENCE_MS);
        let rider = self.riders.get(seat);
        rider.request = self.requests;
        rider.asked += 1;
        rider.stage = Stage::Waiting { until_ms };
        self.requests += 1;
        self.lines.ride_requested(now_ms, rider, out);
        self.expect_rider(seat, now_ms, SEARCH_MS);
    }

    fn search(&mut self, seat: u32, until_ms: i64, now_ms: i64, out: &mut Vec<u8>) {
        let rider = self.riders.get(seat);
        if let Some((driver, there_ms)) = self.fleet.send(rider.pickup, rider.product == 0, now_ms) {
            rider.stage = Stage::Matched { driver };
            self.lines.ride(now_ms, Progress::Matched, rider, out);
            self.expect_rider(seat, there_ms, BOARDING_MS);
        } else if now_ms < until_ms {
            self.expect_rider(seat, now_ms, SEARCH_AGAIN_MS);
        } else {
            self.give_up(seat, now_ms, out);
        }
    }

    fn give_up(&mut self, seat: u32, now_ms: i64, out: &mut Vec<u8>) {
        let rider = self.riders.get(seat);
        self.lines.ride(now_ms, Progress::Cancelled, rider, out);
        if rider.asked < MOST_ASKS && self.rng.chance(ASKS_AGAIN) {
            rider.stage = Stage::Pausing;
            self.expect_rider(seat, now_ms, PAUSE_MS);
        } else {
            self.riders.leave(seat);
        }
    }

    fn board(&mut self, seat: u32, driver: u32, now_ms: i64) {
        let rider = self.riders.get(seat);
        rider.stage = Stage::Riding { driver };
        let there_ms = self.fleet.carry(driver, rider.dropoff, now_ms);
        self.expect(there_ms, Due::Rider(seat));
    }

    fn product(&mut self) -> usize {
        if self.products == 1 || !self.rng.chance(WANTS_OTHER) {
            return 0;
        }
        let last = i64::try_from(self.products - 1).expect("a policy has 64 products at most");
        usize::try_from(self.rng.between(1, last)).expect("it is 1 or more")
    }

    fn expect_rider(&mut self, seat: u32, from_ms: i64, wait_ms: (i64, i64)) {
        let at_ms = from_ms + self.between(wait_ms);
        self.expect(at_ms, Due::Rider(seat));
    }

    fn between(&mut self, (least, most): (i64, i64)) -> i64 {
        self.rng.between(least, most)
    }
}
