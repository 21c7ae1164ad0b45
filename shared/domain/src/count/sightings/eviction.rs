//! Eviction: which entities are removed if there are too many.

use super::store::{FREE, Slots, UNSEEN};
use super::{Lifetime, Sightings, low_half, restore_time};
use crate::time::tick_at_or_after;

impl Sightings {
    /// Evicts the oldest eighth of the entities, so that the cost of a choice is shared by as many new entities. The
    /// age of an entity is that of its newest sighting, pending or not.
    pub(super) fn evict(&mut self, life: Lifetime) {
        let base = self.ages.last().map_or(0, |(tick, _)| *tick);
        let by_age = self.slots_by_age(base);
        let (evicted, kept) = by_age.split_at(by_age.len().div_ceil(8));
        let mut evicted_slots = Slots::none(self.entities.len());
        for (_, slot) in evicted {
            evicted_slots.insert(*slot);
            let entity = *self.entities.get(*slot);
            if entity.place != UNSEEN {
                self.places.all[entity.place as usize].1 -= 1;
            }
            self.remove(*slot, entity.key());
        }
        self.evicted += evicted.len() as u64;
        for (_, bucket) in &mut self.pending {
            bucket.retain(|sighting| !evicted_slots.contains(sighting.slot));
        }
        self.ages.clear();
        for (_, slot) in kept {
            let entity = *self.entities.get(*slot);
            if entity.place != UNSEEN {
                self.join(*slot, tick_at_or_after(time_near(entity.time, base), life.tick_ms));
            }
        }
    }

    /// The slots of all entities with the time of their newest sighting, the oldest first. All last sightings are less
    /// than 2³¹ ms from `base`.
    fn slots_by_age(&self, base: i64) -> Vec<(i64, u32)> {
        let oldest = self.ages.first().map_or(0, |(tick, _)| *tick);
        let mut newest = vec![oldest; self.entities.len()];
        for (slot, entity) in self.entities.iter() {
            if entity.place < FREE {
                newest[slot as usize] = time_near(entity.time, base);
            }
        }
        for (own, bucket) in &self.pending {
            for sighting in bucket {
                let newest = &mut newest[sighting.slot as usize];
                *newest = restore_time(sighting.time, *own).max(*newest);
            }
        }
        let entities = self.entities.iter().filter(|(_, entity)| entity.place != FREE);
        let mut by_age: Vec<(i64, u32)> = entities.map(|(slot, _)| (newest[slot as usize], slot)).collect();
        by_age.sort_unstable();
        by_age
    }
}

/// The time whose low half is `low`, given a time less than 2³¹ ms before or after it.
fn time_near(low: u32, base_ms: i64) -> i64 {
    base_ms - i64::from(low_half(base_ms).wrapping_sub(low).cast_signed())
}
