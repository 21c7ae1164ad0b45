//! The store of the maps.

use std::future::Future;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use futures_util::future::join_all;

use crate::unavailable::Unavailable;

/// How new a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It may lack what was saved a moment ago.
    Eventual,
    /// It has all that was saved before.
    Strong,
}

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

    /// Saves the map at the start of a freeze, in milliseconds since the epoch, unless one is saved. It is kept for as long
    /// as an override may last. A cache keeps none.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_frozen(
        &self,
        city: &CityId,
        start_ms: i64,
        map: &FrozenMap,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send {
        let _ = (city, start_ms, map);
        async { Ok(()) }
    }

    /// The map at the start of a freeze, in milliseconds since the epoch, if it is saved. It includes what was saved before
    /// the call.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn frozen(
        &self,
        city: &CityId,
        start_ms: i64,
    ) -> impl Future<Output = Result<Option<FrozenMap>, Unavailable>> + Send {
        let _ = (city, start_ms);
        async { Ok(None) }
    }

    /// The heads of these cities, in their order; `None` for a city without one, or whose head cannot be read. A head may
    /// lack a save of a moment ago.
    ///
    /// # Errors
    /// [`Unavailable`] if none can be read.
    fn heads(
        &self,
        cities: &[CityId],
    ) -> impl Future<Output = Result<Vec<Option<MapHead>>, Unavailable>> + Send {
        async { any(join_all(cities.iter().map(|city| self.head(city))).await) }
    }

    /// These chunks, in their order; `None` for one that is missing or cannot be read.
    ///
    /// # Errors
    /// [`Unavailable`] if none can be read.
    fn chunks(
        &self,
        names: &[(CityId, ChunkName)],
        _: Consistency,
    ) -> impl Future<Output = Result<Vec<Option<Vec<u8>>>, Unavailable>> + Send {
        async { any(join_all(names.iter().map(|(city, name)| self.chunk(city, *name))).await) }
    }
}

/// What could be read, unless nothing could.
fn any<R>(reads: Vec<Result<Option<R>, Unavailable>>) -> Result<Vec<Option<R>>, Unavailable> {
    if !reads.is_empty() && reads.iter().all(Result::is_err) {
        return Err(Unavailable);
    }
    Ok(reads.into_iter().map(|read| read.ok().flatten()).collect())
}

/// A store that a deployment may lack, as a cache: without it, saving does nothing and nothing is found.
impl<M: MapStore> MapStore for Option<M> {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        let Some(maps) = self else { return Ok(()) };
        maps.save_chunk(city, name, chunk).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let Some(maps) = self else { return Ok(()) };
        maps.save_head(head).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        let Some(maps) = self else { return Ok(None) };
        maps.head(city).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        let Some(maps) = self else { return Ok(None) };
        maps.chunk(city, name).await
    }

    async fn heads(&self, cities: &[CityId]) -> Result<Vec<Option<MapHead>>, Unavailable> {
        let Some(maps) = self else { return Ok(vec![None; cities.len()]) };
        maps.heads(cities).await
    }

    async fn chunks(
        &self,
        names: &[(CityId, ChunkName)],
        consistency: Consistency,
    ) -> Result<Vec<Option<Vec<u8>>>, Unavailable> {
        let Some(maps) = self else { return Ok(vec![None; names.len()]) };
        maps.chunks(names, consistency).await
    }
}
