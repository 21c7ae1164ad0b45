//! The oracle: CONTRACT §1–§4 implemented as plainly as possible, for comparison with the product.
//!
//! It shares no code with the product and is not fast: it keeps every sighting of every entity, and each tick examines
//! all of them.

pub mod explanation;
mod guard;
pub mod laws;
mod policy;
mod reading;
pub(crate) mod time;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use h3o::CellIndex;
use serde_json::Value;

use guard::Guard;
use policy::{Cities, Policy};
use reading::{Event, What};

/// The result that `equilibrium replay` must have for a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The JSON lines: cities by name, within a city by `at`, `product`, `cell`.
    pub rows: Vec<String>,
    /// Each refused line's number, from 1 and blank lines included, with the code of its refusal.
    pub refused: Vec<(usize, &'static str)>,
    /// The number of lines that are not blank.
    pub events: usize,
    /// The number of accepted events whose own tick had closed.
    pub late: usize,
    /// The number of pairs of city and tick with at least one row.
    pub ticks: usize,
}

/// Replays `lines` (NDJSON) under `policies`: one policy of §7 or an array of them, assumed to be valid; `None` accepts
/// any city, with the defaults and the one product `standard`.
#[must_use]
pub fn replay(lines: &[u8], policies: Option<&Value>) -> Replayed {
    let known = Cities::read(policies);
    let mut cities: BTreeMap<String, City> = BTreeMap::new();
    let mut replayed = Replayed::default();

    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() {
            continue;
        }
        replayed.events += 1;
        match reading::read(line, &known) {
            Err(code) => replayed.refused.push((index + 1, code)),
            Ok(None) => {} // an unknown type changes nothing
            Ok(Some(event)) => {
                let city = cities
                    .entry(event.city.clone())
                    .or_insert_with(|| City::new(&event.city, known.policy(&event.city), event.time));
                city.absorb(event);
            }
        }
    }

    for city in cities.into_values() {
        let city = city.end();
        replayed.late += city.late;
        replayed.ticks += city.ticks_with_rows;
        replayed.rows.extend(city.rows);
    }
    replayed
}

/// An entity at a cell and time: a driver serving `products`, or a rider requesting them. Outside the boundary there is
/// no cell.
struct Sighting {
    time: i64,
    cell: Option<CellIndex>,
    products: BTreeSet<String>,
    is_offline: bool,
}

/// The last as of `tick` of the sightings that `counts` selects: the greatest time, on a tie the later in the log.
fn last_as_of(sightings: &[Sighting], tick: i64, counts: impl Fn(&Sighting) -> bool) -> Option<&Sighting> {
    let sightings = sightings.iter().filter(|sighting| sighting.time <= tick && counts(sighting));
    // `max_by_key` returns the last of equal elements.
    sightings.max_by_key(|sighting| sighting.time)
}

/// How many entities are in each place at `tick`, given the last sighting of each that counts, if that is recent enough.
fn present<'a>(last: impl Iterator<Item = &'a Sighting>, tick: i64, span_ms: i64) -> BTreeMap<Place, u32> {
    let mut present = BTreeMap::new();
    for last in last.filter(|last| tick - last.time < span_ms) {
        for product in &last.products {
            if let Some(cell) = last.cell {
                *present.entry((product.clone(), cell)).or_default() += 1;
            }
        }
    }
    present
}

/// The state of a reported cell and product between ticks.
#[derive(Clone, Copy)]
struct Price {
    m: f64,
    /// In hundredths, always an integer.
    published: f64,
}

const FRESH: Price = Price { m: 1.0, published: 100.0 };

/// A cell's own counts, and for each ring around it the counts of all its cells.
#[derive(Clone, Default)]
struct Counts {
    demand: u32,
    supply: u32,
    demand_of_ring: Vec<u32>,
    supply_of_ring: Vec<u32>,
}

type Place = (String, CellIndex);

struct City {
    name: String,
    policy: Policy,
    /// By driver, in log order.
    drivers: BTreeMap<String, Vec<Sighting>>,
    /// By rider and product, in log order.
    riders: BTreeMap<(String, String), Vec<Sighting>>,
    greatest_time: i64,
    first_tick: i64,
    next_tick: i64,
    /// The drivers in touch when the last tick closed.
    in_touch: BTreeSet<String>,
    guard: Guard,
    prices: BTreeMap<Place, Price>,
    rings: HashMap<CellIndex, Vec<Vec<CellIndex>>>,
    rows: Vec<String>,
    late: usize,
    ticks_with_rows: usize,
}

