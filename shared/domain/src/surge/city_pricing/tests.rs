//! The pricing of one city: the counts of lanes are added up, ticks close, and the map can be read.

mod config;
mod hold;
mod observation;
mod stored;

use std::collections::HashMap;

use serde_json::{Value, json};

use super::*;
use crate::count::sightings::{Contact, Place};
use crate::count::tick_counts::{CityCounts, TickCountsWriter, open, records};
use crate::event::Position;
use crate::event::sequence::Sequence;
use crate::geo::locate::{Cell, cell_at};
use crate::surge::map::{Row, decode_chunk};

/// A cell in New York, and one of its neighbours.
const HERE: u64 = 0x0882_a100_d63f_ffff;
const THERE: u64 = 0x0882_a100_d6bf_ffff;

fn nyc() -> CityId {
    CityId::new("nyc").unwrap()
}

/// Begins a batch, and returns its snapshot.
fn begin(city: &mut CityPricing) -> Option<Vec<u8>> {
    city.begin_batch(0);
    city.log.snapshot()
}

fn lanes(count: u32) -> LaneCount {
    LaneCount::new(count).unwrap()
}

fn names(products: &[&str]) -> Vec<ProductId> {
    products.iter().map(|product| ProductId::new(product).unwrap()).collect()
}

fn policy(changes: Value) -> Policy {
    let mut document = json!({
        "city": "nyc",
        "currency": "USD",
        "boundary": {"type": "Polygon", "coordinates": [[[-75, 40], [-73, 40], [-73, 42], [-75, 42], [-75, 40]]]},
        "products": [{"id": "standard"}],
        "surge": {"half_life_ms": 30_000},
    });
    let Value::Object(changes) = changes else { panic!("an object of changes") };
    document.as_object_mut().unwrap().extend(changes);
    Policy::from_json(&document).unwrap()
}

fn config(changes: Value) -> Arc<PricingConfig> {
    Arc::new(PricingConfig { policy: policy(changes), policy_version: 0, max_hold_ms: 10_000 })
}

fn count(cell: u64, products: u64, entities: u32) -> Count {
    Count { place: Place { cell, products }, entities }
}

/// A city, and every chunk of its map so far.
struct Fixture {
    city: CityPricing,
    lanes: LaneCount,
    chunks: HashMap<ChunkName, Vec<u8>>,
    sequence: u64,
    /// The multiplier reported for each product and cell, in hundredths.
    published: HashMap<(ProductId, u64), u16>,
}

impl Fixture {
    fn new(count: u32, config: Arc<PricingConfig>) -> Self {
        let city = CityPricing::new(nyc(), config);
        Self { city, lanes: lanes(count), chunks: HashMap::new(), sequence: 0, published: HashMap::new() }
    }

    /// Absorbs tick counts of `lane` with this product table.
    fn report_of(&mut self, products: &[&str], lane: u16, arrival_ms: i64, reports: TickCountsWriter) {
        let section = CityCounts { city: nyc(), products: names(products).into(), ticks: reports };
        for record in records(LaneId(lane), self.lanes, vec![section]) {
            let record = open(&record).unwrap();
            self.city.absorb((record.lane, record.lanes), &record.cities[0], arrival_ms).unwrap();
        }
    }

    /// Absorbs the riders and drivers that `lane` counts for the one product at a tick.
    fn report(&mut self, lane: u16, arrival_ms: i64, at: i64, demand: &[(u64, u32)], supply: &[(u64, u32)]) {
        let counts = |side: &[(u64, u32)]| -> Vec<Count> {
            side.iter().map(|(cell, entities)| count(*cell, 1, *entities)).collect()
        };
        let mut reports = TickCountsWriter::default();
        reports.add_tick(
            at,
            5_000,
            Contact::default(),
            counts(supply).into_iter(),
            counts(demand).into_iter(),
        );
        self.report_of(&["standard"], lane, arrival_ms, reports);
    }

