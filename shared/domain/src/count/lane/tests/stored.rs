//! A lane is what its checkpoint log says.

use proptest::prelude::*;

use super::*;

/// Loads what was written since the newest snapshot.
fn load(entries: &[Vec<u8>]) -> LaneState {
    LaneState::load(&identity(), entries.iter().map(Vec::as_slice))
        .unwrap()
        .unwrap_or_else(|| LaneState::new(identity()))
}

fn seen(line: &str) -> Event<'_> {
    event::read(line.as_bytes()).unwrap()
}

/// What may happen to a lane within a batch.
#[derive(Clone, Debug)]
enum Step {
    Driver { city: usize, who: u8, spot: usize, products: usize, after: i64 },
    Request { city: usize, who: u8, spot: usize, product: usize, after: i64 },
    Matched { city: usize, after: i64 },
    Hear { city: usize, after: i64 },
    Adopt { city: usize, rules: usize },
}

fn steps() -> impl Strategy<Value = Step> {
    let time = || prop_oneof![4 => -10_000..20_000_i64, 1 => -80_000..10_000_i64, 1 => 0..400_000_i64];
    let of = || (0..2_usize, 0..12_u8, 0..2_usize, 0..4_usize, time());
    prop_oneof![
        4 => of().prop_map(|(city, who, spot, products, after)| Step::Driver { city, who, spot, products, after }),
        3 => of().prop_map(|(city, who, spot, product, after)| Step::Request { city, who, spot, product, after }),
        1 => (0..2_usize, time()).prop_map(|(city, after)| Step::Matched { city, after }),
        2 => (0..2_usize, time()).prop_map(|(city, after)| Step::Hear { city, after }),
        1 => (0..2_usize, 0..4_usize).prop_map(|(city, rules)| Step::Adopt { city, rules }),
    ]
}

fn some_rules(number: usize) -> CountingConfig {
    match number {
        0 => rules(&["standard", "xl"]),
        1 => CountingConfig { max_entities: 5, ..rules(&["standard", "xl"]) },
        2 => CountingConfig { tick_ms: 3_000, window_ms: 2_000, ..rules(&["standard", "boat"]) },
        _ => CountingConfig { lateness_ms: 0, driver_ttl_ms: 7_000, ..rules(&["boat"]) },
    }
}

const DRIVERS: [&str; 4] =
    ["", r#","products":["standard"]"#, r#","products":["boat"]"#, r#","status":"on_trip""#];
const REQUESTS: [&str; 4] = ["", r#","product":"standard""#, r#","product":"boat""#, r#","product":"xl""#];

fn apply(lane: &mut LaneState, step: &Step, clock: &mut i64) {
    let towns = [city("nyc"), city("suva")];
    let enter = |lane: &mut LaneState, at: usize, rules: Option<usize>| match lane.find(towns[at].as_str()) {
        Some(index) if rules.is_none() => index,
        _ => lane.city_mut(&towns[at], &Arc::new(some_rules(rules.unwrap_or(0)))),
    };
    let (index, said, after) = match step {
        Step::Adopt { city, rules } => {
            enter(lane, *city, Some(*rules));
            return;
        }
        Step::Hear { city, after } => {
            let index = enter(lane, *city, None);
            lane.advance_watermark(
                index,
                &CityWatermark { watermark: *clock + after, first_tick: 1_772_000_005_000 },
            );
            *clock += (*after).clamp(0, 10_000);
            return;
        }
        Step::Driver { city, who, spot, products, after } => {
            (enter(lane, *city, None), driver(&who.to_string(), *spot, DRIVERS[*products]), after)
        }
        Step::Request { city, who, spot, product, after } => {
            (enter(lane, *city, None), request(&who.to_string(), *spot, REQUESTS[*product]), after)
        }
        Step::Matched { city, after } => (enter(lane, *city, None), progress("ride_matched"), after),
    };
    let Event::Market(event) = seen(&said) else { panic!("{said}") };
    // A product that the city does not have just now is refused, which changes nothing.
    let _ = lane.absorb(index, &event, *clock + after, &mut Locators::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_lane_that_is_loaded_is_the_one_in_memory(
        batches in prop::collection::vec((prop::collection::vec(steps(), 0..12), 0..6_u8), 1..12),
    ) {
        let mut lane = LaneState::new(identity());
        let mut loaded = LaneState::new(identity());
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut clock = 1_772_000_000_000;
        for (number, (batch, ask)) in (1_u64..).zip(&batches) {
            if *ask == 0 && number > 1 {
                lane.request_snapshot();
                loaded.request_snapshot();
            }
            let mut both = Vec::new();
            let began = clock;
            for lane in [&mut lane, &mut loaded] {
                clock = began;
                let snapshot = begin(lane);
                for step in batch {
                    apply(lane, step, &mut clock);
                }
                both.push((lane.seal_entry(Sequence::from(number).borrowed()).bytes, snapshot.is_some()));
            }
            let (entry, is_snapshot) = both.pop().unwrap();
            prop_assert_eq!(&both[0].0, &entry);
            if is_snapshot {
                entries.clear();
            }
            entries.push(entry);
            loaded = load(&entries);
            prop_assert_eq!(loaded.log.next_entry(), number);
            prop_assert!(loaded.already_processed(Sequence::from(number).borrowed()) && !loaded.already_processed(Sequence::from(number + 1).borrowed()));
            prop_assert_eq!(count_late(&loaded), count_late(&lane));
            prop_assert_eq!(loaded.evicted(), lane.evicted());
            prop_assert_eq!(loaded.entities(), lane.entities());
            let owed = told(&mut lane);
            prop_assert_eq!(told(&mut loaded), owed);
        }
    }
}

#[test]
fn a_batch_that_brings_nothing_is_a_short_entry() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("d", 0, ""), 4_000);
    fed.hear(5_000, 5_000);
    fed.entry();
    assert!(fed.entry().len() < 30);
    fed.hear(5_000, 5_000);
    fed.hear(5_000, 4_000);
    assert!(fed.entry().len() < 30);
}

#[test]
fn late_events_and_clocks_that_close_nothing_are_remembered() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(5_000, 20_000);
    let mut entries = vec![fed.entry()];
    fed.absorb(&progress("ride_matched"), 4_000);
    entries.push(fed.entry());
    fed.hear(5_000, 21_000);
    entries.push(fed.entry());
    let mut again = load(&entries);
    assert_eq!(count_late(&again), 1);
    assert_eq!(told(&mut again), []);
    // It has heard as much as the one in memory: neither has more to say of the same clock.
    let index = again.find("nyc").unwrap();
    again.advance_watermark(index, &CityWatermark { watermark: 21_000, first_tick: 5_000 });
    assert_eq!(
        again.seal_entry(Sequence::from(9).borrowed()).bytes,
        fed.lane.seal_entry(Sequence::from(9).borrowed()).bytes
    );
}

