//! Small markets in which as much as possible goes wrong at once, the same for ever from the same seed.

mod line;
mod town;
mod wrong;

use serde_json::Value;

use equilibrium_simulator::rng::SplitMix64;
use line::{Draft, degrees_json, quoted, time_json};
use town::TestCity;

/// A market's log and the policies of its cities.
#[derive(Clone, Debug, PartialEq)]
pub struct Market {
    /// NDJSON, some of it to be refused.
    pub events: Vec<u8>,
    /// What a city file holds: one policy of CONTRACT.md §7, or an array of them.
    pub policies: Value,
}

/// The market of `seed`, with `size` lines that are not blank.
///
/// Every city's policy is well-formed; everything else may be wrong. In about half the markets the last tenth
/// jumps an hour or years ahead, though only where empty places fall silent: elsewhere a jump costs a row for
/// each tick it passes.
#[must_use]
pub fn market(seed: u64, size: usize) -> Market {
    let mut rng = SplitMix64::new(seed);
    let ids = ["nyc", "suva", "0-0", "a-city-with-a-name-of-32-letters"];
    let count = rng.one_of(&[1, 1, 2, 2, 3, 4]);
    let mut streets: Vec<Street> =
        ids[..count].iter().map(|id| Street::new(TestCity::draw(&mut rng, id))).collect();

    let all_settle = streets.iter().all(|street| street.town.settles);
    let mut now = start(&mut rng);
    let jumps = rng.percent(50);
    let mut events = Vec::new();
    for index in 0..size {
        now += pause(&mut rng);
        let street = rng.below(streets.len());
        let street = &mut streets[street];
        let mut time = street.time(&mut rng, now);
        if jumps && street.town.settles && index * 10 > size * 9 && rng.percent(12) {
            time = now + rng.one_of(&[3_600_000, 86_399_999, YEAR_MS, 300 * YEAR_MS, 7_000 * YEAR_MS]);
            if all_settle && time < now + YEAR_MS && rng.percent(50) {
                now = time;
            }
        }
        let draft = street.event(&mut rng, time);
        if rng.percent(9) {
            events.extend(wrong::spoil(&mut rng, draft));
        } else {
            events.extend(draft.write(&mut rng).into_bytes());
        }
        end_line(&mut rng, &mut events, index + 1 == size);
    }

    let mut policies: Vec<Value> = streets.into_iter().map(|street| street.town.policy).collect();
    let alone = policies.len() == 1 && rng.percent(50);
    let policies = if alone { policies.remove(0) } else { Value::Array(policies) };
    Market { events, policies }
}

const YEAR_MS: i64 = 365 * 86_400_000;

/// A time at which a market opens: in our days, across the epoch, across a leap day.
fn start(rng: &mut SplitMix64) -> i64 {
    let opening = rng.one_of(&[1_772_323_199_000, 1_772_323_199_000, 1_709_164_790_000, -20_000]);
    opening + rng.between(0, 9_999)
}

/// How far time goes on between two events: mostly not far, often not at all.
fn pause(rng: &mut SplitMix64) -> i64 {
    match rng.below(100) {
        0..30 => 0,
        30..45 => 1,
        45..98 => rng.between(2, 1_200),
        _ => rng.between(10_000, 90_000),
    }
}

fn end_line(rng: &mut SplitMix64, events: &mut Vec<u8>, is_last: bool) {
    if is_last && rng.percent(50) {
        return;
    }
    events.extend_from_slice(rng.pick(&[b"\n" as &[u8], b"\n", b"\n", b"\n", b"\r\n"]));
    if rng.percent(3) {
        events.extend_from_slice(rng.pick(&[b"\n" as &[u8], b"\r\n", b"\n\n\n"]));
    }
}

/// A town and what has happened in it of late.
struct Street {
    town: TestCity,
    drivers: usize,
    riders: usize,
    recent_times: Vec<i64>,
}

