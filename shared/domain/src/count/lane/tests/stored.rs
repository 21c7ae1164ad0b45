//! A range of lanes that is loaded from its checkpoint log equals the one that wrote it.

use proptest::prelude::*;

use super::*;
use crate::event_sourced::SNAPSHOT_INTERVAL_MS;

/// Loads a snapshot and the entries from it on, or all entries.
fn load(snapshot: Option<&[u8]>, first: u64, entries: &[Vec<u8>]) -> LaneRangeState {
    let state = snapshot.map(|snapshot| LaneRangeState::restore(&identity(), snapshot).unwrap());
    replay_all(state, first, entries).unwrap_or_else(|| LaneRangeState::new(identity()))
}

fn replay_all(state: Option<LaneRangeState>, first: u64, entries: &[Vec<u8>]) -> Option<LaneRangeState> {
    (first..).zip(entries).fold(state, |state, (number, entry)| {
        Some(LaneRangeState::replay(state, &identity(), number, entry).unwrap())
    })
}

fn load_all(entries: &[Vec<u8>]) -> LaneRangeState {
    load(None, 0, entries)
}

fn lane(range: &LaneRangeState) -> &LaneState {
    range.lane(LANE).unwrap()
}

fn parsed(line: &str) -> Event<'_> {
    event::read(line.as_bytes()).unwrap()
}

/// A step of a batch.
#[derive(Clone, Debug)]
enum Step {
    Driver { city: usize, id: u8, place: usize, products: usize, after: i64 },
    Request { city: usize, id: u8, place: usize, product: usize, after: i64 },
    Matched { city: usize, after: i64 },
    AdvanceWatermark { city: usize, after: i64 },
    ApplyConfig { city: usize, config: usize },
}

fn steps() -> impl Strategy<Value = Step> {
    let time = || prop_oneof![4 => -10_000..20_000_i64, 1 => -80_000..10_000_i64, 1 => 0..400_000_i64];
    let of = || (0..2_usize, 0..12_u8, 0..2_usize, 0..4_usize, time());
    prop_oneof![
        4 => of().prop_map(|(city, id, place, products, after)| Step::Driver { city, id, place, products, after }),
        3 => of().prop_map(|(city, id, place, product, after)| Step::Request { city, id, place, product, after }),
        1 => (0..2_usize, time()).prop_map(|(city, after)| Step::Matched { city, after }),
        2 => (0..2_usize, time()).prop_map(|(city, after)| Step::AdvanceWatermark { city, after }),
        1 => (0..2_usize, 0..4_usize).prop_map(|(city, config)| Step::ApplyConfig { city, config }),
    ]
}

fn config_number(number: usize) -> CountingConfig {
    match number {
        0 => config(&["standard", "xl"]),
        1 => CountingConfig { max_entities: 5, ..config(&["standard", "xl"]) },
        2 => CountingConfig { tick_ms: 3_000, window_ms: 2_000, ..config(&["standard", "boat"]) },
        _ => CountingConfig { lateness_ms: 0, driver_ttl_ms: 7_000, ..config(&["boat"]) },
    }
}

