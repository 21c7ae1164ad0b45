//! The sightings of one role in a lane's city, which take no memory before the first.

use std::ops::Deref;
use std::sync::LazyLock;

use crate::count::sightings::{Contact, Count, Lifetime, Sightings};

/// The sightings of drivers, or of riders. A lane knows every city of its stream, and has entities of few of them where
/// these are many.
#[derive(Debug, Default)]
pub(super) struct RoleSightings(Option<Box<Sightings>>);

impl RoleSightings {
    /// The sightings, if there were any.
    pub(super) fn get_mut(&mut self) -> Option<&mut Sightings> {
        self.0.as_deref_mut()
    }

    /// The sightings, to add to.
    #[inline]
    pub(super) fn get_or_new(&mut self) -> &mut Sightings {
        self.0.get_or_insert_default()
    }

    /// See [`Sightings::close`].
    pub(super) fn close(&mut self, tick: i64, life: Lifetime) -> Contact {
        self.get_mut().map(|sightings| sightings.close(tick, life)).unwrap_or_default()
    }

    /// See [`Sightings::counts`].
    pub(super) fn counts(&mut self) -> impl Iterator<Item = Count> {
        self.get_mut().into_iter().flat_map(Sightings::counts)
    }
}

impl Deref for RoleSightings {
    type Target = Sightings;

    fn deref(&self) -> &Sightings {
        static NONE: LazyLock<Sightings> = LazyLock::new(Sightings::default);
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl From<Sightings> for RoleSightings {
    fn from(sightings: Sightings) -> Self {
        Self((!sightings.is_new()).then(|| Box::new(sightings)))
    }
}
