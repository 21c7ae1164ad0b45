//! Logs replay and snapshots read back, and invalid ones are refused.

use super::*;
use crate::wire::{Corrupt, put_varint_i64, put_varint_u64};

fn log_of(sightings: &mut Sightings) -> Vec<u8> {
    let mut log = Vec::new();
    sightings.take_log(&mut log);
    log
}

fn snapshot_of(sightings: &Sightings, closed: Option<i64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    sightings.write(&mut bytes, closed);
    bytes
}

fn numbers(parts: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        put_varint_u64(&mut out, *part);
    }
    out
}

/// What a place's number is called in a log or a snapshot: 0 is nowhere, and 1 a log-off.
const FIRST: u64 = 2;

fn replay(log: &[u8]) -> Result<Sightings, Corrupt> {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(2), 1_000, None, LIFE);
    sightings.absorb(key(2), place(3), 1_000, None, LIFE);
    sightings.replay(log, None, LIFE).map(|()| sightings)
}

fn invalid<T: std::fmt::Debug>(read: Result<T, Corrupt>) -> &'static str {
    match read.unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

/// An entity at a place, one nowhere, one with two pending sightings, and one that has not counted yet.
fn every_kind() -> (Sightings, i64) {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(2), 1_000, None, LIFE);
    sightings.absorb(key(2), Place::NOWHERE, 4_000, None, LIFE);
    sightings.absorb(key(3), place(3), 5_000, None, LIFE);
    sightings.close(5_000, LIFE);
    sightings.absorb(key(3), place(4), 6_000, Some(5_000), LIFE);
    sightings.absorb(key(3), place(2), 11_000, Some(5_000), LIFE);
    sightings.absorb(key(4), place(5), 7_000, Some(5_000), LIFE);
    sightings.absorb(key(2), Place::OFFLINE, 4_500, Some(5_000), LIFE);
    (sightings, 5_000)
}

#[test]
fn a_cell_near_the_last_takes_few_bytes() {
    let mut sightings = Sightings::default();
    let near = |number: u64| Place { cell: 0x0882_a100_d63f_ffff + (number << 21), products: 1 };
    sightings.absorb(key(1), near(0), 1_000, None, LIFE);
    sightings.absorb(key(1), near(0), 1_000, None, LIFE);
    let before = sightings.log.bytes.len();
    sightings.absorb(key(1), near(1), 1_000, None, LIFE);
    // The code of a new place, the zeros of its step, the step, the products, the slot and the time.
    assert_eq!(sightings.log.bytes.len() - before, 6);
}

#[test]
fn an_event_of_a_known_entity_takes_few_bytes() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    // The first place, key and time since the epoch are written in full.
    assert!(log_of(&mut sightings).len() <= 26);
    sightings.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    assert!(log_of(&mut sightings).len() <= 8);
    sightings.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    sightings.absorb(key(1), place(2), 1_772_000_000_050, None, LIFE);
    sightings.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    assert!(log_of(&mut sightings).len() <= 8 + 3 + 3);
    assert_eq!(log_of(&mut sightings).len(), 0);
}

#[test]
fn a_snapshot_reads_back() {
    let (sightings, closed) = every_kind();
    let bytes = snapshot_of(&sightings, Some(closed));
    let mut read_back = reread(&sightings, Some(closed), LIFE);
    assert_eq!(snapshot_of(&read_back, Some(closed)), bytes);
    assert_eq!((read_back.len(), read_back.evicted()), (4, 0));
    assert_eq!(counted(&mut read_back), [(place(2), 1), (place(3), 1)]);
    read_back.close(10_000, LIFE);
    assert_eq!(counted(&mut read_back), [(place(2), 1), (place(4), 1), (place(5), 1)]);
    read_back.close(15_000, LIFE);
    assert_eq!(counted(&mut read_back), [(place(2), 2), (place(5), 1)]);
    read_back.close(60_000, LIFE);
    assert_eq!(counted(&mut read_back), [(place(2), 2), (place(5), 1)]);
    read_back.close(65_000, LIFE);
    assert_eq!(counted(&mut read_back), [(place(2), 1), (place(5), 1)]);
}

