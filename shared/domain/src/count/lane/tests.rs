//! The counts of a lane, when its ticks close, and which events are late (CONTRACT §3).

mod products;
mod refused;
mod stored;

use super::*;
use crate::count::lane_range::LaneRange;
use crate::count::range_state::LaneRangeState;
use crate::count::sightings::{Contact, Count, Place, Sightings};
use crate::count::tick_counts::{self, TickCounts};
use crate::event::sequence::Sequence;
use crate::event::{self, Event};
use crate::event_sourced::EventSourced;
use crate::geo::locate::Cell;
use crate::geo::polygon::{Polygon, Ring};
use crate::id::ProductId;
use crate::wire::products::write_products;
use crate::wire::put_bytes;

fn lanes() -> LaneCount {
    LaneCount::new(4).unwrap()
}

fn names(products: &[&str]) -> Vec<ProductId> {
    products.iter().map(|product| ProductId::new(product).unwrap()).collect()
}

fn config(products: &[&str]) -> CountingConfig {
    CountingConfig {
        resolution: h3o::Resolution::Eight,
        tick_ms: 5_000,
        window_ms: 30_000,
        driver_ttl_ms: 60_000,
        absent_ms: 0,
        lateness_ms: 5_000,
        products: names(products),
        max_entities: 1_000,
        boundary: None,
    }
}

fn city(name: &str) -> CityId {
    CityId::new(name).unwrap()
}

/// Two positions some kilometres apart, and their cells.
const PLACES: [(f64, f64, u64); 2] =
    [(40.75, -73.97, 0x0882_a100_d63f_ffff), (40.65, -73.78, 0x0882_a103_b0bf_ffff)];

fn driver(id: &str, place: usize, rest: &str) -> String {
    let (lat, lng, _) = PLACES[place];
    format!(
        r#"{{"type":"driver_location","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","driver_id":"{id}","lat":{lat},"lng":{lng},"status":"available"{rest}}}"#
    )
}

fn request(id: &str, place: usize, rest: &str) -> String {
    let (lat, lng, _) = PLACES[place];
    format!(
        r#"{{"type":"ride_requested","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"{id}","lat":{lat},"lng":{lng}{rest}}}"#
    )
}