    fn report_empty(&mut self, lane: u16, arrival_ms: i64, from: i64, to: i64) {
        let mut reports = TickCountsWriter::default();
        reports.add_empty(from, to, 5_000);
        self.report_of(&["standard"], lane, arrival_ms, reports);
    }

    /// Ends the batch. Returns its entry and its ticks, whose map is checked against the chunks so far.
    fn end(&mut self) -> (Vec<u8>, Vec<ClosedTick>) {
        self.sequence += 1;
        let entry = self.city.seal_entry(Sequence::from(self.sequence).borrowed()).bytes;
        (entry, self.take_ticks())
    }

    fn take_ticks(&mut self) -> Vec<ClosedTick> {
        let output = self.city.take_output();
        self.city.begin_batch(0);
        let Some(output) = output else { return Vec::new() };
        self.check(&output);
        output.ticks
    }

    /// Asserts that the chunks named by the head exist and hold the rows of the last tick, and that the changes are the
    /// differences between the reported multipliers.
    fn check(&mut self, output: &Output) {
        for (name, bytes) in &output.chunks {
            assert!(self.chunks.insert(*name, bytes.clone()).is_none(), "chunks are immutable");
        }
        let mut rows = Vec::new();
        for name in &output.map.chunks {
            let bytes = self.chunks.get(name).expect("a chunk that was written");
            rows.extend(decode_chunk(bytes).unwrap());
        }
        let last = output.ticks.last().unwrap();
        let name = |row: &Row| output.map.products[usize::from(row.product)].clone();
        rows.sort_by_key(|row| (name(row), row.cell));
        assert_eq!(rows, last.rows);
        assert_eq!(
            (output.map.as_of, output.map.version, output.map.lanes_reported),
            (last.at, last.version, last.lanes_reported)
        );
        for tick in &output.ticks {
            let now: HashMap<_, _> =
                tick.rows.iter().map(|row| ((name(row), row.cell.0), row.published.hundredths())).collect();
            for change in &tick.changes {
                let key = (name(&change.row), change.row.cell.0);
                assert_eq!(self.published.get(&key).copied().unwrap_or(100), change.before);
                assert_eq!(now.get(&key).copied().unwrap_or(100), change.row.published.hundredths());
            }
            let moved = now.keys().chain(self.published.keys().filter(|key| !now.contains_key(*key)));
            let moved =
                moved.filter(|key| now.get(*key).unwrap_or(&100) != self.published.get(*key).unwrap_or(&100));
            assert_eq!(moved.count(), tick.changes.len());
            self.published = now;
        }
    }

    /// Sets the multipliers before the first tick to those that its changes state: a new config changes what is
    /// reported.
    fn accept_changes(&mut self, output: &Output) {
        let first = &output.ticks[0];
        let name = |row: &Row| (output.map.products[usize::from(row.product)].clone(), row.cell.0);
        self.published = first.rows.iter().map(|row| (name(row), row.published.hundredths())).collect();
        for change in &first.changes {
            self.published.insert(name(&change.row), change.before);
        }
    }

    fn closed(&mut self) -> Vec<(i64, u64, u32)> {
        self.end().1.iter().map(|tick| (tick.at, tick.version, tick.lanes_reported)).collect()
    }
}

/// Demand, supply and hundredths of a cell.
fn at(tick: &ClosedTick, cell: u64) -> Option<(u32, u32, u16)> {
    let row = tick.rows.iter().find(|row| row.cell == Cell(cell))?;
    Some((row.demand, row.supply, row.published.hundredths()))
}

#[test]
fn a_tick_of_a_city_with_one_lane_closes_when_it_reports() {
    let mut fixture = Fixture::new(1, config(json!({})));
    assert!(fixture.city.take_output().is_none());
    fixture.report(0, 0, 5_000, &[(HERE, 10)], &[]);
    let (_, ticks) = fixture.end();
    assert_eq!(ticks.len(), 1);
    assert_eq!((ticks[0].at, ticks[0].version, ticks[0].lanes_reported), (5_000, 1, 1));
    assert_eq!(ticks[0].rows.len(), 19);
    // D = 10, S = 0, so r = 6 and the raw multiplier 2.706; of that 10.9 % in one tick.
    assert_eq!(at(&ticks[0], HERE), Some((10, 0, 120)));
    // D = 3.5 around it: r = 2.75, raw 1.754, m = 1.082.
    assert_eq!(at(&ticks[0], THERE), Some((0, 0, 110)));
}

