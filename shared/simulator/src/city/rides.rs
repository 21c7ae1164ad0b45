//! A ride, from the request to the drop-off or the cancellation.

use super::event_writer::RideEvent;
use super::riders::{Rider, Stage};
use super::{City, Due};

/// How long riders wait for a match before they cancel.
const RIDER_PATIENCE_MS: (i64, i64) = (60_000, 180_000);

/// How long the first search for a driver takes, and how soon a search is repeated.
const SEARCH_MS: (i64, i64) = (1_500, 5_000);
const SEARCH_AGAIN_MS: (i64, i64) = (2_500, 3_500);

/// How long a rider takes to get in.
const BOARDING_MS: (i64, i64) = (15_000, 60_000);

/// Probability that a rider requests again after a cancellation, the pause before that, and the maximum
/// number of requests.
const REQUEST_AGAIN: f64 = 0.3;
const PAUSE_MS: (i64, i64) = (5_000, 40_000);
const MAX_REQUESTS: u32 = 3;

/// The share of riders that request a product other than the first, if the policy has several.
const OTHER_PRODUCT: f64 = 0.15;

impl City {
    /// Schedules the next candidate for a ride request.
    ///
    /// Candidates arrive at the highest rate that the city ever reaches, and each becomes a rider with the
    /// probability that the current rate gives: thinning (P. Lewis, G. Shedler: "Simulation of nonhomogeneous
    /// Poisson processes by thinning", 1979).
    pub(super) fn schedule_new_rider(&mut self, now_ms: i64) {
        let wait_ms = self.rng.wait_ms(self.demand.max_per_s());
        self.schedule(now_ms + wait_ms, Due::NewRider);
    }

    pub(super) fn new_rider(&mut self, now_ms: i64, out: &mut Vec<u8>) {
        let level = self.rng.fraction() * self.demand.max_per_s();
        if let Some(pickup) = self.demand.request(now_ms, level, &mut self.rng) {
            let rider = Rider {
                number: self.riders_created,
                request: 0,
                product: self.product(),
                pickup,
                dropoff: self.demand.destination(pickup, now_ms, &mut self.rng),
                stage: Stage::Pausing,
                requests: 0,
            };
            self.riders_created += 1;
            let slot = self.riders.insert(rider);
            self.request(slot, now_ms, out);
        }
        self.schedule_new_rider(now_ms);
    }

    /// Takes the next step of the rider in `slot`.
    pub(super) fn rider(&mut self, slot: u32, now_ms: i64, out: &mut Vec<u8>) {
        match self.riders.get(slot).stage {
            Stage::Waiting { until_ms } => self.search(slot, until_ms, now_ms, out),
            Stage::Matched { driver } => self.board(slot, driver, now_ms),
            Stage::Riding { driver } => {
                self.fleet.release(driver, now_ms, &mut self.rng);
                self.writer.ride(now_ms, RideEvent::Completed, self.riders.get(slot), out);
                self.riders.remove(slot);
            }
            Stage::Pausing => self.request(slot, now_ms, out),
        }
    }

    fn request(&mut self, slot: u32, now_ms: i64, out: &mut Vec<u8>) {
        let until_ms = now_ms + self.between(RIDER_PATIENCE_MS);
        let rider = self.riders.get(slot);
        rider.request = self.requests;
        rider.requests += 1;
        rider.stage = Stage::Waiting { until_ms };
        self.requests += 1;
        self.writer.ride_requested(now_ms, rider, out);
        self.schedule_rider(slot, now_ms, SEARCH_MS);
    }

    fn search(&mut self, slot: u32, until_ms: i64, now_ms: i64, out: &mut Vec<u8>) {
        let rider = self.riders.get(slot);
        if let Some((driver, arrival_ms)) = self.fleet.dispatch(rider.pickup, rider.product == 0, now_ms) {
            rider.stage = Stage::Matched { driver };
            self.writer.ride(now_ms, RideEvent::Matched, rider, out);
            self.schedule_rider(slot, arrival_ms, BOARDING_MS);
        } else if now_ms < until_ms {
            self.schedule_rider(slot, now_ms, SEARCH_AGAIN_MS);
        } else {
            self.cancel(slot, now_ms, out);
        }
    }

    fn cancel(&mut self, slot: u32, now_ms: i64, out: &mut Vec<u8>) {
        let rider = self.riders.get(slot);
        self.writer.ride(now_ms, RideEvent::Cancelled, rider, out);
        if rider.requests < MAX_REQUESTS && self.rng.chance(REQUEST_AGAIN) {
            rider.stage = Stage::Pausing;
            self.schedule_rider(slot, now_ms, PAUSE_MS);
        } else {
            self.riders.remove(slot);
        }
    }

    fn board(&mut self, slot: u32, driver: u32, now_ms: i64) {
        let rider = self.riders.get(slot);
        rider.stage = Stage::Riding { driver };
        let arrival_ms = self.fleet.begin_ride(driver, rider.dropoff, now_ms);
        self.schedule(arrival_ms, Due::Rider(slot));
    }

    fn product(&mut self) -> usize {
        if self.products == 1 || !self.rng.chance(OTHER_PRODUCT) {
            return 0;
        }
        let last = i64::try_from(self.products - 1).expect("a policy has 64 products at most");
        usize::try_from(self.rng.between(1, last)).expect("it is 1 or more")
    }

    fn schedule_rider(&mut self, slot: u32, from_ms: i64, wait_ms: (i64, i64)) {
        let at_ms = from_ms + self.between(wait_ms);
        self.schedule(at_ms, Due::Rider(slot));
    }

    fn between(&mut self, (min, max): (i64, i64)) -> i64 {
        self.rng.between(min, max)
    }
}
