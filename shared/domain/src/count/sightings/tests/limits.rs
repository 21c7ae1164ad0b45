//! The limits of entities and of pending sightings, and which entities are evicted first.

use super::*;

fn at_most(max_entities: u32) -> Lifetime {
    Lifetime { max_entities, ..LIFE }
}

/// The entities in memory: the snapshot contains their keys.
fn known(sightings: &Sightings, closed: Option<i64>, entities: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut snapshot = Vec::new();
    sightings.write(&mut snapshot, closed);
    entities
        .filter(|entity| {
            let word = key(*entity).0.to_le_bytes();
            snapshot.windows(8).any(|bytes| bytes == word)
        })
        .collect()
}

#[test]
fn the_oldest_eighth_of_too_many_entities_is_evicted_and_counted() {
    let life = at_most(24);
    let mut sightings = Sightings::default();
    // A higher number is older.
    for entity in 0..24 {
        sightings.absorb(key(entity), place(1), 50_000 - entity.cast_signed(), None, life);
    }
    sightings.close(50_000, life);
    assert_eq!((sightings.len(), sightings.evicted()), (24, 0));
    sightings.absorb(key(24), place(2), 51_000, Some(50_000), life);
    assert_eq!((sightings.len(), sightings.evicted()), (22, 3));
    let entities: Vec<u64> = (0..21).chain([24]).collect();
    assert_eq!(known(&sightings, Some(50_000), 0..25), entities);
    sightings.close(55_000, life);
    assert_eq!(counted(&mut sightings), [(place(1), 21), (place(2), 1)]);
}

#[test]
fn an_entity_is_as_old_as_its_newest_pending_sighting() {
    let life = at_most(8);
    let mut sightings = Sightings::default();
    for entity in 0..8 {
        sightings.absorb(key(entity), place(1), 1_000 + entity.cast_signed(), None, life);
    }
    sightings.close(5_000, life);
    sightings.absorb(key(0), place(2), 7_000, Some(5_000), life);
    sightings.absorb(key(0), place(2), 6_000, Some(5_000), life);
    sightings.absorb(key(1), place(2), 12_000, Some(5_000), life);
    sightings.absorb(key(9), place(3), 8_000, Some(5_000), life);
    assert_eq!(known(&sightings, Some(5_000), 0..10), [0, 1, 3, 4, 5, 6, 7, 9]);
    sightings.absorb(key(10), place(3), 8_000, Some(5_000), life);
    assert_eq!(known(&sightings, Some(5_000), 0..11), [0, 1, 4, 5, 6, 7, 9, 10]);
    assert_eq!(sightings.evicted(), 2);
    sightings.close(10_000, life);
    assert_eq!(counted(&mut sightings), [(place(1), 5), (place(2), 1), (place(3), 2)]);
}

#[test]
fn an_entity_that_never_counted_is_evicted_with_its_pending_sightings() {
    let life = at_most(2);
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 1_000, None, life);
    sightings.absorb(key(2), place(1), 2_000, None, life);
    sightings.absorb(key(3), place(1), 3_000, None, life);
    assert_eq!((sightings.len(), sightings.evicted()), (2, 1));
    sightings.close(5_000, life);
    assert_eq!(counted(&mut sightings), [(place(1), 2)]);
    assert_eq!(known(&sightings, Some(5_000), 0..4), [2, 3]);
}

#[test]
fn a_limit_of_one_keeps_the_newest_entity() {
    let life = at_most(1);
    let mut sightings = Sightings::default();
    for entity in 0..5 {
        sightings.absorb(key(entity), place(entity), 1_000 + entity.cast_signed(), None, life);
        assert_eq!(sightings.len(), 1);
    }
    sightings.close(5_000, life);
    assert_eq!(counted(&mut sightings), [(place(4), 1)]);
    assert_eq!(sightings.evicted(), 4);
}

#[test]
fn entities_that_are_not_evicted_expire_in_time() {
    let life = at_most(8);
    let mut sightings = Sightings::default();
    for entity in 0..8 {
        sightings.absorb(key(entity), place(1), 5_000 * (1 + entity.cast_signed()), None, life);
    }
    for tick in (5_000..=40_000).step_by(5_000) {
        sightings.close(tick, life);
    }
    // Every entity that stays has a newer pending sighting, which does not count before 100 s.
    for entity in 1..8 {
        sightings.absorb(key(entity), place(2), 99_000, Some(40_000), life);
    }
    sightings.absorb(key(8), place(3), 40_000, Some(40_000), life);
    assert_eq!(sightings.evicted(), 1);
    for (tick, left) in [(65_000, 7), (70_000, 6), (80_000, 4), (90_000, 2), (95_000, 1)] {
        sightings.close(tick, life);
        assert_eq!(counted(&mut sightings), [(place(1), left), (place(3), 1)], "{tick}");
    }
    sightings.close(100_000, life);
    assert_eq!(counted(&mut sightings), [(place(2), 7)]);
}

