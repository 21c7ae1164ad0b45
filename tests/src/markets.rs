//! Adversarial markets: small, with as many edge cases at once as possible, and determined by a seed.

mod invalid;
mod line;
mod test_city;

use serde_json::Value;

use equilibrium_simulator::rng::SplitMix64;
use line::{Draft, degrees_json, quoted, time_json};
use test_city::TestCity;

/// A market's events and the policies of its cities.
#[derive(Clone, Debug, PartialEq)]
pub struct Market {
    /// NDJSON, with some lines to be refused.
    pub events: Vec<u8>,
    /// The content of a city file: one policy of CONTRACT §7, or an array of them.
    pub policies: Value,
}

/// The market of `seed`, with `size` lines that are not blank.
///
/// Every city's policy is valid; everything else may be invalid. In about half of the markets the last tenth of the
/// events jumps ahead by an hour or by years, but only in cities whose empty cells are not reported: elsewhere a jump
/// costs a row for each tick.
#[must_use]
pub fn market(seed: u64, size: usize) -> Market {
    let mut rng = SplitMix64::new(seed);
    let ids = ["nyc", "suva", "0-0", "a-city-with-a-name-of-32-letters"];
    let count = rng.one_of(&[1, 1, 2, 2, 3, 4]);
    let mut generators: Vec<CityEvents> =
        ids[..count].iter().map(|id| CityEvents::new(TestCity::draw(&mut rng, id))).collect();

    let all_settle = generators.iter().all(|generator| generator.city.settles);
    let mut now_ms = start_ms(&mut rng);
    let jumps = rng.percent(50);
    let mut events = Vec::new();
    for index in 0..size {
        now_ms += pause_ms(&mut rng);
        let index_of_city = rng.below(generators.len());
        let generator = &mut generators[index_of_city];
        let mut time = generator.time(&mut rng, now_ms);
        if jumps && generator.city.settles && index * 10 > size * 9 && rng.percent(12) {
            time = now_ms + rng.one_of(&[3_600_000, 86_399_999, YEAR_MS, 300 * YEAR_MS, 7_000 * YEAR_MS]);
            if all_settle && time < now_ms + YEAR_MS && rng.percent(50) {
                now_ms = time;
            }
        }
        let draft = generator.event(&mut rng, time);
        if rng.percent(9) {
            events.extend(invalid::invalidate(&mut rng, draft));
        } else {
            events.extend(draft.write(&mut rng).into_bytes());
        }
        end_line(&mut rng, &mut events, index + 1 == size);
    }

    let mut policies: Vec<Value> = generators.into_iter().map(|generator| generator.city.policy).collect();
    let is_single = policies.len() == 1 && rng.percent(50);
    let policies = if is_single { policies.remove(0) } else { Value::Array(policies) };
    Market { events, policies }
}

const YEAR_MS: i64 = 365 * 86_400_000;

/// The start of a market: a recent date, or shortly before the epoch or a leap day.
fn start_ms(rng: &mut SplitMix64) -> i64 {
    let opening = rng.one_of(&[1_772_323_199_000, 1_772_323_199_000, 1_709_164_790_000, -20_000]);
    opening + rng.between(0, 9_999)
}

/// The time between two events: mostly short, often zero.
fn pause_ms(rng: &mut SplitMix64) -> i64 {
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

/// Draws the events of a city.
struct CityEvents {
    city: TestCity,
    drivers: usize,
    riders: usize,
    recent_times: Vec<i64>,
}

impl CityEvents {
    fn new(city: TestCity) -> Self {
        let spots = city.spots.len();
        Self { city, drivers: spots, riders: spots - 1, recent_times: Vec::new() }
    }

    /// A time near `now_ms` that is likely to hit an edge: of a tick, of a window, of a driver's time to live.
    fn time(&mut self, rng: &mut SplitMix64, now_ms: i64) -> i64 {
        let city = &self.city;
        let time = match rng.below(100) {
            0..50 => now_ms,
            50..62 => {
                (now_ms.div_euclid(city.tick_ms) + rng.between(0, 1)) * city.tick_ms - rng.between(-1, 1)
            }
            62..76 if !self.recent_times.is_empty() => {
                let before = self.recent_times[rng.below(self.recent_times.len())];
                let span = rng.one_of(&[
                    0,
                    0,
                    city.window_ms,
                    city.driver_ttl_ms,
                    city.absent_ms,
                    -city.lateness_ms,
                ]);
                // On the edge relative to a tick: moved by whole ticks towards now.
                let edge = before + span + rng.between(-1, 1);
                edge + (now_ms - edge).div_euclid(city.tick_ms).max(0) * city.tick_ms
            }
            76..90 => now_ms - rng.between(0, city.lateness_ms + city.tick_ms),
            90..97 => now_ms - rng.between(0, city.driver_ttl_ms.max(city.window_ms) + 2 * city.lateness_ms),
            97 if city.settles => now_ms - rng.between(3_600_000, 9 * 3_600_000),
            _ => now_ms + rng.between(0, city.lateness_ms),
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
            _ => return unknown(rng, self.city.id, time),
        };
        draft.set("type", quoted(rng, kind));
        let id = format!("{}{}", rng.pick(&["e", "E.", "x:_-"]), rng.below(1_000));
        draft.set("id", quoted(rng, &id));
        draft.set("time", time_json(rng, time));
        draft.set("city", quoted(rng, self.city.id));
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
                // Drawn independently, so that a product may be listed twice.
                let drawn = 1 + rng.below(self.city.products.len() + 1);
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

    /// The ids of a ride. Rides and riders share some ids, and some riders share one with a driver.
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
        let product = rng.pick(&self.city.products);
        quoted(rng, product)
    }

    fn place(&self, rng: &mut SplitMix64, draft: &mut Draft) {
        let (lat, lng) = self.city.spots[rng.below(self.city.spots.len())];
        let (lat, lng) = match rng.below(50) {
            // Far from the city, at a whole number of degrees.
            0 => (rng.pick(&["90", "-90", "0", "-0", "41"]), rng.pick(&["180", "-180", "0", "-0.0", "7E1"])),
            _ => (&*degrees_json(rng, lat), &*degrees_json(rng, lng)),
        };
        draft.set("lat", lat.to_owned());
        draft.set("lng", lng.to_owned());
    }
}

/// An event of an unknown type, which must change nothing, above all not the watermark.
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
    fn a_seed_determines_its_market() {
        assert_eq!(market(7, 200), market(7, 200));
        assert_ne!(market(7, 200), market(8, 200));
    }

    #[test]
    fn twenty_markets_have_every_refusal_and_late_events() {
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