fn progress(what: &str) -> String {
    format!(r#"{{"type":"{what}","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"q"}}"#)
}

/// A lane that counts New York.
struct Fixture {
    range: LaneRangeState,
    index: CityIndex,
    locators: Locators,
    sequence: u64,
}

impl Fixture {
    fn new(config: CountingConfig) -> Self {
        let mut range = LaneRangeState::new(identity());
        range.begin_batch(0);
        let index = range.lane_mut(LANE).unwrap().city_mut(&city("nyc"), &Arc::new(config));
        Self { range, index, locators: Locators::default(), sequence: 0 }
    }

    fn try_absorb(&mut self, line: &str, time_ms: i64) -> Result<Absorbed, Refusal> {
        let Event::Market(event) = event::read(line.as_bytes()).unwrap() else { panic!("{line}") };
        let lane = self.range.lane_mut(LANE).unwrap();
        lane.absorb(self.index, &event, time_ms, &mut self.locators)
    }

    fn absorb(&mut self, line: &str, time_ms: i64) {
        self.try_absorb(line, time_ms).unwrap();
    }

    fn lane(&mut self) -> &mut LaneState {
        self.range.lane_mut(LANE).unwrap()
    }

    fn advance_watermark(&mut self, first_tick: i64, watermark: i64) {
        let index = self.index;
        self.lane().advance_watermark(index, &CityWatermark { watermark, first_tick });
    }

    /// The counts of the ticks that have closed, without the contact with drivers.
    fn counts(&mut self) -> Vec<TickCounts> {
        counts_of(&mut self.range).into_iter().flat_map(|(_, _, ticks)| ticks).collect()
    }

    /// The drivers in touch and lost at each tick that has closed, but for the empty ones.
    fn contacts(&mut self) -> Vec<(i64, u32, u32)> {
        let ticks = output_of(&mut self.range).into_iter().flat_map(|(_, _, ticks)| ticks);
        let contact = |tick| match tick {
            TickCounts::Tick { at, contact, .. } => Some((at, contact.in_touch, contact.lost)),
            TickCounts::Empty { .. } => None,
        };
        ticks.filter_map(contact).collect()
    }

    fn entry(&mut self) -> Vec<u8> {
        let entry = self.end();
        self.range.begin_batch(0);
        entry
    }

    fn end(&mut self) -> Vec<u8> {
        self.sequence += 1;
        self.lane();
        self.range.seal_entry(Sequence::from(self.sequence).borrowed()).bytes
    }
}

/// The lane of the range that is tested.
const LANE: LaneId = LaneId(2);

fn identity() -> LaneRange {
    LaneRange::of(LANE, lanes())
}

/// Begins a batch, and returns its snapshot.
fn begin(range: &mut LaneRangeState) -> Option<Vec<u8>> {
    range.begin_batch(0);
    range.snapshot()
}

/// The counts of the ticks that have closed, without the contact with drivers.
fn counts_of(range: &mut LaneRangeState) -> Vec<(CityId, Vec<ProductId>, Vec<TickCounts>)> {
    let mut cities = output_of(range);
    for tick in cities.iter_mut().flat_map(|(_, _, ticks)| ticks) {
        if let TickCounts::Tick { contact, .. } = tick {
            *contact = Contact::default();
        }
    }
    cities
}

fn output_of(range: &mut LaneRangeState) -> Vec<(CityId, Vec<ProductId>, Vec<TickCounts>)> {
    let mut cities = Vec::new();
    let output = range.take_output().unwrap_or_default();
    assert!(output.iter().all(|(lane, _)| *lane == LANE));
    for record in output.into_iter().flat_map(|(lane, counts)| tick_counts::records(lane, lanes(), counts)) {
        let record = tick_counts::open(&record).unwrap();
        assert_eq!((record.lane, record.lanes), (LANE, lanes()));
        for section in record.cities {
            let ticks = tick_counts::read_tick_counts(section.ticks, section.products.len()).unwrap();
            cities.push((section.city, section.products.to_vec(), ticks));
        }
    }
    cities
}

fn at(place: usize, products: u64, entities: u32) -> Count {
    Count { place: Place { cell: PLACES[place].2, products }, entities }
}

/// A tick's counts as [`counts_of`] returns them.
fn tick(at: i64, supply: Vec<Count>, demand: Vec<Count>) -> TickCounts {
    TickCounts::Tick { at, first: true, last: true, contact: Contact::default(), supply, demand }
}

#[test]
fn the_positions_of_the_tests_are_in_their_cells() {
    for (lat, lng, cell) in PLACES {
        let position = crate::event::Position { lat, lng };
        assert_eq!(crate::geo::locate::cell_at(position, h3o::Resolution::Eight), Cell(cell));
    }
}

#[test]
fn no_tick_closes_before_a_watermark_record_names_the_first() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, ""), 31_926);
    fixture.absorb(&driver("e", 1, ""), 45_000);
    assert_eq!(fixture.counts(), []);
    fixture.advance_watermark(35_000, 34_999);
    let (one, two) = (vec![at(0, 1, 1)], vec![at(0, 1, 1)]);
    assert_eq!(fixture.counts(), [tick(35_000, one, vec![]), tick(40_000, two, vec![])]);
}

#[test]
fn an_unavailable_driver_is_removed_after_a_lifetime() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, "").replace("available", "on_trip"), 101_000);
    fixture.advance_watermark(5_000, 155_000);
    assert_eq!(fixture.lane().entities(), 1);
    fixture.advance_watermark(5_000, 165_000);
    assert_eq!(fixture.lane().entities(), 0);
    let counts = fixture.counts();
    assert_eq!(counts[0], TickCounts::Empty { from: 5_000, to: 100_000 });
    let without_places: Vec<_> = (21..=33).map(|number| tick(5_000 * number, vec![], vec![])).collect();
    assert_eq!(counts[1..], without_places, "in touch, and lost at the last");
}

