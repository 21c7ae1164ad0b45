//! Where entities and their places lie in memory.

use hashbrown::HashMap;

use super::Place;
use crate::hash::IntHasher;

/// An entity at rest. Its time is the low half of the milliseconds since the epoch: whatever counts is
/// younger than a lifetime, and that is far below 2³² ms.
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

/// In `Entity::place`: no sighting has counted yet, or none does any more.
pub(super) const UNSEEN: u32 = u32::MAX;
/// In `Entity::place`: the slot is free.
pub(super) const FREE: u32 = u32::MAX - 1;
/// In `Entity::link`: the end of a list.
pub(super) const END: u32 = u32::MAX;
/// In `Places`: [`Place::NOWHERE`].
pub(super) const NOWHERE: u32 = 0;

/// Entities by slot, in pieces, so that growing neither copies nor leaves room unused.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pieces: Vec<Vec<Entity>>,
}

impl Arena {
    const PIECE: usize = 1024;

    pub(super) fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * Self::PIECE + last.len())
    }

    pub(super) fn get(&self, slot: u32) -> &Entity {
        &self.pieces[slot as usize / Self::PIECE][slot as usize % Self::PIECE]
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Entity {
        &mut self.pieces[slot as usize / Self::PIECE][slot as usize % Self::PIECE]
    }

    pub(super) fn is_taken(&self, slot: u32) -> bool {
        (slot as usize) < self.len() && self.get(slot).place != FREE
    }

    pub(super) fn push(&mut self, entity: Entity) -> u32 {
        let slot = u32::try_from(self.len()).expect("at most `Lifetime::most` entities");
        if (slot as usize).is_multiple_of(Self::PIECE) {
            // The first piece grows as it must: most cities of most lanes are small.
            let room = if self.pieces.is_empty() { 0 } else { Self::PIECE };
            self.pieces.push(Vec::with_capacity(room));
        }
        self.pieces.last_mut().expect("a piece was pushed").push(entity);
        slot
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entity)> {
        (0..).zip(self.pieces.iter().flatten())
    }
}

/// A set of slots, a bit each.
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

/// The places met so far, numbered, each with how many entities count there.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) all: Vec<(Place, u32)>,
    numbers: HashMap<Place, u32, IntHasher>,
    /// All but nowhere, by cell and products, as far as they were there when last sorted.
    pub(super) sorted: Vec<u32>,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: vec![(Place::NOWHERE, 0)], numbers: HashMap::default(), sorted: Vec::new() }
    }
}

impl Places {
    /// The place's number, and whether it is new.
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