#[test]
fn a_snapshot_holds_only_the_places_in_use() {
    let mut sightings = Sightings::default();
    for number in 1..=100_u64 {
        let place = Place { cell: number, products: 1 };
        sightings.absorb(key(1), place, number.cast_signed(), Some(1_000), LIFE);
    }
    assert!(snapshot_of(&sightings, Some(1_000)).len() < 40);
}

#[test]
fn a_snapshot_holds_the_number_of_evictions() {
    let life = Lifetime { max_entities: 1, ..LIFE };
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 1, None, life);
    sightings.absorb(key(2), place(1), 2, None, life);
    assert_eq!(reread(&sightings, None, life).evicted(), 1);
}

#[test]
fn a_log_of_another_state_is_refused_with_its_fault() {
    let word = |word: u64| word.to_le_bytes().to_vec();
    let place_2 = (FIRST + 1) << 1;
    assert!(replay(&numbers(&[place_2, 1, 0])).is_ok());
    assert_eq!(invalid(replay(&numbers(&[(FIRST + 3) << 1, 0, 0]))), "a place's number");
    assert_eq!(invalid(replay(&numbers(&[1 << 40, 0, 0]))), "a place's number");
    assert_eq!(invalid(replay(&numbers(&[place_2, 2, 0]))), "an entity's slot");
    assert_eq!(invalid(replay(&numbers(&[place_2, 1 << 32, 0]))), "an entity's slot");
    let known = [numbers(&[place_2 | 1]), word(key(1).0), numbers(&[0])].concat();
    assert_eq!(invalid(replay(&known)), "a duplicate entity");
    let new = [numbers(&[place_2 | 1]), word(key(3).0), numbers(&[0])].concat();
    assert_eq!(replay(&new).unwrap().len(), 3);
    for (time, fits) in [((1_i64 << 60) - 1, true), (1 << 60, false), (-(1 << 60), false), (i64::MAX, false)]
    {
        let mut log = numbers(&[place_2, 1]);
        put_varint_i64(&mut log, time);
        assert_eq!(replay(&log).is_ok(), fits, "{time}");
    }
    let mut overflow = numbers(&[place_2, 1]);
    put_varint_i64(&mut overflow, 1 << 59);
    overflow.extend(numbers(&[place_2, 1]));
    put_varint_i64(&mut overflow, i64::MAX);
    assert_eq!(invalid(replay(&overflow)), "a time");
}

#[test]
fn a_log_that_ends_midway_is_refused() {
    let (mut sightings, _) = every_kind();
    let log = log_of(&mut sightings);
    let whole = (0..=log.len()).filter(|end| {
        let mut sightings = Sightings::default();
        sightings.replay(&log[..*end], None, LIFE).is_ok()
    });
    // Valid ends are those before the first and after each sighting.
    assert_eq!(whole.count(), 1 + 7);
}

#[test]
fn a_free_slot_is_invalid() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(2), 1_000, None, LIFE);
    sightings.close(5_000, LIFE);
    log_of(&mut sightings);
    sightings.close(65_000, LIFE);
    assert_eq!(
        invalid(sightings.replay(&numbers(&[(FIRST + 1) << 1, 0, 0]), None, LIFE)),
        "an entity's slot"
    );
}

fn read(parts: &[&[u8]], closed: Option<i64>) -> Result<Sightings, Corrupt> {
    let bytes = parts.concat();
    Sightings::read(&mut Reader::new(&bytes), closed, LIFE)
}