impl City {
    fn new(name: &str, policy: Policy, first_time: i64) -> Self {
        let first_tick = at_or_after(first_time, policy.tick_ms);
        Self {
            name: name.to_owned(),
            policy,
            drivers: BTreeMap::new(),
            riders: BTreeMap::new(),
            greatest_time: first_time,
            first_tick,
            next_tick: first_tick,
            in_touch: BTreeSet::new(),
            guard: Guard::default(),
            prices: BTreeMap::new(),
            rings: HashMap::new(),
            rows: Vec::new(),
            late: 0,
            ticks_with_rows: 0,
        }
    }

    fn absorb(&mut self, event: Event) {
        let own_tick = at_or_after(event.time, self.policy.tick_ms);
        if self.first_tick <= own_tick && own_tick < self.next_tick {
            self.late += 1;
        }
        match event.what {
            What::Driver { driver, cell, products, is_offline } => {
                let sighting = Sighting { time: event.time, cell, products, is_offline };
                self.drivers.entry(driver).or_default().push(sighting);
            }
            What::Request { rider, cell, product } => {
                let products = BTreeSet::from([product.clone()]);
                let sighting = Sighting { time: event.time, cell, products, is_offline: false };
                self.riders.entry((rider, product)).or_default().push(sighting);
            }
            What::OtherOfRide => {}
        }
        self.greatest_time = self.greatest_time.max(event.time);
        self.close_until(self.greatest_time - self.policy.lateness_ms);
    }

    fn end(mut self) -> Self {
        self.close_until(self.greatest_time);
        self
    }

    fn close_until(&mut self, limit: i64) {
        while self.next_tick <= limit {
            let tick = self.next_tick;
            let lost = self.close_contacts(tick);
            let is_on = self.guard.decide(tick, lost, self.in_touch.len(), &self.policy);
            let counts = self.count(tick);
            if counts.is_empty() && self.in_touch.is_empty() {
                // No tick has rows until the next sighting.
                let due = self.next_sighting_after(tick).map_or(limit + 1, |time| time.min(limit + 1));
                self.next_tick = at_or_after(due, self.policy.tick_ms);
                self.guard.rest_before(self.next_tick, &self.policy);
            } else {
                self.price(tick, counts, is_on);
                self.next_tick = tick + self.policy.tick_ms;
            }
        }
    }

    /// Finds the drivers in touch as of `tick`, and returns the number lost.
    fn close_contacts(&mut self, tick: i64) -> usize {
        let before = std::mem::take(&mut self.in_touch);
        let mut lost = 0;
        for (driver, sightings) in &self.drivers {
            let Some(last) = last_as_of(sightings, tick, |_| true) else { continue };
            if tick - last.time < self.policy.driver_ttl_ms && !last.is_offline {
                self.in_touch.insert(driver.clone());
            } else if before.contains(driver) && !last.is_offline {
                lost += 1;
            }
        }
        lost
    }

    fn next_sighting_after(&self, tick: i64) -> Option<i64> {
        let all = self.drivers.values().chain(self.riders.values()).flatten();
        all.map(|sighting| sighting.time).filter(|time| *time > tick).min()
    }

    /// The counts at `tick` of every cell that has state, or entities in it or in the rings around it.
    fn count(&mut self, tick: i64) -> BTreeMap<Place, Counts> {
        let riders = self.riders.values().filter_map(|sightings| last_as_of(sightings, tick, |_| true));
        let demand = present(riders, tick, self.policy.window_ms);
        let absent_ms = self.policy.absent_ms;
        let is_standing = |sighting: &Sighting| absent_ms == 0 || !sighting.is_offline;
        let drivers = self.drivers.values().filter_map(|sightings| last_as_of(sightings, tick, is_standing));
        let supply = present(drivers, tick, self.policy.driver_ttl_ms.max(absent_ms));

        let reach = self.policy.ring_weights.len();
        let mut counts: BTreeMap<Place, Counts> = BTreeMap::new();
        let nothing =
            Counts { demand_of_ring: vec![0; reach], supply_of_ring: vec![0; reach], ..Counts::default() };
        let places: BTreeSet<&Place> = demand.keys().chain(supply.keys()).collect();
        for place in places {
            let (product, cell) = place;
            let demand = demand.get(place).copied().unwrap_or_default();
            let supply = supply.get(place).copied().unwrap_or_default();
            let rings = self.rings.entry(*cell).or_insert_with(|| rings_around(*cell, reach));
            for (distance, ring) in rings.iter().enumerate() {
                // Distance is symmetric: `cell` is at this distance from each of them.
                for near in ring {
                    let near = counts.entry((product.clone(), *near)).or_insert_with(|| nothing.clone());
                    near.demand_of_ring[distance] += demand;
                    near.supply_of_ring[distance] += supply;
                }
            }
            let own = counts.entry(place.clone()).or_insert_with(|| nothing.clone());
            own.demand = demand;
            own.supply = supply;
        }
        for place in self.prices.keys() {
            counts.entry(place.clone()).or_insert_with(|| nothing.clone());
        }
        counts
    }

