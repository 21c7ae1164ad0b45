//! How many entities and sightings are held at most, and who goes first.

use super::*;

fn at_most(most: u32) -> Lifetime {
    Lifetime { most, ..LIFE }
}

/// The whos that are known: a sighting of one not known is written down with its key.
fn known(held: &Sightings, closed: Option<i64>, whos: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut snapshot = Vec::new();
    held.write(&mut snapshot, closed);
    whos.filter(|who| {
        let word = key(*who).0.to_le_bytes();
        snapshot.windows(8).any(|bytes| bytes == word)
    })
    .collect()
}

#[test]
fn of_too_many_the_oldest_eighth_goes_first_and_is_counted() {
    let life = at_most(24);
    let mut held = Sightings::default();
    // The older, the higher the number.
    for who in 0..24 {
        held.absorb(key(who), place(1), 50_000 - who.cast_signed(), None, life);
    }
    held.close(50_000, life);
    assert_eq!((held.len(), held.evicted()), (24, 0));
    held.absorb(key(24), place(2), 51_000, Some(50_000), life);
    assert_eq!((held.len(), held.evicted()), (22, 3));
    let whos: Vec<u64> = (0..21).chain([24]).collect();
    assert_eq!(known(&held, Some(50_000), 0..25), whos);
    held.close(55_000, life);
    assert_eq!(counted(&mut held), [(place(1), 21), (place(2), 1)]);
}

#[test]
fn whoever_waits_to_count_is_as_old_as_their_newest_sighting() {
    let life = at_most(8);
    let mut held = Sightings::default();
    for who in 0..8 {
        held.absorb(key(who), place(1), 1_000 + who.cast_signed(), None, life);
    }
    held.close(5_000, life);
    held.absorb(key(0), place(2), 7_000, Some(5_000), life);
    held.absorb(key(0), place(2), 6_000, Some(5_000), life);
    held.absorb(key(1), place(2), 12_000, Some(5_000), life);
    held.absorb(key(9), place(3), 8_000, Some(5_000), life);
    assert_eq!(known(&held, Some(5_000), 0..10), [0, 1, 3, 4, 5, 6, 7, 9]);
    held.absorb(key(10), place(3), 8_000, Some(5_000), life);
    assert_eq!(known(&held, Some(5_000), 0..11), [0, 1, 4, 5, 6, 7, 9, 10]);
    assert_eq!(held.evicted(), 2);
    held.close(10_000, life);
    assert_eq!(counted(&mut held), [(place(1), 5), (place(2), 1), (place(3), 2)]);
}

#[test]
fn whoever_never_counted_yet_may_go_too_and_what_waits_goes_along() {
    let life = at_most(2);
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 1_000, None, life);
    held.absorb(key(2), place(1), 2_000, None, life);
    held.absorb(key(3), place(1), 3_000, None, life);
    assert_eq!((held.len(), held.evicted()), (2, 1));
    held.close(5_000, life);
    assert_eq!(counted(&mut held), [(place(1), 2)]);
    assert_eq!(known(&held, Some(5_000), 0..4), [2, 3]);
}

#[test]
fn one_entity_at_most_is_the_newest_comer() {
    let life = at_most(1);
    let mut held = Sightings::default();
    for who in 0..5 {
        held.absorb(key(who), place(who), 1_000 + who.cast_signed(), None, life);
        assert_eq!(held.len(), 1);
    }
    held.close(5_000, life);
    assert_eq!(counted(&mut held), [(place(4), 1)]);
    assert_eq!(held.evicted(), 4);
}

#[test]
fn those_who_stay_still_expire_in_time() {
    let life = at_most(8);
    let mut held = Sightings::default();
    for who in 0..8 {
        held.absorb(key(who), place(1), 5_000 * (1 + who.cast_signed()), None, life);
    }
    for tick in (5_000..=40_000).step_by(5_000) {
        held.close(tick, life);
    }
    // Everyone who stays has something newer waiting, that does not count before 100 s.
    for who in 1..8 {
        held.absorb(key(who), place(2), 99_000, Some(40_000), life);
    }
    held.absorb(key(8), place(3), 40_000, Some(40_000), life);
    assert_eq!(held.evicted(), 1);
    for (tick, left) in [(65_000, 7), (70_000, 6), (80_000, 4), (90_000, 2), (95_000, 1)] {
        held.close(tick, life);
        assert_eq!(counted(&mut held), [(place(1), left), (place(3), 1)], "{tick}");
    }
    held.close(100_000, life);
    assert_eq!(counted(&mut held), [(place(2), 7)]);
}

#[test]
fn many_thousands_are_held_apart() {
    let life = at_most(100_000);
    let mut held = Sightings::default();
    for who in 0..5_000 {
        held.absorb(key(who), place(1 + who % 2), 1_000, None, life);
    }
    held.close(5_000, life);
    let mut again = reread(&held, Some(5_000), life);
    for held in [&mut held, &mut again] {
        assert_eq!((held.len(), counted(held)), (5_000, vec![(place(1), 2_500), (place(2), 2_500)]));
        for who in 0..4_000 {
            held.absorb(key(who), place(3), 6_000, Some(5_000), life);
        }
        held.close(10_000, life);
        assert_eq!(counted(held), [(place(1), 500), (place(2), 500), (place(3), 4_000)]);
    }
}