#[test]
fn an_inconsistent_snapshot_is_refused_with_its_fault() {
    let word = |word: u64| word.to_le_bytes();
    let place_at = |cell: u64| [&word(cell)[..], &[1]].concat();
    let one_place = [&numbers(&[1])[..], &place_at(7), &numbers(&[0])].concat();
    // A code of 0 is an entity without a standing.
    let entity = |code: u64| [&word(5)[..], &numbers(&[code << 2])].concat();
    let twice = [&numbers(&[2])[..], &place_at(7), &place_at(7)].concat();
    assert_eq!(invalid(read(&[&twice, &[0; 3]], None)), "a duplicate place");
    let nowhere = [&numbers(&[1])[..], &word(0), &[0]].concat();
    assert_eq!(invalid(read(&[&nowhere, &[0; 3]], None)), "a duplicate place");

    let seen = |place: u64| [&one_place[..], &numbers(&[1]), &entity(place), &numbers(&[3])].concat();
    assert_eq!(counted(&mut read(&[&seen(FIRST + 1), &[0]], Some(9)).unwrap()).len(), 1);
    assert_eq!(counted(&mut read(&[&seen(1), &[0]], Some(9)).unwrap()).len(), 0);
    assert_eq!(invalid(read(&[&seen(FIRST + 2), &[0]], Some(9))), "an entity's place");
    assert_eq!(invalid(read(&[&seen(FIRST + 1), &[0]], None)), "a sighting before any tick");
    let lost = [&one_place[..], &numbers(&[1]), &word(5), &numbers(&[2])].concat();
    assert_eq!(invalid(read(&[&lost, &[0]], Some(9))), "contact without a sighting");
    let one = [&entity(FIRST + 1)[..], &numbers(&[3])].concat();
    let read_back = [&one_place[..], &numbers(&[2]), &one, &one];
    assert_eq!(invalid(read(&[&read_back.concat(), &[0]], Some(9))), "a duplicate entity");

    let never = [&one_place[..], &numbers(&[1]), &entity(0)].concat();
    let waits = |slot: u64, place: u64| numbers(&[1, 10, 1, slot, place, 2]);
    assert_eq!(read(&[&never, &waits(0, FIRST)], None).unwrap().len(), 1);
    assert!(read(&[&never, &waits(0, 0)], None).is_ok());
    assert_eq!(invalid(read(&[&never, &waits(1, 1)], None)), "an entity's slot");
    assert_eq!(invalid(read(&[&never, &waits(0, FIRST + 1)], None)), "a sighting's place");
    for (second, good) in [(12, true), (10, false), (8, false)] {
        let ticks = numbers(&[2, 10, 1, 0, 1, 2, second, 1, 0, 1, 2]);
        let read = read(&[&never, &ticks], None);
        assert_eq!(read.is_ok(), good, "{second}");
        if !good {
            assert_eq!(invalid(read), "a tick out of order");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_log_or_an_error(bytes in any::<Vec<u8>>(), small in prop::collection::vec(0..6_u8, 0..60)) {
        for log in [bytes, small] {
            let (mut sightings, closed) = every_kind();
            if sightings.replay(&log, Some(closed), LIFE).is_ok() {
                sightings.close(10_000, LIFE);
                sightings.close(70_000, LIFE);
                counted(&mut sightings);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_an_error(bytes in any::<Vec<u8>>(), small in prop::collection::vec(0..4_u8, 0..60)) {
        for bytes in [bytes, small] {
            for closed in [None, Some(5_000)] {
                if let Ok(mut sightings) = Sightings::read(&mut Reader::new(&bytes), closed, LIFE) {
                    sightings.close(10_000, LIFE);
                    sightings.close(70_000, LIFE);
                    counted(&mut sightings);
                }
            }
        }
    }

    #[test]
    fn a_damaged_snapshot_or_log_does_not_panic(at in any::<prop::sample::Index>(), bit in 0..8, cut in any::<bool>()) {
        let (mut sightings, closed) = every_kind();
        let (mut snapshot, mut log) = (snapshot_of(&sightings, Some(closed)), log_of(&mut sightings));
        for bytes in [&mut snapshot, &mut log] {
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            bytes.truncate(if cut { at } else { bytes.len() });
        }
        for mut sightings in [Sightings::read(&mut Reader::new(&snapshot), Some(closed), LIFE), replay(&log)].into_iter().flatten() {
            for tick in [10_000, 15_000, 70_000, 75_000] {
                sightings.close(tick, LIFE);
                counted(&mut sightings);
                snapshot_of(&sightings, Some(tick));
            }
        }
    }
}
