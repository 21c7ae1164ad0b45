//! The sightings of one role in a city, which take memory once there has been an entity: a lane knows of every city, and in
//! most of them has no entity.

use crate::count::sightings::{Contact, Count, Lifetime, Place, Sightings};
use crate::id::EntityKey;
use crate::wire::{Corrupt, Reader};

/// The sightings of drivers, or of riders; `None` is the same as sightings without an entity so far.
#[derive(Debug, Default)]
pub(super) struct Role(Option<Box<Sightings>>);

impl Role {
    /// See [`Sightings::len`].
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |sightings| sightings.len())
    }

    /// See [`Sightings::in_touch`].
    pub(super) fn in_touch(&self) -> u32 {
        self.0.as_ref().map_or(0, |sightings| sightings.in_touch())
    }

    /// See [`Sightings::evicted`].
    pub(super) fn evicted(&self) -> u64 {
        self.0.as_ref().map_or(0, |sightings| sightings.evicted())
    }

    /// See [`Sightings::needs_compaction`].
    pub(super) fn needs_compaction(&self) -> bool {
        self.0.as_ref().is_some_and(|sightings| sightings.needs_compaction())
    }

    /// See [`Sightings::absorb`].
    #[inline]
    pub(super) fn absorb(
        &mut self,
        key: EntityKey,
        place: Place,
        time_ms: i64,
        closed: Option<i64>,
        life: Lifetime,
    ) {
        self.0.get_or_insert_default().absorb(key, place, time_ms, closed, life);
    }

    /// See [`Sightings::close`].
    pub(super) fn close(&mut self, tick: i64, life: Lifetime) -> Contact {
        self.0.as_mut().map_or_else(Contact::default, |sightings| sightings.close(tick, life))
    }

    /// See [`Sightings::counts`].
    pub(super) fn counts(&mut self) -> impl Iterator<Item = Count> {
        self.0.iter_mut().flat_map(|sightings| sightings.counts())
    }

    /// See [`Sightings::next_change`].
    pub(super) fn next_change(&self, life: Lifetime) -> Option<i64> {
        self.0.as_ref()?.next_change(life)
    }

    /// See [`Sightings::take_log`].
    pub(super) fn take_log(&mut self, out: &mut Vec<u8>) {
        self.change(|sightings| sightings.take_log(out));
    }

    /// See [`Sightings::replay`].
    pub(super) fn replay(&mut self, log: &[u8], closed: Option<i64>, life: Lifetime) -> Result<(), Corrupt> {
        self.0.get_or_insert_default().replay(log, closed, life)
    }

    /// Changes the sightings, if there has been an entity.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Sightings)) {
        if let Some(sightings) = &mut self.0 {
            change(sightings);
        }
    }

    /// See [`Sightings::write`].
    pub(super) fn write(&self, out: &mut Vec<u8>, closed: Option<i64>) {
        match &self.0 {
            Some(sightings) => sightings.write(out, closed),
            None => Sightings::default().write(out, closed),
        }
    }

    /// See [`Sightings::read`].
    pub(super) fn read(input: &mut Reader<'_>, closed: Option<i64>, life: Lifetime) -> Result<Self, Corrupt> {
        let sightings = Sightings::read(input, closed, life)?;
        Ok(Self((!sightings.is_unused()).then(|| Box::new(sightings))))
    }
}
