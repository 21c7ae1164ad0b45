//! The last sighting of every entity of one role in one city and lane, counted by place.
//!
//! A sighting is pending until its own tick closes. Then it replaces the entity's last one unless it is older (of two
//! at the same time, the later in the stream counts), and the entity counts at its place until the sighting's lifetime
//! ends. A log-off does not replace the standing, the last sighting of another kind; it ends the contact ([`Contact`]).
//!
//! Work is proportional to what changes: an entity without new sightings is visited twice, when its contact ends and
//! when its lifetime ends. An entity takes 20 bytes and its share of a hash table of 4-byte slots.
//!
//! Every change is also logged in as few bytes as replaying it needs: see [`Sightings::replay`].

mod contact;
mod eviction;
mod expiry;
mod log;
mod snapshot;
mod store;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hashbrown::HashTable;

pub use self::contact::Contact;
use self::contact::Contacts;
use self::log::SightingLog;
use self::store::{Arena, END, Entity, OFFLINE, Places, Slots, SlotsByAge, UNSEEN, flag};
use crate::hash::spread;
use crate::id::EntityKey;
use crate::time::tick_at_or_after;

/// The place at which an entity counts: a cell, and a set of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// H3 index.
    pub cell: u64,
    /// The products, one bit each as in the city's product table.
    pub products: u64,
}

impl Place {
    /// The place of an entity that does not count, such as a driver on a trip.
    pub const NOWHERE: Self = Self { cell: 0, products: 0 };

    /// The place of a log-off.
    pub const OFFLINE: Self = Self { cell: 1, products: 0 };
}

/// The limits of a sighting's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// A standing counts at tick `T` while `T − time` is less than this, in milliseconds.
    pub ttl_ms: i64,
    /// An entity is in touch at tick `T` while `T − time` of its last sighting is less than this, in milliseconds; at
    /// most [`Self::ttl_ms`].
    pub contact_ms: i64,
    /// Whether a log-off is a standing like any other, at [`Place::NOWHERE`]: the contract's `absent_ms` is 0.
    pub log_off_ends_standing: bool,
    /// Milliseconds from tick to tick.
    pub tick_ms: i64,
    /// Most entities in memory; beyond, the oldest are evicted.
    pub max_entities: u32,
}

/// The number of entities at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The place.
    pub place: Place,
    /// The number of entities; never 0.
    pub entities: u32,
}

/// A sighting whose own tick has not closed yet.
#[derive(Clone, Copy, Debug)]
struct PendingSighting {
    slot: u32,
    /// See [`low_half`].
    time: u32,
    place: u32,
}

/// The sightings of entities of one role: drivers, or riders.
#[derive(Debug, Default)]
pub struct Sightings {
    entities: Arena,
    index: HashTable<u32>,
    free: Option<u32>,
    places: Places,
    /// Pending sightings by own tick; rarely more than three ticks.
    pending: BTreeMap<i64, Vec<PendingSighting>>,
    /// Linked lists of entities with a standing, by the tick of a standing that is not newer: those whose contact may
    /// end.
    ages: BTreeMap<i64, u32>,
    /// The entities with a standing that are in none of these lists, by the tick of the standing.
    absent: SlotsByAge,
    contacts: Contacts,
    /// The sightings since the last [`Self::take_log`].
    log: SightingLog,
    evicted: u64,
}

impl Sightings {
    /// The number of entities in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no entities, so that no tick changes the counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The number of entities that were in touch when the newest tick closed.
    #[must_use]
    pub fn in_touch(&self) -> u32 {
        self.contacts.in_touch
    }

