//! What a lane counts, when it closes a tick, and what it calls late (CONTRACT §3).

mod products;
mod refused;
mod stored;

use super::*;
use crate::count::sightings::Count;
use crate::count::sightings::{Place, Sightings};
use crate::count::tick_counts::{self, TickCounts};
use crate::event::sequence::Sequence;
use crate::event::{self, Event};
use crate::geo::locate::Cell;
use crate::id::ProductId;
use crate::wire::products::write_products;
use crate::wire::put_bytes;

fn lanes() -> LaneCount {
    LaneCount::new(4).unwrap()
}

fn names(products: &[&str]) -> Vec<ProductId> {
    products.iter().map(|product| ProductId::new(product).unwrap()).collect()
}

fn rules(products: &[&str]) -> CountingConfig {
    CountingConfig {
        resolution: h3o::Resolution::Eight,
        tick_ms: 5_000,
        window_ms: 30_000,
        driver_ttl_ms: 60_000,
        lateness_ms: 5_000,
        products: names(products),
        max_entities: 1_000,
    }
}

fn city(name: &str) -> CityId {
    CityId::new(name).unwrap()
}

/// Two places some kilometres apart, and their cells.
const SPOTS: [(f64, f64, u64); 2] =
    [(40.75, -73.97, 0x0882_a100_d63f_ffff), (40.65, -73.78, 0x0882_a103_b0bf_ffff)];

fn driver(who: &str, spot: usize, rest: &str) -> String {
    let (lat, lng, _) = SPOTS[spot];
    format!(
        r#"{{"type":"driver_location","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","driver_id":"{who}","lat":{lat},"lng":{lng},"status":"available"{rest}}}"#
    )
}

fn request(who: &str, spot: usize, rest: &str) -> String {
    let (lat, lng, _) = SPOTS[spot];
    format!(
        r#"{{"type":"ride_requested","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"{who}","lat":{lat},"lng":{lng}{rest}}}"#
    )
}

fn progress(what: &str) -> String {
    format!(r#"{{"type":"{what}","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"q"}}"#)
}

/// A lane that counts New York, with what it takes to feed it.
struct Fed {
    lane: LaneState,
    index: CityIndex,
    locators: Locators,
    sequence: u64,
}

impl Fed {
    fn new(rules: CountingConfig) -> Self {
        let mut lane = LaneState::new(identity());
        let index = lane.city_mut(&city("nyc"), &Arc::new(rules));
        Self { lane, index, locators: Locators::default(), sequence: 0 }
    }

    fn try_absorb(&mut self, line: &str, time: i64) -> Result<(), Refusal> {
        let Event::Market(event) = event::read(line.as_bytes()).unwrap() else { panic!("{line}") };
        self.lane.absorb(self.index, &event, time, &mut self.locators)
    }

    fn absorb(&mut self, line: &str, time: i64) {
        self.try_absorb(line, time).unwrap();
    }

    fn hear(&mut self, first_tick: i64, watermark: i64) {
        self.lane.advance_watermark(self.index, &CityWatermark { watermark, first_tick });
    }

    fn reports(&mut self) -> Vec<TickCounts> {
        told(&mut self.lane).into_iter().flat_map(|(_, _, reports)| reports).collect()
    }

    fn entry(&mut self) -> Vec<u8> {
        self.lane.begin_batch();
        self.end()
    }

    fn end(&mut self) -> Vec<u8> {
        self.sequence += 1;
        self.lane.seal_entry(Sequence::from(self.sequence).borrowed()).bytes
    }
}

fn identity() -> LaneIdentity {
    LaneIdentity { lane: LaneId(2), lanes: lanes() }
}

/// Begins a batch, and gives its snapshot.
fn begin(lane: &mut LaneState) -> Option<Vec<u8>> {
    lane.begin_batch();
    lane.log.snapshot()
}

/// Late events since the beginning.
fn count_late(lane: &LaneState) -> u64 {
    lane.cities.iter().map(|city| city.late).sum()
}

fn told(lane: &mut LaneState) -> Vec<(CityId, Vec<ProductId>, Vec<TickCounts>)> {
    let mut told = Vec::new();
    for record in tick_counts::records(lane.lane(), lanes(), lane.take_output().unwrap_or_default()) {
        let record = tick_counts::open(&record, lanes()).unwrap();
        assert_eq!(record.lane, lane.lane());
        for section in record.cities {
            let reports = tick_counts::read_tick_counts(section.ticks, section.products.len()).unwrap();
            told.push((section.city, section.products.to_vec(), reports));
        }
    }
    told
}

fn at(spot: usize, products: u64, entities: u32) -> Count {
    Count { place: Place { cell: SPOTS[spot].2, products }, entities }
}

fn tick(at: i64, supply: Vec<Count>, demand: Vec<Count>) -> TickCounts {
    TickCounts::Tick { at, first: true, last: true, supply, demand }
}

#[test]
fn the_spots_lie_in_their_cells() {
    for (lat, lng, cell) in SPOTS {
        let place = crate::event::Position { lat, lng };
        assert_eq!(crate::geo::locate::cell_at(place, h3o::Resolution::Eight), Cell(cell));
    }
}

#[test]
fn no_tick_closes_before_a_clock_names_the_first() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, ""), 31_926);
    fed.absorb(&driver("e", 1, ""), 45_000);
    assert_eq!(fed.reports(), []);
    fed.hear(35_000, 34_999);
    let (one, two) = (vec![at(0, 1, 1)], vec![at(0, 1, 1)]);
    assert_eq!(fed.reports(), [tick(35_000, one, vec![]), tick(40_000, two, vec![])]);
}

