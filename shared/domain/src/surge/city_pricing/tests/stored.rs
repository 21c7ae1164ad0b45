//! A market is what its checkpoint log says, and nothing else is taken for one.

use proptest::prelude::*;

use super::*;

fn load(entries: &[Vec<u8>]) -> CityPricing {
    CityPricing::load(&identity(4), entries.iter().map(Vec::as_slice)).unwrap().unwrap()
}

/// What a lane may report, and when.
#[derive(Clone, Debug)]
struct Word {
    lane: u16,
    /// Ticks after the last one of that lane; 0 is a repeat.
    ahead: i64,
    empty: bool,
    counts: [u32; 4],
    wait: i64,
}

fn words() -> impl Strategy<Value = Word> {
    let wait = prop_oneof![3 => 0..2_000_i64, 1 => 0..15_000_i64];
    let counts = [0..4_u32, 0..3, 0..12, 0..3];
    (0..4_u16, 0..4_i64, any::<bool>(), counts, wait).prop_map(|(lane, ahead, empty, counts, wait)| Word {
        lane,
        ahead,
        empty,
        counts,
        wait,
    })
}

fn other_terms(number: usize) -> Arc<PricingConfig> {
    match number {
        0 => terms(json!({})),
        1 => terms(json!({"surge": {"curve": "linear", "step": 0.05}})),
        2 => terms(json!({"products": [{"id": "xl"}, {"id": "standard"}]})),
        _ => terms(json!({"resolution": 7})),
    }
}

/// Where the four lanes and the log stand.
#[derive(Clone)]
struct Clock {
    now: i64,
    ticks: [i64; 4],
}

fn say(town: &mut Town, clock: &mut Clock, word: &Word) {
    let lane = usize::from(word.lane);
    clock.now += word.wait;
    let from = clock.ticks[lane] + 5_000 * word.ahead.min(1);
    let to = clock.ticks[lane] + 5_000 * word.ahead;
    clock.ticks[lane] = to;
    if word.empty {
        town.tell_empty(word.lane, clock.now, from, to.max(from));
    } else {
        let [a, b, c, d] = word.counts;
        let some =
            |counts: [(u64, u32); 2]| counts.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>();
        town.tell(word.lane, clock.now, to, &some([(HERE, a), (THERE, c)]), &some([(HERE, b), (THERE, d)]));
    }
}

proptest! {
    #[test]
    fn a_market_that_is_loaded_is_the_one_in_memory(
        batches in prop::collection::vec((prop::collection::vec(words(), 1..10), 0..5_u8, prop::option::weighted(0.2, 0..4_usize)), 1..10),
    ) {
        let mut town = Town::new(4, terms(json!({})));
        let mut twin = Town::new(4, terms(json!({})));
        let mut clock = Clock { now: 0, ticks: [20_000; 4] };
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut adopted = false;
        for (number, (batch, ask, change)) in (1..).zip(&batches) {
            let began = clock.clone();
            let mut written = Vec::new();
            for town in [&mut town, &mut twin] {
                clock = began.clone();
                if *ask == 0 && number > 1 {
                    town.market.request_snapshot();
                }
                let snapshot = begin(&mut town.market);
                if let Some(change) = change {
                    town.market.apply_config(&other_terms(*change));
                    adopted = true;
                }
                for word in batch {
                    say(town, &mut clock, word);
                }
                let sequence = Sequence::from(number);
                written.push((town.market.seal_entry(sequence.borrowed()).bytes, snapshot.is_some()));
            }
            let (entry, is_snapshot) = written.pop().unwrap();
            prop_assert_eq!(&written[0].0, &entry);
            if is_snapshot {
                entries.clear();
            }
            entries.push(entry);
            twin.market = load(&entries);
            prop_assert_eq!(twin.market.log.next_entry(), number);
            prop_assert!(twin.market.already_processed(Sequence::from(number).borrowed()));
            prop_assert!(!twin.market.already_processed(Sequence::from(number + 1).borrowed()));
            let (output, again) = (town.market.take_output(), twin.market.take_output());
            prop_assert_eq!(output.is_some(), again.is_some());
            if let (Some(output), Some(again)) = (output, again) {
                prop_assert_eq!(&output.ticks, &again.ticks);
                prop_assert_eq!(&output.map, &again.map);
                prop_assert_eq!(&output.chunks, &again.chunks);
                // Products that went, or cells of other sizes, are reported no more without a change.
                if std::mem::take(&mut adopted) {
                    town.forget(&output);
                }
                town.check(&output);
            }
        }
    }
}

