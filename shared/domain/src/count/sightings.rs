//! The last sighting of every entity of one role in one city and lane, counted by place.
//!
//! A sighting waits until its own tick closes; then it replaces the entity's last one if it is not older
//! (of two at the same time the later in the log wins), and the entity counts at its place until the
//! sighting's lifetime ends. Work goes with what changes: an entity that says nothing is touched once a
//! lifetime. At rest an entity is 20 bytes and its share of a hash table of 4-byte slots.
//!
//! Every change is also written down, in as few bytes as it takes to repeat it: see [`Sightings::repeat`].

mod store;

use std::cmp::Reverse;

use hashbrown::HashTable;
use store::{Arena, END, Entity, FREE, NOWHERE, Places, Slots, UNSEEN};

use crate::hash::spread;
use crate::id::EntityKey;
use crate::time::tick_at_or_after;
use crate::wire::{Corrupt, Reader, put_u64_le, put_varint_i64, put_varint_u64, zigzag};

/// Where an entity counts: a cell, and the products it counts for, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// H3 index.
    pub cell: u64,
    /// Products, a bit each in the order of the city's dictionary.
    pub products: u64,
}

impl Place {
    /// Where an entity stands that counts for nothing: a driver with a rider, say.
    pub const NOWHERE: Self = Self { cell: 0, products: 0 };
}

/// What bounds a sighting's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// A sighting counts at tick `T` while `T − time` is less, in milliseconds.
    pub ttl_ms: i64,
    /// Milliseconds from tick to tick.
    pub tick_ms: i64,
    /// Entities held at most; of more the oldest go first.
    pub most: u32,
}

/// How many entities lie at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Where.
    pub place: Place,
    /// How many; never 0.
    pub entities: u32,
}

#[derive(Clone, Copy, Debug)]
struct PendingSighting {
    slot: u32,
    time: u32,
    place: u32,
}

/// Entities of one role: drivers, or riders.
#[derive(Debug, Default)]
pub struct Sightings {
    entities: Arena,
    index: HashTable<u32>,
    free: Option<u32>,
    places: Places,
    /// By own tick, ascending; seldom more than three.
    waiting: Vec<(i64, Vec<PendingSighting>)>,
    /// Entities that count, or are nowhere, by the tick of a sighting not newer than their last,
    /// ascending, in linked lists. Those not seen yet are held by what waits for them alone.
    ages: Vec<(i64, u32)>,
    /// What happened since [`Self::take_log`], to be repeated.
    log: Vec<u8>,
    logged_time: i64,
    logged_cell: u64,
    evicted: u64,
}

impl Sightings {
    /// How many entities are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is held and nothing can change by itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many entities had to go since the beginning because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether a snapshot would free much: places that nobody stands at any more outweigh the rest.
    #[must_use]
    pub fn needs_compaction(&self) -> bool {
        self.places.all.len() > 4 * self.index.len() + 4096
    }

    /// Takes in a sighting of `key` at `time`, `closed` being the newest closed tick.
    pub fn absorb(&mut self, key: EntityKey, place: Place, time: i64, closed: Option<i64>, life: Lifetime) {
        if closed.is_some_and(|closed| closed - time >= life.ttl_ms) {
            return;
        }
        let known = self.find(key.0);
        let (place, new_place) = self.places.intern(place);
        self.write_down(known, key, place, new_place, time);
        let slot = known.unwrap_or_else(|| self.enter(key.0, life));
        self.take_in(slot, place, time, closed, life);
    }

    fn take_in(&mut self, slot: u32, place: u32, time: i64, closed: Option<i64>, life: Lifetime) {
        if let Some(closed) = closed
            && time <= closed
        {
            self.replace(PendingSighting { slot, time: low_half(time), place }, closed, life);
            return;
        }
        let waiting = PendingSighting { slot, time: low_half(time), place };
        let at = self.pending_bucket(time, life);
        let waiters = &mut self.waiting[at].1;
        if waiters.len() == waiters.capacity() && waiters.len() > 4 * self.index.len() + 4096 {
            compact_pending(waiters);
        }
        waiters.push(waiting);
    }

    /// Where sightings of `time` wait for their tick.
    fn pending_bucket(&mut self, time: i64, life: Lifetime) -> usize {
        // Nearly always with those that came just before.
        if let Some((tick, _)) = self.waiting.last()
            && time <= *tick
            && *tick - life.tick_ms < time
        {
            return self.waiting.len() - 1;
        }
        let tick = tick_at_or_after(time, life.tick_ms);
        let at = self.waiting.partition_point(|(other, _)| *other < tick);
        if self.waiting.get(at).is_none_or(|(other, _)| *other != tick) {
            self.waiting.insert(at, (tick, Vec::new()));
        }
        at
    }

