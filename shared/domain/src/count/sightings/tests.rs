//! What sightings count is what CONTRACT §3 says of the last sighting of each entity.

mod crowd;
mod written;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

pub(super) const LIFE: Lifetime = Lifetime { ttl_ms: 60_000, tick_ms: 5_000, most: 1_000 };

pub(super) fn key(who: u64) -> EntityKey {
    EntityKey(who.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A few places, the first of them nowhere.
pub(super) fn place(number: u64) -> Place {
    match number {
        0 => Place::NOWHERE,
        _ => Place { cell: 0x0883_0000_0000_0000 + 7 * (number / 2), products: 1 + number % 2 },
    }
}

pub(super) fn counted(held: &mut Sightings) -> Vec<(Place, u32)> {
    held.counts().map(|count| (count.place, count.entities)).collect()
}

/// Every sighting ever, in log order, by entity.
#[derive(Default)]
struct Model(BTreeMap<u64, Vec<(i64, Place)>>);

impl Model {
    fn absorb(&mut self, who: u64, place: Place, time: i64) {
        self.0.entry(who).or_default().push((time, place));
    }

    fn last(sightings: &[(i64, Place)], tick: i64) -> Option<&(i64, Place)> {
        // `max_by_key` gives the last of equals.
        sightings.iter().filter(|(time, _)| *time <= tick).max_by_key(|(time, _)| *time)
    }

    fn counted(&self, tick: i64, life: Lifetime) -> Vec<(Place, u32)> {
        let mut counts = BTreeMap::new();
        for sightings in self.0.values() {
            if let Some((time, place)) = Self::last(sightings, tick)
                && tick - time < life.ttl_ms
                && *place != Place::NOWHERE
            {
                *counts.entry(*place).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    /// Entities that count somewhere or nowhere at `tick`, or are to count later.
    fn remembered(&self, tick: i64, life: Lifetime) -> usize {
        let alive = |(time, _): &(i64, Place)| tick - time < life.ttl_ms;
        self.0.values().filter(|sightings| sightings.iter().any(alive)).count()
    }
}

/// What may happen to sightings.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// One of `who` at `place`, so long after the newest closed tick, or before it.
    See { who: u64, place: u64, after: i64 },
    /// So many ticks close, one after the other.
    Close(i64),
    /// A snapshot is written and read back.
    Snapshot,
}

pub(super) fn lives() -> impl Strategy<Value = Lifetime> {
    let spans = prop_oneof![Just((60, 5)), Just((7, 5)), Just((3, 5)), Just((1, 1)), (1..200_i64, 1..50_i64)];
    spans.prop_map(|(ttl_ms, tick_ms)| Lifetime { ttl_ms, tick_ms, most: 1_000 })
}

/// Around the newest closed tick, by lifetimes and ticks, so that the edges of both are met often.
fn offsets(life: Lifetime) -> impl Strategy<Value = i64> {
    let Lifetime { ttl_ms, tick_ms, .. } = life;
    prop_oneof![
        6 => -2 * tick_ms..=4 * tick_ms,
        2 => -ttl_ms - 2..=2 - ttl_ms,
        2 => -2 * ttl_ms..=2 * ttl_ms,
        1 => (0..4_i64).prop_map(move |ticks| ticks * tick_ms),
        1 => Just(3_000_000_000),
    ]
}

pub(super) fn steps(life: Lifetime, entities: u64) -> impl Strategy<Value = Vec<Step>> {
    let see = (0..entities, 0..6_u64, offsets(life));
    let step = prop_oneof![
        8 => see.prop_map(|(who, place, after)| Step::See { who, place, after }),
        3 => (1..4_i64).prop_map(Step::Close),
        1 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 0..60)
}

/// Where the clock stands before anything closes: also where the low half of a time wraps.
pub(super) fn beginnings() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(1 << 32), Just(1_772_000_000_000), -1_000_000..1_000_000_i64]
}

fn life_and_steps(entities: u64) -> impl Strategy<Value = (Lifetime, Vec<Step>, i64)> {
    lives().prop_flat_map(move |life| (Just(life), steps(life, entities), beginnings()))
}

pub(super) fn reread(held: &Sightings, closed: Option<i64>, life: Lifetime) -> Sightings {
    let mut bytes = Vec::new();
    held.write(&mut bytes, closed);
    let mut input = Reader::new(&bytes);
    let again = Sightings::read(&mut input, closed, life).unwrap();
    assert!(input.is_done());
    again
}

proptest! {
    #[test]
    fn what_counts_is_each_entitys_last_sighting((life, steps, begin) in life_and_steps(5)) {
        let (mut held, mut model) = (Sightings::default(), Model::default());
        let mut tick = tick_at_or_after(begin, life.tick_ms);
        let mut closed = None;
        for step in steps {
            match step {
                Step::See { who, place: at, after } => {
                    held.absorb(key(who), place(at), tick + after, closed, life);
                    model.absorb(who, place(at), tick + after);
                }
                Step::Close(ticks) => {
                    for _ in 0..ticks {
                        tick += life.tick_ms;
                        held.close(tick, life);
                        closed = Some(tick);
                        prop_assert_eq!(counted(&mut held), model.counted(tick, life), "{}", tick);
                        prop_assert_eq!(held.len(), model.remembered(tick, life), "{}", tick);
                        prop_assert_eq!(held.is_empty(), model.remembered(tick, life) == 0);
                    }
                }
                Step::Snapshot => held = reread(&held, closed, life),
            }
        }
        prop_assert_eq!(held.evicted(), 0);
    }

    #[test]
    fn after_a_lifetime_of_silence_nobody_is_remembered((life, steps, begin) in life_and_steps(40)) {
        let mut held = Sightings::default();
        let mut tick = tick_at_or_after(begin, life.tick_ms);
        let (mut closed, mut greatest) = (None, tick);
        for step in steps {
            match step {
                // In silence every tick closes, so years of it would take long.
                Step::See { after, .. } if after > 1_000_000 => {}
                Step::See { who, place: at, after } => {
                    held.absorb(key(who), place(at), tick + after, closed, life);
                    greatest = greatest.max(tick + after);
                }
                Step::Close(ticks) => for _ in 0..ticks {
                    tick += life.tick_ms;
                    held.close(tick, life);
                    closed = Some(tick);
                }
                Step::Snapshot => {}
            }
        }
        while tick - greatest < life.ttl_ms {
            tick += life.tick_ms;
            held.close(tick, life);
        }
        prop_assert!(held.is_empty());
        prop_assert_eq!(counted(&mut held), []);
    }
}

#[test]
fn a_driver_seen_twice_counts_once_where_they_were_last() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 1_000, None, LIFE);
    held.absorb(key(1), place(2), 2_000, None, LIFE);
    held.absorb(key(1), place(3), 1_500, None, LIFE);
    assert_eq!(counted(&mut held), [], "before the tick");
    held.close(5_000, LIFE);
    assert_eq!(counted(&mut held), [(place(2), 1)]);
    assert_eq!(held.len(), 1);
}

