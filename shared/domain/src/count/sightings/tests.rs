//! The counts are those of the last sighting of each entity (CONTRACT §3).

mod codec;
mod limits;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::wire::Reader;

pub(super) const LIFE: Lifetime = Lifetime {
    ttl_ms: 60_000,
    contact_ms: 60_000,
    log_off_ends_standing: false,
    tick_ms: 5_000,
    max_entities: 1_000,
};

/// The defaults of CONTRACT §3 for drivers.
pub(super) const DRIVERS: Lifetime = Lifetime { ttl_ms: 300_000, ..LIFE };

pub(super) fn key(entity: u64) -> EntityKey {
    EntityKey(entity.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A few places; 0 is nowhere, and [`LOG_OFF`] a log-off.
pub(super) fn place(number: u64) -> Place {
    match number {
        0 => Place::NOWHERE,
        LOG_OFF => Place::OFFLINE,
        _ => Place { cell: 0x0883_0000_0000_0000 + 7 * (number / 2), products: 1 + number % 2 },
    }
}

pub(super) fn counted(sightings: &mut Sightings) -> Vec<(Place, u32)> {
    sightings.counts().map(|count| (count.place, count.entities)).collect()
}

/// The place of a log-off in a step.
const LOG_OFF: u64 = 6;

/// All sightings in the order of the stream, by entity.
#[derive(Default)]
struct Model {
    entities: BTreeMap<u64, Vec<(i64, Place)>>,
    in_touch: BTreeSet<u64>,
}

impl Model {
    fn absorb(&mut self, entity: u64, place: Place, time_ms: i64) {
        self.entities.entry(entity).or_default().push((time_ms, place));
    }

    /// The last sighting as of `tick` for which `counts` holds.
    fn last(sightings: &[(i64, Place)], tick: i64, counts: impl Fn(Place) -> bool) -> Option<(i64, Place)> {
        // `max_by_key` returns the last of equal elements.
        let sightings = sightings.iter().filter(|(time, place)| *time <= tick && counts(*place));
        sightings.max_by_key(|(time, _)| *time).copied()
    }

    fn counted(&self, tick: i64, life: Lifetime) -> Vec<(Place, u32)> {
        let mut counts = BTreeMap::new();
        let is_standing = |place| life.log_off_ends_standing || place != Place::OFFLINE;
        for sightings in self.entities.values() {
            if let Some((time, place)) = Self::last(sightings, tick, is_standing)
                && tick - time < life.ttl_ms
                && place.products != 0
            {
                *counts.entry(place).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    /// Closes a tick: which entities are in touch, and how many were lost.
    fn contact(&mut self, tick: i64, life: Lifetime) -> Contact {
        let mut lost = 0;
        for (entity, sightings) in &self.entities {
            let last = Self::last(sightings, tick, |_| true);
            let is_offline = last.is_some_and(|(_, place)| place == Place::OFFLINE);
            if last.is_some_and(|(time, _)| !is_offline && tick - time < life.contact_ms) {
                self.in_touch.insert(*entity);
            } else if self.in_touch.remove(entity) && !is_offline {
                lost += 1;
            }
        }
        Contact { in_touch: u32::try_from(self.in_touch.len()).unwrap(), lost }
    }

    /// The number of entities with a sighting whose lifetime has not ended at `tick`, pending ones included.
    fn in_memory(&self, tick: i64, life: Lifetime) -> usize {
        let is_alive = |(time, place): &(i64, Place)| tick - time < life.of(*place);
        self.entities.values().filter(|sightings| sightings.iter().any(is_alive)).count()
    }
}

/// A step of a test.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A sighting of `entity` at `place`, `after` milliseconds after the newest closed tick, or before it if negative.
    See { entity: u64, place: u64, after: i64 },
    /// A number of ticks closes, one after the other.
    Close(i64),
    /// A snapshot is written and read back.
    Snapshot,
}

pub(super) fn lifetimes() -> impl Strategy<Value = Lifetime> {
    let durations_ms =
        prop_oneof![Just((60, 5)), Just((7, 5)), Just((3, 5)), Just((1, 1)), (1..200_i64, 1..50_i64)];
    let absent_ms = prop_oneof![Just(None), Just(Some(0)), Just(Some(300)), (1..300_i64).prop_map(Some)];
    (durations_ms, absent_ms).prop_map(|((contact_ms, tick_ms), absent_ms)| Lifetime {
        ttl_ms: contact_ms.max(absent_ms.unwrap_or(0)),
        contact_ms,
        log_off_ends_standing: absent_ms.is_none(),
        tick_ms,
        max_entities: 1_000,
    })
}

/// Times around the newest closed tick, in lifetimes and ticks, so that the limits of both occur often.
fn offsets(life: Lifetime) -> impl Strategy<Value = i64> {
    let Lifetime { ttl_ms, contact_ms, tick_ms, .. } = life;
    prop_oneof![
        2 => -contact_ms - 2..=2 - contact_ms,
        6 => -2 * tick_ms..=4 * tick_ms,
        2 => -ttl_ms - 2..=2 - ttl_ms,
        2 => -2 * ttl_ms..=2 * ttl_ms,
        1 => (0..4_i64).prop_map(move |ticks| ticks * tick_ms),
        1 => Just(3_000_000_000),
    ]
}

pub(super) fn steps(life: Lifetime, entities: u64) -> impl Strategy<Value = Vec<Step>> {
    let see = (0..entities, 0..=LOG_OFF, offsets(life));
    let step = prop_oneof![
        8 => see.prop_map(|(entity, place, after)| Step::See { entity, place, after }),
        3 => (1..4_i64).prop_map(Step::Close),
        1 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 0..60)
}

/// The time before the first tick, including times at which the low half wraps.
pub(super) fn start_times() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(1 << 32), Just(1_772_000_000_000), -1_000_000..1_000_000_i64]
}

fn life_and_steps(entities: u64) -> impl Strategy<Value = (Lifetime, Vec<Step>, i64)> {
    lifetimes().prop_flat_map(move |life| (Just(life), steps(life, entities), start_times()))
}

pub(super) fn reread(sightings: &Sightings, closed: Option<i64>, life: Lifetime) -> Sightings {
    let mut bytes = Vec::new();
    sightings.write(&mut bytes, closed);
    let mut input = Reader::new(&bytes);
    let read_back = Sightings::read(&mut input, closed, life).unwrap();
    assert!(input.is_done());
    read_back
}

proptest! {
    #[test]
    fn counts_are_those_of_each_entitys_last_sighting((life, steps, begin) in life_and_steps(5)) {
        let (mut sightings, mut model) = (Sightings::default(), Model::default());
        let mut tick = tick_at_or_after(begin, life.tick_ms);
        let mut closed = None;
        for step in steps {
            match step {
                Step::See { entity, place: at, after } => {
                    sightings.absorb(key(entity), place(at), tick + after, closed, life);
                    model.absorb(entity, place(at), tick + after);
                }
                Step::Close(ticks) => {
                    for _ in 0..ticks {
                        tick += life.tick_ms;
                        let contact = sightings.close(tick, life);
                        closed = Some(tick);
                        prop_assert_eq!(contact, model.contact(tick, life), "{}", tick);
                        prop_assert_eq!(counted(&mut sightings), model.counted(tick, life), "{}", tick);
                        prop_assert_eq!(sightings.len(), model.in_memory(tick, life), "{}", tick);
                        prop_assert_eq!(sightings.is_empty(), model.in_memory(tick, life) == 0);
                    }
                }
                Step::Snapshot => sightings = reread(&sightings, closed, life),
            }
        }
        prop_assert_eq!(sightings.evicted(), 0);
    }

    #[test]
    fn after_a_lifetime_without_sightings_no_entity_is_in_memory((life, steps, begin) in life_and_steps(40)) {
        let mut sightings = Sightings::default();
        let mut tick = tick_at_or_after(begin, life.tick_ms);
        let (mut closed, mut greatest) = (None, tick);
        for step in steps {
            match step {
                // Every tick closes below, and years of them would take long.
                Step::See { after, .. } if after > 1_000_000 => {}
                Step::See { entity, place: at, after } => {
                    sightings.absorb(key(entity), place(at), tick + after, closed, life);
                    greatest = greatest.max(tick + after);
                }
                Step::Close(ticks) => for _ in 0..ticks {
                    tick += life.tick_ms;
                    sightings.close(tick, life);
                    closed = Some(tick);
                }
                Step::Snapshot => {}
            }
        }
        while tick - greatest < life.ttl_ms {
            tick += life.tick_ms;
            sightings.close(tick, life);
        }
        prop_assert!(sightings.is_empty());
        prop_assert_eq!(counted(&mut sightings), []);
    }
}

#[test]
fn a_driver_seen_twice_counts_once_at_the_last_place() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 1_000, None, LIFE);
    sightings.absorb(key(1), place(2), 2_000, None, LIFE);
    sightings.absorb(key(1), place(3), 1_500, None, LIFE);
    assert_eq!(counted(&mut sightings), [], "before the tick");
    sightings.close(5_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(2), 1)]);
    assert_eq!(sightings.len(), 1);
}