#[test]
fn counts_of_several_lanes_add_up() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 4)], &[(THERE, 1)]);
    assert!(fixture.end().1.is_empty());
    fixture.report(1, 0, 5_000, &[(HERE, 6), (THERE, 1)], &[(THERE, 2)]);
    let (_, ticks) = fixture.end();
    assert_eq!((at(&ticks[0], HERE), at(&ticks[0], THERE)), (Some((10, 0, 110)), Some((1, 3, 100))));
    fixture.report(0, 0, 10_000, &[], &[(THERE, 2)]);
    fixture.report(1, 0, 10_000, &[(HERE, 6)], &[]);
    let (_, ticks) = fixture.end();
    let counted = |cell| at(&ticks[0], cell).map(|(demand, supply, _)| (demand, supply));
    assert_eq!((counted(HERE), counted(THERE)), (Some((6, 0)), Some((0, 2))));
}

#[test]
fn repeated_tick_counts_change_nothing() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 4)], &[]);
    fixture.report(0, 0, 5_000, &[(HERE, 9)], &[]);
    fixture.report_empty(0, 0, 5_000, 5_000);
    fixture.report_empty(1, 0, 5_000, 10_000);
    let (_, ticks) = fixture.end();
    assert_eq!(at(&ticks[0], HERE).map(|(demand, ..)| demand), Some(4));
    fixture.report(0, 0, 5_000, &[(HERE, 9)], &[]);
    fixture.report_empty(0, 0, 0, 5_000);
    assert!(fixture.end().1.is_empty());
    // Only the rest of a run that begins with reported ticks is new.
    fixture.report_empty(0, 0, 5_000, 10_000);
    let (_, ticks) = fixture.end();
    assert_eq!(ticks.len(), 1);
    assert_eq!((ticks[0].at, at(&ticks[0], HERE).map(|(demand, ..)| demand)), (10_000, Some(0)));
}

#[test]
fn a_run_that_begins_with_reported_ticks_does_not_replace_them() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 4)], &[]);
    fixture.report_empty(0, 0, 5_000, 10_000);
    fixture.report_empty(1, 0, 5_000, 10_000);
    let demand: Vec<_> =
        fixture.end().1.iter().map(|tick| (tick.at, at(tick, HERE).map(|(demand, ..)| demand))).collect();
    assert_eq!(demand, [(5_000, Some(4)), (10_000, Some(0))]);
}

#[test]
fn a_tick_in_parts_counts_when_its_last_part_has_arrived() {
    let mut fixture = Fixture::new(1, config(json!({})));
    let parent = Cell(HERE).h3().unwrap().parent(h3o::Resolution::Two).unwrap();
    let cells: Vec<u64> = parent.children(h3o::Resolution::Eight).take(20_000).map(u64::from).collect();
    let mut reports = TickCountsWriter::default();
    let supply = cells.iter().map(|cell| count(*cell, 1, 1));
    reports.add_tick(
        5_000,
        5_000,
        Contact::default(),
        supply,
        cells[..3].iter().map(|cell| count(*cell, 1, 2)),
    );
    let section = CityCounts { city: nyc(), products: names(&["standard"]).into(), ticks: reports };
    let record = records(LaneId(0), lanes(1), vec![section]).pop().unwrap();
    let city = open(&record).unwrap().cities.pop().unwrap();
    let whole = crate::count::tick_counts::read_tick_counts(city.ticks, 1).unwrap();
    assert_eq!(whole.len(), 2);
    fixture.city.absorb((LaneId(0), fixture.lanes), &city, 0).unwrap();
    let (_, ticks) = fixture.end();
    assert_eq!(ticks.len(), 1);
    let total = |of: fn(&Row) -> u32| ticks[0].rows.iter().map(of).sum::<u32>();
    assert_eq!((total(|row| row.supply), total(|row| row.demand)), (20_000, 6));
}