impl Street {
    fn new(town: TestCity) -> Self {
        let busy = town.spots.len();
        Self { town, drivers: busy, riders: busy - 1, recent_times: Vec::new() }
    }

    /// A time near `now` that is likely to hit an edge: of a tick, of a window, of a driver's time to live.
    fn time(&mut self, rng: &mut SplitMix64, now: i64) -> i64 {
        let town = &self.town;
        let time = match rng.below(100) {
            0..50 => now,
            50..62 => (now.div_euclid(town.tick_ms) + rng.between(0, 1)) * town.tick_ms - rng.between(-1, 1),
            62..76 if !self.recent_times.is_empty() => {
                let before = self.recent_times[rng.below(self.recent_times.len())];
                let span = rng.one_of(&[0, 0, town.window_ms, town.driver_ttl_ms, -town.lateness_ms]);
                // On the edge as seen from a tick: moved by whole ticks towards now.
                let edge = before + span + rng.between(-1, 1);
                edge + (now - edge).div_euclid(town.tick_ms).max(0) * town.tick_ms
            }
            76..90 => now - rng.between(0, town.lateness_ms + town.tick_ms),
            90..97 => now - rng.between(0, town.driver_ttl_ms.max(town.window_ms) + 2 * town.lateness_ms),
            97 if town.settles => now - rng.between(3_600_000, 9 * 3_600_000),
            _ => now + rng.between(0, town.lateness_ms),
        };
        self.recent_times.push(time);
        if self.recent_times.len() > 6 {
            self.recent_times.remove(0);
        }
        time
    }

    fn event(&self, rng: &mut SplitMix64, time: i64) -> Draft {
        let mut draft = Draft::new();
        let kind = match rng.below(100) {
            0..50 => "driver_location",
            50..84 => "ride_requested",
            84..95 => rng.pick(&["ride_matched", "ride_completed", "ride_cancelled"]),
            _ => return unknown(rng, self.town.id, time),
        };
        draft.set("type", quoted(rng, kind));
        let id = format!("{}{}", rng.pick(&["e", "E.", "x:_-"]), rng.below(1_000));
        draft.set("id", quoted(rng, &id));
        draft.set("time", time_json(rng, time));
        draft.set("city", quoted(rng, self.town.id));
        match kind {
            "driver_location" => self.driver(rng, &mut draft),
            "ride_requested" => self.request(rng, &mut draft),
            _ => self.ride(rng, &mut draft),
        }
        draft
    }

    fn driver(&self, rng: &mut SplitMix64, draft: &mut Draft) {
        let driver = self.driver_id(rng);
        draft.set("driver_id", quoted(rng, &driver));
        self.place(rng, draft);
        let status = match rng.below(10) {
            0..7 => "available",
            _ => rng.pick(&["en_route", "on_trip", "offline"]),
        };
        draft.set("status", quoted(rng, status));
        match rng.below(10) {
            0..5 => {}
            5 => draft.set("products", "null".to_owned()),
            6 => draft.set("products", "[]".to_owned()),
            _ => {
                // Drawn one by one, so that one may stand there twice.
                let drawn = 1 + rng.below(self.town.products.len() + 1);
                let products: Vec<String> = (0..drawn).map(|_| self.product(rng)).collect();
                draft.set("products", format!("[{}]", products.join(",")));
            }
        }
    }

    fn request(&self, rng: &mut SplitMix64, draft: &mut Draft) {
        self.ride(rng, draft);
        self.place(rng, draft);
        match rng.below(10) {
            0..4 => {}
            4 => draft.set("product", "null".to_owned()),
            _ => draft.set("product", self.product(rng)),
        }
        if rng.percent(20) {
            draft.set("dropoff_lat", rng.pick(&["null", "90", "-90.0", "0", "41e0"]).to_owned());
        }
        if rng.percent(20) {
            draft.set("dropoff_lng", rng.pick(&["null", "180", "-180.0", "-0", "7.4E1"]).to_owned());
        }
    }