#[test]
fn a_driver_who_counts_nowhere_is_forgotten_a_lifetime_later() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, "").replace("available", "on_trip"), 101_000);
    fed.hear(5_000, 155_000);
    assert_eq!(fed.lane.entities(), 1);
    fed.hear(5_000, 165_000);
    assert_eq!(fed.lane.entities(), 0);
    assert_eq!(fed.reports(), [TickCounts::Empty { from: 5_000, to: 165_000 }]);
}

#[test]
fn a_clock_closes_what_its_watermark_reaches_and_no_more() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, ""), 35_000);
    fed.hear(35_000, 34_999);
    assert_eq!(fed.reports(), []);
    fed.hear(35_000, 35_000);
    assert_eq!(fed.reports(), [tick(35_000, vec![at(0, 1, 1)], vec![])]);
    fed.hear(35_000, 39_999);
    fed.hear(35_000, 20_000);
    assert_eq!(fed.reports(), []);
    fed.hear(35_000, 44_999);
    assert_eq!(fed.reports(), [tick(40_000, vec![at(0, 1, 1)], vec![])]);
}

#[test]
fn a_lanes_own_events_close_ticks_too() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(35_000, 35_000);
    assert_eq!(fed.reports(), [TickCounts::Empty { from: 35_000, to: 35_000 }]);
    fed.absorb(&request("q", 1, ""), 44_999);
    assert_eq!(fed.reports(), []);
    fed.absorb(&progress("ride_matched"), 45_000);
    assert_eq!(fed.reports(), [TickCounts::Empty { from: 40_000, to: 40_000 }]);
    fed.absorb(&request("r", 1, ""), 50_000);
    assert_eq!(fed.reports(), [tick(45_000, vec![], vec![at(1, 1, 1)])]);
}

#[test]
fn a_citys_first_tick_stays_what_it_was_first() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(35_000, 30_000);
    fed.hear(5_000, 40_000);
    assert_eq!(fed.reports(), [TickCounts::Empty { from: 35_000, to: 40_000 }]);
}

#[test]
fn a_rider_counts_for_a_window_and_a_driver_for_a_lifetime() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, ""), 35_000);
    fed.absorb(&request("q", 0, ""), 35_000);
    fed.hear(35_000, 100_000);
    let (here, none) = (vec![at(0, 1, 1)], vec![]);
    let mut wanted: Vec<_> = (7..13).map(|number| tick(5_000 * number, here.clone(), here.clone())).collect();
    wanted.extend((13..19).map(|number| tick(5_000 * number, here.clone(), none.clone())));
    wanted.push(TickCounts::Empty { from: 95_000, to: 100_000 });
    assert_eq!(fed.reports(), wanted);
    assert_eq!(fed.lane.entities(), 0);
}

#[test]
fn a_rider_counts_once_however_they_ask_and_by_rider_before_request() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&request("q1", 0, r#","rider_id":"ann""#), 35_000);
    fed.absorb(&request("q2", 0, r#","rider_id":"ann""#), 34_000);
    fed.absorb(&request("ann", 0, ""), 34_500);
    fed.absorb(&request("q1", 0, ""), 34_500);
    fed.hear(35_000, 35_000);
    assert_eq!(fed.reports(), [tick(35_000, vec![], vec![at(0, 1, 2)])]);
    assert_eq!(fed.lane.entities(), 2);
}

#[test]
fn a_jump_of_years_over_empty_ticks_is_one_report() {
    let year = 31_536_000_000;
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, ""), 5_000);
    fed.hear(5_000, 60_000 + 3_000 * year);
    let reports = fed.reports();
    assert_eq!(reports.len(), 13);
    assert_eq!(reports[12], TickCounts::Empty { from: 65_000, to: 60_000 + 3_000 * year });
    fed.hear(5_000, 60_000 + 4_000 * year + 4_999);
    let next = 65_000 + 3_000 * year;
    assert_eq!(fed.reports(), [TickCounts::Empty { from: next, to: 60_000 + 4_000 * year }]);
}

#[test]
fn ticks_before_1970_close_like_any_other() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, ""), -20_000);
    fed.hear(-20_000, -20_000);
    assert_eq!(fed.reports(), [tick(-20_000, vec![at(0, 1, 1)], vec![])]);
}

#[test]
fn runs_of_empty_ticks_of_one_batch_are_one_report() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(5_000, 5_000);
    fed.hear(5_000, 10_000);
    fed.hear(5_000, 20_000);
    assert_eq!(fed.reports(), [TickCounts::Empty { from: 5_000, to: 20_000 }]);
    fed.hear(5_000, 25_000);
    assert_eq!(fed.reports(), [TickCounts::Empty { from: 25_000, to: 25_000 }]);
}