#[test]
fn of_two_sightings_at_one_time_the_later_in_the_log_counts() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 1_000, None, LIFE);
    held.absorb(key(1), place(2), 1_000, None, LIFE);
    held.close(5_000, LIFE);
    assert_eq!(counted(&mut held), [(place(2), 1)]);
    held.absorb(key(1), place(3), 1_000, Some(5_000), LIFE);
    held.close(10_000, LIFE);
    assert_eq!(counted(&mut held), [(place(3), 1)]);
}

#[test]
fn a_sighting_counts_from_its_own_tick_until_its_lifetime_ends() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 5_001, None, LIFE);
    held.absorb(key(2), place(1), 5_000, None, LIFE);
    held.close(5_000, LIFE);
    assert_eq!(counted(&mut held), [(place(1), 1)]);
    for tick in (10_000..=60_000).step_by(5_000) {
        held.close(tick, LIFE);
        assert_eq!(counted(&mut held), [(place(1), 2)], "{tick}");
    }
    held.close(65_000, LIFE);
    assert_eq!(counted(&mut held), [(place(1), 1)]);
    held.close(70_000, LIFE);
    assert_eq!(counted(&mut held), []);
    assert!(held.is_empty());
}

#[test]
fn a_late_sighting_counts_in_the_ticks_that_are_left_to_it() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 10_000, None, LIFE);
    held.close(60_000, LIFE);
    held.absorb(key(2), place(2), 5_001, Some(60_000), LIFE);
    held.absorb(key(3), place(3), 0, Some(60_000), LIFE);
    assert_eq!(held.len(), 2, "one a lifetime late is not even looked at");
    held.close(65_000, LIFE);
    assert_eq!(counted(&mut held), [(place(1), 1), (place(2), 1)]);
    held.close(70_000, LIFE);
    assert_eq!(counted(&mut held), []);
}

/// Found by the model: the newcomer was looked at again only when the sighting that came first was due.
#[test]
fn a_newcomers_late_sighting_ends_with_its_lifetime_though_a_newer_one_waits() {
    let mut held = Sightings::default();
    held.absorb(key(2), place(2), 99_000, None, LIFE);
    held.close(100_000, LIFE);
    held.absorb(key(1), place(1), 109_000, Some(100_000), LIFE);
    held.absorb(key(1), place(3), 43_000, Some(100_000), LIFE);
    held.close(105_000, LIFE);
    assert_eq!(counted(&mut held), [(place(2), 1)]);
    held.close(110_000, LIFE);
    assert_eq!(counted(&mut held), [(place(1), 1), (place(2), 1)]);
}

#[test]
fn an_entity_that_goes_nowhere_counts_no_more() {
    let mut held = Sightings::default();
    held.absorb(key(1), place(1), 5_000, None, LIFE);
    held.close(5_000, LIFE);
    held.absorb(key(1), Place::NOWHERE, 5_001, Some(5_000), LIFE);
    held.close(10_000, LIFE);
    assert_eq!(counted(&mut held), []);
    assert_eq!(held.len(), 1, "its last sighting is remembered: an older one must not count");
    held.absorb(key(1), place(2), 5_000, Some(10_000), LIFE);
    held.close(15_000, LIFE);
    assert_eq!(counted(&mut held), []);
}

#[test]
fn counts_come_by_cell_and_products() {
    let mut held = Sightings::default();
    let at = |cell, products| Place { cell, products };
    let places = [at(9, 1), at(3, 2), at(9, 3), at(3, 1), at(1, 64), at(9, 2)];
    for (who, place) in (0..).zip(places) {
        held.absorb(key(who), place, 1, None, LIFE);
        held.absorb(key(who + 10), place, 2, None, LIFE);
        held.close(5_000 * (1 + who.cast_signed()), LIFE);
        let counts = counted(&mut held);
        assert!(counts.is_sorted() && counts.iter().all(|(_, entities)| *entities == 2), "{counts:?}");
        assert_eq!(counts.len() as u64, who + 1);
    }
}
