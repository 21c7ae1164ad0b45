//! The snapshot of sightings: entities, the places in use, and pending sightings.

use super::store::{FIRST_CELL, FREE, NOWHERE, OFFLINE, UNSEEN, flag};
use super::{Lifetime, PendingSighting, Place, Sightings, low_half};
use crate::time::tick_at_or_after;
use crate::wire::{Corrupt, Reader, put_u64_le, put_varint_i64, put_varint_u64};

impl Sightings {
    /// Appends the state, `closed` being the newest closed tick.
    pub fn write(&self, out: &mut Vec<u8>, closed: Option<i64>) {
        let numbers = self.write_places(out);
        put_varint_u64(out, self.evicted);
        let slots = self.write_entities(out, closed, &numbers);
        put_varint_u64(out, self.pending.len() as u64);
        for (tick, bucket) in &self.pending {
            put_varint_i64(out, *tick);
            put_varint_u64(out, bucket.len() as u64);
            for sighting in bucket {
                put_varint_u64(out, slots[sighting.slot as usize]);
                put_varint_u64(out, u64::from(numbers[sighting.place as usize]));
                put_varint_u64(out, u64::from(low_half(*tick).wrapping_sub(sighting.time)));
            }
        }
    }

    /// Appends the places in use, and returns the number that each place has in the snapshot.
    fn write_places(&self, out: &mut Vec<u8>) -> Vec<u32> {
        let mut numbers = vec![UNSEEN; self.places.all.len()];
        let seen = self.entities.iter().filter(|(_, entity)| entity.has_standing());
        let pending = self.pending.values().flatten();
        for place in seen.map(|(_, entity)| entity.place()).chain(pending.map(|sighting| sighting.place)) {
            numbers[place as usize] = NOWHERE;
        }
        (numbers[NOWHERE as usize], numbers[OFFLINE as usize]) = (NOWHERE, OFFLINE);
        let mut used = Vec::new();
        for (id, place) in self.places.all.iter().enumerate().skip(FIRST_CELL as usize) {
            if numbers[id] == NOWHERE {
                numbers[id] = u32::try_from(used.len()).expect("fewer places than numbers") + FIRST_CELL;
                used.push(place.0);
            }
        }
        put_varint_u64(out, used.len() as u64);
        for place in used {
            put_u64_le(out, place.cell);
            put_varint_u64(out, place.products);
        }
        numbers
    }

    /// Appends the entities, and returns the slot that each has when the snapshot is read.
    fn write_entities(&self, out: &mut Vec<u8>, closed: Option<i64>, numbers: &[u32]) -> Vec<u64> {
        put_varint_u64(out, self.index.len() as u64);
        let now = low_half(closed.unwrap_or(0));
        let mut slots = vec![0; self.entities.len()];
        let taken = self.entities.iter().filter(|(_, entity)| entity.place() != FREE);
        for (next, (slot, entity)) in (0_u64..).zip(taken) {
            slots[slot as usize] = next;
            put_u64_le(out, entity.key());
            let place =
                if entity.has_standing() { u64::from(numbers[entity.place() as usize]) + 1 } else { 0 };
            let (is_in_touch, is_offline) = (entity.is(flag::IN_TOUCH), entity.is(flag::OFFLINE));
            put_varint_u64(out, place << 2 | u64::from(is_in_touch) << 1 | u64::from(is_offline));
            if entity.has_standing() {
                put_varint_u64(out, u64::from(now.wrapping_sub(entity.time)));
            }
            if is_offline {
                put_varint_u64(out, u64::from(now.wrapping_sub(self.contacts.log_offs[&slot])));
            }
        }
        slots
    }

