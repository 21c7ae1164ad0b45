//! A city that is loaded from its checkpoint log equals the one that wrote it, and invalid logs are refused.

use proptest::prelude::*;

use super::*;
use crate::event_sourced;

/// Loads a snapshot and the entries from it on, or all entries.
fn load_from(snapshot: Option<&[u8]>, first: u64, entries: &[Vec<u8>]) -> CityPricing {
    let state = snapshot.map(|snapshot| CityPricing::restore(&nyc(), snapshot).unwrap());
    replay_all(state, first, entries).unwrap()
}

fn replay_all(state: Option<CityPricing>, first: u64, entries: &[Vec<u8>]) -> Option<CityPricing> {
    (first..).zip(entries).fold(state, |state, (number, entry)| {
        Some(CityPricing::replay(state, &nyc(), number, entry).unwrap())
    })
}

fn load(entries: &[Vec<u8>]) -> CityPricing {
    load_from(None, 0, entries)
}

fn try_load(entries: &[&[u8]]) -> Result<Option<CityPricing>, Corrupt> {
    event_sourced::load(&nyc(), None, entries)
}

/// Tick counts of a lane, and the delay of their arrival.
#[derive(Clone, Debug)]
struct Report {
    lane: u16,
    /// The number of ticks after the last one of that lane; 0 is a repetition.
    ahead: i64,
    empty: bool,
    counts: [u32; 4],
    delay_ms: i64,
}

fn reports() -> impl Strategy<Value = Report> {
    let delay_ms = prop_oneof![3 => 0..2_000_i64, 1 => 0..15_000_i64];
    let counts = [0..4_u32, 0..3, 0..12, 0..3];
    (0..4_u16, 0..4_i64, any::<bool>(), counts, delay_ms)
        .prop_map(|(lane, ahead, empty, counts, delay_ms)| Report { lane, ahead, empty, counts, delay_ms })
}

fn config_number(number: usize) -> Arc<PricingConfig> {
    match number {
        0 => config(json!({})),
        1 => config(json!({"surge": {"curve": "linear", "step": 0.05}})),
        2 => config(json!({"products": [{"id": "xl"}, {"id": "standard"}]})),
        _ => config(json!({"resolution": 7})),
    }
}

/// The last ticks of the four lanes, and the last arrival time.
#[derive(Clone)]
struct Clock {
    now_ms: i64,
    ticks: [i64; 4],
}

fn apply(fixture: &mut Fixture, clock: &mut Clock, report: &Report) {
    let lane = usize::from(report.lane);
    clock.now_ms += report.delay_ms;
    let from = clock.ticks[lane] + 5_000 * report.ahead.min(1);
    let to = clock.ticks[lane] + 5_000 * report.ahead;
    clock.ticks[lane] = to;
    if report.empty {
        fixture.report_empty(report.lane, clock.now_ms, from, to.max(from));
    } else {
        let [a, b, c, d] = report.counts;
        let some =
            |counts: [(u64, u32); 2]| counts.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>();
        fixture.report(
            report.lane,
            clock.now_ms,
            to,
            &some([(HERE, a), (THERE, c)]),
            &some([(HERE, b), (THERE, d)]),
        );
    }
}

proptest! {
    #[test]
    fn a_loaded_city_equals_the_one_in_memory(
        batches in prop::collection::vec((prop::collection::vec(reports(), 1..10), 0..5_u8, prop::option::weighted(0.2, 0..4_usize)), 1..10),
    ) {
        let mut fixture = Fixture::new(4, config(json!({})));
        let mut loaded = Fixture::new(4, config(json!({})));
        let mut clock = Clock { now_ms: 0, ticks: [20_000; 4] };
        let mut following: Option<CityPricing> = None;
        let (mut snapshot, mut first): (Option<Vec<u8>>, u64) = (None, 0);
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut config_changed = false;
        for (number, (batch, choice, change)) in (1..).zip(&batches) {
            let began = clock.clone();
            let mut written = Vec::new();
            for fixture in [&mut fixture, &mut loaded] {
                clock = began.clone();
                if *choice == 0 {
                    fixture.city.log.request_snapshot();
                }
                fixture.city.begin_batch(clock.now_ms);
                if let Some(change) = change {
                    fixture.city.apply_config(&config_number(*change));
                    config_changed = true;
                }
                for report in batch {
                    apply(fixture, &mut clock, report);
                }
                let sequence = Sequence::from(number);
                written.push(fixture.city.seal_entry(sequence.borrowed()));
            }
            let entry = written.pop().unwrap();
            prop_assert_eq!(&written[0], &entry);
            if entry.snapshot.is_some() {
                (snapshot, first) = (entry.snapshot, entry.number);
                entries.clear();
            }
            following = replay_all(following, number - 1, std::slice::from_ref(&entry.bytes));
            entries.push(entry.bytes);
            loaded.city = load_from(snapshot.as_deref(), first, &entries);
            let output = fixture.city.take_output();
            for other in [&mut loaded.city, following.as_mut().unwrap()] {
                prop_assert_eq!(other.log.next_entry(), number);
                prop_assert!(other.already_processed(Sequence::from(number).borrowed()));
                prop_assert!(!other.already_processed(Sequence::from(number + 1).borrowed()));
                let other = other.take_output();
                prop_assert_eq!(output.is_some(), other.is_some());
                if let Some((output, other)) = output.as_ref().zip(other) {
                    prop_assert_eq!(&output.ticks, &other.ticks);
                    prop_assert_eq!(&output.map, &other.map);
                    prop_assert_eq!(&output.chunks, &other.chunks);
                }
            }
            if let Some(output) = output {
                // Dropped products and cells of another resolution are no longer reported, without a change.
                if std::mem::take(&mut config_changed) {
                    fixture.accept_changes(&output);
                }
                fixture.check(&output);
            }
        }
    }
}