const DRIVERS: [&str; 4] =
    ["", r#","products":["standard"]"#, r#","products":["boat"]"#, r#","status":"on_trip""#];
const REQUESTS: [&str; 4] = ["", r#","product":"standard""#, r#","product":"boat""#, r#","product":"xl""#];

fn apply(lane: &mut LaneState, step: &Step, now_ms: &mut i64) {
    let cities = [city("nyc"), city("suva")];
    let city_index =
        |lane: &mut LaneState, at: usize, config: Option<usize>| match lane.find(cities[at].as_str()) {
            Some(index) if config.is_none() => index,
            _ => lane.city_mut(&cities[at], &Arc::new(config_number(config.unwrap_or(0)))),
        };
    let (index, line, after) = match step {
        Step::ApplyConfig { city, config } => {
            city_index(lane, *city, Some(*config));
            return;
        }
        Step::AdvanceWatermark { city, after } => {
            let index = city_index(lane, *city, None);
            lane.advance_watermark(
                index,
                &CityWatermark { watermark: *now_ms + after, first_tick: 1_772_000_005_000 },
            );
            *now_ms += (*after).clamp(0, 10_000);
            return;
        }
        Step::Driver { city, id, place, products, after } => {
            (city_index(lane, *city, None), driver(&id.to_string(), *place, DRIVERS[*products]), after)
        }
        Step::Request { city, id, place, product, after } => {
            (city_index(lane, *city, None), request(&id.to_string(), *place, REQUESTS[*product]), after)
        }
        Step::Matched { city, after } => (city_index(lane, *city, None), progress("ride_matched"), after),
    };
    let Event::Market(event) = parsed(&line) else { panic!("{line}") };
    // A product that the city does not have at the moment is refused, which changes nothing.
    let _ = lane.absorb(index, &event, *now_ms + after, &mut Locators::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_loaded_lane_equals_the_one_in_memory(
        batches in prop::collection::vec((prop::collection::vec(steps(), 0..12), 0..6_u8), 1..12),
    ) {
        let mut range = LaneRangeState::new(identity());
        // One that is loaded for each batch, and one that follows the log from its beginning.
        let mut loaded = LaneRangeState::new(identity());
        let mut following: Option<LaneRangeState> = None;
        let (mut snapshot, mut first): (Option<Vec<u8>>, u64) = (None, 0);
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut now_ms = 1_772_000_000_000;
        for (number, (batch, choice)) in (1_u64..).zip(&batches) {
            if *choice == 0 {
                range.request_snapshot();
                loaded.request_snapshot();
            }
            let mut both = Vec::new();
            let batch_start_ms = now_ms;
            for range in [&mut range, &mut loaded] {
                now_ms = batch_start_ms;
                range.begin_batch(now_ms);
                let lane = range.lane_mut(LANE).unwrap();
                for step in batch {
                    apply(lane, step, &mut now_ms);
                }
                both.push(range.seal_entry(Sequence::from(number).borrowed()));
            }
            let entry = both.pop().unwrap();
            prop_assert_eq!(&both[0], &entry);
            if entry.snapshot.is_some() {
                (snapshot, first) = (entry.snapshot, entry.number);
                entries.clear();
            }
            following = replay_all(following, number - 1, std::slice::from_ref(&entry.bytes));
            entries.push(entry.bytes);
            loaded = load(snapshot.as_deref(), first, &entries);
            let output = counts_of(&mut range);
            for other in [&mut loaded, following.as_mut().unwrap()] {
                prop_assert_eq!(other.next_entry(), number);
                let is_processed = |number| lane(other).already_processed(Sequence::from(number).borrowed());
                prop_assert!(is_processed(number) && !is_processed(number + 1));
                prop_assert_eq!(lane(other).late(), lane(&range).late());
                prop_assert_eq!(lane(other).evicted(), lane(&range).evicted());
                prop_assert_eq!(lane(other).entities(), lane(&range).entities());
                prop_assert_eq!(counts_of(other), output.clone());
            }
        }
    }
}

#[test]
fn a_batch_without_effect_is_a_short_entry() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("d", 0, ""), 4_000);
    fixture.advance_watermark(5_000, 5_000);
    fixture.entry();
    assert!(fixture.entry().len() < 30);
    fixture.advance_watermark(5_000, 5_000);
    fixture.advance_watermark(5_000, 4_000);
    assert!(fixture.entry().len() < 30);
}

#[test]
fn late_events_and_watermarks_that_close_no_tick_are_logged() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(5_000, 20_000);
    let mut entries = vec![fixture.entry()];
    fixture.absorb(&progress("ride_matched"), 4_000);
    entries.push(fixture.entry());
    fixture.advance_watermark(5_000, 21_000);
    entries.push(fixture.entry());
    let mut loaded = load_all(&entries);
    assert_eq!(lane(&loaded).late(), 1);
    assert_eq!(counts_of(&mut loaded), []);
    // Both have the same watermark, so neither logs it again.
    let lane = loaded.lane_mut(LANE).unwrap();
    let index = lane.find("nyc").unwrap();
    lane.advance_watermark(index, &CityWatermark { watermark: 21_000, first_tick: 5_000 });
    fixture.lane();
    assert_eq!(
        loaded.seal_entry(Sequence::from(9).borrowed()).bytes,
        fixture.range.seal_entry(Sequence::from(9).borrowed()).bytes
    );
}

#[test]
fn only_the_counts_of_the_last_entry_are_pending() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(5_000, 20_000);
    let first = fixture.entry();
    fixture.advance_watermark(5_000, 30_000);
    let second = fixture.entry();
    let counts = |entries: &[Vec<u8>]| counts_of(&mut load_all(entries)).pop().map(|(_, _, counts)| counts);
    assert_eq!(
        counts(std::slice::from_ref(&first)),
        Some(vec![TickCounts::Empty { from: 5_000, to: 20_000 }])
    );
    assert_eq!(counts(&[first, second]), Some(vec![TickCounts::Empty { from: 25_000, to: 30_000 }]));
}