#[test]
fn a_watermark_record_closes_the_ticks_that_it_reaches() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, ""), 35_000);
    fixture.advance_watermark(35_000, 34_999);
    assert_eq!(fixture.counts(), []);
    fixture.advance_watermark(35_000, 35_000);
    assert_eq!(fixture.counts(), [tick(35_000, vec![at(0, 1, 1)], vec![])]);
    fixture.advance_watermark(35_000, 39_999);
    fixture.advance_watermark(35_000, 20_000);
    assert_eq!(fixture.counts(), []);
    fixture.advance_watermark(35_000, 44_999);
    assert_eq!(fixture.counts(), [tick(40_000, vec![at(0, 1, 1)], vec![])]);
}

#[test]
fn a_lanes_own_events_close_ticks_too() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(35_000, 35_000);
    assert_eq!(fixture.counts(), [TickCounts::Empty { from: 35_000, to: 35_000 }]);
    fixture.absorb(&request("q", 1, ""), 44_999);
    assert_eq!(fixture.counts(), []);
    fixture.absorb(&progress("ride_matched"), 45_000);
    assert_eq!(fixture.counts(), [TickCounts::Empty { from: 40_000, to: 40_000 }]);
    fixture.absorb(&request("r", 1, ""), 50_000);
    assert_eq!(fixture.counts(), [tick(45_000, vec![], vec![at(1, 1, 1)])]);
}

#[test]
fn a_citys_first_tick_does_not_change() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(35_000, 30_000);
    fixture.advance_watermark(5_000, 40_000);
    assert_eq!(fixture.counts(), [TickCounts::Empty { from: 35_000, to: 40_000 }]);
}

#[test]
fn a_rider_counts_for_a_window_and_a_driver_for_a_lifetime() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, ""), 35_000);
    fixture.absorb(&request("q", 0, ""), 35_000);
    fixture.advance_watermark(35_000, 100_000);
    let (here, none) = (vec![at(0, 1, 1)], vec![]);
    let mut wanted: Vec<_> = (7..13).map(|number| tick(5_000 * number, here.clone(), here.clone())).collect();
    wanted.extend((13..19).map(|number| tick(5_000 * number, here.clone(), none.clone())));
    wanted.push(tick(95_000, none.clone(), none));
    wanted.push(TickCounts::Empty { from: 100_000, to: 100_000 });
    assert_eq!(fixture.counts(), wanted);
    assert_eq!(fixture.lane().entities(), 0);
}

#[test]
fn a_rider_counts_once_by_rider_id_before_request_id() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&request("q1", 0, r#","rider_id":"ann""#), 35_000);
    fixture.absorb(&request("q2", 0, r#","rider_id":"ann""#), 34_000);
    fixture.absorb(&request("ann", 0, ""), 34_500);
    fixture.absorb(&request("q1", 0, ""), 34_500);
    fixture.advance_watermark(35_000, 35_000);
    assert_eq!(fixture.counts(), [tick(35_000, vec![], vec![at(0, 1, 2)])]);
    assert_eq!(fixture.lane().entities(), 2);
}

#[test]
fn years_of_empty_ticks_are_one_run() {
    let year = 31_536_000_000;
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, ""), 5_000);
    fixture.advance_watermark(5_000, 60_000 + 3_000 * year);
    let counts = fixture.counts();
    assert_eq!(counts.len(), 14);
    assert_eq!(counts[12], tick(65_000, vec![], vec![]), "the driver is lost");
    assert_eq!(counts[13], TickCounts::Empty { from: 70_000, to: 60_000 + 3_000 * year });
    fixture.advance_watermark(5_000, 60_000 + 4_000 * year + 4_999);
    let next = 65_000 + 3_000 * year;
    assert_eq!(fixture.counts(), [TickCounts::Empty { from: next, to: 60_000 + 4_000 * year }]);
}

#[test]
fn ticks_before_1970_close_like_any_other() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, ""), -20_000);
    fixture.advance_watermark(-20_000, -20_000);
    assert_eq!(fixture.counts(), [tick(-20_000, vec![at(0, 1, 1)], vec![])]);
}