#[test]
fn the_later_in_the_stream_of_two_sightings_at_one_time_counts() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 1_000, None, LIFE);
    sightings.absorb(key(1), place(2), 1_000, None, LIFE);
    sightings.close(5_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(2), 1)]);
    sightings.absorb(key(1), place(3), 1_000, Some(5_000), LIFE);
    sightings.close(10_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(3), 1)]);
}

#[test]
fn a_sighting_counts_from_its_own_tick_until_its_lifetime_ends() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 5_001, None, LIFE);
    sightings.absorb(key(2), place(1), 5_000, None, LIFE);
    sightings.close(5_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(1), 1)]);
    for tick in (10_000..=60_000).step_by(5_000) {
        sightings.close(tick, LIFE);
        assert_eq!(counted(&mut sightings), [(place(1), 2)], "{tick}");
    }
    sightings.close(65_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(1), 1)]);
    sightings.close(70_000, LIFE);
    assert_eq!(counted(&mut sightings), []);
    assert!(sightings.is_empty());
}

#[test]
fn a_late_sighting_counts_for_the_rest_of_its_lifetime() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 10_000, None, LIFE);
    sightings.close(60_000, LIFE);
    sightings.absorb(key(2), place(2), 5_001, Some(60_000), LIFE);
    sightings.absorb(key(3), place(3), 0, Some(60_000), LIFE);
    assert_eq!(sightings.len(), 2, "a sighting that is a lifetime late is ignored");
    sightings.close(65_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(1), 1), (place(2), 1)]);
    sightings.close(70_000, LIFE);
    assert_eq!(counted(&mut sightings), []);
}