/// A log of three entries, and the snapshot before the second; a tick closes with the third.
fn log() -> ([Vec<u8>; 3], Vec<u8>) {
    let mut fixture = Fixture::new(4, config(json!({})));
    (0..4).for_each(|lane| fixture.report(lane, 7, 5_000, &[(HERE, 3)], &[(THERE, 1)]));
    let first = fixture.end().0;
    fixture.city.log.request_snapshot();
    let snapshot = begin(&mut fixture.city).unwrap();
    fixture.report(0, 8, 10_000, &[(HERE, 3)], &[]);
    let second = fixture.city.seal_entry(Sequence::from(2).borrowed()).bytes;
    (1..4).for_each(|lane| fixture.report_empty(lane, 9, 10_000, 15_000));
    ([first, second, fixture.city.seal_entry(Sequence::from(3).borrowed()).bytes], snapshot)
}

fn invalid(entries: &[&[u8]]) -> &'static str {
    match try_load(entries).unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_is_entries_of_this_city_in_order_from_a_snapshot_or_the_first() {
    let ([first, second, third], snapshot) = log();
    assert!(try_load(&[]).unwrap().is_none());
    let mut whole = load(&[first.clone(), second.clone(), third.clone()]);
    assert_eq!(whole.take_output().unwrap().map.version, 2);
    let mut rest = load_from(Some(&snapshot), 1, &[second.clone(), third.clone()]);
    assert_eq!(rest.take_output().unwrap().map.version, 2);
    assert_eq!(invalid(&[&third]), "an entry out of order");
    assert_eq!(invalid(&[&first, &third]), "an entry out of order");
    assert_eq!(invalid(&[&second, &first]), "an entry out of order");
    let suva = CityId::new("suva").unwrap();
    let other = CityPricing::replay(None, &suva, 0, &first).unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another city's entry", .. }), "{other:?}");
    let other = CityPricing::restore(&suva, &snapshot).unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another city's snapshot", .. }), "{other:?}");
    for cut in 0..second.len() {
        assert!(try_load(&[&first, &second[..cut]]).is_err(), "{cut}");
    }
    for cut in 0..snapshot.len() {
        assert!(CityPricing::restore(&nyc(), &snapshot[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn only_the_ticks_of_the_last_entry_are_pending() {
    let ([first, second, third], _) = log();
    assert_eq!(load(std::slice::from_ref(&first)).take_output().unwrap().ticks.len(), 1);
    assert!(load(&[first.clone(), second.clone()]).take_output().is_none());
    let output = load(&[first, second, third]).take_output().unwrap();
    assert_eq!(output.ticks.iter().map(|tick| tick.at).collect::<Vec<_>>(), [10_000]);
}

/// An entry with this header, and `rest` as its content.
fn entry(number: u64, last_processed: &str, rest: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    wire::begin(&mut entry, Kind::CityEntry);
    put_bytes(&mut entry, b"nyc");
    for part in [number, 0, 0] {
        put_varint_u64(&mut entry, part);
    }
    put_bytes(&mut entry, last_processed.as_bytes());
    entry.extend_from_slice(rest);
    wire::seal(&mut entry);
    entry
}

#[test]
fn an_invalid_entry_with_a_valid_checksum_is_refused() {
    let mut begin = vec![op::CONFIG];
    write_config(&mut begin, &config(json!({})));
    let with = |rest: &[u8]| [&begin[..], rest].concat();
    assert_eq!(load(&[entry(0, "7", &begin)]).log.next_entry(), 1);
    assert_eq!(invalid(&[&entry(0, "x", &begin)]), "a sequence number");
    assert_eq!(invalid(&[&entry(0, "7", &[op::COUNTS])]), "a beginning without a configuration");
    assert_eq!(invalid(&[&entry(1, "7", &begin)]), "an entry out of order");
    assert_eq!(invalid(&[&entry(0, "7", &with(&[9]))]), "a step");
    let lanes = |count| [op::LANES, count];
    let section = |count, lane| [op::COUNTS, count, lane, 0, 0, 0];
    let counted = |count, lane| with(&[&lanes(4)[..], &section(count, lane)].concat());
    assert_eq!(load(&[entry(0, "7", &counted(4, 3))]).log.next_entry(), 1);
    assert_eq!(load(&[entry(0, "7", &counted(2, 1))]).log.next_entry(), 1);
    assert_eq!(invalid(&[&entry(0, "7", &counted(4, 4))]), "a lane");
    assert_eq!(invalid(&[&entry(0, "7", &counted(8, 4))]), "a lane count");
    assert_eq!(invalid(&[&entry(0, "7", &with(&lanes(3)))]), "a lane count");
    for policy in ["{}", "{"] {
        let mut config_step = vec![op::CONFIG, 0];
        put_bytes(&mut config_step, policy.as_bytes());
        assert_eq!(invalid(&[&entry(0, "7", &config_step)]), "a policy");
    }

    let mut city = load(&[entry(0, "7", &begin)]);
    city.log.request_snapshot();
    let mut snapshot = super::begin(&mut city).unwrap();
    assert_eq!(CityPricing::restore(&nyc(), &snapshot).unwrap().log.next_entry(), 1);
    snapshot.truncate(snapshot.len() - 8);
    snapshot.push(0);
    wire::seal(&mut snapshot);
    let longer = CityPricing::restore(&nyc(), &snapshot).unwrap_err();
    assert!(matches!(longer, Corrupt::Invalid { what: "bytes after the map", .. }), "{longer:?}");
}

#[test]
fn a_city_has_as_many_lanes_as_report_to_it() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 1)], &[(HERE, 6)]);
    fixture.report(1, 0, 5_000, &[(HERE, 2)], &[(HERE, 2)]);
    assert_eq!(fixture.closed(), [(5_000, 1, 2)]);
    // The first range of lanes has doubled, the second has not.
    fixture.lanes = lanes(4);
    fixture.report(0, 0, 10_000, &[(HERE, 1)], &[(HERE, 1)]);
    fixture.report(1, 0, 10_000, &[(HERE, 1)], &[(HERE, 5)]);
    fixture.lanes = lanes(2);
    fixture.report(1, 0, 10_000, &[(HERE, 2)], &[(HERE, 2)]);
    let (_, ticks) = fixture.end();
    assert_eq!((ticks[0].at, ticks[0].lanes_reported), (10_000, 4));
    assert_eq!(at(&ticks[0], HERE).map(|(demand, supply, _)| (demand, supply)), Some((4, 8)));
    fixture.lanes = lanes(4);
    for (lane, supply) in (0..).zip([1, 5, 2, 1]) {
        fixture.report(lane, 0, 15_000, &[], &[(HERE, supply)]);
    }
    let (_, ticks) = fixture.end();
    assert_eq!((ticks[0].at, ticks[0].lanes_reported), (15_000, 4));
    assert_eq!(at(&ticks[0], HERE).map(|(demand, supply, _)| (demand, supply)), Some((0, 9)));
}

#[test]
fn a_tick_that_one_half_of_a_lane_reports_counts_the_other_as_the_lane_was() {
    let mut fixture = Fixture::new(1, config(json!({})));
    fixture.report(0, 0, 5_000, &[], &[(HERE, 6)]);
    assert_eq!(fixture.closed(), [(5_000, 1, 1)]);
    fixture.lanes = lanes(2);
    fixture.report(1, 0, 10_000, &[], &[(HERE, 2)]);
    fixture.report(1, 10_000, 15_000, &[], &[(HERE, 2)]);
    let (_, ticks) = fixture.end();
    assert_eq!((ticks[0].at, ticks[0].lanes_reported), (10_000, 1));
    assert_eq!(at(&ticks[0], HERE).map(|(_, supply, _)| supply), Some(8), "until the first half reports");
    fixture.report(0, 10_000, 15_000, &[], &[(HERE, 4)]);
    let (_, ticks) = fixture.end();
    assert_eq!(at(&ticks[0], HERE).map(|(_, supply, _)| supply), Some(6));
}

#[test]
fn a_snapshot_holds_the_newest_closed_tick_or_none() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.end();
    fixture.city.log.request_snapshot();
    assert!(begin(&mut fixture.city).is_some());
    fixture.report_empty(0, 0, 50_000, 50_000);
    fixture.report_empty(1, 0, 50_000, 50_000);
    assert_eq!(fixture.closed(), [(50_000, 1, 2)]);
    fixture.report_empty(0, 0, 55_000, 55_000);
    fixture.report_empty(0, 10_000, 60_000, 60_000);
    assert_eq!(fixture.closed(), [(55_000, 2, 1)]);
    fixture.city.log.request_snapshot();
    assert!(begin(&mut fixture.city).is_some());
    fixture.report_empty(1, 10_000, 55_000, 60_000);
    assert_eq!(fixture.closed(), [(60_000, 3, 2)]);
}

