//! Sinks and a cache that discard everything.

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, ClosedTick, MapHead};

use crate::count::ports::{DeadLetter, DeadLetterQueue};
use crate::price::ports::MapStore;
use crate::surge::ports::{ChangeStream, TickLog};
use crate::unavailable::{SendError, Unavailable};

/// Discards what is sent or saved, and finds nothing; for one process, which needs no cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoOp;

impl MapStore for NoOp {
    async fn save_chunk(&self, _: &CityId, _: ChunkName, _: &[u8]) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn save_head(&self, _: &MapHead) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn head(&self, _: &CityId) -> Result<Option<MapHead>, Unavailable> {
        Ok(None)
    }

    async fn chunk(&self, _: &CityId, _: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(None)
    }
}

impl ChangeStream for NoOp {
    async fn send(&self, _: &CityId, _: Vec<u8>) -> Result<(), SendError> {
        Ok(())
    }
}

impl TickLog for NoOp {
    async fn record(&self, _: &MapHead, _: &[ClosedTick]) -> Result<(), Unavailable> {
        Ok(())
    }
}

impl DeadLetterQueue for NoOp {
    async fn send(&self, _: Vec<DeadLetter>) -> Result<(), Unavailable> {
        Ok(())
    }
}