    /// Reads a state that [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if the input is anything else.
    pub fn read(input: &mut Reader<'_>, closed: Option<i64>, life: Lifetime) -> Result<Self, Corrupt> {
        let mut sightings = Self::default();
        for _ in 0..input.count("places")? {
            let place = Place { cell: input.u64_le("a cell")?, products: input.varint_u64("products")? };
            if !sightings.places.intern(place).1 {
                return Err(input.invalid("a duplicate place"));
            }
        }
        sightings.evicted = input.varint_u64("evictions")?;
        for _ in 0..input.count("entities")? {
            sightings.read_entity(input, closed, life)?;
        }
        for _ in 0..input.count("pending ticks")? {
            sightings.read_pending(input)?;
        }
        let pending = sightings.pending_slots();
        let is_unused = |slot| !sightings.contacts.log_offs.contains_key(&slot) && !pending.contains(slot);
        if sightings.entities.iter().any(|(slot, entity)| entity.place() == UNSEEN && is_unused(slot)) {
            return Err(input.invalid("an entity without a sighting"));
        }
        Ok(sightings)
    }

    fn read_entity(
        &mut self,
        input: &mut Reader<'_>,
        closed: Option<i64>,
        life: Lifetime,
    ) -> Result<(), Corrupt> {
        let key = input.u64_le("an entity's key")?;
        let places = self.places.all.len() as u64;
        let code = input.varint_up_to(places << 2 | 3, "an entity's place")?;
        if self.find(key).is_some() {
            return Err(input.invalid("a duplicate entity"));
        }
        let slot = self.add(key);
        if code == 0 {
            return Ok(());
        }
        let closed = closed.ok_or(input.invalid("a sighting before any tick"))?;
        self.entities.get_mut(slot).set(flag::IN_TOUCH, code & 2 != 0);
        self.contacts.in_touch += u32::from(code & 2 != 0);
        if code >> 2 != 0 {
            #[expect(clippy::cast_possible_truncation)]
            let place = (code >> 2) as u32 - 1;
            self.read_standing(slot, place, closed, life, input)?;
        } else if code & 2 != 0 {
            return Err(input.invalid("contact without a sighting"));
        }
        if code & 1 != 0 {
            let time = low_half(closed).wrapping_sub(input.varint_u32("a log-off's age")?);
            self.log_off(PendingSighting { slot, time, place: OFFLINE }, closed, life);
        }
        Ok(())
    }

    fn read_standing(
        &mut self,
        slot: u32,
        place: u32,
        closed: i64,
        life: Lifetime,
        input: &mut Reader<'_>,
    ) -> Result<(), Corrupt> {
        let age = input.varint_u32("a sighting's age")?;
        let own_tick = tick_at_or_after(closed - i64::from(age), life.tick_ms);
        self.places.all[place as usize].1 += 1;
        let entity = self.entities.get_mut(slot);
        entity.time = low_half(closed).wrapping_sub(age);
        entity.set_place(place);
        let is_in_touch = place != OFFLINE && i64::from(age) < life.contact_ms;
        if entity.is(flag::IN_TOUCH) != is_in_touch {
            self.contacts.changed.push(slot);
        }
        if i64::from(age) < life.contact_ms {
            self.join(slot, own_tick);
        } else {
            self.absent.push(own_tick, slot);
        }
        Ok(())
    }

    fn read_pending(&mut self, input: &mut Reader<'_>) -> Result<(), Corrupt> {
        let tick = input.instant("a tick")?;
        if self.pending.last_key_value().is_some_and(|(last, _)| *last >= tick) {
            return Err(input.invalid("a tick out of order"));
        }
        let max_place = self.places.all.len() as u64 - 1;
        let mut bucket = Vec::new();
        for _ in 0..input.count("sightings")? {
            let slot = input.varint_u32("an entity's slot")?;
            #[expect(clippy::cast_possible_truncation)]
            let place = input.varint_up_to(max_place, "a sighting's place")? as u32;
            let time = low_half(tick).wrapping_sub(input.varint_u32("a sighting's age")?);
            if !self.entities.is_taken(slot) {
                return Err(input.invalid("an entity's slot"));
            }
            bucket.push(PendingSighting { slot, time, place });
        }
        self.pending.insert(tick, bucket);
        Ok(())
    }
}
