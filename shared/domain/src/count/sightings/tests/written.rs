//! What sightings write down can be done again, and nothing else is taken for it.

use super::*;

fn log_of(held: &mut Sightings) -> Vec<u8> {
    let mut log = Vec::new();
    held.take_log(&mut log);
    log
}

fn snapshot_of(held: &Sightings, closed: Option<i64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    held.write(&mut bytes, closed);
    bytes
}

fn numbers(parts: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        put_varint_u64(&mut out, *part);
    }
    out
}

fn repeat(log: &[u8]) -> Result<Sightings, Corrupt> {
    let mut held = Sightings::default();
    held.absorb(key(1), place(2), 1_000, None, LIFE);
    held.absorb(key(2), place(3), 1_000, None, LIFE);
    held.replay(log, None, LIFE).map(|()| held)
}

fn complaint<T: std::fmt::Debug>(read: Result<T, Corrupt>) -> &'static str {
    match read.unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

/// One entity at a place, one nowhere, one that waits at two places, one that did not count yet.
fn town() -> (Sightings, i64) {
    let mut held = Sightings::default();
    held.absorb(key(1), place(2), 1_000, None, LIFE);
    held.absorb(key(2), Place::NOWHERE, 4_000, None, LIFE);
    held.absorb(key(3), place(3), 5_000, None, LIFE);
    held.close(5_000, LIFE);
    held.absorb(key(3), place(4), 6_000, Some(5_000), LIFE);
    held.absorb(key(3), place(2), 11_000, Some(5_000), LIFE);
    held.absorb(key(4), place(5), 7_000, Some(5_000), LIFE);
    (held, 5_000)
}

#[test]
fn a_cell_near_the_last_takes_few_bytes() {
    let mut held = Sightings::default();
    let near = |number: u64| Place { cell: 0x0882_a100_d63f_ffff + (number << 21), products: 1 };
    held.absorb(key(1), near(0), 1_000, None, LIFE);
    held.absorb(key(1), near(0), 1_000, None, LIFE);
    let before = held.log.len();
    held.absorb(key(1), near(1), 1_000, None, LIFE);
    // That it is new, how many zeros its step ends with, the step, the products, who and when.
    assert_eq!(held.log.len() - before, 6);
}

#[test]
fn an_event_of_a_known_entity_takes_few_bytes() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    // Before anything was said, a place, a key and a time since the epoch are written out in full.
    assert!(log_of(&mut held).len() <= 26);
    held.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    assert!(log_of(&mut held).len() <= 8);
    held.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    held.absorb(key(1), place(2), 1_772_000_000_050, None, LIFE);
    held.absorb(key(1), place(2), 1_772_000_000_000, None, LIFE);
    assert!(log_of(&mut held).len() <= 8 + 3 + 3);
    assert_eq!(log_of(&mut held).len(), 0);
}

#[test]
fn a_snapshot_reads_back_as_it_was() {
    let (held, closed) = town();
    let bytes = snapshot_of(&held, Some(closed));
    let mut again = reread(&held, Some(closed), LIFE);
    assert_eq!(snapshot_of(&again, Some(closed)), bytes);
    assert_eq!((again.len(), again.evicted()), (4, 0));
    assert_eq!(counted(&mut again), [(place(2), 1), (place(3), 1)]);
    again.close(10_000, LIFE);
    assert_eq!(counted(&mut again), [(place(2), 1), (place(4), 1), (place(5), 1)]);
    again.close(15_000, LIFE);
    assert_eq!(counted(&mut again), [(place(2), 2), (place(5), 1)]);
    again.close(60_000, LIFE);
    assert_eq!(counted(&mut again), [(place(2), 2), (place(5), 1)]);
    again.close(65_000, LIFE);
    assert_eq!(counted(&mut again), [(place(2), 1), (place(5), 1)]);
}

#[test]
fn a_snapshot_keeps_the_places_that_matter_alone() {
    let mut held = Sightings::default();
    for number in 1..=100_u64 {
        let place = Place { cell: number, products: 1 };
        held.absorb(key(1), place, number.cast_signed(), Some(1_000), LIFE);
    }
    assert!(snapshot_of(&held, Some(1_000)).len() < 40);
}

#[test]
fn evictions_are_remembered() {
    let life = Lifetime { most: 1, ..LIFE };
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 1, None, life);
    held.absorb(key(2), place(1), 2, None, life);
    assert_eq!(reread(&held, None, life).evicted(), 1);
}

#[test]
fn a_log_that_cannot_follow_is_refused_by_what_is_wrong() {
    let word = |word: u64| word.to_le_bytes().to_vec();
    let place_2 = 2_u64 << 1;
    assert!(repeat(&numbers(&[place_2, 1, 0])).is_ok());
    assert_eq!(complaint(repeat(&numbers(&[4 << 1, 0, 0]))), "a place's number");
    assert_eq!(complaint(repeat(&numbers(&[1 << 40, 0, 0]))), "a place's number");
    assert_eq!(complaint(repeat(&numbers(&[place_2, 2, 0]))), "an entity's slot");
    assert_eq!(complaint(repeat(&numbers(&[place_2, 1 << 32, 0]))), "an entity's slot");
    let known = [numbers(&[place_2 | 1]), word(key(1).0), numbers(&[0])].concat();
    assert_eq!(complaint(repeat(&known)), "an entity known already");
    let new = [numbers(&[place_2 | 1]), word(key(3).0), numbers(&[0])].concat();
    assert_eq!(repeat(&new).unwrap().len(), 3);
    for (time, fits) in [((1_i64 << 60) - 1, true), (1 << 60, false), (-(1 << 60), false), (i64::MAX, false)]
    {
        let mut log = numbers(&[place_2, 1]);
        put_varint_i64(&mut log, time);
        assert_eq!(repeat(&log).is_ok(), fits, "{time}");
    }
    let mut overflow = numbers(&[place_2, 1]);
    put_varint_i64(&mut overflow, 1 << 59);
    overflow.extend(numbers(&[place_2, 1]));
    put_varint_i64(&mut overflow, i64::MAX);
    assert_eq!(complaint(repeat(&overflow)), "a time");
}

