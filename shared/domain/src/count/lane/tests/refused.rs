//! Bytes that are not the checkpoint log of this lane are refused, and the error names the fault.

use proptest::prelude::*;

use super::*;

fn load(entries: &[&[u8]]) -> Result<LaneState, Corrupt> {
    let state = LaneState::load(&identity(), entries.iter().copied())?;
    Ok(state.unwrap_or_else(|| LaneState::new(identity())))
}

fn invalid(entries: &[&[u8]]) -> &'static str {
    match load(entries).unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

/// A log of three entries, the second with a snapshot.
fn log() -> [Vec<u8>; 3] {
    let mut fixture = Fixture::new(config(&["standard", "xl"]));
    fixture.absorb(&driver("d", 0, ""), 4_000);
    fixture.absorb(&request("q", 1, ""), 7_000);
    fixture.advance_watermark(5_000, 5_000);
    let first = fixture.entry();
    fixture.lane.request_snapshot();
    fixture.absorb(&driver("d", 1, ""), 9_000);
    let second = fixture.entry();
    fixture.absorb(&driver("e", 1, ""), 17_000);
    fixture.absorb(&driver("e", 1, ""), 1_000);
    fixture.lane.city_mut(&city("nyc"), &Arc::new(config(&["boat"])));
    [first, second, fixture.entry()]
}

/// An entry with this header, and `rest` as its content.
fn entry(lane: u64, lanes: u64, number: u64, last_processed: &str, rest: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    wire::begin(&mut entry, Kind::LaneEntry);
    for part in [lane, lanes, number] {
        put_varint_u64(&mut entry, part);
    }
    put_bytes(&mut entry, last_processed.as_bytes());
    entry.extend_from_slice(rest);
    wire::seal(&mut entry);
    entry
}

#[test]
fn a_log_is_entries_of_this_lane_in_order_from_a_snapshot_or_the_first() {
    let [first, second, third] = log();
    assert!(load(&[&first, &second, &third]).is_ok());
    assert!(load(&[&second, &third]).is_ok());
    assert_eq!(load(&[]).unwrap().log.next_entry(), 0);
    assert_eq!(invalid(&[&third]), "a beginning without a snapshot");
    assert_eq!(invalid(&[&first, &third]), "an entry out of order");
    assert_eq!(invalid(&[&first, &first]), "an entry out of order");
    assert_eq!(invalid(&[&second, &first]), "an entry out of order");
    let other = LaneState::load(&LaneIdentity { lane: LaneId(3), ..identity() }, [&first[..]]).unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another lane's entry", .. }), "{other:?}");
    let other =
        LaneState::load(&LaneIdentity { lanes: LaneCount::new(8).unwrap(), ..identity() }, [&first[..]])
            .unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another stream's entry", .. }), "{other:?}");
}

#[test]
fn a_frame_of_another_kind_or_version_or_cut_short_is_refused() {
    let [first, ..] = log();
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
    assert!(load(&[&entry(2, 4, 0, "7", &[0])]).is_ok());
    assert_eq!(invalid(&[&entry(2, 4, 0, "seven", &[0])]), "a sequence number");
    assert_eq!(invalid(&[&entry(2, 4, 0, "7", &[2])]), "a snapshot's mark");
    let of_city = |name: &[u8], log: &[u8]| {
        let mut rest = vec![0];
        put_bytes(&mut rest, name);
        put_varint_u64(&mut rest, 0);
        put_bytes(&mut rest, log);
        rest
    };
    let mut config_step = vec![op::CONFIG];
    config(&["standard"]).write(&mut config_step);
    assert!(load(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &config_step))]).is_ok());
    assert_eq!(invalid(&[&entry(2, 4, 0, "7", &of_city(b"NYC", &config_step))]), "a city");
    assert_eq!(
        invalid(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &[op::DRIVERS, 0]))]),
        "a city without a config"
    );
    assert_eq!(invalid(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &[]))]), "a step");
    let unknown = [&config_step[..], &[9]].concat();
    assert_eq!(invalid(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &unknown))]), "a step");
}

/// An entry with a snapshot of `cities`, each with its name and its product table.
fn snapshot(count: u64, cities: &[(&str, &[&str])], rest: &[u8]) -> Vec<u8> {
    let mut snapshot = Vec::new();
    put_varint_u64(&mut snapshot, count);
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
    snapshot.extend_from_slice(rest);
    let mut marked = vec![1];
    put_bytes(&mut marked, &snapshot);
    entry(2, 4, 5, "7", &marked)
}

#[test]
fn an_inconsistent_snapshot_is_refused() {
    let (full, partial): (&[&str], &[&str]) = (&["standard", "xl", "boat"], &["standard"]);
    let good = load(&[&snapshot(2, &[("nyc", full), ("suva", full)], &[])]).unwrap();
    assert_eq!((good.late(), good.log.next_entry(), good.entities()), (6, 6, 0));
    let city = invalid(&[&snapshot(2, &[("nyc", full), ("nyc", full)], &[])]);
    assert_eq!(city, "a duplicate city");
    let table = invalid(&[&snapshot(1, &[("nyc", partial)], &[])]);
    assert_eq!(table, "a product table without one of the products");
    assert_eq!(invalid(&[&snapshot(1, &[("nyc", full)], &[0])]), "bytes after the cities");
    assert_eq!(invalid(&[&snapshot(1, &[("NYC", full)], &[])]), "a city");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

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
        if let Ok(mut lane) = load(&[&log[0], &log[1], &log[2]]) {
            let _ = tick_counts::records(LaneId(2), lanes(), lane.take_output().unwrap_or_default());
            lane.request_snapshot();
            assert!(begin(&mut lane).is_some());
        }
    }
}