/// A log of three entries, the second with a snapshot; a tick closes with the third.
fn log() -> [Vec<u8>; 3] {
    let mut town = Town::new(4, terms(json!({})));
    (0..4).for_each(|lane| town.tell(lane, 7, 5_000, &[(HERE, 3)], &[(THERE, 1)]));
    let first = town.end().0;
    town.market.request_snapshot();
    town.market.begin_batch();
    town.tell(0, 8, 10_000, &[(HERE, 3)], &[]);
    let second = town.market.seal_entry(Sequence::from(2).borrowed()).bytes;
    (1..4).for_each(|lane| town.tell_empty(lane, 9, 10_000, 15_000));
    [first, second, town.market.seal_entry(Sequence::from(3).borrowed()).bytes]
}

fn complaint(entries: &[&[u8]]) -> &'static str {
    match CityPricing::load(&identity(4), entries.iter().copied()).unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn entries_are_this_citys_in_order_from_a_beginning() {
    let [first, second, third] = log();
    assert!(CityPricing::load(&identity(4), []).unwrap().is_none());
    let mut whole = load(&[first.clone(), second.clone(), third.clone()]);
    assert_eq!(whole.take_output().unwrap().map.version, 2);
    assert_eq!(load(&[second.clone(), third.clone()]).take_output().unwrap().map.version, 2);
    assert_eq!(complaint(&[&third]), "a beginning without a snapshot");
    assert_eq!(complaint(&[&first, &third]), "an entry out of order");
    assert_eq!(complaint(&[&second, &first]), "an entry out of order");
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
fn a_market_owes_its_last_entrys_ticks_alone() {
    let [first, second, third] = log();
    assert_eq!(load(std::slice::from_ref(&first)).take_output().unwrap().ticks.len(), 1);
    assert!(load(&[first.clone(), second.clone()]).take_output().is_none());
    let output = load(&[first, second, third]).take_output().unwrap();
    assert_eq!(output.ticks.iter().map(|tick| tick.at).collect::<Vec<_>>(), [10_000]);
}

/// An entry of what stands behind its head.
fn entry(number: u64, reached: &str, rest: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    wire::begin(&mut entry, Kind::CityEntry);
    put_bytes(&mut entry, b"nyc");
    put_varint_u64(&mut entry, 4);
    put_varint_u64(&mut entry, number);
    put_bytes(&mut entry, reached.as_bytes());
    entry.extend_from_slice(rest);
    wire::seal(&mut entry);
    entry
}

#[test]
fn what_is_sealed_but_means_nothing_is_refused() {
    let mut begin = vec![0, op::CONFIG];
    write_config(&mut begin, &terms(json!({})));
    let with = |rest: &[u8]| [&begin[..], rest].concat();
    assert_eq!(load(&[entry(0, "7", &begin)]).log.next_entry(), 1);
    assert_eq!(complaint(&[&entry(0, "x", &begin)]), "a sequence number");
    assert_eq!(complaint(&[&entry(0, "7", &[2])]), "a snapshot's mark");
    assert_eq!(complaint(&[&entry(0, "7", &[0, op::COUNTS])]), "a beginning without a snapshot");
    assert_eq!(complaint(&[&entry(1, "7", &begin)]), "a beginning without a snapshot");
    assert_eq!(complaint(&[&entry(0, "7", &with(&[9]))]), "a step");
    let section = |lane| [op::COUNTS, lane, 0, 0, 0];
    assert_eq!(load(&[entry(0, "7", &with(&section(3)))]).log.next_entry(), 1);
    assert_eq!(complaint(&[&entry(0, "7", &with(&section(4)))]), "a lane");
    let mut terms = vec![0, op::CONFIG, 0];
    put_bytes(&mut terms, b"{}");
    assert_eq!(complaint(&[&entry(0, "7", &terms)]), "a policy");
    let mut terms = vec![0, op::CONFIG, 0];
    put_bytes(&mut terms, b"{");
    assert_eq!(complaint(&[&entry(0, "7", &terms)]), "a policy");

    let mut market = load(&[entry(0, "7", &begin)]);
    market.request_snapshot();
    let snapshot = super::begin(&mut market).unwrap();
    let of = |snapshot: &[u8]| {
        let mut rest = vec![1];
        put_bytes(&mut rest, snapshot);
        entry(5, "7", &rest)
    };
    assert_eq!(load(&[of(&snapshot)]).log.next_entry(), 6);
    assert_eq!(complaint(&[&of(&[&snapshot[..], &[0]].concat())]), "what follows the map");
}

#[test]
fn a_requested_snapshot_is_in_the_next_entry_but_never_in_the_first() {
    let mut market = CityPricing::new(identity(4), terms(json!({})));
    market.request_snapshot();
    assert_eq!(begin(&mut market), None);
    let _ = market.seal_entry(Sequence::from(1).borrowed());
    assert!(begin(&mut market).is_some());
    let _ = market.seal_entry(Sequence::from(2).borrowed());
    assert_eq!(begin(&mut market), None);
}

#[test]
fn a_snapshot_knows_which_tick_closed_last_or_that_none_has() {
    let mut town = Town::new(2, terms(json!({})));
    town.end();
    town.market.request_snapshot();
    assert!(begin(&mut town.market).is_some());
    town.tell_empty(0, 0, 50_000, 50_000);
    town.tell_empty(1, 0, 50_000, 50_000);
    assert_eq!(town.closed(), [(50_000, 1, 2)]);
    town.tell_empty(0, 0, 55_000, 55_000);
    town.tell_empty(0, 10_000, 60_000, 60_000);
    assert_eq!(town.closed(), [(55_000, 2, 1)]);
    town.market.request_snapshot();
    assert!(begin(&mut town.market).is_some());
    town.tell_empty(1, 10_000, 55_000, 60_000);
    assert_eq!(town.closed(), [(60_000, 3, 2)]);
}

#[test]
fn a_snapshot_knows_what_each_lane_counts_and_has_reported() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 1), (THERE, 2)], &[]);
    town.tell_empty(1, 0, 5_000, 5_000);
    town.end();
    town.market.request_snapshot();
    assert!(begin(&mut town.market).is_some());
    town.tell(0, 0, 5_000, &[(HERE, 9)], &[]);
    town.tell_empty(1, 0, 10_000, 10_000);
    town.tell_empty(1, 10_000, 15_000, 15_000);
    let (_, ticks) = town.end();
    assert_eq!(ticks.iter().map(|tick| (tick.at, tick.heard)).collect::<Vec<_>>(), [(10_000, 1)]);
    let demand = |cell| at(&ticks[0], cell).map(|(demand, ..)| demand);
    assert_eq!((demand(HERE), demand(THERE)), (Some(1), Some(2)));
}