#[test]
fn a_sighting_far_ahead_keeps_every_tick_until_then() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(5_000, 5_000);
    fed.absorb(&driver("d", 0, ""), 21_000);
    fed.hear(5_000, 25_000);
    assert_eq!(
        fed.reports(),
        [TickCounts::Empty { from: 5_000, to: 20_000 }, tick(25_000, vec![at(0, 1, 1)], vec![])]
    );
}

/// `late` of each event, the city's ticks 35 s to 50 s being closed.
#[test]
fn late_is_whose_own_tick_has_closed() {
    let events = [driver("d", 0, ""), request("q", 0, "")];
    let rides = ["ride_matched", "ride_completed", "ride_cancelled"].map(progress);
    for line in events.iter().chain(&rides) {
        for (time, late) in [
            (50_000, 1),
            (45_001, 1),
            (50_001, 0),
            (30_001, 1),
            (35_000, 1),
            (30_000, 0),
            (25_000, 0),
            (-5_000, 0),
        ] {
            let mut fed = Fed::new(rules(&["standard"]));
            fed.hear(35_000, 54_999);
            fed.absorb(line, time);
            assert_eq!(count_late(&fed.lane), late, "{line} at {time}");
        }
    }
}

#[test]
fn nothing_is_late_before_a_tick_has_closed() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, ""), 90_000);
    fed.absorb(&driver("d", 0, ""), 10_000);
    fed.hear(95_000, 94_999);
    fed.absorb(&driver("d", 0, ""), 10_000);
    assert_eq!(count_late(&fed.lane), 0);
}

#[test]
fn an_event_that_closes_its_own_tick_is_in_time_and_counts() {
    let mut fed = Fed::new(CountingConfig { lateness_ms: 0, ..rules(&["standard"]) });
    fed.hear(35_000, 35_000);
    fed.reports();
    fed.absorb(&driver("d", 0, ""), 40_000);
    assert_eq!(count_late(&fed.lane), 0);
    assert_eq!(fed.reports(), [tick(40_000, vec![at(0, 1, 1)], vec![])]);
    fed.absorb(&driver("e", 0, ""), 40_000);
    assert_eq!(count_late(&fed.lane), 1);
    fed.hear(35_000, 45_000);
    assert_eq!(
        fed.reports(),
        [tick(45_000, vec![at(0, 1, 2)], vec![])],
        "a late one counts from the next tick"
    );
}

#[test]
fn drivers_who_are_not_to_be_had_count_nowhere_and_are_remembered() {
    for rest in [r#","status":"on_trip""#, r#","status":"offline""#, r#","products":[]"#] {
        let mut fed = Fed::new(rules(&["standard"]));
        fed.absorb(&driver("d", 0, ""), 34_000);
        fed.absorb(&driver("d", 0, rest), 34_001);
        fed.hear(35_000, 35_000);
        assert_eq!(
            fed.reports(),
            [tick(35_000, vec![], vec![])].map(|_| TickCounts::Empty { from: 35_000, to: 35_000 })
        );
        assert_eq!(fed.lane.entities(), 1);
    }
}

#[test]
fn cities_are_counted_apart() {
    let mut fed = Fed::new(rules(&["standard"]));
    assert_eq!(fed.lane.find("suva"), None);
    let suva = fed.lane.city_mut(&city("suva"), &Arc::new(rules(&["boat"])));
    assert_eq!(fed.lane.find("suva"), Some(suva));
    assert_eq!(fed.lane.find("nyc"), Some(fed.index));
    assert_eq!(fed.lane.name(suva), &city("suva"));
    assert_eq!(fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&["standard"]))), fed.index);
    fed.absorb(&driver("d", 0, ""), 4_000);
    fed.hear(5_000, 5_000);
    fed.lane.advance_watermark(suva, &CityWatermark { watermark: 20_000, first_tick: 10_000 });
    assert_eq!(
        told(&mut fed.lane),
        [
            (city("nyc"), names(&["standard"]), vec![tick(5_000, vec![at(0, 1, 1)], vec![])]),
            (city("suva"), names(&["boat"]), vec![TickCounts::Empty { from: 10_000, to: 20_000 }]),
        ]
    );
    assert_eq!(told(&mut fed.lane), [], "reports are taken once");
}

#[test]
fn too_many_entities_of_one_role_are_held_in_bounds_and_counted() {
    let mut fed = Fed::new(CountingConfig { max_entities: 2, ..rules(&["standard"]) });
    for who in ["a", "b", "c"] {
        fed.absorb(&driver(who, 0, ""), 4_000);
        fed.absorb(&request(who, 0, ""), 4_000);
        fed.absorb(&request(&format!("{who}2"), 0, ""), 4_000);
    }
    assert_eq!((fed.lane.entities(), fed.lane.evicted()), (4, 5));
    fed.hear(5_000, 5_000);
    assert_eq!(fed.reports(), [tick(5_000, vec![at(0, 1, 2)], vec![at(0, 1, 2)])]);
}