#[test]
fn thousands_of_entities_are_distinct() {
    let life = at_most(100_000);
    let mut sightings = Sightings::default();
    for entity in 0..5_000 {
        sightings.absorb(key(entity), place(1 + entity % 2), 1_000, None, life);
    }
    sightings.close(5_000, life);
    let mut read_back = reread(&sightings, Some(5_000), life);
    for sightings in [&mut sightings, &mut read_back] {
        assert_eq!(
            (sightings.len(), counted(sightings)),
            (5_000, vec![(place(1), 2_500), (place(2), 2_500)])
        );
        for entity in 0..4_000 {
            sightings.absorb(key(entity), place(3), 6_000, Some(5_000), life);
        }
        sightings.close(10_000, life);
        assert_eq!(counted(sightings), [(place(1), 500), (place(2), 500), (place(3), 4_000)]);
    }
}

#[test]
fn a_sighting_that_was_pending_for_months_does_not_count() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 1_000, None, LIFE);
    // 2³² ms later the low half of the time is the same.
    sightings.close(4_294_970_000, LIFE);
    assert_eq!(counted(&mut sightings), []);
    assert!(sightings.is_empty());
}

#[test]
fn pending_sightings_of_one_driver_are_bounded() {
    let mut sightings = Sightings::default();
    let mut newest = [(0, 0); 2];
    for number in 0..40_000_i64 {
        let (entity, time) = (usize::from(number % 2 == 1), 1 + number * 7_919 % 5_000);
        let at = 1 + number.unsigned_abs() % 5;
        sightings.absorb(key(entity as u64), place(at), time, None, LIFE);
        newest[entity] = newest[entity].max((time, number));
    }
    let mut snapshot = Vec::new();
    sightings.write(&mut snapshot, None);
    assert!(snapshot.len() < 50_000, "{}", snapshot.len());
    sightings.close(5_000, LIFE);
    let mut places: Vec<_> = newest.iter().map(|(_, at)| place(1 + at.unsigned_abs() % 5)).collect();
    places.sort_unstable();
    let counts = counted(&mut sightings);
    assert_eq!(counts.iter().map(|(_, entities)| entities).sum::<u32>(), 2);
    assert!(places.iter().all(|place| counts.iter().any(|(at, _)| at == place)), "{counts:?} {places:?}");
}

#[test]
fn pending_sightings_of_one_driver_are_bounded_while_a_later_tick_is_pending() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 9_000, None, LIFE);
    for number in 0..40_000_i64 {
        sightings.absorb(key(0), place(2), 1 + number % 5_000, None, LIFE);
    }
    let mut snapshot = Vec::new();
    sightings.write(&mut snapshot, None);
    assert!(snapshot.len() < 50_000, "{}", snapshot.len());
    sightings.close(5_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(2), 1)]);
}

#[test]
fn unused_places_need_compaction() {
    let mut sightings = Sightings::default();
    let place = |number: i64| Place { cell: number.unsigned_abs(), products: 1 };
    for number in 1..=4_098 {
        sightings.absorb(key(1), place(number), number, Some(number), LIFE);
    }
    assert!(!sightings.needs_compaction());
    sightings.absorb(key(1), place(4_099), 4_099, Some(4_099), LIFE);
    assert!(sightings.needs_compaction());
    assert!(!reread(&sightings, Some(4_099), LIFE).needs_compaction());
    // Four places per entity are allowed.
    sightings.absorb(key(2), place(1), 4_099, Some(4_099), LIFE);
    assert!(!sightings.needs_compaction());
    for number in 4_100..=4_102 {
        sightings.absorb(key(1), place(number), 4_200, Some(4_200), LIFE);
        assert!(!sightings.needs_compaction());
    }
}

proptest! {
    #[test]
    fn the_limit_holds_and_the_log_replays(
        (life, steps, begin, max_entities) in lifetimes().prop_flat_map(|life| {
            (Just(life), steps(life, 30), start_times(), prop_oneof![1..4_u32, 4..20_u32])
        }),
    ) {
        let life = Lifetime { max_entities, ..life };
        let (mut sightings, mut replayed) = (Sightings::default(), Sightings::default());
        let mut tick = tick_at_or_after(begin, life.tick_ms);
        let mut closed = None;
        for step in steps {
            match step {
                Step::See { entity, place: at, after } => {
                    sightings.absorb(key(entity), place(at), tick + after, closed, life);
                    prop_assert!(sightings.len() <= max_entities as usize);
                }
                Step::Close(ticks) => {
                    let mut log = Vec::new();
                    sightings.take_log(&mut log);
                    replayed.replay(&log, closed, life).unwrap();
                    for _ in 0..ticks {
                        tick += life.tick_ms;
                        sightings.close(tick, life);
                        replayed.close(tick, life);
                        closed = Some(tick);
                    }
                    prop_assert_eq!(counted(&mut sightings), counted(&mut replayed));
                    let total: u32 = counted(&mut sightings).iter().map(|(_, entities)| entities).sum();
                    prop_assert!(total <= max_entities);
                    prop_assert_eq!(sightings.evicted(), replayed.evicted());
                }
                Step::Snapshot => {
                    let mut log = Vec::new();
                    sightings.take_log(&mut log);
                    replayed.replay(&log, closed, life).unwrap();
                    sightings = reread(&sightings, closed, life);
                    replayed = reread(&replayed, closed, life);
                }
            }
        }
        let mut log = Vec::new();
        sightings.take_log(&mut log);
        replayed.replay(&log, closed, life).unwrap();
        let (mut these, mut those) = (Vec::new(), Vec::new());
        sightings.write(&mut these, closed);
        replayed.write(&mut those, closed);
        prop_assert_eq!(these, those);
    }
}
