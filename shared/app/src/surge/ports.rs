//! The outputs of pricing: maps, changes, and closed ticks.

use std::future::Future;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, ClosedTick, MapHead};

use crate::unavailable::{SendError, Unavailable};

/// The store of the cities' maps: immutable chunks, and a head that names them.
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

    /// Saves the head if the stored one has a lower version; one of this or a higher version stays.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_head(&self, head: &MapHead) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// The head, if the city has one.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn head(&self, city: &CityId) -> impl Future<Output = Result<Option<MapHead>, Unavailable>> + Send;

    /// A chunk that a head names, unless it has expired since.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn chunk(
        &self,
        city: &CityId,
        name: ChunkName,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Unavailable>> + Send;
}

/// The stream of changed multipliers, for subscribers and analytics.
pub trait ChangeStream: Send + Sync {
    /// Sends changes of one tick of a city ([`equilibrium_domain::surge::map::TickChanges`], encoded). Records of one city
    /// keep the order of the calls.
    ///
    /// # Errors
    /// [`SendError`].
    fn send(&self, city: &CityId, record: Vec<u8>) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// The log of closed ticks.
pub trait TickLog: Send + Sync {
    /// Records ticks of a city, in order. A tick may be recorded again, with the same rows.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn record(
        &self,
        map: &MapHead,
        ticks: &[ClosedTick],
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}