#[test]
fn quiet_ticks_close_in_one_step_and_each_raises_the_version() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report_empty(0, 0, 5_000, 5_000_000_000);
    fixture.report_empty(1, 0, 5_000, 4_000_000_000);
    assert_eq!(fixture.closed(), [(4_000_000_000, 800_000, 2)]);
    fixture.report(1, 0, 4_000_005_000, &[(HERE, 1)], &[]);
    assert_eq!(fixture.closed(), [(4_000_005_000, 800_001, 2)]);
    // A cell is reported until the rider expires.
    fixture.report_empty(1, 0, 4_000_010_000, 5_000_000_000);
    assert_eq!(fixture.closed(), [(4_000_010_000, 800_002, 2), (5_000_000_000, 1_000_000, 2)]);
}

/// The city may change its resolution before its lanes do.
#[test]
fn ticks_are_not_quiet_while_counts_of_another_resolution_are_in_effect() {
    let place = Position { lat: 40.75, lng: -73.97 };
    let smaller = [(cell_at(place, h3o::Resolution::Nine).0, 1)];
    for (demand, supply) in [(&smaller[..], &[][..]), (&[], &smaller)] {
        let mut fixture = Fixture::new(1, config(json!({})));
        fixture.report(0, 0, 5_000, demand, supply);
        fixture.report_empty(0, 0, 10_000, 100_000);
        assert_eq!(fixture.closed(), [(5_000, 1, 1), (10_000, 2, 1), (100_000, 20, 1)]);
    }
}

#[test]
fn quiet_ticks_leave_only_later_ticks_pending() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report_empty(0, 0, 5_000, 50_000);
    fixture.report_empty(1, 0, 5_000, 20_000);
    assert_eq!(fixture.closed(), [(20_000, 4, 2)]);
    let waiting: Vec<_> = fixture.city.lanes.iter().map(|lane| lane.queue.len()).collect();
    assert_eq!(waiting, [1, 0]);
}

#[test]
fn quiet_ticks_end_before_the_first_tick_with_counts() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report_empty(0, 0, 5_000, 50_000);
    fixture.report_empty(1, 0, 5_000, 20_000);
    fixture.report(1, 0, 25_000, &[], &[(HERE, 1)]);
    assert_eq!(fixture.closed(), [(20_000, 4, 2), (25_000, 5, 2)]);
    fixture.report_empty(1, 0, 30_000, 40_000);
    assert_eq!(fixture.closed(), [(30_000, 6, 2), (40_000, 8, 2)]);
    fixture.report(0, 0, 55_000, &[(HERE, 1)], &[]);
    fixture.report_empty(1, 0, 45_000, 60_000);
    assert_eq!(fixture.closed(), [(50_000, 10, 2), (55_000, 11, 2)]);
}

#[test]
fn counts_that_are_invalid_or_of_an_unknown_lane_change_nothing() {
    let mut fixture = Fixture::new(2, config(json!({})));
    let invalid = CityCountsRef { city: nyc(), products: names(&["standard"]).into(), ticks: &[9, 9, 9] };
    assert!(fixture.city.absorb((LaneId(0), fixture.lanes), &invalid, 0).is_err());
    let empty = Fixture::new(2, config(json!({}))).end().0;
    assert_eq!(fixture.end().0, empty);
    let mut reports = TickCountsWriter::default();
    reports.add_empty(5_000, 5_000, 5_000);
    let mut record = records(
        LaneId(1),
        lanes(2),
        vec![CityCounts { city: nyc(), products: ProductTable::default(), ticks: reports }],
    );
    let record = record.pop().unwrap();
    let section = open(&record).unwrap().cities.pop().unwrap();
    fixture.city.absorb((LaneId(2), fixture.lanes), &section, 0).unwrap();
    assert!(fixture.end().1.is_empty());
}
