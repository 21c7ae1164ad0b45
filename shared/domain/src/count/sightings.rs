//! The last sighting of every entity of one role in one city and lane, counted by place.
//!
//! A sighting is pending until its own tick closes. Then it replaces the entity's last one unless it is older (of two
//! at the same time, the later in the stream counts), and the entity counts at its place until the sighting's lifetime
//! ends. Work is proportional to what changes: an entity without new sightings is visited once per lifetime. An entity
//! takes 20 bytes and its share of a hash table of 4-byte slots.
//!
//! Every change is also logged in as few bytes as replaying it needs: see [`Sightings::replay`].

mod eviction;
mod log;
mod snapshot;
mod store;

use std::cmp::Reverse;

use hashbrown::HashTable;

use self::log::SightingLog;
use self::store::{Arena, END, Entity, FREE, Places, Slots, UNSEEN};
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
}

/// The limits of a sighting's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// A sighting counts at tick `T` while `T − time` is less than this, in milliseconds.
    pub ttl_ms: i64,
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
    /// Pending sightings by own tick, ascending; rarely more than three ticks.
    pending: Vec<(i64, Vec<PendingSighting>)>,
    /// Linked lists of the entities with a last sighting, by the tick of a sighting that is not newer, ascending. An
    /// entity without one is referred to by its pending sightings only.
    ages: Vec<(i64, u32)>,
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

    /// The number of entities evicted so far, because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
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
        if closed.is_some_and(|closed| closed - time_ms >= life.ttl_ms) {
            return;
        }
        let known = self.find(key.0);
        let (number, is_new) = self.places.intern(place);
        self.log.push(known, key, number, is_new.then_some(place), time_ms);
        let slot = known.unwrap_or_else(|| self.add_within_limit(key.0, life));
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
        let at = self.pending_bucket(time_ms, life);
        let bucket = &mut self.pending[at].1;
        if bucket.len() == bucket.capacity() && bucket.len() > 4 * self.index.len() + 4096 {
            compact_pending(bucket);
        }
        bucket.push(sighting);
    }

    /// The index of the bucket of pending sightings at `time_ms`.
    #[inline]
    fn pending_bucket(&mut self, time_ms: i64, life: Lifetime) -> usize {
        // Nearly always that of the sightings just before.
        if let Some((tick, _)) = self.pending.last()
            && time_ms <= *tick
            && *tick - life.tick_ms < time_ms
        {
            return self.pending.len() - 1;
        }
        let tick = tick_at_or_after(time_ms, life.tick_ms);
        let at = self.pending.partition_point(|(other, _)| *other < tick);
        if self.pending.get(at).is_none_or(|(other, _)| *other != tick) {
            self.pending.insert(at, (tick, Vec::new()));
        }
        at
    }

    /// Closes tick `tick`: its pending sightings count from now on, and entities whose lifetime has ended are removed.
    pub fn close(&mut self, tick: i64, life: Lifetime) {
        let due = self.pending.partition_point(|(own, _)| *own <= tick);
        let mut expired = Vec::new();
        for (own, bucket) in self.pending.drain(..due).collect::<Vec<_>>() {
            for sighting in bucket {
                if tick - restore_time(sighting.time, own) < life.ttl_ms {
                    self.replace(sighting, tick, life);
                } else {
                    expired.push(sighting.slot);
                }
            }
        }
        self.expire(tick, life, expired);
    }

    /// The first tick at which the counts may change without new sightings; `None` if they cannot.
    #[must_use]
    pub fn next_change(&self, life: Lifetime) -> Option<i64> {
        let counts = self.pending.first().map(|(tick, _)| *tick);
        let expires = self.ages.first().map(|(age, _)| age - life.tick_ms + life.ttl_ms + 1);
        let expires = expires.map(|time_ms| tick_at_or_after(time_ms, life.tick_ms));
        counts.into_iter().chain(expires).min()
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
        let Some(closed) = closed else { return };
        for (_, head) in std::mem::take(&mut self.ages) {
            let mut next = head;
            while next != END {
                let slot = next;
                let entity = self.entities.get(slot);
                next = entity.link;
                let time_ms = restore_time(entity.time, closed);
                self.join(slot, tick_at_or_after(time_ms, life.tick_ms));
            }
        }
    }

    #[inline]
    fn find(&self, key: u64) -> Option<u32> {
        let entities = &self.entities;
        self.index.find(spread(key), |slot| entities.get(*slot).key() == key).copied()
    }

    /// Adds an entity, evicting others if there are too many.
    fn add_within_limit(&mut self, key: u64, life: Lifetime) -> u32 {
        if self.index.len() >= life.max_entities as usize {
            self.evict(life);
        }
        self.add(key)
    }

    fn add(&mut self, key: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation)]
        let halves = [key as u32, (key >> 32) as u32];
        let entity = Entity { key: halves, time: 0, place: UNSEEN, link: END };
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

    /// Adds the entity to the list of `tick` in [`Self::ages`].
    fn join(&mut self, slot: u32, tick: i64) {
        let at = match self.ages.last() {
            Some((last, _)) if *last == tick => self.ages.len() - 1,
            _ => self.ages.partition_point(|(other, _)| *other < tick),
        };
        if self.ages.get(at).is_none_or(|(other, _)| *other != tick) {
            self.ages.insert(at, (tick, END));
        }
        self.entities.get_mut(slot).link = self.ages[at].1;
        self.ages[at].1 = slot;
    }

    /// Makes `new` the entity's last sighting unless that is newer; both are at or before `closed`.
    fn replace(&mut self, new: PendingSighting, closed: i64, life: Lifetime) {
        let now = low_half(closed);
        let age = now.wrapping_sub(new.time);
        let entity = self.entities.get_mut(new.slot);
        let before = entity.place;
        if before != UNSEEN && age > now.wrapping_sub(entity.time) {
            return;
        }
        entity.time = new.time;
        entity.place = new.place;
        self.places.all[new.place as usize].1 += 1;
        if before == UNSEEN {
            self.join(new.slot, tick_at_or_after(closed - i64::from(age), life.tick_ms));
        } else {
            self.places.all[before as usize].1 -= 1;
        }
    }

    /// Removes the entities whose last sighting has reached its lifetime at `tick`, and those of the slots in
    /// `expired`, whose pending sightings had reached theirs when they became due. Entities with pending sightings
    /// stay.
    fn expire(&mut self, tick: i64, life: Lifetime, expired: Vec<u32>) {
        let horizon = tick - life.ttl_ms;
        let due = self.ages.partition_point(|(age, _)| *age - life.tick_ms < horizon);
        let mut unseen = expired;
        for (_, head) in self.ages.drain(..due).collect::<Vec<_>>() {
            let mut next = head;
            while next != END {
                let slot = next;
                let entity = self.entities.get_mut(slot);
                next = entity.link;
                let age = low_half(tick).wrapping_sub(entity.time);
                if i64::from(age) < life.ttl_ms {
                    self.join(slot, tick_at_or_after(tick - i64::from(age), life.tick_ms));
                    continue;
                }
                self.places.all[entity.place as usize].1 -= 1;
                entity.place = UNSEEN;
                unseen.push(slot);
            }
        }
        if unseen.is_empty() {
            return;
        }
        let pending = self.pending_slots();
        for slot in unseen {
            let entity = *self.entities.get(slot);
            if entity.place == UNSEEN && !pending.contains(slot) {
                self.remove(slot, entity.key());
            }
        }
    }

    fn remove(&mut self, slot: u32, key: u64) {
        if let Ok(entry) = self.index.find_entry(spread(key), |other| *other == slot) {
            entry.remove();
        }
        let entity = self.entities.get_mut(slot);
        entity.place = FREE;
        entity.link = self.free.unwrap_or(END);
        self.free = Some(slot);
    }

    /// The slots with pending sightings.
    fn pending_slots(&self) -> Slots {
        let mut slots = Slots::none(self.entities.len());
        for sighting in self.pending.iter().flat_map(|(_, bucket)| bucket) {
            slots.insert(sighting.slot);
        }
        slots
    }
}

/// Keeps of each entity's sightings the one that will count: the newest, and of several at that time the last.
fn compact_pending(bucket: &mut Vec<PendingSighting>) {
    bucket.reverse();
    bucket.sort_by_key(|sighting| (sighting.slot, Reverse(sighting.time)));
    bucket.dedup_by_key(|sighting| sighting.slot);
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