    /// Closes tick `tick`: what waited for it counts, and what has had its time goes.
    pub fn close(&mut self, tick: i64, life: Lifetime) {
        let due = self.waiting.partition_point(|(own, _)| *own <= tick);
        let mut overdue = Vec::new();
        for (own, waiters) in self.waiting.drain(..due).collect::<Vec<_>>() {
            for waiting in waiters {
                let time = own - i64::from(low_half(own).wrapping_sub(waiting.time));
                if tick - time < life.ttl_ms {
                    self.replace(waiting, tick, life);
                } else {
                    overdue.push(waiting.slot);
                }
            }
        }
        self.expire(tick, life, overdue);
    }

    /// The first tick at which the counts may become others by what is held now; `None` where never.
    #[must_use]
    pub fn next_change(&self, life: Lifetime) -> Option<i64> {
        let counts = self.waiting.first().map(|(tick, _)| *tick);
        let goes = self.ages.first().map(|(age, _)| age - life.tick_ms + life.ttl_ms + 1);
        let goes = goes.map(|time| tick_at_or_after(time, life.tick_ms));
        counts.into_iter().chain(goes).min()
    }

    /// The places where entities count, by cell and products, ascending.
    pub fn counts(&mut self) -> impl Iterator<Item = Count> {
        self.places.sort();
        let places = &self.places;
        places.sorted.iter().filter_map(|id| {
            let (place, entities) = places.all[*id as usize];
            (entities > 0).then_some(Count { place, entities })
        })
    }

    /// Moves what happened since the last call to `out`, for [`Self::repeat`].
    pub fn take_log(&mut self, out: &mut Vec<u8>) {
        // Its room goes, too: at rest nobody needs it.
        out.append(&mut std::mem::take(&mut self.log));
        self.logged_time = 0;
        self.logged_cell = 0;
    }

    /// Goes over to other ticks: what waits, waits for the first of these.
    pub fn rebucket(&mut self, closed: Option<i64>, life: Lifetime) {
        for (own, waiters) in std::mem::take(&mut self.waiting) {
            for PendingSighting { slot, time, place } in waiters {
                let time = own - i64::from(low_half(own).wrapping_sub(time));
                self.take_in(slot, place, time, None, life);
            }
        }
        let Some(closed) = closed else { return };
        for (_, head) in std::mem::take(&mut self.ages) {
            let mut next = head;
            while next != END {
                let slot = next;
                let entity = self.entities.get(slot);
                next = entity.link;
                let time = closed - i64::from(low_half(closed).wrapping_sub(entity.time));
                self.join(slot, tick_at_or_after(time, life.tick_ms));
            }
        }
    }

    fn find(&self, key: u64) -> Option<u32> {
        let entities = &self.entities;
        self.index.find(spread(key), |slot| entities.get(*slot).key() == key).copied()
    }

    fn enter(&mut self, key: u64, life: Lifetime) -> u32 {
        if self.index.len() >= life.most as usize {
            self.evict(life);
        }
        self.admit(key)
    }