/// A regression found by the model: a new entity was visited only when its first sighting was due.
#[test]
fn a_late_sighting_ends_with_its_lifetime_although_a_newer_one_is_pending() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(2), place(2), 99_000, None, LIFE);
    sightings.close(100_000, LIFE);
    sightings.absorb(key(1), place(1), 109_000, Some(100_000), LIFE);
    sightings.absorb(key(1), place(3), 43_000, Some(100_000), LIFE);
    sightings.close(105_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(2), 1)]);
    sightings.close(110_000, LIFE);
    assert_eq!(counted(&mut sightings), [(place(1), 1), (place(2), 1)]);
}

#[test]
fn an_unavailable_entity_does_not_count() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 5_000, None, LIFE);
    sightings.close(5_000, LIFE);
    sightings.absorb(key(1), Place::NOWHERE, 5_001, Some(5_000), LIFE);
    sightings.close(10_000, LIFE);
    assert_eq!(counted(&mut sightings), []);
    assert_eq!(sightings.len(), 1, "its last sighting stays in memory: an older one must not count");
    sightings.absorb(key(1), place(2), 5_000, Some(10_000), LIFE);
    sightings.close(15_000, LIFE);
    assert_eq!(counted(&mut sightings), []);
}

#[test]
fn counts_are_ordered_by_cell_and_products() {
    let mut sightings = Sightings::default();
    let at = |cell, products| Place { cell, products };
    let places = [at(9, 1), at(3, 2), at(9, 3), at(3, 1), at(1, 64), at(9, 2)];
    for (entity, place) in (0..).zip(places) {
        sightings.absorb(key(entity), place, 1, None, LIFE);
        sightings.absorb(key(entity + 10), place, 2, None, LIFE);
        sightings.close(5_000 * (1 + entity.cast_signed()), LIFE);
        let counts = counted(&mut sightings);
        assert!(counts.is_sorted() && counts.iter().all(|(_, entities)| *entities == 2), "{counts:?}");
        assert_eq!(counts.len() as u64, entity + 1);
    }
}