#[test]
fn a_snapshot_is_due_when_the_entries_outweigh_the_last_one_and_a_mebibyte() {
    // The other lane says nothing, so no tick closes.
    let mut town = Town::new(2, terms(json!({})));
    let parent = Cell(HERE).h3().unwrap().parent(h3o::Resolution::Two).unwrap();
    let cells: Vec<u64> = parent.children(h3o::Resolution::Eight).map(u64::from).collect();
    let (mut entries, mut bytes, mut floor) = (Vec::new(), 0, 1 << 20);
    let mut snapshots = 0;
    for tick in 1.. {
        if bytes > floor {
            let due = begin(&mut load_two(&entries)).is_some();
            assert!(due && begin(&mut load_two(&entries[..entries.len() - 1])).is_none());
        }
        let snapshot = begin(&mut town.market);
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
        town.tell(0, 0, tick * 5_000, &many, &[]);
        let entry = town.market.seal_entry(Sequence::from(tick.unsigned_abs()).borrowed()).bytes;
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
        if let Ok(Some(mut market)) = CityPricing::load(&identity(4), log.iter().map(Vec::as_slice)) {
            market.take_output();
        }
    }
}

#[test]
fn a_snapshot_makes_no_chunk_new() {
    let mut town = Town::new(1, terms(json!({})));
    for tick in [5_000, 10_000] {
        town.tell(0, 1, tick, &[], &[(HERE, 1)]);
        town.end();
    }
    town.market.request_snapshot();
    let snapshot = begin(&mut town.market);
    assert!(snapshot.is_some());
    town.tell(0, 1, 15_000, &[], &[(HERE, 1)]);
    let _ = town.market.seal_entry(Sequence::from(3).borrowed()).bytes;
    let output = town.market.take_output().unwrap();
    assert_eq!(output.ticks[0].rows.len(), 19);
    assert!(output.chunks.is_empty(), "nothing has changed since the last tick");
}