#[test]
fn a_sighting_that_waited_for_months_is_not_taken_for_a_new_one() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 1_000, None, LIFE);
    // 2³² ms later the low half of the time reads the same.
    held.close(4_294_970_000, LIFE);
    assert_eq!(counted(&mut held), []);
    assert!(held.is_empty());
}

#[test]
fn a_chatty_driver_takes_no_more_room_than_a_few_thousand_sightings() {
    let mut held = Sightings::default();
    let mut newest = [(0, 0); 2];
    for number in 0..40_000_i64 {
        let (who, time) = (usize::from(number % 2 == 1), 1 + number * 7_919 % 5_000);
        let at = 1 + number.unsigned_abs() % 5;
        held.absorb(key(who as u64), place(at), time, None, LIFE);
        newest[who] = newest[who].max((time, number));
    }
    let mut snapshot = Vec::new();
    held.write(&mut snapshot, None);
    assert!(snapshot.len() < 50_000, "{}", snapshot.len());
    held.close(5_000, LIFE);
    let mut places: Vec<_> = newest.iter().map(|(_, at)| place(1 + at.unsigned_abs() % 5)).collect();
    places.sort_unstable();
    let counts = counted(&mut held);
    assert_eq!(counts.iter().map(|(_, entities)| entities).sum::<u32>(), 2);
    assert!(places.iter().all(|place| counts.iter().any(|(at, _)| at == place)), "{counts:?} {places:?}");
}

#[test]
fn a_chatty_driver_takes_no_more_room_while_others_wait_for_a_later_tick() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 9_000, None, LIFE);
    for number in 0..40_000_i64 {
        held.absorb(key(0), place(2), 1 + number % 5_000, None, LIFE);
    }
    let mut snapshot = Vec::new();
    held.write(&mut snapshot, None);
    assert!(snapshot.len() < 50_000, "{}", snapshot.len());
    held.close(5_000, LIFE);
    assert_eq!(counted(&mut held), [(place(2), 1)]);
}

#[test]
fn places_nobody_stands_at_are_litter_once_they_outweigh_the_rest() {
    let mut held = Sightings::default();
    let place = |number: i64| Place { cell: number.unsigned_abs(), products: 1 };
    for number in 1..=4_099 {
        held.absorb(key(1), place(number), number, Some(number), LIFE);
    }
    assert!(!held.needs_compaction());
    held.absorb(key(1), place(4_100), 4_100, Some(4_100), LIFE);
    assert!(held.needs_compaction());
    assert!(!reread(&held, Some(4_100), LIFE).needs_compaction());
    // Each entity may have four.
    held.absorb(key(2), place(1), 4_100, Some(4_100), LIFE);
    assert!(!held.needs_compaction());
    for number in 4_101..=4_103 {
        held.absorb(key(1), place(number), 4_200, Some(4_200), LIFE);
        assert!(!held.needs_compaction());
    }
}

proptest! {
    #[test]
    fn never_more_are_held_than_may_be_and_what_was_done_can_be_done_again(
        (life, steps, begin, most) in lives().prop_flat_map(|life| {
            (Just(life), steps(life, 30), beginnings(), prop_oneof![1..4_u32, 4..20_u32])
        }),
    ) {
        let life = Lifetime { most, ..life };
        let (mut held, mut copy) = (Sightings::default(), Sightings::default());
        let mut tick = tick_at_or_after(begin, life.tick_ms);
        let mut closed = None;
        for step in steps {
            match step {
                Step::See { who, place: at, after } => {
                    held.absorb(key(who), place(at), tick + after, closed, life);
                    prop_assert!(held.len() <= most as usize);
                }
                Step::Close(ticks) => {
                    let mut log = Vec::new();
                    held.take_log(&mut log);
                    copy.replay(&log, closed, life).unwrap();
                    for _ in 0..ticks {
                        tick += life.tick_ms;
                        held.close(tick, life);
                        copy.close(tick, life);
                        closed = Some(tick);
                    }
                    prop_assert_eq!(counted(&mut held), counted(&mut copy));
                    let total: u32 = counted(&mut held).iter().map(|(_, entities)| entities).sum();
                    prop_assert!(total <= most);
                    prop_assert_eq!(held.evicted(), copy.evicted());
                }
                Step::Snapshot => {
                    let mut log = Vec::new();
                    held.take_log(&mut log);
                    copy.replay(&log, closed, life).unwrap();
                    held = reread(&held, closed, life);
                    copy = reread(&copy, closed, life);
                }
            }
        }
        let mut log = Vec::new();
        held.take_log(&mut log);
        copy.replay(&log, closed, life).unwrap();
        let (mut these, mut those) = (Vec::new(), Vec::new());
        held.write(&mut these, closed);
        copy.write(&mut those, closed);
        prop_assert_eq!(these, those);
    }
}