    /// The number of entities evicted so far, because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether the state is that before the first sighting.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.index.is_empty() && self.places.is_unused() && self.pending.is_empty() && self.evicted == 0
    }

    /// Whether a snapshot would free much memory: most of the places are not in use any more.
    #[must_use]
    pub fn needs_compaction(&self) -> bool {
        self.places.all.len() > 4 * self.index.len() + 4096
    }

    /// Absorbs a sighting of `key` at `time_ms`, `closed` being the newest closed tick.
    pub fn absorb(
        &mut self,
        key: EntityKey,
        place: Place,
        time_ms: i64,
        closed: Option<i64>,
        life: Lifetime,
    ) {
        if closed.is_some_and(|closed| closed - time_ms >= life.of(place)) {
            return;
        }
        let known = self.find(key.0);
        let (number, is_new) = self.places.intern(place);
        self.log.push(known, key, number, is_new.then_some(place), time_ms);
        let slot = known.unwrap_or_else(|| self.add_within_limit(key.0, closed, life));
        self.add_sighting(slot, number, time_ms, closed, life);
    }

    fn add_sighting(&mut self, slot: u32, place: u32, time_ms: i64, closed: Option<i64>, life: Lifetime) {
        let sighting = PendingSighting { slot, time: low_half(time_ms), place };
        if let Some(closed) = closed
            && time_ms <= closed
        {
            self.replace(sighting, closed, life);
            return;
        }
        let (tick, bucket) = pending_bucket(&mut self.pending, time_ms, life);
        if bucket.len() == bucket.capacity() && bucket.len() > 4 * self.index.len() + 4096 {
            compact_pending(bucket, tick);
        }
        bucket.push(sighting);
    }

    /// Closes tick `tick`: its pending sightings count from now on, and entities whose lifetime has ended are removed.
    pub fn close(&mut self, tick: i64, life: Lifetime) -> Contact {
        let mut expired = Vec::new();
        while let Some((own, bucket)) = pop_first_if(&mut self.pending, |own| own <= tick) {
            for sighting in bucket {
                // One that waited this long for the city's first tick cannot be compared by its low half.
                if tick - restore_time(sighting.time, own) < MAX_AGE_MS {
                    self.replace(sighting, tick, life);
                } else {
                    expired.push(sighting.slot);
                }
            }
        }
        let lost = self.expire(tick, life, expired);
        Contact { in_touch: self.contacts.in_touch, lost }
    }

    /// The places at which entities count, ordered by cell and products.
    pub fn counts(&mut self) -> impl Iterator<Item = Count> {
        self.places.sort();
        let places = &self.places;
        places.sorted.iter().filter_map(|number| {
            let (place, entities) = places.all[*number as usize];
            (entities > 0).then_some(Count { place, entities })
        })
    }

    /// Changes the ticks to those of `life`: pending sightings wait for the first of these at or after their time.
    pub fn rebucket(&mut self, closed: Option<i64>, life: Lifetime) {
        for (own, bucket) in std::mem::take(&mut self.pending) {
            for PendingSighting { slot, time, place } in bucket {
                self.add_sighting(slot, place, restore_time(time, own), None, life);
            }
        }
        let slots: Vec<u32> = self.entities.iter().map(|(slot, _)| slot).collect();
        self.relist(slots.into_iter(), closed, life);
    }

    #[inline]
    fn find(&self, key: u64) -> Option<u32> {
        let entities = &self.entities;
        self.index.find(spread(key), |slot| entities.get(*slot).key() == key).copied()
    }

    /// Adds an entity, evicting others if there are too many.
    fn add_within_limit(&mut self, key: u64, closed: Option<i64>, life: Lifetime) -> u32 {
        if self.index.len() >= life.max_entities as usize {
            self.evict(closed, life);
        }
        self.add(key)
    }

    fn add(&mut self, key: u64) -> u32 {
        let entity = Entity::new(key);
        let slot = if let Some(slot) = self.free {
            let free = self.entities.get_mut(slot);
            self.free = (free.link != END).then_some(free.link);
            *free = entity;
            slot
        } else {
            self.entities.push(entity)
        };
        let entities = &self.entities;
        self.index.insert_unique(spread(key), slot, |slot| spread(entities.get(*slot).key()));
        slot
    }

    /// Makes `new` the entity's standing unless that is newer, or logs the entity off; both times are at or before
    /// `closed`.
    fn replace(&mut self, new: PendingSighting, closed: i64, life: Lifetime) {
        let now = low_half(closed);
        let age = now.wrapping_sub(new.time);
        let entity = self.entities.get_mut(new.slot);
        let before = entity.place();
        if before != UNSEEN && age > now.wrapping_sub(entity.time) {
            return;
        }
        let is_log_off = new.place == OFFLINE;
        if is_log_off && !life.log_off_ends_standing {
            self.log_off(new, closed, life);
            return;
        }
        entity.time = new.time;
        entity.set_place(new.place);
        self.places.all[new.place as usize].1 += 1;
        if before != UNSEEN {
            self.places.all[before as usize].1 -= 1;
        }
        let entity = *entity;
        if !entity.is(flag::LISTED) {
            self.join(new.slot, tick_at_or_after(closed - i64::from(age), life.tick_ms));
        }
        let is_offline = is_log_off || entity.is(flag::OFFLINE) && !self.log_on(new.slot, age, now);
        if entity.is(flag::IN_TOUCH) == is_offline {
            self.contacts.changed.push(new.slot);
        }
    }

    fn remove(&mut self, slot: u32, key: u64) {
        if let Ok(entry) = self.index.find_entry(spread(key), |other| *other == slot) {
            entry.remove();
        }
        let next = self.free.unwrap_or(END);
        self.entities.get_mut(slot).free(next);
        self.free = Some(slot);
    }
}