#[test]
fn a_snapshot_is_due_once_in_an_interval_of_the_logs_clock() {
    let mut fixture = Fixture::new(config(&["standard"]));
    let interval_ms = SNAPSHOT_INTERVAL_MS;
    let mut numbers = Vec::new();
    // Ten batches in an interval, after a first one long before.
    fixture.end();
    for number in 0..50 {
        fixture.range.begin_batch(1_000_000_000 + number * interval_ms / 10);
        fixture.absorb(&driver("d", 0, ""), 4_000 + number);
        fixture.lane();
        let entry = fixture.range.seal_entry(Sequence::from(1).borrowed());
        numbers.extend(entry.snapshot.map(|_| entry.number));
    }
    assert!((5..=6).contains(&numbers.len()), "{numbers:?}");
    assert_eq!(numbers[0], 1, "an interval has begun since the first entry");
    assert!(numbers[1..].windows(2).all(|pair| pair[1] - pair[0] == 10), "{numbers:?}");
    let other = LaneRangeState::new(LaneRange::new(LaneCount::new(64).unwrap(), 3).unwrap());
    assert_ne!(other.range().phase() % 30_000, identity().phase() % 30_000, "logs take turns");
}

/// Absorbs new drivers, so that the entry of every batch is long.
fn absorb_new_drivers(fixture: &mut Fixture, from: usize, count: usize) {
    for id in from..from + count {
        fixture.absorb(&driver(&id.to_string(), 0, ""), 100_000);
    }
}

#[test]
fn a_snapshot_is_due_when_the_entries_outweigh_the_last_one_and_256_kib() {
    let mut fixture = Fixture::new(CountingConfig { max_entities: 100_000, ..config(&["standard"]) });
    let (mut entries, mut id, mut bytes, mut snapshot_bytes) = (Vec::new(), 0, 0, 0);
    let mut snapshots = 0;
    while snapshots < 3 {
        let floor = (256 << 10).max(snapshot_bytes);
        assert_eq!(fixture.range.is_snapshot_due(), bytes > floor, "{bytes} {floor}");
        assert_eq!(load_all(&entries).is_snapshot_due(), bytes > floor);
        fixture.range.begin_batch(0);
        let count = if snapshots == 0 { 4_000 } else { 12_000 };
        absorb_new_drivers(&mut fixture, id, count);
        id += count;
        fixture.lane();
        let entry = fixture.range.seal_entry(Sequence::from(1).borrowed());
        if let Some(snapshot) = &entry.snapshot {
            (snapshots, bytes, snapshot_bytes) = (snapshots + 1, 0, snapshot.len());
        }
        bytes += entry.bytes.len();
        entries.push(entry.bytes);
    }
    assert!(snapshot_bytes > 512 << 10);
}

#[test]
fn unused_places_of_drivers_or_riders_make_a_snapshot_due() {
    for line in [driver("d", 0, ""), request("q", 0, "")] {
        let mut fixture = Fixture::new(config(&["standard"]));
        fixture.advance_watermark(5_000, 5_000);
        fixture.entry();
        for number in 0..4_200_u32 {
            let lng = format!(r#""lng":{}"#, f64::from(number) / 20.0 - 100.0);
            fixture.absorb(&line.replace(r#""lng":-73.97"#, &lng), 5_000);
        }
        assert!(fixture.range.is_snapshot_due());
        fixture.end();
        let snapshot = begin(&mut fixture.range);
        assert!(snapshot.is_some() && !fixture.range.is_snapshot_due());
    }
}

#[test]
fn a_lane_has_processed_the_records_up_to_its_last_entry() {
    let mut fixture = Fixture::new(config(&["standard"]));
    assert!(!fixture.lane().already_processed(Sequence::from(0).borrowed()));
    fixture.sequence = 41;
    fixture.entry();
    assert!(
        fixture.lane().already_processed(Sequence::from(42).borrowed())
            && fixture.lane().already_processed(Sequence::from(9).borrowed())
    );
    assert!(
        !fixture.lane().already_processed(Sequence::from(43).borrowed())
            && !fixture.lane().already_processed(Sequence::from(100).borrowed())
    );
    assert_eq!((fixture.lane().lane(), fixture.range.next_entry()), (LaneId(2), 1));
}
