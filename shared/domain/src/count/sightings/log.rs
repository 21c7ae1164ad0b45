//! The log of sightings: written as they are absorbed, and replayed over the state before them.

use super::{Lifetime, Place, Sightings};
use crate::id::EntityKey;
use crate::wire::{Corrupt, Reader, put_u64_le, put_varint_i64, put_varint_u64, zigzag};

/// Sightings in the order in which they were absorbed, encoded.
#[derive(Debug, Default)]
pub(super) struct SightingLog {
    pub(super) bytes: Vec<u8>,
    last_time_ms: i64,
    last_cell: u64,
}

impl SightingLog {
    /// Appends a sighting of the entity in `slot`, or of the new entity `key`, at the place with `number`, which is
    /// `new_place` if it has no number in the log yet.
    #[inline]
    pub(super) fn push(
        &mut self,
        slot: Option<u32>,
        key: EntityKey,
        number: u32,
        new_place: Option<Place>,
        time_ms: i64,
    ) {
        let out = &mut self.bytes;
        // 0 stands for a new place; the lowest bit, for a new entity.
        let code = if new_place.is_some() { 0 } else { u64::from(number) + 1 };
        put_varint_u64(out, code << 1 | u64::from(slot.is_none()));
        if let Some(place) = new_place {
            put_cell(out, place.cell, self.last_cell);
            put_varint_u64(out, place.products);
            self.last_cell = place.cell;
        }
        match slot {
            Some(slot) => put_varint_u64(out, u64::from(slot)),
            None => put_u64_le(out, key.0),
        }
        put_varint_i64(out, time_ms - self.last_time_ms);
        self.last_time_ms = time_ms;
    }
}

impl Sightings {
    /// Moves the log since the last call to `out`, for [`Self::replay`].
    pub fn take_log(&mut self, out: &mut Vec<u8>) {
        // Its capacity is freed, too: a log is needed only while sightings arrive.
        out.append(&mut std::mem::take(&mut self.log).bytes);
    }

    /// Replays a log that [`Self::take_log`] took, over the state before it.
    ///
    /// # Errors
    /// [`Corrupt`] if the log cannot have been written over this state.
    pub fn replay(&mut self, log: &[u8], closed: Option<i64>, life: Lifetime) -> Result<(), Corrupt> {
        let mut log = Reader::new(log);
        let (mut time_ms, mut cell) = (0_i64, 0);
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
            let step_ms = log.varint_i64("a sighting's time")?;
            time_ms = time_ms
                .checked_add(step_ms)
                .filter(|time_ms| time_ms.unsigned_abs() < 1 << 60)
                .ok_or(log.invalid("a time"))?;
            let slot = match slot {
                None if self.find(key).is_some() => return Err(log.invalid("a duplicate entity")),
                None => self.add_within_limit(key, closed, life),
                Some(slot) if self.entities.is_taken(slot) => slot,
                Some(_) => return Err(log.invalid("an entity's slot")),
            };
            self.add_sighting(slot, place, time_ms, closed, life);
        }
        Ok(())
    }
}

/// Appends a cell as its difference from another one, without trailing zeros: cells of one resolution differ only above
/// the bits of the finer digits.
fn put_cell(out: &mut Vec<u8>, cell: u64, last: u64) {
    let step = zigzag(cell.wrapping_sub(last).cast_signed());
    let zeros = step.trailing_zeros() % u64::BITS;
    put_varint_u64(out, u64::from(zeros));
    put_varint_u64(out, step >> zeros);
}

fn read_cell(input: &mut Reader<'_>, last: u64) -> Result<u64, Corrupt> {
    let zeros = input.varint_up_to(63, "a cell's zeros")?;
    let step = input.varint_u64("a step to a cell")? << zeros;
    let cell = last.wrapping_add((step >> 1) ^ (step & 1).wrapping_neg());
    if cell >> 63 == 0 { Ok(cell) } else { Err(input.invalid("a cell")) }
}
