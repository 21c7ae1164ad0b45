//! A city that is loaded from its checkpoint log equals the one that wrote it, and invalid logs are refused.

use proptest::prelude::*;

use super::*;

fn load(entries: &[Vec<u8>]) -> CityPricing {
    CityPricing::load(&identity(4), entries.iter().map(Vec::as_slice)).unwrap().unwrap()
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
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut config_changed = false;
        for (number, (batch, choice, change)) in (1..).zip(&batches) {
            let began = clock.clone();
            let mut written = Vec::new();
            for fixture in [&mut fixture, &mut loaded] {
                clock = began.clone();
                if *choice == 0 && number > 1 {
                    fixture.city.request_snapshot();
                }
                let snapshot = begin(&mut fixture.city);
                if let Some(change) = change {
                    fixture.city.apply_config(&config_number(*change));
                    config_changed = true;
                }
                for report in batch {
                    apply(fixture, &mut clock, report);
                }
                let sequence = Sequence::from(number);
                written.push((fixture.city.seal_entry(sequence.borrowed()).bytes, snapshot.is_some()));
            }
            let (entry, is_snapshot) = written.pop().unwrap();
            prop_assert_eq!(&written[0].0, &entry);
            if is_snapshot {
                entries.clear();
            }
            entries.push(entry);
            loaded.city = load(&entries);
            prop_assert_eq!(loaded.city.log.next_entry(), number);
            prop_assert!(loaded.city.already_processed(Sequence::from(number).borrowed()));
            prop_assert!(!loaded.city.already_processed(Sequence::from(number + 1).borrowed()));
            let (output, loaded_output) = (fixture.city.take_output(), loaded.city.take_output());
            prop_assert_eq!(output.is_some(), loaded_output.is_some());
            if let (Some(output), Some(loaded_output)) = (output, loaded_output) {
                prop_assert_eq!(&output.ticks, &loaded_output.ticks);
                prop_assert_eq!(&output.map, &loaded_output.map);
                prop_assert_eq!(&output.chunks, &loaded_output.chunks);
                // Dropped products and cells of another resolution are no longer reported, without a change.
                if std::mem::take(&mut config_changed) {
                    fixture.accept_changes(&output);
                }
                fixture.check(&output);
            }
        }
    }
}

/// A log of three entries, the second with a snapshot; a tick closes with the third.
fn log() -> [Vec<u8>; 3] {
    let mut fixture = Fixture::new(4, config(json!({})));
    (0..4).for_each(|lane| fixture.report(lane, 7, 5_000, &[(HERE, 3)], &[(THERE, 1)]));
    let first = fixture.end().0;
    fixture.city.request_snapshot();
    fixture.city.begin_batch();
    fixture.report(0, 8, 10_000, &[(HERE, 3)], &[]);
    let second = fixture.city.seal_entry(Sequence::from(2).borrowed()).bytes;
    (1..4).for_each(|lane| fixture.report_empty(lane, 9, 10_000, 15_000));
    [first, second, fixture.city.seal_entry(Sequence::from(3).borrowed()).bytes]
}

fn invalid(entries: &[&[u8]]) -> &'static str {
    match CityPricing::load(&identity(4), entries.iter().copied()).unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_is_entries_of_this_city_in_order_from_a_snapshot_or_the_first() {
    let [first, second, third] = log();
    assert!(CityPricing::load(&identity(4), []).unwrap().is_none());
    let mut whole = load(&[first.clone(), second.clone(), third.clone()]);
    assert_eq!(whole.take_output().unwrap().map.version, 2);
    assert_eq!(load(&[second.clone(), third.clone()]).take_output().unwrap().map.version, 2);
    assert_eq!(invalid(&[&third]), "a beginning without a snapshot");
    assert_eq!(invalid(&[&first, &third]), "an entry out of order");
    assert_eq!(invalid(&[&second, &first]), "an entry out of order");
    let other =
        CityPricing::load(&CityIdentity { city: CityId::new("suva").unwrap(), ..identity(4) }, [&first[..]])
            .unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another city's entry", .. }), "{other:?}");
    let other = CityPricing::load(&identity(8), [&first[..]]).unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another stream's entry", .. }), "{other:?}");
    for cut in 0..second.len() {
        assert!(CityPricing::load(&identity(4), [&second[..cut]]).is_err(), "{cut}");
    }
}

#[test]
fn only_the_ticks_of_the_last_entry_are_pending() {
    let [first, second, third] = log();
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
    put_varint_u64(&mut entry, 4);
    put_varint_u64(&mut entry, number);
    put_bytes(&mut entry, last_processed.as_bytes());
    entry.extend_from_slice(rest);
    wire::seal(&mut entry);
    entry
}