    /// Updates every price at `tick` and writes the rows; a cell without a row loses its state.
    fn price(&mut self, tick: i64, counts: BTreeMap<Place, Counts>, guard_is_on: bool) {
        let before = std::mem::take(&mut self.prices);
        for (place, counts) in counts {
            let demand = smoothed(&counts.demand_of_ring, &self.policy.ring_weights);
            let supply = smoothed(&counts.supply_of_ring, &self.policy.ring_weights);
            let previous = before.get(&place).copied().unwrap_or(FRESH);
            let mut price = previous.next(self.policy.raw_multiplier(demand, supply), &self.policy);
            if guard_is_on {
                price =
                    Price { m: price.m.min(previous.m), published: price.published.min(previous.published) };
            }
            let is_one = (price.published - 100.0).abs() < 0.5; // of whole hundredths
            if demand == 0.0 && supply == 0.0 && is_one {
                continue;
            }
            let (product, cell) = &place;
            let multiplier = printed(self.policy.limited(price.published, *cell));
            let (city, at, Counts { demand, supply, .. }) = (&self.name, time::to_text(tick), counts);
            let of = format!(r#""city":"{city}","at":"{at}","product":"{product}","cell":"{cell}""#);
            self.rows
                .push(format!(r#"{{{of},"demand":{demand},"supply":{supply},"multiplier":{multiplier}}}"#));
            self.prices.insert(place, price);
        }
        self.ticks_with_rows += usize::from(!self.prices.is_empty());
    }
}

impl Price {
    fn next(self, raw: f64, policy: &Policy) -> Self {
        let half_life_ms = if raw > self.m { policy.half_life_up_ms } else { policy.half_life_down_ms };
        let alpha = 1.0 - libm::pow(2.0, -policy.tick_ms_f64() / half_life_ms);
        let m = (self.m + alpha * (raw - self.m)).min(1.2 * policy.greatest());
        let step = policy.step;
        let moved = (100.0 * m - self.published).abs() >= 0.75 * step;
        let published = if moved { step * (100.0 * m / step + 0.5).floor() } else { self.published };
        Self { m, published }
    }
}

/// The first multiple of `tick_ms` at or after `time`.
fn at_or_after(time: i64, tick_ms: i64) -> i64 {
    let before = time.div_euclid(tick_ms) * tick_ms;
    if before == time { time } else { before + tick_ms }
}

/// The cells at grid distance 0, 1, … below `reach` from `cell`, found from neighbour to neighbour, which is correct at
/// pentagons, too.
fn rings_around(cell: CellIndex, reach: usize) -> Vec<Vec<CellIndex>> {
    let mut seen = BTreeSet::from([cell]);
    let mut rings = vec![vec![cell]];
    while rings.len() < reach {
        let mut next = Vec::new();
        for cell in &rings[rings.len() - 1] {
            for neighbour in cell.grid_disk::<Vec<_>>(1) {
                if seen.insert(neighbour) {
                    next.push(neighbour);
                }
            }
        }
        rings.push(next);
    }
    rings
}

fn smoothed(of_ring: &[u32], weights: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (count, weight) in of_ring.iter().zip(weights) {
        sum += weight * f64::from(*count);
    }
    sum
}

/// Hundredths as a JSON number with one or two decimals: 1.0, 1.1, 1.25.
fn printed(hundredths: f64) -> String {
    format!("{:?}", hundredths / 100.0)
}