    /// The ids of a ride. Rides and riders share some names, and now and then one with a driver.
    fn ride(&self, rng: &mut SplitMix64, draft: &mut Draft) {
        let request = format!("r{}", rng.below(self.riders));
        draft.set("request_id", quoted(rng, &request));
        match rng.below(10) {
            0..3 => {}
            3 => draft.set("rider_id", "null".to_owned()),
            4 => {
                let other = format!("r{}", rng.below(self.riders));
                draft.set("rider_id", quoted(rng, &other));
            }
            5 => {
                let driver = self.driver_id(rng);
                draft.set("rider_id", quoted(rng, &driver));
            }
            _ => {
                let rider = format!("u{}", rng.below(self.riders));
                draft.set("rider_id", quoted(rng, &rider));
            }
        }
    }

    fn driver_id(&self, rng: &mut SplitMix64) -> String {
        match rng.below(self.drivers) {
            0 => "D._:-000000000000000000000000000000000000000000000000000000064ch".to_owned(),
            driver => format!("d{driver}"),
        }
    }

    fn product(&self, rng: &mut SplitMix64) -> String {
        let product = rng.pick(&self.town.products);
        quoted(rng, product)
    }

    fn place(&self, rng: &mut SplitMix64, draft: &mut Draft) {
        let (lat, lng) = self.town.spots[rng.below(self.town.spots.len())];
        let (lat, lng) = match rng.below(50) {
            // Far away from it all, at a whole number of degrees.
            0 => (rng.pick(&["90", "-90", "0", "-0", "41"]), rng.pick(&["180", "-180", "0", "-0.0", "7E1"])),
            _ => (&*degrees_json(rng, lat), &*degrees_json(rng, lng)),
        };
        draft.set("lat", lat.to_owned());
        draft.set("lng", lng.to_owned());
    }
}

/// An event of a type nobody knows, which must move nothing, least of all the clock.
fn unknown(rng: &mut SplitMix64, city: &str, time: i64) -> Draft {
    let mut draft = Draft::new();
    let kind = rng.pick(&["weather", "", "Driver_Location", "ride_requested ", "ride", "\u{1f695}"]);
    draft.set("type", quoted(rng, kind));
    if rng.percent(60) {
        draft.set("id", rng.pick(&["\"w\"", "\"\"", "null", "{}"]).to_owned());
    }
    if rng.percent(60) {
        draft.set("city", if rng.percent(70) { quoted(rng, city) } else { "\"ATLANTIS\"".to_owned() });
    }
    if rng.percent(60) {
        let ahead = rng.one_of(&[0, 3_600_000, 50 * YEAR_MS]);
        draft.set("time", time_json(rng, time + ahead));
    }
    if rng.percent(40) {
        draft.set("lat", "\"north\"".to_owned());
    }
    draft
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::market;
    use crate::oracle::replay;

    #[test]
    fn a_seed_means_the_same_market_every_time() {
        assert_eq!(market(7, 200), market(7, 200));
        assert_ne!(market(7, 200), market(8, 200));
    }

    #[test]
    fn a_few_markets_meet_every_refusal_and_late_events() {
        let mut codes = BTreeSet::new();
        let (mut late, mut rows) = (0, 0);
        for seed in 0..20 {
            let market = market(seed, 200);
            let replayed = replay(&market.events, Some(&market.policies));
            codes.extend(replayed.refused.iter().map(|(_, code)| *code));
            assert_eq!(replayed.events, 200, "seed {seed}");
            late += replayed.late;
            rows += replayed.rows.len();
        }
        let every =
            ["bad_field", "malformed_json", "missing_field", "too_large", "unknown_city", "unknown_product"];
        assert_eq!(codes, BTreeSet::from(every));
        assert!(late > 100 && rows > 10_000, "{late} late, {rows} rows");
    }
}