#[test]
fn a_lane_owes_its_last_entrys_reports_alone() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(5_000, 20_000);
    let first = fed.entry();
    fed.hear(5_000, 30_000);
    let second = fed.entry();
    let reports = |entries: &[Vec<u8>]| told(&mut load(entries)).pop().map(|(_, _, reports)| reports);
    assert_eq!(
        reports(std::slice::from_ref(&first)),
        Some(vec![TickCounts::Empty { from: 5_000, to: 20_000 }])
    );
    assert_eq!(reports(&[first, second]), Some(vec![TickCounts::Empty { from: 25_000, to: 30_000 }]));
}

#[test]
fn a_requested_snapshot_is_in_the_next_entry_but_never_in_the_first() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.lane.request_snapshot();
    assert!(!fed.lane.is_snapshot_due(), "there is no state before the first entry");
    assert_eq!(begin(&mut fed.lane), None);
    fed.absorb(&driver("d", 0, ""), 4_000);
    fed.hear(5_000, 5_000);
    fed.end();
    assert!(fed.lane.is_snapshot_due());
    assert!(begin(&mut fed.lane).is_some());
    assert!(!fed.lane.is_snapshot_due());
    fed.hear(5_000, 10_000);
    let mut again = load(&[fed.end()]);
    assert_eq!(again.log.next_entry(), 2);
    assert_eq!(
        told(&mut again),
        [(city("nyc"), names(&["standard"]), vec![tick(10_000, vec![at(0, 1, 1)], vec![])])]
    );
}

/// Drivers never seen before, so that every batch's entry is long.
fn crowd(fed: &mut Fed, from: usize, count: usize) {
    for who in from..from + count {
        fed.absorb(&driver(&who.to_string(), 0, ""), 100_000);
    }
}

#[test]
fn a_snapshot_is_due_when_the_entries_outweigh_the_last_one_and_256_kib() {
    let mut fed = Fed::new(CountingConfig { max_entities: 100_000, ..rules(&["standard"]) });
    let (mut entries, mut who, mut bytes, mut snapshot_bytes) = (Vec::new(), 0, 0, 0);
    let mut snapshots = 0;
    while snapshots < 3 {
        let floor = (256 << 10).max(snapshot_bytes);
        assert_eq!(fed.lane.is_snapshot_due(), bytes > floor, "{bytes} {floor}");
        if bytes > floor {
            assert!(load(&entries).is_snapshot_due());
            assert!(!load(&entries[..entries.len() - 1]).is_snapshot_due());
        }
        let snapshot = begin(&mut fed.lane);
        if let Some(snapshot) = &snapshot {
            (snapshots, bytes, snapshot_bytes) = (snapshots + 1, 0, snapshot.len());
            entries.clear();
        }
        let count = if snapshots == 0 { 4_000 } else { 12_000 };
        crowd(&mut fed, who, count);
        who += count;
        let entry = fed.end();
        bytes += if snapshot.is_some() { 0 } else { entry.len() };
        entries.push(entry);
    }
    assert!(snapshot_bytes > 512 << 10);
}

#[test]
fn litter_of_drivers_or_of_riders_calls_for_a_snapshot() {
    for line in [driver("d", 0, ""), request("q", 0, "")] {
        let mut fed = Fed::new(rules(&["standard"]));
        fed.hear(5_000, 5_000);
        fed.entry();
        for number in 0..4_200_u32 {
            let lng = format!(r#""lng":{}"#, f64::from(number) / 20.0 - 100.0);
            fed.absorb(&line.replace(r#""lng":-73.97"#, &lng), 5_000);
        }
        assert!(fed.lane.is_snapshot_due());
        fed.end();
        let snapshot = begin(&mut fed.lane);
        assert!(snapshot.is_some() && !fed.lane.is_snapshot_due());
    }
}

#[test]
fn a_lane_holds_what_its_entries_reached() {
    let mut fed = Fed::new(rules(&["standard"]));
    assert!(!fed.lane.already_processed(Sequence::from(0).borrowed()));
    fed.sequence = 41;
    fed.entry();
    assert!(
        fed.lane.already_processed(Sequence::from(42).borrowed())
            && fed.lane.already_processed(Sequence::from(9).borrowed())
    );
    assert!(
        !fed.lane.already_processed(Sequence::from(43).borrowed())
            && !fed.lane.already_processed(Sequence::from(100).borrowed())
    );
    assert_eq!((fed.lane.lane(), fed.lane.log.next_entry()), (LaneId(2), 1));
}