#[test]
fn a_snapshot_holds_the_counts_and_the_last_tick_of_each_lane() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 1), (THERE, 2)], &[]);
    fixture.report_empty(1, 0, 5_000, 5_000);
    fixture.end();
    fixture.city.log.request_snapshot();
    assert!(begin(&mut fixture.city).is_some());
    fixture.report(0, 0, 5_000, &[(HERE, 9)], &[]);
    fixture.report_empty(1, 0, 10_000, 10_000);
    fixture.report_empty(1, 10_000, 15_000, 15_000);
    let (_, ticks) = fixture.end();
    assert_eq!(ticks.iter().map(|tick| (tick.at, tick.lanes_reported)).collect::<Vec<_>>(), [(10_000, 1)]);
    let demand = |cell| at(&ticks[0], cell).map(|(demand, ..)| demand);
    assert_eq!((demand(HERE), demand(THERE)), (Some(1), Some(2)));
}

#[test]
fn a_snapshot_is_due_when_the_entries_outweigh_the_last_one_and_a_mebibyte() {
    // The other lane does not report, so no tick closes.
    let mut fixture = Fixture::new(2, config(json!({})));
    let parent = Cell(HERE).h3().unwrap().parent(h3o::Resolution::Two).unwrap();
    let cells: Vec<u64> = parent.children(h3o::Resolution::Eight).map(u64::from).collect();
    let (mut entries, mut bytes, mut floor): (Vec<Vec<u8>>, _, _) = (Vec::new(), 0, 1 << 20);
    let mut snapshots = 0;
    for tick in 1.. {
        if bytes > floor {
            let is_due = |entries: &[Vec<u8>]| load(entries).log.is_snapshot_due(SNAPSHOT_FLOOR);
            assert!(is_due(&entries) && !is_due(&entries[..entries.len() - 1]));
        }
        let snapshot = begin(&mut fixture.city);
        assert_eq!(snapshot.is_some(), bytes > floor, "{bytes} of {floor}");
        if let Some(snapshot) = &snapshot {
            (snapshots, bytes, floor) = (snapshots + 1, 0, snapshot.len().max(1 << 20));
            if snapshots == 2 {
                break;
            }
        }
        let many: Vec<(u64, u32)> =
            cells.iter().skip(usize::from(tick % 2 == 0)).map(|cell| (*cell, 1_000)).collect();
        fixture.report(0, 0, tick * 5_000, &many, &[]);
        let entry = fixture.city.seal_entry(Sequence::from(tick.unsigned_abs()).borrowed()).bytes;
        bytes += entry.len();
        entries.push(entry);
    }
    assert!(floor > 1 << 20, "{floor}");
}

