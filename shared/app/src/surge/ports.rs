//! The outputs of pricing beside the maps: changes, and closed ticks.

use std::future::Future;
use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ClosedTick, MapHead};

use crate::unavailable::{SendError, Unavailable};

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

/// A log that others read meanwhile.
impl<T: TickLog> TickLog for Arc<T> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        T::record(self, map, ticks).await
    }
}