    fn admit(&mut self, key: u64) -> u32 {
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

    /// Puts the entity into the list of those whose age is counted from `tick`.
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

    /// Makes `new` the entity's last sighting unless that is newer; both are of `closed` or before.
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

    /// Lets go who has not been seen for a lifetime, also of those whose sightings were `overdue` when
    /// their tick closed.
    fn expire(&mut self, tick: i64, life: Lifetime, overdue: Vec<u32>) {
        let horizon = tick - life.ttl_ms;
        let due = self.ages.partition_point(|(age, _)| *age - life.tick_ms < horizon);
        let mut unseen = overdue;
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
        let expected = self.slots_waited_for();
        for slot in unseen {
            let entity = *self.entities.get(slot);
            if entity.place == UNSEEN && !expected.contains(slot) {
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

    fn slots_waited_for(&self) -> Slots {
        let mut slots = Slots::none(self.entities.len());
        for waiting in self.waiting.iter().flat_map(|(_, waiters)| waiters) {
            slots.insert(waiting.slot);
        }
        slots
    }

    /// Lets the oldest eighth go, so that the cost of choosing them is shared by as many newcomers.
    fn evict(&mut self, life: Lifetime) {
        let oldest = self.ages.first().map_or(0, |(tick, _)| *tick);
        let mut newest = vec![oldest; self.entities.len()];
        let base = self.ages.last().map_or(0, |(tick, _)| *tick);
        for (slot, entity) in self.entities.iter() {
            if entity.place < FREE {
                newest[slot as usize] =
                    base - i64::from(low_half(base).wrapping_sub(entity.time).cast_signed());
            }
        }
        for (own, waiters) in &self.waiting {
            for waiting in waiters {
                let time = own - i64::from(low_half(*own).wrapping_sub(waiting.time));
                let newest = &mut newest[waiting.slot as usize];
                *newest = time.max(*newest);
            }
        }
        let mut by_age: Vec<(i64, u32)> = self
            .entities
            .iter()
            .filter(|(_, entity)| entity.place != FREE)
            .map(|(slot, _)| (newest[slot as usize], slot))
            .collect();
        by_age.sort_unstable();
        let leaving = by_age.len().div_ceil(8);
        let mut gone = Slots::none(self.entities.len());
        for (_, slot) in &by_age[..leaving] {
            gone.insert(*slot);
            let entity = *self.entities.get(*slot);
            if entity.place != UNSEEN {
                self.places.all[entity.place as usize].1 -= 1;
            }
            self.remove(*slot, entity.key());
        }
        self.evicted += leaving as u64;
        for (_, waiters) in &mut self.waiting {
            waiters.retain(|waiting| !gone.contains(waiting.slot));
        }
        self.ages.clear();
        for (_, slot) in &by_age[leaving..] {
            let entity = *self.entities.get(*slot);
            if entity.place != UNSEEN {
                let time = base - i64::from(low_half(base).wrapping_sub(entity.time).cast_signed());
                self.join(*slot, tick_at_or_after(time, life.tick_ms));
            }
        }
    }

    fn write_down(&mut self, known: Option<u32>, key: EntityKey, place: u32, new_place: bool, time: i64) {
        let out = &mut self.log;
        // 0 announces a place not yet numbered; the lowest bit, an entity not yet known.
        let code = if new_place { 0 } else { u64::from(place) + 1 };
        put_varint_u64(out, code << 1 | u64::from(known.is_none()));
        if new_place {
            let place = self.places.all[place as usize].0;
            put_cell(out, place.cell, self.logged_cell);
            put_varint_u64(out, place.products);
            self.logged_cell = place.cell;
        }
        match known {
            Some(slot) => put_varint_u64(out, u64::from(slot)),
            None => put_u64_le(out, key.0),
        }
        put_varint_i64(out, time - self.logged_time);
        self.logged_time = time;
    }

    /// Does again what [`Self::take_log`] gave, to the state it was done to.
    ///
    /// # Errors
    /// [`Corrupt`] where the log cannot have been written over this state.
    pub fn replay(&mut self, log: &[u8], closed: Option<i64>, life: Lifetime) -> Result<(), Corrupt> {
        let mut log = Reader::new(log);
        let (mut time, mut cell) = (0_i64, 0);
        while !log.is_done() {
            let code = log.varint_u64("a sighting's place")?;
            let place = if code < 2 {
                cell = read_cell(&mut log, cell)?;
                self.places.intern(Place { cell, products: log.varint_u64("products")? }).0
            } else {
                let number = (code >> 1) - 1;
                let place = u32::try_from(number).ok().filter(|id| (*id as usize) < self.places.all.len());
                place.ok_or(log.invalid("a place's number"))?
            };
            let (slot, key) = if code & 1 == 1 {
                (None, log.u64_le("an entity's key")?)
            } else {
                (Some(log.varint_u32("an entity's slot")?), 0)
            };
            let step = log.varint_i64("a sighting's time")?;
            time = time
                .checked_add(step)
                .filter(|time| time.unsigned_abs() < 1 << 60)
                .ok_or(log.invalid("a time"))?;
            let slot = match slot {
                None if self.find(key).is_some() => return Err(log.invalid("an entity known already")),
                None => self.enter(key, life),
                Some(slot) if self.entities.is_taken(slot) => slot,
                Some(_) => return Err(log.invalid("an entity's slot")),
            };
            self.take_in(slot, place, time, closed, life);
        }
        Ok(())
    }

    /// Writes all that is held, as of the newest closed tick.
    pub fn write(&self, out: &mut Vec<u8>, closed: Option<i64>) {
        let mut place_ids = vec![UNSEEN; self.places.all.len()];
        place_ids[NOWHERE as usize] = NOWHERE;
        let taken = self.entities.iter().filter(|(_, entity)| entity.place < FREE);
        let waiting = self.waiting.iter().flat_map(|(_, waiters)| waiters);
        for place in taken.map(|(_, entity)| entity.place).chain(waiting.map(|waiting| waiting.place)) {
            place_ids[place as usize] = NOWHERE;
        }
        let mut used = Vec::new();
        for (id, place) in self.places.all.iter().enumerate().skip(1) {
            if place_ids[id] == NOWHERE {
                used.push(place.0);
                place_ids[id] = u32::try_from(used.len()).expect("fewer places than numbers for them");
            }
        }
        put_varint_u64(out, used.len() as u64);
        for place in used {
            put_u64_le(out, place.cell);
            put_varint_u64(out, place.products);
        }
        put_varint_u64(out, self.evicted);
        put_varint_u64(out, self.index.len() as u64);
        let mut slots = vec![0; self.entities.len()];
        let held = self.entities.iter().filter(|(_, entity)| entity.place != FREE);
        for (next, (slot, entity)) in (0_u64..).zip(held) {
            slots[slot as usize] = next;
            put_u64_le(out, entity.key());
            if entity.place == UNSEEN {
                put_varint_u64(out, 0);
            } else {
                put_varint_u64(out, u64::from(place_ids[entity.place as usize]) + 1);
                put_varint_u64(out, u64::from(low_half(closed.unwrap_or(0)).wrapping_sub(entity.time)));
            }
        }
        put_varint_u64(out, self.waiting.len() as u64);
        for (tick, waiters) in &self.waiting {
            put_varint_i64(out, *tick);
            put_varint_u64(out, waiters.len() as u64);
            for waiting in waiters {
                put_varint_u64(out, slots[waiting.slot as usize]);
                put_varint_u64(out, u64::from(place_ids[waiting.place as usize]));
                put_varint_u64(out, u64::from(low_half(*tick).wrapping_sub(waiting.time)));
            }
        }
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] where it did not.
    pub fn read(input: &mut Reader<'_>, closed: Option<i64>, life: Lifetime) -> Result<Self, Corrupt> {
        let mut held = Self::default();
        for _ in 0..input.count("places")? {
            let place = Place { cell: input.u64_le("a cell")?, products: input.varint_u64("products")? };
            if !held.places.intern(place).1 {
                return Err(input.invalid("a place known already"));
            }
        }
        let places = held.places.all.len() as u64;
        held.evicted = input.varint_u64("evictions")?;
        for _ in 0..input.count("entities")? {
            let key = input.u64_le("an entity's key")?;
            let place = input.varint_up_to(places, "an entity's place")?;
            if held.find(key).is_some() {
                return Err(input.invalid("an entity known already"));
            }
            let slot = held.admit(key);
            if place == 0 {
                continue;
            }
            let closed = closed.ok_or(input.invalid("a sighting before any tick"))?;
            let time = closed - i64::from(input.varint_u32("a sighting's age")?);
            #[expect(clippy::cast_possible_truncation)]
            held.replace(
                PendingSighting { slot, time: low_half(time), place: (place - 1) as u32 },
                closed,
                life,
            );
        }
        for _ in 0..input.count("ticks waited for")? {
            let tick = input.instant("a tick")?;
            if held.waiting.last().is_some_and(|(last, _)| *last >= tick) {
                return Err(input.invalid("a tick out of order"));
            }
            let mut waiters = Vec::new();
            for _ in 0..input.count("sightings")? {
                let slot = input.varint_u32("an entity's slot")?;
                #[expect(clippy::cast_possible_truncation)]
                let place = input.varint_up_to(places - 1, "a sighting's place")? as u32;
                let time = low_half(tick).wrapping_sub(input.varint_u32("a sighting's age")?);
                if !held.entities.is_taken(slot) {
                    return Err(input.invalid("an entity's slot"));
                }
                waiters.push(PendingSighting { slot, time, place });
            }
            held.waiting.push((tick, waiters));
        }
        let expected = held.slots_waited_for();
        if held.entities.iter().any(|(slot, entity)| entity.place == UNSEEN && !expected.contains(slot)) {
            return Err(input.invalid("an entity never seen and not waited for"));
        }
        Ok(held)
    }
}

/// Appends a cell as its step from another: the steps between cells of one resolution end in as many
/// zeros as their finer digits have bits.
fn put_cell(out: &mut Vec<u8>, cell: u64, last: u64) {
    let step = zigzag(cell.wrapping_sub(last).cast_signed());
    let zeros = step.trailing_zeros() % u64::BITS;
    put_varint_u64(out, u64::from(zeros));
    put_varint_u64(out, step >> zeros);
}

fn read_cell(input: &mut Reader<'_>, last: u64) -> Result<u64, Corrupt> {
    let zeros = input.varint_up_to(63, "a step's zeros")?;
    let step = input.varint_u64("a step to a cell")? << zeros;
    let cell = last.wrapping_add((step >> 1) ^ (step & 1).wrapping_neg());
    if cell >> 63 == 0 { Ok(cell) } else { Err(input.invalid("a cell")) }
}

/// Keeps of each entity's sightings the one that will count: the newest, of equals the last.
fn compact_pending(waiters: &mut Vec<PendingSighting>) {
    waiters.reverse();
    waiters.sort_by_key(|waiting| (waiting.slot, Reverse(waiting.time)));
    waiters.dedup_by_key(|waiting| waiting.slot);
}

/// The low 32 bits of a time: see [`Entity`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn low_half(time: i64) -> u32 {
    time as u32
}

#[cfg(test)]
mod tests;
