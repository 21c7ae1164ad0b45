//! The outputs of pricing: maps, changes, and closed ticks.

use std::future::Future;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, ClosedTick, MapHead};

use crate::unavailable::Unavailable;

/// Where a city's map is kept: chunks that never change, and a head that names them.
pub trait MapStore: Send + Sync {
    /// Saves a chunk of the city's map under its name.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_chunk(
        &self,
        city: &CityId,
        name: ChunkName,
        chunk: &[u8],
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Saves the head if the one there is of a lower version; one of this or a higher version stays.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_head(&self, head: &MapHead) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// The head, if the city has one.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn head(&self, city: &CityId) -> impl Future<Output = Result<Option<MapHead>, Unavailable>> + Send;

    /// A chunk that a head names, unless it has been outlived.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn chunk(
        &self,
        city: &CityId,
        name: ChunkName,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Unavailable>> + Send;
}

/// Where subscribers and analytics hear of changed multipliers.
pub trait ChangeStream: Send + Sync {
    /// Sends one tick's changes of a city ([`equilibrium_domain::surge::map::TickChanges`], encoded).
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not have been sent.
    fn send(&self, city: &CityId, record: Vec<u8>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Where every closed tick's rows go.
pub trait TickLog: Send + Sync {
    /// Records ticks of a city, in order. The same may come again, and is the same then.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn record(
        &self,
        map: &MapHead,
        ticks: &[ClosedTick],
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}
