//! Bytes that are not the checkpoint log of this lane are refused, and the error names the fault.

use proptest::prelude::*;

use super::*;
use crate::event_sourced;
use crate::wire::{self, Kind};

fn load(entries: &[&[u8]]) -> Result<LaneRangeState, Corrupt> {
    let state = event_sourced::load(&identity(), None, entries)?;
    Ok(state.unwrap_or_else(|| LaneRangeState::new(identity())))
}

fn invalid(entries: &[&[u8]]) -> &'static str {
    match load(entries).unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

/// A log of three entries, and the snapshot before the second.
fn log() -> ([Vec<u8>; 3], Vec<u8>) {
    let mut fixture = Fixture::new(config(&["standard", "xl"]));
    fixture.absorb(&driver("d", 0, ""), 4_000);
    fixture.absorb(&request("q", 1, ""), 7_000);
    fixture.advance_watermark(5_000, 5_000);
    let first = fixture.end();
    fixture.range.request_snapshot();
    let snapshot = begin(&mut fixture.range).unwrap();
    fixture.absorb(&driver("d", 1, ""), 9_000);
    let second = fixture.entry();
    fixture.absorb(&driver("e", 1, ""), 17_000);
    fixture.absorb(&driver("e", 1, ""), 1_000);
    fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&["boat"])));
    ([first, second, fixture.entry()], snapshot)
}

/// An entry with this header, and `part` as that of the lane.
fn entry(lanes: u64, range: u64, number: u64, last_processed: &str, part: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    wire::begin(&mut entry, Kind::LaneEntry);
    for part in [lanes, range, 0, number, 0, 0] {
        put_varint_u64(&mut entry, part);
    }
    put_bytes(&mut entry, last_processed.as_bytes());
    put_varint_u64(&mut entry, 2 << 1 | 1);
    put_bytes(&mut entry, part);
    wire::seal(&mut entry);
    entry
}

