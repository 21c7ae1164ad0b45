//! A sink that records everything that is sent to it.

use equilibrium_domain::count::city_group::CityGroup;
use equilibrium_domain::id::{CityId, LaneId};
use equilibrium_domain::surge::map::{ClosedTick, MapHead};

use super::shared::Shared;
use crate::count::ports::{CountsStream, DeadLetter, DeadLetterQueue};
use crate::ingest::ports::EventLog;
use crate::surge::ports::{ChangeStream, TickLog};
use crate::unavailable::{SendError, Unavailable};

/// Records items until they are taken.
#[derive(Clone, Debug)]
pub struct Recorder<T>(pub(super) Shared<Vec<T>>);

impl<T> Default for Recorder<T> {
    fn default() -> Self {
        Self(Shared::default())
    }
}

impl<T> Recorder<T> {
    /// Takes the items recorded since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock())
    }

    fn push(&self, item: T) {
        self.0.lock().push(item);
    }
}

impl EventLog for Recorder<(LaneId, Vec<u8>)> {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        self.push((lane, record));
        Ok(())
    }
}

impl CountsStream for Recorder<(CityGroup, Vec<u8>)> {
    async fn send(&self, _: LaneId, group: CityGroup, record: Vec<u8>) -> Result<(), SendError> {
        self.push((group, record));
        Ok(())
    }
}

impl ChangeStream for Recorder<(CityId, Vec<u8>)> {
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), SendError> {
        self.push((city.clone(), record));
        Ok(())
    }
}

impl TickLog for Recorder<(MapHead, Vec<ClosedTick>)> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        self.push((map.clone(), ticks.to_vec()));
        Ok(())
    }
}

impl DeadLetterQueue for Recorder<DeadLetter> {
    async fn send(&self, dead_letters: Vec<DeadLetter>) -> Result<(), Unavailable> {
        self.0.lock().extend(dead_letters);
        Ok(())
    }
}
