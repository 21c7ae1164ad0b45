//! One city's market: lanes come together, ticks close, and what was said can be read.

mod holding;
mod stored;
mod terms;

use std::collections::HashMap;

use serde_json::{Value, json};

use super::*;
use crate::count::sightings::Place;
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

fn identity(lanes: u32) -> CityIdentity {
    CityIdentity { city: nyc(), lanes: LaneCount::new(lanes).unwrap() }
}

/// Begins a batch, and gives its snapshot.
fn begin(city: &mut CityPricing) -> Option<Vec<u8>> {
    city.begin_batch();
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
    });
    let Value::Object(changes) = changes else { panic!("an object of changes") };
    document.as_object_mut().unwrap().extend(changes);
    Policy::from_json(&document).unwrap()
}

fn terms(changes: Value) -> Arc<PricingConfig> {
    Arc::new(PricingConfig { policy: policy(changes), max_hold_ms: 10_000 })
}

fn count(cell: u64, products: u64, entities: u32) -> Count {
    Count { place: Place { cell, products }, entities }
}

/// A market, and every chunk of its map that was ever put out.
struct Town {
    market: CityPricing,
    chunks: HashMap<ChunkName, Vec<u8>>,
    sequence: u64,
    /// What is reported of each product and cell.
    shown: HashMap<(ProductId, u64), u16>,
}

impl Town {
    fn new(count: u32, terms: Arc<PricingConfig>) -> Self {
        let market = CityPricing::new(identity(count), terms);
        Self { market, chunks: HashMap::new(), sequence: 0, shown: HashMap::new() }
    }

    /// What `lane` reports of `products` arrives.
    fn tell_of(&mut self, products: &[&str], lane: u16, arrival: i64, reports: TickCountsWriter) {
        let section = CityCounts { city: nyc(), products: names(products).into(), ticks: reports };
        for record in records(LaneId(lane), self.lane_count(), vec![section]) {
            let record = open(&record, self.lane_count()).unwrap();
            self.market.absorb(record.lane, &record.cities[0], arrival).unwrap();
        }
    }

    fn lane_count(&self) -> LaneCount {
        lanes(self.market.lane_count())
    }

    /// `lane` counts riders and drivers of the one product at a tick.
    fn tell(&mut self, lane: u16, arrival: i64, at: i64, demand: &[(u64, u32)], supply: &[(u64, u32)]) {
        let counts = |side: &[(u64, u32)]| -> Vec<Count> {
            side.iter().map(|(cell, entities)| count(*cell, 1, *entities)).collect()
        };
        let mut reports = TickCountsWriter::default();
        reports.add_tick(at, 5_000, counts(supply).into_iter(), counts(demand).into_iter());
        self.tell_of(&["standard"], lane, arrival, reports);
    }

    fn tell_empty(&mut self, lane: u16, arrival: i64, from: i64, to: i64) {
        let mut reports = TickCountsWriter::default();
        reports.add_empty(from, to, 5_000);
        self.tell_of(&["standard"], lane, arrival, reports);
    }

    /// Ends the batch: its entry, and what it owes, which is held against all that was put out before.
    fn end(&mut self) -> (Vec<u8>, Vec<ClosedTick>) {
        self.sequence += 1;
        let entry = self.market.seal_entry(Sequence::from(self.sequence).borrowed()).bytes;
        (entry, self.put_out())
    }

    fn put_out(&mut self) -> Vec<ClosedTick> {
        let output = self.market.take_output();
        self.market.begin_batch();
        let Some(output) = output else { return Vec::new() };
        self.check(&output);
        output.ticks
    }

    /// A reader finds every chunk that the head names, and in them the last tick's rows; the changes are
    /// the differences between the multipliers reported.
    fn check(&mut self, output: &Output) {
        for (name, bytes) in &output.chunks {
            assert!(self.chunks.insert(*name, bytes.clone()).is_none(), "chunks never change");
        }
        let mut rows = Vec::new();
        for name in &output.map.chunks {
            let bytes = self.chunks.get(name).expect("a chunk that was put out");
            rows.extend(decode_chunk(bytes).unwrap());
        }
        let last = output.ticks.last().unwrap();
        let name = |row: &Row| output.map.products[usize::from(row.product)].clone();
        rows.sort_by_key(|row| (name(row), row.cell));
        assert_eq!(rows, last.rows);
        assert_eq!(
            (output.map.as_of, output.map.version, output.map.heard),
            (last.at, last.version, last.heard)
        );
        for tick in &output.ticks {
            let now: HashMap<_, _> =
                tick.rows.iter().map(|row| ((name(row), row.cell.0), row.multiplier.hundredths())).collect();
            for change in &tick.changes {
                let key = (name(&change.row), change.row.cell.0);
                assert_eq!(self.shown.get(&key).copied().unwrap_or(100), change.before);
                assert_eq!(now.get(&key).copied().unwrap_or(100), change.row.multiplier.hundredths());
            }
            let moved = now.keys().chain(self.shown.keys().filter(|key| !now.contains_key(*key)));
            let moved =
                moved.filter(|key| now.get(*key).unwrap_or(&100) != self.shown.get(*key).unwrap_or(&100));
            assert_eq!(moved.count(), tick.changes.len());
            self.shown = now;
        }
    }

