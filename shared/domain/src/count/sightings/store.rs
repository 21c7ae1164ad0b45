//! The memory layout of entities and their places.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::Place;
use crate::hash::IntHasher;

/// An entity and its standing: its last sighting that is not a log-off. The time is the low half of the milliseconds
/// since the epoch: a sighting that counts is younger than a lifetime, which is far below 2³² ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entity {
    key: [u32; 2],
    pub(super) time: u32,
    /// The number of the standing's place in the low [`PLACE_BITS`], and the bits of [`flag`] above.
    tag: u32,
    /// The next entity of the same age, or the next free slot.
    pub(super) link: u32,
}

/// The flags of an entity.
pub(super) mod flag {
    /// The entity was in touch when the newest tick closed.
    pub const IN_TOUCH: u32 = 1 << 31;
    /// The entity is in one of the linked lists by age.
    pub const LISTED: u32 = 1 << 30;
    /// The last sighting is a log-off, newer than the standing.
    pub const OFFLINE: u32 = 1 << 29;
}

const PLACE_BITS: u32 = (1 << 29) - 1;

impl Entity {
    /// An entity without a standing.
    pub(super) fn new(key: u64) -> Self {
        #[expect(clippy::cast_possible_truncation)]
        let key = [key as u32, (key >> 32) as u32];
        Self { key, time: 0, tag: UNSEEN, link: END }
    }

    #[inline]
    pub(super) fn key(&self) -> u64 {
        u64::from(self.key[0]) | u64::from(self.key[1]) << 32
    }

    /// The number of the standing's place, [`UNSEEN`] or [`FREE`].
    #[inline]
    pub(super) fn place(&self) -> u32 {
        self.tag & PLACE_BITS
    }

    #[inline]
    pub(super) fn set_place(&mut self, place: u32) {
        self.tag = self.tag & !PLACE_BITS | place;
    }

    /// Whether the entity has a standing.
    #[inline]
    pub(super) fn has_standing(&self) -> bool {
        self.place() < FREE
    }

    #[inline]
    pub(super) fn is(&self, flag: u32) -> bool {
        self.tag & flag != 0
    }

    #[inline]
    pub(super) fn set(&mut self, flag: u32, is_set: bool) {
        self.tag = if is_set { self.tag | flag } else { self.tag & !flag };
    }

    /// Frees the slot; `next` is the free slot after it.
    pub(super) fn free(&mut self, next: u32) {
        (self.tag, self.link) = (FREE, next);
    }
}

/// In [`Entity::place`]: the entity has no standing yet, or its lifetime has ended.
pub(super) const UNSEEN: u32 = PLACE_BITS;
/// In [`Entity::place`]: the slot is free.
pub(super) const FREE: u32 = UNSEEN - 1;
/// In `Entity::link`: the end of a list.
pub(super) const END: u32 = u32::MAX;
/// In `Places`: [`Place::NOWHERE`].
pub(super) const NOWHERE: u32 = 0;
/// In `Places`: [`Place::OFFLINE`].
pub(super) const OFFLINE: u32 = 1;
/// The number of the first place that is a cell.
pub(super) const FIRST_CELL: u32 = 2;

/// Entities by slot, in chunks, so that growth neither copies entities nor doubles the memory.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunks: Vec<Vec<Entity>>,
}

impl Arena {
    const CHUNK: usize = 1024;

    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * Self::CHUNK + last.len())
    }

    pub(super) fn get(&self, slot: u32) -> &Entity {
        &self.chunks[slot as usize / Self::CHUNK][slot as usize % Self::CHUNK]
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Entity {
        &mut self.chunks[slot as usize / Self::CHUNK][slot as usize % Self::CHUNK]
    }

    pub(super) fn is_taken(&self, slot: u32) -> bool {
        (slot as usize) < self.len() && self.get(slot).place() != FREE
    }

    pub(super) fn push(&mut self, entity: Entity) -> u32 {
        let slot = u32::try_from(self.len()).expect("at most `Lifetime::max_entities` entities");
        if (slot as usize).is_multiple_of(Self::CHUNK) {
            // The first chunk grows as needed: most cities have few entities in a lane.
            let capacity = if self.chunks.is_empty() { 0 } else { Self::CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        self.chunks.last_mut().expect("a chunk was pushed").push(entity);
        slot
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entity)> {
        (0..).zip(self.chunks.iter().flatten())
    }
}

/// A set of slots, one bit each.
pub(super) struct Slots(Vec<u64>);

impl Slots {
    pub(super) fn none(slots: usize) -> Self {
        Self(vec![0; slots.div_ceil(64)])
    }

    pub(super) fn insert(&mut self, slot: u32) {
        self.0[slot as usize / 64] |= 1 << (slot % 64);
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        self.0[slot as usize / 64] >> (slot % 64) & 1 == 1
    }
}

/// The places of sightings, numbered, each with the number of entities that count there.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) all: Vec<(Place, u32)>,
    numbers: HashMap<Place, u32, IntHasher>,
    /// The numbers of all places that are cells at the last call of [`Self::sort`], ordered by cell and products.
    pub(super) sorted: Vec<u32>,
}

impl Default for Places {
    fn default() -> Self {
        let all = vec![(Place::NOWHERE, 0), (Place::OFFLINE, 0)];
        Self { all, numbers: HashMap::default(), sorted: Vec::new() }
    }
}

impl Places {
    /// The number of a place, and whether the place is new.
    pub(super) fn intern(&mut self, place: Place) -> (u32, bool) {
        if place.products == 0 {
            return (if place == Place::OFFLINE { OFFLINE } else { NOWHERE }, false);
        }
        if let Some(number) = self.numbers.get(&place) {
            return (*number, false);
        }
        let number = u32::try_from(self.all.len()).ok().filter(|number| *number < FREE);
        let number = number.expect("fewer places than sightings since a snapshot");
        self.all.push((place, 0));
        self.numbers.insert(place, number);
        (number, true)
    }

    /// Whether no place has a number of its own.
    pub(super) fn is_unused(&self) -> bool {
        self.all.len() == FIRST_CELL as usize
    }

    pub(super) fn sort(&mut self) {
        let cells = self.all.len() - FIRST_CELL as usize;
        let known = self.sorted.len();
        if known == cells {
            return;
        }
        let new = u32::try_from(known).expect("numbers of places are 32 bits") + FIRST_CELL;
        self.sorted.extend((new..).take(cells - known));
        let all = &self.all;
        self.sorted.sort_by_key(|number| all[*number as usize].0);
    }
}

/// Slots by the tick of a sighting. An entry is a hint: its reader checks that it still holds.
#[derive(Debug, Default)]
pub(super) struct SlotsByAge(BTreeMap<i64, Vec<u32>>);

impl SlotsByAge {
    pub(super) fn push(&mut self, tick: i64, slot: u32) {
        self.0.entry(tick).or_default().push(slot);
    }

    /// The first tick with a slot.
    pub(super) fn first(&self) -> Option<i64> {
        self.0.keys().next().copied()
    }

    /// Takes the slots of the ticks before `tick`, in order.
    pub(super) fn take_before(&mut self, tick: i64) -> BTreeMap<i64, Vec<u32>> {
        take_before(&mut self.0, tick)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Takes the entries before `key`.
pub(super) fn take_before<V>(map: &mut BTreeMap<i64, V>, key: i64) -> BTreeMap<i64, V> {
    let rest = map.split_off(&key);
    std::mem::replace(map, rest)
}