#[test]
fn empty_ticks_of_one_batch_are_one_run() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(5_000, 5_000);
    fixture.advance_watermark(5_000, 10_000);
    fixture.advance_watermark(5_000, 20_000);
    assert_eq!(fixture.counts(), [TickCounts::Empty { from: 5_000, to: 20_000 }]);
    fixture.advance_watermark(5_000, 25_000);
    assert_eq!(fixture.counts(), [TickCounts::Empty { from: 25_000, to: 25_000 }]);
}

#[test]
fn a_pending_sighting_ends_the_run_of_empty_ticks() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(5_000, 5_000);
    fixture.absorb(&driver("d", 0, ""), 21_000);
    fixture.advance_watermark(5_000, 25_000);
    assert_eq!(
        fixture.counts(),
        [TickCounts::Empty { from: 5_000, to: 20_000 }, tick(25_000, vec![at(0, 1, 1)], vec![])]
    );
}

/// The ticks from 35 s to 50 s have closed when each event arrives.
#[test]
fn an_event_is_late_if_its_own_tick_has_closed() {
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
            let mut fixture = Fixture::new(config(&["standard"]));
            fixture.advance_watermark(35_000, 54_999);
            fixture.absorb(line, time);
            assert_eq!(fixture.lane().late(), late, "{line} at {time}");
        }
    }
}

#[test]
fn no_event_is_late_before_a_tick_has_closed() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, ""), 90_000);
    fixture.absorb(&driver("d", 0, ""), 10_000);
    fixture.advance_watermark(95_000, 94_999);
    fixture.absorb(&driver("d", 0, ""), 10_000);
    assert_eq!(fixture.lane().late(), 0);
}

#[test]
fn an_event_that_closes_its_own_tick_counts_and_is_not_late() {
    let mut fixture = Fixture::new(CountingConfig { lateness_ms: 0, ..config(&["standard"]) });
    fixture.advance_watermark(35_000, 35_000);
    fixture.counts();
    fixture.absorb(&driver("d", 0, ""), 40_000);
    assert_eq!(fixture.lane().late(), 0);
    assert_eq!(fixture.counts(), [tick(40_000, vec![at(0, 1, 1)], vec![])]);
    fixture.absorb(&driver("e", 0, ""), 40_000);
    assert_eq!(fixture.lane().late(), 1);
    fixture.advance_watermark(35_000, 45_000);
    assert_eq!(
        fixture.counts(),
        [tick(45_000, vec![at(0, 1, 2)], vec![])],
        "a late event counts from the next tick"
    );
}

#[test]
fn unavailable_drivers_do_not_count_and_stay_in_memory() {
    for rest in [r#","status":"on_trip""#, r#","status":"offline""#, r#","products":[]"#] {
        let mut fixture = Fixture::new(config(&["standard"]));
        fixture.absorb(&driver("d", 0, ""), 34_000);
        fixture.absorb(&driver("d", 0, rest), 34_001);
        fixture.advance_watermark(35_000, 35_000);
        let is_in_touch = !rest.contains("offline");
        let empty = TickCounts::Empty { from: 35_000, to: 35_000 };
        let counts = if is_in_touch { tick(35_000, vec![], vec![]) } else { empty };
        assert_eq!(fixture.counts(), [counts], "{rest}");
        assert_eq!(fixture.lane().entities(), 1);
    }
}