/// Closes the ticks up to `last`, and returns the contact of each that lost an entity, by tick.
fn losses(sightings: &mut Sightings, first: i64, last: i64) -> Vec<(i64, u32)> {
    let ticks = (first..=last).step_by(5_000);
    let losses = ticks.map(|tick| (tick, sightings.close(tick, DRIVERS).lost));
    losses.filter(|(_, lost)| *lost > 0).collect()
}

#[test]
fn a_driver_who_falls_silent_is_lost_once_and_counts_until_the_lifetime_ends() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 4_000, None, DRIVERS);
    assert_eq!(sightings.close(5_000, DRIVERS), Contact { in_touch: 1, lost: 0 });
    assert_eq!(losses(&mut sightings, 10_000, 300_000), [(65_000, 1)]);
    assert_eq!(counted(&mut sightings), [(place(1), 1)]);
    assert_eq!(sightings.close(305_000, DRIVERS), Contact::default());
    assert_eq!(counted(&mut sightings), []);
    assert!(sightings.is_empty());
}

#[test]
fn a_driver_who_logs_off_is_not_lost_and_counts_since_the_last_standing() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 4_000, None, DRIVERS);
    sightings.absorb(key(2), Place::OFFLINE, 4_000, None, DRIVERS);
    assert_eq!(sightings.close(5_000, DRIVERS), Contact { in_touch: 1, lost: 0 });
    sightings.absorb(key(1), Place::OFFLINE, 60_000, Some(5_000), DRIVERS);
    assert_eq!(losses(&mut sightings, 10_000, 300_000), []);
    assert_eq!(counted(&mut sightings), [(place(1), 1)], "until 304 s, not until 360 s");
    sightings.close(305_000, DRIVERS);
    assert!(sightings.is_empty());
}

#[test]
fn an_older_sighting_does_not_end_a_log_off_but_is_the_standing() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), Place::OFFLINE, 4_000, None, DRIVERS);
    assert_eq!(sightings.close(5_000, DRIVERS), Contact::default());
    sightings.absorb(key(1), place(1), 3_000, Some(5_000), DRIVERS);
    assert_eq!(sightings.close(10_000, DRIVERS), Contact::default());
    assert_eq!(counted(&mut sightings), [(place(1), 1)]);
    sightings.absorb(key(1), place(2), 4_000, Some(10_000), DRIVERS);
    assert_eq!(sightings.close(15_000, DRIVERS), Contact { in_touch: 1, lost: 0 }, "the later in the stream");
}

#[test]
fn without_absence_a_log_off_ends_the_standing() {
    let life = Lifetime { log_off_ends_standing: true, ..LIFE };
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 4_000, None, life);
    sightings.close(5_000, life);
    sightings.absorb(key(1), Place::OFFLINE, 6_000, Some(5_000), life);
    assert_eq!(sightings.close(10_000, life), Contact::default());
    assert_eq!(counted(&mut sightings), []);
}

#[test]
fn log_offs_become_standings_when_absence_does_not_count_any_more() {
    let mut sightings = Sightings::default();
    sightings.absorb(key(1), place(1), 4_000, None, DRIVERS);
    sightings.absorb(key(1), Place::OFFLINE, 4_500, None, DRIVERS);
    sightings.close(5_000, DRIVERS);
    assert_eq!(counted(&mut sightings), [(place(1), 1)]);
    let life = Lifetime { log_off_ends_standing: true, ..LIFE };
    sightings.end_standings_by_log_off(Some(5_000), life);
    sightings.close(10_000, life);
    assert_eq!(counted(&mut sightings), []);
}

#[test]
fn drivers_who_flap_leave_nothing_behind() {
    let mut sightings = Sightings::default();
    let mut closed = None;
    for tick in (5_000..=900_000).step_by(5_000) {
        for second in 0..20 {
            let place = if second % 2 == 0 { place(1) } else { Place::OFFLINE };
            sightings.absorb(
                key(second / 7),
                place,
                tick - 4_000 + second.cast_signed() * 100,
                closed,
                DRIVERS,
            );
        }
        sightings.close(tick, DRIVERS);
        closed = Some(tick);
    }
    let mut bytes = Vec::new();
    sightings.write(&mut bytes, closed);
    assert!(bytes.len() < 100, "{}", bytes.len());
    assert_eq!(losses(&mut sightings, 905_000, 1_300_000).len(), 1);
    assert!(sightings.is_empty());
}
