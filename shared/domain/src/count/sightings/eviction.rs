//! Eviction: which entities are removed if there are too many, or if they belong to another lane.

use super::store::{Entity, FREE, Slots, UNSEEN, flag};
use super::{Lifetime, Sightings, restore_time};
use crate::id::EntityKey;

impl Sightings {
    /// Evicts the oldest eighth of the entities, so that the cost of a choice is shared by as many new entities. The
    /// age of an entity is that of its newest sighting, pending or not. An evicted entity is not in touch any more, but
    /// it is not lost: the feed did not fail.
    pub(super) fn evict(&mut self, closed: Option<i64>, life: Lifetime) {
        let by_age: Vec<u32> = self.slots_by_age(closed).into_iter().map(|(_, slot)| slot).collect();
        let (evicted, kept) = by_age.split_at(by_age.len().div_ceil(8));
        self.evicted += evicted.len() as u64;
        self.remove_all(evicted, kept, closed, life);
    }

    /// Removes the entities that are not kept, as if they had never been seen here.
    pub fn retain(&mut self, is_kept: impl Fn(EntityKey) -> bool, closed: Option<i64>, life: Lifetime) {
        let entities = self.entities.iter().filter(|(_, entity)| entity.place() != FREE);
        let (kept, others): (Vec<_>, Vec<_>) =
            entities.partition(|(_, entity)| is_kept(EntityKey(entity.key())));
        let slots = |entities: Vec<(u32, &Entity)>| entities.into_iter().map(|(slot, _)| slot).collect();
        let (kept, others): (Vec<u32>, Vec<u32>) = (slots(kept), slots(others));
        self.remove_all(&others, &kept, closed, life);
    }

    /// Forgets how many entities were evicted.
    pub fn reset_evicted(&mut self) {
        self.evicted = 0;
    }

    fn remove_all(&mut self, removed: &[u32], kept: &[u32], closed: Option<i64>, life: Lifetime) {
        let mut removed_slots = Slots::none(self.entities.len());
        for slot in removed {
            removed_slots.insert(*slot);
            self.evict_entity(*slot);
        }
        for bucket in self.pending.values_mut() {
            bucket.retain(|sighting| !removed_slots.contains(sighting.slot));
        }
        self.contacts.changed.retain(|slot| !removed_slots.contains(*slot));
        self.relist(kept.iter().copied(), closed, life);
    }

    fn evict_entity(&mut self, slot: u32) {
        let entity = *self.entities.get(slot);
        if entity.place() != UNSEEN {
            self.places.all[entity.place() as usize].1 -= 1;
        }
        self.contacts.in_touch -= u32::from(entity.is(flag::IN_TOUCH));
        self.contacts.log_offs.remove(&slot);
        self.remove(slot, entity.key());
    }

    /// The slots of all entities with the time of their newest sighting, the oldest first.
    fn slots_by_age(&self, closed: Option<i64>) -> Vec<(i64, u32)> {
        let mut newest = vec![i64::MIN; self.entities.len()];
        // Without a closed tick all sightings are pending.
        if let Some(closed) = closed {
            let standings = self.entities.iter().filter(|(_, entity)| entity.has_standing());
            let standings = standings.map(|(slot, entity)| (slot, entity.time));
            let log_offs = self.contacts.log_offs.iter().map(|(slot, time)| (*slot, *time));
            for (slot, time) in standings.chain(log_offs) {
                let newest = &mut newest[slot as usize];
                *newest = restore_time(time, closed).max(*newest);
            }
        }
        for (own, bucket) in &self.pending {
            for sighting in bucket {
                let newest = &mut newest[sighting.slot as usize];
                *newest = restore_time(sighting.time, *own).max(*newest);
            }
        }
        let entities = self.entities.iter().filter(|(_, entity)| entity.place() != FREE);
        let mut by_age: Vec<(i64, u32)> = entities.map(|(slot, _)| (newest[slot as usize], slot)).collect();
        by_age.sort_unstable();
        by_age
    }
}
