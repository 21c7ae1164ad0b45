//! What is no checkpoint log of this lane is refused by what is wrong with it.

use proptest::prelude::*;

use super::*;

fn load(entries: &[&[u8]]) -> Result<LaneState, Corrupt> {
    let state = LaneState::load(&identity(), entries.iter().copied())?;
    Ok(state.unwrap_or_else(|| LaneState::new(identity())))
}

fn complaint(entries: &[&[u8]]) -> &'static str {
    match load(entries).unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

/// A log of three entries, the second with a snapshot.
fn log() -> [Vec<u8>; 3] {
    let mut fed = Fed::new(rules(&["standard", "xl"]));
    fed.absorb(&driver("d", 0, ""), 4_000);
    fed.absorb(&request("q", 1, ""), 7_000);
    fed.hear(5_000, 5_000);
    let first = fed.entry();
    fed.lane.request_snapshot();
    fed.absorb(&driver("d", 1, ""), 9_000);
    let second = fed.entry();
    fed.absorb(&driver("e", 1, ""), 17_000);
    fed.absorb(&driver("e", 1, ""), 1_000);
    fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&["boat"])));
    [first, second, fed.entry()]
}

/// An entry of what stands behind its head.
fn entry(lane: u64, of: u64, number: u64, reached: &str, rest: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    wire::begin(&mut entry, Kind::LaneEntry);
    for part in [lane, of, number] {
        put_varint_u64(&mut entry, part);
    }
    put_bytes(&mut entry, reached.as_bytes());
    entry.extend_from_slice(rest);
    wire::seal(&mut entry);
    entry
}

#[test]
fn entries_are_this_lanes_in_order_from_a_beginning() {
    let [first, second, third] = log();
    assert!(load(&[&first, &second, &third]).is_ok());
    assert!(load(&[&second, &third]).is_ok());
    assert_eq!(load(&[]).unwrap().log.next_entry(), 0);
    assert_eq!(complaint(&[&third]), "a beginning without a snapshot");
    assert_eq!(complaint(&[&first, &third]), "an entry out of order");
    assert_eq!(complaint(&[&first, &first]), "an entry out of order");
    assert_eq!(complaint(&[&second, &first]), "an entry out of order");
    let other = LaneState::load(&LaneIdentity { lane: LaneId(3), ..identity() }, [&first[..]]).unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another lane's entry", .. }), "{other:?}");
    let other =
        LaneState::load(&LaneIdentity { lanes: LaneCount::new(8).unwrap(), ..identity() }, [&first[..]])
            .unwrap_err();
    assert!(matches!(other, Corrupt::Invalid { what: "another stream's entry", .. }), "{other:?}");
}

#[test]
fn a_frame_that_is_no_entry_of_this_version_whole_and_unchanged_is_refused() {
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
fn what_is_sealed_but_means_nothing_is_refused() {
    assert!(load(&[&entry(2, 4, 0, "7", &[0])]).is_ok());
    assert_eq!(complaint(&[&entry(2, 4, 0, "seven", &[0])]), "a sequence number");
    assert_eq!(complaint(&[&entry(2, 4, 0, "7", &[2])]), "a snapshot's mark");
    let of_city = |name: &[u8], log: &[u8]| {
        let mut rest = vec![0];
        put_bytes(&mut rest, name);
        put_varint_u64(&mut rest, 0);
        put_bytes(&mut rest, log);
        rest
    };
    let mut rules_of = vec![op::CONFIG];
    rules(&["standard"]).write(&mut rules_of);
    assert!(load(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &rules_of))]).is_ok());
    assert_eq!(complaint(&[&entry(2, 4, 0, "7", &of_city(b"NYC", &rules_of))]), "a city");
    assert_eq!(
        complaint(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &[op::DRIVERS, 0]))]),
        "a city without rules"
    );
    assert_eq!(complaint(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &[]))]), "a step");
    let unknown = [&rules_of[..], &[9]].concat();
    assert_eq!(complaint(&[&entry(2, 4, 0, "7", &of_city(b"nyc", &unknown))]), "a step");
}

/// A snapshot of `cities`, each by its name, its dictionary and what it holds.
fn snapshot(count: u64, cities: &[(&str, &[&str])], rest: &[u8]) -> Vec<u8> {
    let mut snapshot = Vec::new();
    put_varint_u64(&mut snapshot, count);
    for (name, dictionary) in cities {
        put_bytes(&mut snapshot, name.as_bytes());
        rules(&["standard", "xl"]).write(&mut snapshot);
        write_products(&mut snapshot, &names(dictionary));
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
fn a_snapshot_that_contradicts_itself_is_refused() {
    let (known, less): (&[&str], &[&str]) = (&["standard", "xl", "boat"], &["standard"]);
    let good = load(&[&snapshot(2, &[("nyc", known), ("suva", known)], &[])]).unwrap();
    assert_eq!((count_late(&good), good.log.next_entry(), good.entities()), (6, 6, 0));
    let city = complaint(&[&snapshot(2, &[("nyc", known), ("nyc", known)], &[])]);
    assert_eq!(city, "a city known already");
    let dictionary = complaint(&[&snapshot(1, &[("nyc", less)], &[])]);
    assert_eq!(dictionary, "a product table without one of the products");
    assert_eq!(complaint(&[&snapshot(1, &[("nyc", known)], &[0])]), "what follows the cities");
    assert_eq!(complaint(&[&snapshot(1, &[("NYC", known)], &[])]), "a city");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_damage_that_was_sealed_breaks_what_reads_it(which in 0..3_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
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
