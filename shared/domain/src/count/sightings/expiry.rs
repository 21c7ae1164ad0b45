//! The ends of lifetimes: the lists of entities by age, and what happens to those whose time has come.

use super::store::{END, UNSEEN, flag, take_before};
use super::{Lifetime, Sightings, Slots, low_half, restore_time};
use crate::time::tick_at_or_after;

impl Sightings {
    /// The first tick at which counts or contact may change without new sightings; `None` if they cannot.
    #[must_use]
    pub fn next_change(&self, life: Lifetime) -> Option<i64> {
        if !self.contacts.changed.is_empty() {
            return Some(i64::MIN);
        }
        let ends = |age: i64, span_ms: i64| tick_at_or_after(age - life.tick_ms + span_ms + 1, life.tick_ms);
        let pending = self.pending.keys().next().copied();
        let contact = self.ages.keys().next().map(|age| ends(*age, life.contact_ms));
        let standing = self.absent.first().map(|age| ends(age, life.ttl_ms));
        let log_off = self.contacts.by_log_off.first().map(|age| ends(age, life.contact_ms));
        [pending, contact, standing, log_off].into_iter().flatten().min()
    }

    /// Adds the entity to the list of `tick` in [`Self::ages`].
    pub(super) fn join(&mut self, slot: u32, tick: i64) {
        let head = self.ages.entry(tick).or_insert(END);
        let entity = self.entities.get_mut(slot);
        entity.link = *head;
        entity.set(flag::LISTED, true);
        *head = slot;
    }

    /// Lists the entities of `slots` and no others. `closed` is the newest closed tick.
    pub(super) fn relist(&mut self, slots: impl Iterator<Item = u32>, closed: Option<i64>, life: Lifetime) {
        self.ages.clear();
        self.absent.clear();
        self.contacts.by_log_off.clear();
        // Without a closed tick all sightings are pending.
        let Some(closed) = closed else { return };
        let tick_of = |time: u32| tick_at_or_after(restore_time(time, closed), life.tick_ms);
        for slot in slots {
            let entity = *self.entities.get(slot);
            if entity.has_standing() && entity.is(flag::LISTED) {
                self.join(slot, tick_of(entity.time));
            } else if entity.has_standing() {
                self.absent.push(tick_of(entity.time), slot);
            }
            if entity.is(flag::OFFLINE) {
                self.contacts.by_log_off.push(tick_of(self.contacts.log_offs[&slot]), slot);
            }
        }
    }

    /// Ends the contacts and lifetimes that are over at `tick`, and removes the entities that nothing refers to any
    /// more, those of the slots in `unseen` included. Entities with pending sightings stay. Returns the number lost.
    pub(super) fn expire(&mut self, tick: i64, life: Lifetime, mut unseen: Vec<u32>) -> u32 {
        let mut lost = 0;
        for slot in std::mem::take(&mut self.contacts.changed) {
            lost += u32::from(self.update_contact(slot, tick, life));
        }
        lost += self.end_contacts(tick, life, &mut unseen);
        self.end_standings(tick, life, &mut unseen);
        self.end_log_offs(tick, life, &mut unseen);
        self.remove_unseen(unseen);
        lost
    }

    /// Visits the entities whose contact may be over, and returns the number lost.
    fn end_contacts(&mut self, tick: i64, life: Lifetime, unseen: &mut Vec<u32>) -> u32 {
        let horizon = tick - life.contact_ms + life.tick_ms;
        let mut lost = 0;
        for (_, head) in take_before(&mut self.ages, horizon) {
            let mut next = head;
            while next != END {
                let slot = next;
                let entity = self.entities.get_mut(slot);
                next = entity.link;
                let age = i64::from(low_half(tick).wrapping_sub(entity.time));
                let own_tick = tick_at_or_after(tick - age, life.tick_ms);
                if age < life.contact_ms {
                    self.join(slot, own_tick);
                    continue;
                }
                entity.set(flag::LISTED, false);
                lost += u32::from(self.update_contact(slot, tick, life));
                if age < life.ttl_ms {
                    self.absent.push(own_tick, slot);
                } else {
                    self.end_standing(slot, unseen);
                }
            }
        }
        lost
    }

    /// Visits the entities out of touch whose lifetime may be over.
    fn end_standings(&mut self, tick: i64, life: Lifetime, unseen: &mut Vec<u32>) {
        for (own, slots) in self.absent.take_before(tick - life.ttl_ms + life.tick_ms) {
            for slot in slots {
                let entity = *self.entities.get(slot);
                let time_ms = restore_time(entity.time, tick);
                // The entity may have been seen or removed since.
                let is_absent = entity.has_standing() && !entity.is(flag::LISTED);
                if !is_absent || tick_at_or_after(time_ms, life.tick_ms) != own {
                    continue;
                }
                if tick - time_ms < life.ttl_ms {
                    self.absent.push(own, slot);
                } else {
                    self.end_standing(slot, unseen);
                }
            }
        }
    }

    /// Visits the entities whose log-off may be too old to matter.
    fn end_log_offs(&mut self, tick: i64, life: Lifetime, unseen: &mut Vec<u32>) {
        for (own, slots) in self.contacts.by_log_off.take_before(tick - life.contact_ms + life.tick_ms) {
            for slot in slots {
                let Some(time) = self.contacts.log_offs.get(&slot) else { continue };
                let time_ms = restore_time(*time, tick);
                if tick_at_or_after(time_ms, life.tick_ms) != own {
                    continue;
                }
                if tick - time_ms < life.contact_ms {
                    self.contacts.by_log_off.push(own, slot);
                    continue;
                }
                self.forget_log_off(slot);
                unseen.push(slot);
            }
        }
    }

    fn end_standing(&mut self, slot: u32, unseen: &mut Vec<u32>) {
        let entity = self.entities.get_mut(slot);
        self.places.all[entity.place() as usize].1 -= 1;
        entity.set_place(UNSEEN);
        unseen.push(slot);
    }

    fn remove_unseen(&mut self, unseen: Vec<u32>) {
        if unseen.is_empty() {
            return;
        }
        let pending = self.pending_slots();
        for slot in unseen {
            let entity = *self.entities.get(slot);
            if entity.place() == UNSEEN && !entity.is(flag::OFFLINE) && !pending.contains(slot) {
                self.remove(slot, entity.key());
            }
        }
    }

    /// The slots with pending sightings.
    pub(super) fn pending_slots(&self) -> Slots {
        let mut slots = Slots::none(self.entities.len());
        for sighting in self.pending.values().flatten() {
            slots.insert(sighting.slot);
        }
        slots
    }
}
