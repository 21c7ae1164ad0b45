//! Contact with entities: which are in touch, and how many were lost (CONTRACT §3, feed guard).
//!
//! An entity is in touch as of a tick if its last sighting is not a log-off and younger than
//! [`Lifetime::contact_ms`]. One that was when the previous tick closed, is not as of this tick, and has not logged off,
//! is lost.

use hashbrown::HashMap;

use super::store::{OFFLINE, SlotsByAge, flag};
use super::{Lifetime, PendingSighting, Sightings, low_half};
use crate::hash::IntHasher;
use crate::time::tick_at_or_after;

/// The contact with entities as of a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// The number of entities in touch.
    pub in_touch: u32,
    /// The number of entities lost at this tick.
    pub lost: u32,
}

/// What contact needs besides the standings.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    /// The number of entities that were in touch when the newest tick closed.
    pub(super) in_touch: u32,
    /// The slots whose contact the next tick may change, apart from the ends of lifetimes.
    pub(super) changed: Vec<u32>,
    /// The times of the log-offs that are last sightings, by slot: see [`low_half`].
    pub(super) log_offs: HashMap<u32, u32, IntHasher>,
    /// The slots with such a log-off, by its tick.
    pub(super) by_log_off: SlotsByAge,
}

impl Sightings {
    /// Makes a log-off that is not older than the standing the entity's last sighting, unless another one is newer.
    pub(super) fn log_off(&mut self, log_off: PendingSighting, closed: i64, life: Lifetime) {
        let PendingSighting { slot, time, .. } = log_off;
        let now = low_half(closed);
        let age = now.wrapping_sub(time);
        let contacts = &mut self.contacts;
        if contacts.log_offs.get(&slot).is_some_and(|other| age > now.wrapping_sub(*other)) {
            return;
        }
        contacts.log_offs.insert(slot, time);
        contacts.by_log_off.push(tick_at_or_after(closed - i64::from(age), life.tick_ms), slot);
        let entity = self.entities.get_mut(slot);
        entity.set(flag::OFFLINE, true);
        if entity.is(flag::IN_TOUCH) {
            contacts.changed.push(slot);
        }
    }

    /// Ends the entity's log-off if a standing of `age` is not older; returns whether it did.
    pub(super) fn log_on(&mut self, slot: u32, age: u32, now: u32) -> bool {
        let is_older = |time: &u32| age > now.wrapping_sub(*time);
        if self.contacts.log_offs.get(&slot).is_some_and(is_older) {
            return false;
        }
        self.forget_log_off(slot);
        true
    }

    pub(super) fn forget_log_off(&mut self, slot: u32) {
        self.contacts.log_offs.remove(&slot);
        self.entities.get_mut(slot).set(flag::OFFLINE, false);
    }

    /// Updates whether the entity is in touch as of `tick`, and returns whether it is lost.
    pub(super) fn update_contact(&mut self, slot: u32, tick: i64, life: Lifetime) -> bool {
        let entity = self.entities.get_mut(slot);
        let is_offline = entity.is(flag::OFFLINE) || entity.place() == OFFLINE;
        let age = low_half(tick).wrapping_sub(entity.time);
        let is_in_touch = !is_offline && entity.has_standing() && i64::from(age) < life.contact_ms;
        if entity.is(flag::IN_TOUCH) == is_in_touch {
            return false;
        }
        entity.set(flag::IN_TOUCH, is_in_touch);
        if is_in_touch {
            self.contacts.in_touch += 1;
            return false;
        }
        self.contacts.in_touch -= 1;
        !is_offline
    }

    /// Makes log-offs standings, as [`Lifetime::log_off_ends_standing`] has it from now on.
    pub fn end_standings_by_log_off(&mut self, closed: Option<i64>, life: Lifetime) {
        let Some(closed) = closed else { return };
        let mut log_offs: Vec<(u32, u32)> = self.contacts.log_offs.drain().collect();
        log_offs.sort_unstable();
        for (slot, time) in log_offs {
            self.entities.get_mut(slot).set(flag::OFFLINE, false);
            self.replace(PendingSighting { slot, time, place: OFFLINE }, closed, life);
        }
    }
}