#[test]
fn a_log_is_entries_of_this_range_in_order_from_a_snapshot_or_the_first() {
    let ([first, second, third], snapshot) = log();
    assert_eq!(load(&[&first, &second, &third]).unwrap().next_entry(), 3);
    let restored = LaneRangeState::restore(&identity(), &snapshot).unwrap();
    let restored = LaneRangeState::replay(Some(restored), &identity(), 1, &second).unwrap();
    assert!(LaneRangeState::replay(Some(restored), &identity(), 2, &third).is_ok());
    assert_eq!(load(&[]).unwrap().next_entry(), 0);
    assert_eq!(invalid(&[&third]), "an entry out of order");
    assert_eq!(invalid(&[&first, &third]), "an entry out of order");
    assert_eq!(invalid(&[&first, &first]), "an entry out of order");
    assert_eq!(invalid(&[&second, &first]), "an entry out of order");
    let of = |lanes, index| LaneRange::new(LaneCount::new(lanes).unwrap(), index).unwrap();
    for other in [of(8, 0), of(8, 1), of(2, 0)] {
        let refused = LaneRangeState::replay(None, &other, 0, &first).unwrap_err();
        assert!(matches!(refused, Corrupt::Invalid { what: "another range's entry", .. }), "{refused:?}");
        let refused = LaneRangeState::restore(&other, &snapshot).unwrap_err();
        assert!(
            matches!(refused, Corrupt::Invalid { what: "a snapshot of another range", .. }),
            "{refused:?}"
        );
    }
    for cut in 0..snapshot.len() {
        assert!(LaneRangeState::restore(&identity(), &snapshot[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn a_frame_of_another_kind_or_version_or_cut_short_is_refused() {
    let ([first, ..], _) = log();
    let kind = Kind::LaneEntry;
    let counts = [&first[..3], b"r", &first[4..]].concat();
    assert_eq!(load(&[&counts]).unwrap_err(), Corrupt::NotThis { kind });
    let mut newer = [&first[..4], &[9], &first[5..first.len() - 8]].concat();
    wire::seal(&mut newer);
    assert_eq!(load(&[&newer]).unwrap_err(), Corrupt::UnknownVersion { kind, version: 9 });
    for cut in 0..first.len() {
        assert!(load(&[&first[..cut]]).is_err(), "{cut}");
    }
}

#[test]
fn an_invalid_entry_with_a_valid_checksum_is_refused() {
    let first = |last_processed: &str, part: &[u8]| entry(4, 0, 0, last_processed, part);
    assert!(load(&[&first("7", &[])]).is_ok());
    assert_eq!(invalid(&[&first("seven", &[])]), "a sequence number");
    assert_eq!(invalid(&[&entry(3, 0, 0, "7", &[])]), "another range's entry");
    assert_eq!(invalid(&[&entry(4, 1, 0, "7", &[])]), "another range's entry");
    let of_city = |name: &[u8], log: &[u8]| {
        let mut part = Vec::new();
        put_bytes(&mut part, name);
        put_varint_u64(&mut part, 0);
        put_bytes(&mut part, log);
        part
    };
    let mut config_step = vec![op::CONFIG];
    config(&["standard"]).write(&mut config_step);
    assert!(load(&[&first("7", &of_city(b"nyc", &config_step))]).is_ok());
    assert_eq!(invalid(&[&first("7", &of_city(b"NYC", &config_step))]), "a city");
    assert_eq!(invalid(&[&first("7", &of_city(b"nyc", &[op::DRIVERS, 0]))]), "a city without a config");
    assert_eq!(invalid(&[&first("7", &of_city(b"nyc", &[]))]), "a step");
    let unknown = [&config_step[..], &[9]].concat();
    assert_eq!(invalid(&[&first("7", &of_city(b"nyc", &unknown))]), "a step");
}

/// A snapshot whose third lane has `count` cities, each with its name and its product table.
fn snapshot(count: u64, cities: &[(&str, &[&str])], rest: &[u8]) -> Vec<u8> {
    let mut snapshot = Vec::new();
    wire::begin(&mut snapshot, Kind::LaneSnapshot);
    // The range, the number of the next entry, the log's clock, and two lanes without records or cities.
    for part in [4, 0, 6, 0, 0, 0, 0, 0, 0, count] {
        put_varint_u64(&mut snapshot, part);
    }
    for (name, table) in cities {
        put_bytes(&mut snapshot, name.as_bytes());
        config(&["standard", "xl"]).write(&mut snapshot);
        write_products(&mut snapshot, &names(table));
        for part in [0, 0, 0, 0, 0] {
            put_varint_u64(&mut snapshot, part);
        }
        put_varint_u64(&mut snapshot, 3);
        Sightings::default().write(&mut snapshot, None);
        Sightings::default().write(&mut snapshot, None);
    }
    snapshot.extend_from_slice(&[0, 0]);
    snapshot.extend_from_slice(rest);
    wire::seal(&mut snapshot);
    snapshot
}

#[test]
fn an_inconsistent_snapshot_is_refused() {
    let (full, partial): (&[&str], &[&str]) = (&["standard", "xl", "boat"], &["standard"]);
    let restore = |snapshot: Vec<u8>| LaneRangeState::restore(&identity(), &snapshot);
    let good = restore(snapshot(2, &[("nyc", full), ("suva", full)], &[])).unwrap();
    let lane = good.lane(LANE).unwrap();
    assert_eq!((lane.late(), good.next_entry(), lane.entities()), (6, 6, 0));
    let invalid = |snapshot| match restore(snapshot).unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(invalid(snapshot(2, &[("nyc", full), ("nyc", full)], &[])), "a duplicate city");
    let table = invalid(snapshot(1, &[("nyc", partial)], &[]));
    assert_eq!(table, "a product table without one of the products");
    assert_eq!(invalid(snapshot(1, &[("nyc", full)], &[0])), "bytes after the lanes");
    assert_eq!(invalid(snapshot(1, &[("NYC", full)], &[])), "a city");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

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
        for state in [load(&[&log[0], &log[1], &log[2]]), LaneRangeState::restore(&identity(), &snapshot)] {
            let Ok(mut state) = state else { continue };
            for (lane, counts) in state.take_output().unwrap_or_default() {
                let _ = tick_counts::records(lane, lanes(), counts);
            }
            state.request_snapshot();
            assert!(begin(&mut state).is_some());
        }
    }
}