    /// Takes the changes of a tick for true, as after other terms.
    fn forget(&mut self, output: &Output) {
        let first = &output.ticks[0];
        let name = |row: &Row| (output.map.products[usize::from(row.product)].clone(), row.cell.0);
        self.shown = first.rows.iter().map(|row| (name(row), row.multiplier.hundredths())).collect();
        for change in &first.changes {
            self.shown.insert(name(&change.row), change.before);
        }
    }

    fn closed(&mut self) -> Vec<(i64, u64, u32)> {
        self.end().1.iter().map(|tick| (tick.at, tick.version, tick.heard)).collect()
    }
}

/// Demand, supply and hundredths of a cell.
fn at(tick: &ClosedTick, cell: u64) -> Option<(u32, u32, u16)> {
    let row = tick.rows.iter().find(|row| row.cell == Cell(cell))?;
    Some((row.demand, row.supply, row.multiplier.hundredths()))
}

#[test]
fn a_lane_is_enough_for_a_town_of_one() {
    let mut town = Town::new(1, terms(json!({})));
    assert!(town.market.take_output().is_none());
    town.tell(0, 0, 5_000, &[(HERE, 10)], &[]);
    let (_, ticks) = town.end();
    assert_eq!(ticks.len(), 1);
    assert_eq!((ticks[0].at, ticks[0].version, ticks[0].heard), (5_000, 1, 1));
    assert_eq!(ticks[0].rows.len(), 19);
    // D = 10, S = 0, so r = 6 and the raw multiplier 2.706; of that 10.9 % in one tick.
    assert_eq!(at(&ticks[0], HERE), Some((10, 0, 120)));
    // D = 3.5 around it: r = 2.75, raw 1.754, m = 1.082.
    assert_eq!(at(&ticks[0], THERE), Some((0, 0, 110)));
}

#[test]
fn lanes_counts_of_a_place_add_up() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 4)], &[(THERE, 1)]);
    assert!(town.end().1.is_empty());
    town.tell(1, 0, 5_000, &[(HERE, 6), (THERE, 1)], &[(THERE, 2)]);
    let (_, ticks) = town.end();
    assert_eq!((at(&ticks[0], HERE), at(&ticks[0], THERE)), (Some((10, 0, 110)), Some((1, 3, 100))));
    town.tell(0, 0, 10_000, &[], &[(THERE, 2)]);
    town.tell(1, 0, 10_000, &[(HERE, 6)], &[]);
    let (_, ticks) = town.end();
    let counted = |cell| at(&ticks[0], cell).map(|(demand, supply, _)| (demand, supply));
    assert_eq!((counted(HERE), counted(THERE)), (Some((6, 0)), Some((0, 2))));
}

#[test]
fn a_report_that_was_heard_before_changes_nothing() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 4)], &[]);
    town.tell(0, 0, 5_000, &[(HERE, 9)], &[]);
    town.tell_empty(0, 0, 5_000, 5_000);
    town.tell_empty(1, 0, 5_000, 10_000);
    let (_, ticks) = town.end();
    assert_eq!(at(&ticks[0], HERE).map(|(demand, ..)| demand), Some(4));
    town.tell(0, 0, 5_000, &[(HERE, 9)], &[]);
    town.tell_empty(0, 0, 0, 5_000);
    assert!(town.end().1.is_empty());
    // Of a run that begins before what was heard the rest alone is new.
    town.tell_empty(0, 0, 5_000, 10_000);
    let (_, ticks) = town.end();
    assert_eq!(ticks.len(), 1);
    assert_eq!((ticks[0].at, at(&ticks[0], HERE).map(|(demand, ..)| demand)), (10_000, Some(0)));
}

#[test]
fn a_run_that_begins_before_what_was_heard_takes_nothing_of_it_back() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 4)], &[]);
    town.tell_empty(0, 0, 5_000, 10_000);
    town.tell_empty(1, 0, 5_000, 10_000);
    let demand: Vec<_> =
        town.end().1.iter().map(|tick| (tick.at, at(tick, HERE).map(|(demand, ..)| demand))).collect();
    assert_eq!(demand, [(5_000, Some(4)), (10_000, Some(0))]);
}