proptest! {
    #[test]
    fn a_damaged_entry_with_a_valid_checksum_does_not_panic(which in 0..4_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let (mut log, mut snapshot) = log();
        let entry = if which == 3 { &mut snapshot } else { &mut log[which] };
        entry.truncate(entry.len() - 8);
        let at = 5 + at.index(entry.len() - 5);
        entry[at] = byte;
        if cut {
            entry.truncate(at);
        }
        wire::seal(entry);
        if let Ok(Some(mut city)) = try_load(&[&log[0], &log[1], &log[2]]) {
            city.take_output();
        }
        if let Ok(mut city) = CityPricing::restore(&nyc(), &snapshot) {
            city.take_output();
        }
    }
}

#[test]
fn a_snapshot_does_not_change_any_chunk() {
    let mut fixture = Fixture::new(1, config(json!({})));
    for tick in [5_000, 10_000] {
        fixture.report(0, 1, tick, &[], &[(HERE, 1)]);
        fixture.end();
    }
    fixture.city.log.request_snapshot();
    let snapshot = begin(&mut fixture.city);
    assert!(snapshot.is_some());
    fixture.report(0, 1, 15_000, &[], &[(HERE, 1)]);
    let _ = fixture.city.seal_entry(Sequence::from(3).borrowed()).bytes;
    let output = fixture.city.take_output().unwrap();
    assert_eq!(output.ticks[0].rows.len(), 19);
    assert!(output.chunks.is_empty(), "nothing has changed since the last tick");
}