#[test]
fn an_invalid_entry_with_a_valid_checksum_is_refused() {
    let mut begin = vec![0, op::CONFIG];
    write_config(&mut begin, &config(json!({})));
    let with = |rest: &[u8]| [&begin[..], rest].concat();
    assert_eq!(load(&[entry(0, "7", &begin)]).log.next_entry(), 1);
    assert_eq!(invalid(&[&entry(0, "x", &begin)]), "a sequence number");
    assert_eq!(invalid(&[&entry(0, "7", &[2])]), "a snapshot's mark");
    assert_eq!(invalid(&[&entry(0, "7", &[0, op::COUNTS])]), "a beginning without a snapshot");
    assert_eq!(invalid(&[&entry(1, "7", &begin)]), "a beginning without a snapshot");
    assert_eq!(invalid(&[&entry(0, "7", &with(&[9]))]), "a step");
    let section = |lane| [op::COUNTS, lane, 0, 0, 0];
    assert_eq!(load(&[entry(0, "7", &with(&section(3)))]).log.next_entry(), 1);
    assert_eq!(invalid(&[&entry(0, "7", &with(&section(4)))]), "a lane");
    let mut config_step = vec![0, op::CONFIG, 0];
    put_bytes(&mut config_step, b"{}");
    assert_eq!(invalid(&[&entry(0, "7", &config_step)]), "a policy");
    let mut config_step = vec![0, op::CONFIG, 0];
    put_bytes(&mut config_step, b"{");
    assert_eq!(invalid(&[&entry(0, "7", &config_step)]), "a policy");

    let mut city = load(&[entry(0, "7", &begin)]);
    city.request_snapshot();
    let snapshot = super::begin(&mut city).unwrap();
    let of = |snapshot: &[u8]| {
        let mut rest = vec![1];
        put_bytes(&mut rest, snapshot);
        entry(5, "7", &rest)
    };
    assert_eq!(load(&[of(&snapshot)]).log.next_entry(), 6);
    assert_eq!(invalid(&[&of(&[&snapshot[..], &[0]].concat())]), "bytes after the map");
}

#[test]
fn a_requested_snapshot_is_in_the_next_entry_but_not_in_the_first() {
    let mut city = CityPricing::new(identity(4), config(json!({})));
    city.request_snapshot();
    assert_eq!(begin(&mut city), None);
    let _ = city.seal_entry(Sequence::from(1).borrowed());
    assert!(begin(&mut city).is_some());
    let _ = city.seal_entry(Sequence::from(2).borrowed());
    assert_eq!(begin(&mut city), None);
}

#[test]
fn a_snapshot_holds_the_newest_closed_tick_or_none() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.end();
    fixture.city.request_snapshot();
    assert!(begin(&mut fixture.city).is_some());
    fixture.report_empty(0, 0, 50_000, 50_000);
    fixture.report_empty(1, 0, 50_000, 50_000);
    assert_eq!(fixture.closed(), [(50_000, 1, 2)]);
    fixture.report_empty(0, 0, 55_000, 55_000);
    fixture.report_empty(0, 10_000, 60_000, 60_000);
    assert_eq!(fixture.closed(), [(55_000, 2, 1)]);
    fixture.city.request_snapshot();
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
    fixture.city.request_snapshot();
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
    let (mut entries, mut bytes, mut floor) = (Vec::new(), 0, 1 << 20);
    let mut snapshots = 0;
    for tick in 1.. {
        if bytes > floor {
            let due = begin(&mut load_two(&entries)).is_some();
            assert!(due && begin(&mut load_two(&entries[..entries.len() - 1])).is_none());
        }
        let snapshot = begin(&mut fixture.city);
        assert_eq!(snapshot.is_some(), bytes > floor, "{bytes} of {floor}");
        if let Some(snapshot) = &snapshot {
            (snapshots, bytes, floor) = (snapshots + 1, 0, snapshot.len().max(1 << 20));
            entries.clear();
            if snapshots == 2 {
                break;
            }
        }
        let many: Vec<(u64, u32)> =
            cells.iter().skip(usize::from(tick % 2 == 0)).map(|cell| (*cell, 1_000)).collect();
        fixture.report(0, 0, tick * 5_000, &many, &[]);
        let entry = fixture.city.seal_entry(Sequence::from(tick.unsigned_abs()).borrowed()).bytes;
        bytes += if snapshot.is_some() { 0 } else { entry.len() };
        entries.push(entry);
    }
    assert!(floor > 1 << 20, "{floor}");
}

fn load_two(entries: &[Vec<u8>]) -> CityPricing {
    CityPricing::load(&identity(2), entries.iter().map(Vec::as_slice)).unwrap().unwrap()
}

proptest! {
    #[test]
    fn a_damaged_entry_with_a_valid_checksum_does_not_panic(which in 0..3_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut log = log();
        let entry = &mut log[which];
        entry.truncate(entry.len() - 8);
        let at = 5 + at.index(entry.len() - 5);
        entry[at] = byte;
        if cut {
            entry.truncate(at);
        }
        wire::seal(entry);
        if let Ok(Some(mut city)) = CityPricing::load(&identity(4), log.iter().map(Vec::as_slice)) {
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
    fixture.city.request_snapshot();
    let snapshot = begin(&mut fixture.city);
    assert!(snapshot.is_some());
    fixture.report(0, 1, 15_000, &[], &[(HERE, 1)]);
    let _ = fixture.city.seal_entry(Sequence::from(3).borrowed()).bytes;
    let output = fixture.city.take_output().unwrap();
    assert_eq!(output.ticks[0].rows.len(), 19);
    assert!(output.chunks.is_empty(), "nothing has changed since the last tick");
}