#[test]
fn a_log_that_ends_midway_is_refused() {
    let (mut held, _) = town();
    let log = log_of(&mut held);
    let whole = (0..=log.len()).filter(|end| {
        let mut held = Sightings::default();
        held.replay(&log[..*end], None, LIFE).is_ok()
    });
    // Nothing, or whole sightings.
    assert_eq!(whole.count(), 1 + 6);
}

#[test]
fn a_slot_let_go_is_nobodys() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(2), 1_000, None, LIFE);
    held.close(5_000, LIFE);
    log_of(&mut held);
    held.close(65_000, LIFE);
    assert_eq!(complaint(held.replay(&numbers(&[2 << 1, 0, 0]), None, LIFE)), "an entity's slot");
}

fn read(parts: &[&[u8]], closed: Option<i64>) -> Result<Sightings, Corrupt> {
    let bytes = parts.concat();
    Sightings::read(&mut Reader::new(&bytes), closed, LIFE)
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused_by_what_is_wrong() {
    let word = |word: u64| word.to_le_bytes();
    let place_at = |cell: u64| [&word(cell)[..], &[1]].concat();
    let one_place = [&numbers(&[1])[..], &place_at(7), &numbers(&[0])].concat();
    let entity = |place: u64| [&word(5)[..], &numbers(&[place])].concat();
    let twice = [&numbers(&[2])[..], &place_at(7), &place_at(7)].concat();
    assert_eq!(complaint(read(&[&twice, &[0; 3]], None)), "a place known already");
    let nowhere = [&numbers(&[1])[..], &word(0), &[0]].concat();
    assert_eq!(complaint(read(&[&nowhere, &[0; 3]], None)), "a place known already");

    let seen = |place: u64| [&one_place[..], &numbers(&[1]), &entity(place), &numbers(&[3])].concat();
    assert_eq!(counted(&mut read(&[&seen(2), &[0]], Some(9)).unwrap()).len(), 1);
    assert_eq!(counted(&mut read(&[&seen(1), &[0]], Some(9)).unwrap()).len(), 0);
    assert_eq!(complaint(read(&[&seen(3), &[0]], Some(9))), "an entity's place");
    assert_eq!(complaint(read(&[&seen(2), &[0]], None)), "a sighting before any tick");
    let again = [&one_place[..], &numbers(&[2]), &entity(2), &numbers(&[3]), &entity(2), &numbers(&[3])];
    assert_eq!(complaint(read(&[&again.concat(), &[0]], Some(9))), "an entity known already");

    let never = [&one_place[..], &numbers(&[1]), &entity(0)].concat();
    let waits = |slot: u64, place: u64| numbers(&[1, 10, 1, slot, place, 2]);
    assert_eq!(read(&[&never, &waits(0, 1)], None).unwrap().len(), 1);
    assert!(read(&[&never, &waits(0, 0)], None).is_ok());
    assert_eq!(complaint(read(&[&never, &waits(1, 1)], None)), "an entity's slot");
    assert_eq!(complaint(read(&[&never, &waits(0, 2)], None)), "a sighting's place");
    for (second, good) in [(12, true), (10, false), (8, false)] {
        let ticks = numbers(&[2, 10, 1, 0, 1, 2, second, 1, 0, 1, 2]);
        let read = read(&[&never, &ticks], None);
        assert_eq!(read.is_ok(), good, "{second}");
        if !good {
            assert_eq!(complaint(read), "a tick out of order");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_log_or_are_refused(bytes in any::<Vec<u8>>(), small in prop::collection::vec(0..6_u8, 0..60)) {
        for log in [bytes, small] {
            let (mut held, closed) = town();
            if held.replay(&log, Some(closed), LIFE).is_ok() {
                held.close(10_000, LIFE);
                held.close(70_000, LIFE);
                counted(&mut held);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_are_refused(bytes in any::<Vec<u8>>(), small in prop::collection::vec(0..4_u8, 0..60)) {
        for bytes in [bytes, small] {
            for closed in [None, Some(5_000)] {
                if let Ok(mut held) = Sightings::read(&mut Reader::new(&bytes), closed, LIFE) {
                    held.close(10_000, LIFE);
                    held.close(70_000, LIFE);
                    counted(&mut held);
                }
            }
        }
    }

    #[test]
    fn a_damaged_snapshot_or_log_never_breaks_what_reads_it(at in any::<prop::sample::Index>(), bit in 0..8, cut in any::<bool>()) {
        let (mut held, closed) = town();
        let (mut snapshot, mut log) = (snapshot_of(&held, Some(closed)), log_of(&mut held));
        for bytes in [&mut snapshot, &mut log] {
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            bytes.truncate(if cut { at } else { bytes.len() });
        }
        for mut held in [Sightings::read(&mut Reader::new(&snapshot), Some(closed), LIFE), repeat(&log)].into_iter().flatten() {
            for tick in [10_000, 15_000, 70_000, 75_000] {
                held.close(tick, LIFE);
                counted(&mut held);
                snapshot_of(&held, Some(tick));
            }
        }
    }
}
