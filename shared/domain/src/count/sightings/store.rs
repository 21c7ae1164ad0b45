//! The memory layout of entities and their places.

use hashbrown::HashMap;

use super::Place;
use crate::hash::IntHasher;

/// An entity and its last sighting. The time is the low half of the milliseconds since the epoch: a sighting that
/// counts is younger than a lifetime, which is far below 2³² ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entity {
    pub(super) key: [u32; 2],
    pub(super) time: u32,
    pub(super) place: u32,
    /// The next entity of the same age, or the next free slot.
    pub(super) link: u32,
}

impl Entity {
    pub(super) fn key(&self) -> u64 {
        u64::from(self.key[0]) | u64::from(self.key[1]) << 32
    }
}

/// In `Entity::place`: there is no last sighting yet, or its lifetime has ended.
pub(super) const UNSEEN: u32 = u32::MAX;
/// In `Entity::place`: the slot is free.
pub(super) const FREE: u32 = u32::MAX - 1;
/// In `Entity::link`: the end of a list.
pub(super) const END: u32 = u32::MAX;
/// In `Places`: [`Place::NOWHERE`].
pub(super) const NOWHERE: u32 = 0;

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
        (slot as usize) < self.len() && self.get(slot).place != FREE
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
    /// The numbers of all places but nowhere at the last call of [`Self::sort`], ordered by cell and products.
    pub(super) sorted: Vec<u32>,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: vec![(Place::NOWHERE, 0)], numbers: HashMap::default(), sorted: Vec::new() }
    }
}

impl Places {
    /// The number of a place, and whether the place is new.
    pub(super) fn intern(&mut self, place: Place) -> (u32, bool) {
        if place == Place::NOWHERE {
            return (NOWHERE, false);
        }
        if let Some(number) = self.numbers.get(&place) {
            return (*number, false);
        }
        let number = u32::try_from(self.all.len()).expect("fewer places than sightings since a snapshot");
        self.all.push((place, 0));
        self.numbers.insert(place, number);
        (number, true)
    }

    pub(super) fn sort(&mut self) {
        let known = self.sorted.len();
        if known + 1 == self.all.len() {
            return;
        }
        let new = u32::try_from(known + 1).expect("numbers of places are 32 bits");
        self.sorted.extend((new..).take(self.all.len() - known - 1));
        let all = &self.all;
        self.sorted.sort_by_key(|number| all[*number as usize].0);
    }
}