#[test]
fn a_report_in_parts_counts_when_its_last_part_is_there() {
    let mut town = Town::new(1, terms(json!({})));
    let parent = Cell(HERE).h3().unwrap().parent(h3o::Resolution::Two).unwrap();
    let cells: Vec<u64> = parent.children(h3o::Resolution::Eight).take(20_000).map(u64::from).collect();
    let mut reports = TickCountsWriter::default();
    let supply = cells.iter().map(|cell| count(*cell, 1, 1));
    reports.add_tick(5_000, 5_000, supply, cells[..3].iter().map(|cell| count(*cell, 1, 2)));
    let section = CityCounts { city: nyc(), products: names(&["standard"]).into(), ticks: reports };
    let record = records(LaneId(0), lanes(1), vec![section]).pop().unwrap();
    let city = open(&record, lanes(1)).unwrap().cities.pop().unwrap();
    let whole = crate::count::tick_counts::read_tick_counts(city.ticks, 1).unwrap();
    assert_eq!(whole.len(), 2);
    town.market.absorb(LaneId(0), &city, 0).unwrap();
    let (_, ticks) = town.end();
    assert_eq!(ticks.len(), 1);
    let total = |of: fn(&Row) -> u32| ticks[0].rows.iter().map(of).sum::<u32>();
    assert_eq!((total(|row| row.supply), total(|row| row.demand)), (20_000, 6));
}

#[test]
fn quiet_ticks_are_passed_in_one_go_and_counted_each() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell_empty(0, 0, 5_000, 5_000_000_000);
    town.tell_empty(1, 0, 5_000, 4_000_000_000);
    assert_eq!(town.closed(), [(4_000_000_000, 800_000, 2)]);
    town.tell(1, 0, 4_000_005_000, &[(HERE, 1)], &[]);
    assert_eq!(town.closed(), [(4_000_005_000, 800_001, 2)]);
    // Somebody is reported until the one rider is gone.
    town.tell_empty(1, 0, 4_000_010_000, 5_000_000_000);
    assert_eq!(town.closed(), [(4_000_010_000, 800_002, 2), (5_000_000_000, 1_000_000, 2)]);
}

/// A policy may go over to another resolution before the lanes do.
#[test]
fn who_counts_in_cells_of_another_size_leaves_before_ticks_are_quiet() {
    let place = Position { lat: 40.75, lng: -73.97 };
    let smaller = [(cell_at(place, h3o::Resolution::Nine).0, 1)];
    for (demand, supply) in [(&smaller[..], &[][..]), (&[], &smaller)] {
        let mut town = Town::new(1, terms(json!({})));
        town.tell(0, 0, 5_000, demand, supply);
        town.tell_empty(0, 0, 10_000, 100_000);
        assert_eq!(town.closed(), [(5_000, 1, 1), (10_000, 2, 1), (100_000, 20, 1)]);
    }
}

#[test]
fn quiet_ticks_leave_no_report_waiting_but_those_of_ticks_to_come() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell_empty(0, 0, 5_000, 50_000);
    town.tell_empty(1, 0, 5_000, 20_000);
    assert_eq!(town.closed(), [(20_000, 4, 2)]);
    let waiting: Vec<_> = town.market.lanes.iter().map(|lane| lane.queue.len()).collect();
    assert_eq!(waiting, [1, 0]);
}

#[test]
fn quiet_ticks_end_before_the_first_that_is_not() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell_empty(0, 0, 5_000, 50_000);
    town.tell_empty(1, 0, 5_000, 20_000);
    town.tell(1, 0, 25_000, &[], &[(HERE, 1)]);
    assert_eq!(town.closed(), [(20_000, 4, 2), (25_000, 5, 2)]);
    town.tell_empty(1, 0, 30_000, 40_000);
    assert_eq!(town.closed(), [(30_000, 6, 2), (40_000, 8, 2)]);
    town.tell(0, 0, 55_000, &[(HERE, 1)], &[]);
    town.tell_empty(1, 0, 45_000, 60_000);
    assert_eq!(town.closed(), [(50_000, 10, 2), (55_000, 11, 2)]);
}

#[test]
fn what_a_record_reports_of_no_lane_or_wrongly_changes_nothing() {
    let mut town = Town::new(2, terms(json!({})));
    let nonsense = CityCountsRef { city: nyc(), products: names(&["standard"]).into(), ticks: &[9, 9, 9] };
    assert!(town.market.absorb(LaneId(0), &nonsense, 0).is_err());
    let empty = Town::new(2, terms(json!({}))).end().0;
    assert_eq!(town.end().0, empty);
    let mut reports = TickCountsWriter::default();
    reports.add_empty(5_000, 5_000, 5_000);
    let mut record = records(
        LaneId(1),
        lanes(2),
        vec![CityCounts { city: nyc(), products: ProductTable::default(), ticks: reports }],
    );
    let record = record.pop().unwrap();
    let section = open(&record, lanes(2)).unwrap().cities.pop().unwrap();
    town.market.absorb(LaneId(2), &section, 0).unwrap();
    assert!(town.end().1.is_empty());
}