#[test]
fn a_lane_reports_the_drivers_in_touch_and_lost() {
    let mut fixture = Fixture::new(CountingConfig { absent_ms: 300_000, ..config(&["standard"]) });
    fixture.absorb(&driver("a", 0, ""), 4_000);
    fixture.absorb(&driver("b", 0, r#","status":"on_trip""#), 4_000);
    fixture.absorb(&driver("c", 0, ""), 4_000);
    fixture.absorb(&driver("c", 0, r#","status":"offline""#), 6_000);
    fixture.advance_watermark(5_000, 70_000);
    let contacts = fixture.contacts();
    assert_eq!(contacts[..2], [(5_000, 3, 0), (10_000, 2, 0)]);
    assert_eq!(contacts[12..], [(65_000, 0, 2), (70_000, 0, 0)]);
    assert_eq!(contacts.len(), 14, "the absent drivers count as supply");
    fixture.advance_watermark(5_000, 400_000);
    assert_eq!(fixture.contacts().last(), Some(&(300_000, 0, 0)));
}

#[test]
fn a_place_outside_the_boundary_is_nowhere() {
    let corners = vec![[-74.0, 40.0], [-73.9, 40.0], [-73.9, 41.0], [-74.0, 41.0], [-74.0, 40.0]];
    let boundary = Polygon::new(vec![Ring::new(corners).unwrap()]);
    let config = CountingConfig { boundary: Some(boundary), ..config(&["standard"]) };
    let mut fixture = Fixture::new(config);
    for (line, is_outside) in [
        (driver("a", 0, ""), false),
        (driver("b", 1, ""), true),
        (request("q", 0, ""), false),
        (request("q", 1, ""), true),
        (progress("ride_matched"), false),
    ] {
        assert_eq!(fixture.try_absorb(&line, 4_000), Ok(Absorbed { is_outside }), "{line}");
    }
    fixture.advance_watermark(5_000, 5_000);
    let ticks = output_of(&mut fixture.range).pop().unwrap().2;
    let contact = Contact { in_touch: 2, lost: 0 };
    let (supply, demand) = (vec![at(0, 1, 1)], vec![]);
    assert_eq!(ticks, [TickCounts::Tick { at: 5_000, first: true, last: true, contact, supply, demand }]);
}

#[test]
fn a_changed_boundary_leaves_no_trace_in_the_log() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.entry();
    let before = fixture.entry();
    let boundary = Some(Polygon::new(vec![]));
    fixture.lane().city_mut(&city("nyc"), &Arc::new(CountingConfig { boundary, ..config(&["standard"]) }));
    assert_eq!(fixture.entry().len(), before.len());
    fixture.absorb(&driver("a", 0, ""), 4_000);
    fixture.advance_watermark(5_000, 5_000);
    assert_eq!(fixture.counts(), [tick(5_000, vec![], vec![])]);
}

#[test]
fn cities_are_counted_separately() {
    let mut fixture = Fixture::new(config(&["standard"]));
    assert_eq!(fixture.lane().find("suva"), None);
    let suva = fixture.lane().city_mut(&city("suva"), &Arc::new(config(&["boat"])));
    assert_eq!(fixture.lane().find("suva"), Some(suva));
    assert_eq!(fixture.lane().find("nyc"), Some(fixture.index));
    assert_eq!(fixture.lane().name(suva), &city("suva"));
    assert_eq!(fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&["standard"]))), fixture.index);
    fixture.absorb(&driver("d", 0, ""), 4_000);
    fixture.advance_watermark(5_000, 5_000);
    fixture.lane().advance_watermark(suva, &CityWatermark { watermark: 20_000, first_tick: 10_000 });
    assert_eq!(
        counts_of(&mut fixture.range),
        [
            (city("nyc"), names(&["standard"]), vec![tick(5_000, vec![at(0, 1, 1)], vec![])]),
            (city("suva"), names(&["boat"]), vec![TickCounts::Empty { from: 10_000, to: 20_000 }]),
        ]
    );
    assert_eq!(counts_of(&mut fixture.range), [], "output is taken once");
}

#[test]
fn too_many_entities_of_a_role_are_evicted_and_reported() {
    let mut fixture = Fixture::new(CountingConfig { max_entities: 2, ..config(&["standard"]) });
    for id in ["a", "b", "c"] {
        fixture.absorb(&driver(id, 0, ""), 4_000);
        fixture.absorb(&request(id, 0, ""), 4_000);
        fixture.absorb(&request(&format!("{id}2"), 0, ""), 4_000);
    }
    assert_eq!((fixture.lane().entities(), fixture.lane().evicted()), (4, 5));
    fixture.advance_watermark(5_000, 5_000);
    assert_eq!(fixture.counts(), [tick(5_000, vec![at(0, 1, 2)], vec![at(0, 1, 2)])]);
}