/// The bucket of pending sightings at `time_ms`, and its tick.
#[inline]
fn pending_bucket(
    pending: &mut BTreeMap<i64, Vec<PendingSighting>>,
    time_ms: i64,
    life: Lifetime,
) -> (i64, &mut Vec<PendingSighting>) {
    let tick = match pending.last_key_value() {
        // Nearly always that of the sightings just before.
        Some((tick, _)) if time_ms <= *tick && *tick - life.tick_ms < time_ms => *tick,
        _ => tick_at_or_after(time_ms, life.tick_ms),
    };
    (tick, pending.entry(tick).or_default())
}

/// Removes the first entry if its key is one that `is_due`.
fn pop_first_if<V>(map: &mut BTreeMap<i64, V>, is_due: impl FnOnce(i64) -> bool) -> Option<(i64, V)> {
    let first = map.first_entry()?;
    is_due(*first.key()).then(|| first.remove_entry())
}

impl Lifetime {
    /// How long a sighting at `place` matters, in milliseconds.
    #[inline]
    fn of(&self, place: Place) -> i64 {
        if place == Place::OFFLINE { self.contact_ms } else { self.ttl_ms }
    }
}

/// Greatest age of a sighting that is compared with others by its low half.
const MAX_AGE_MS: i64 = 1 << 31;

/// Keeps of each entity's sightings in the bucket of `tick` those that will count: the newest, and of several at that
/// time the last; one standing and one log-off.
fn compact_pending(bucket: &mut Vec<PendingSighting>, tick: i64) {
    let now = low_half(tick);
    let kind = |sighting: &PendingSighting| (sighting.slot, sighting.place == OFFLINE);
    let mut all: Vec<(usize, PendingSighting)> = bucket.drain(..).enumerate().collect();
    all.sort_unstable_by_key(|(at, it)| (kind(it), now.wrapping_sub(it.time), Reverse(*at)));
    all.dedup_by_key(|(_, sighting)| kind(sighting));
    all.sort_unstable_by_key(|(at, _)| *at);
    bucket.extend(all.into_iter().map(|(_, sighting)| sighting));
}

/// The low 32 bits of a time in milliseconds, which determine it relative to a time less than 2³² ms later: see
/// [`Entity`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#[inline]
fn low_half(time_ms: i64) -> u32 {
    time_ms as u32
}

/// The time whose low half is `low`, given a time less than 2³² ms after it.
#[inline]
fn restore_time(low: u32, later_ms: i64) -> i64 {
    later_ms - i64::from(low_half(later_ms).wrapping_sub(low))
}

#[cfg(test)]
mod tests;
