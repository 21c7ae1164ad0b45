//! The store of the cities' histories.

use std::future::Future;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::history::HistoryKey;

use crate::checkpoint::ports::{CheckpointKey, Loaded, PastLog};
use crate::unavailable::Unavailable;

/// How long a history is kept, by the time of its ticks (CONTRACT §10).
pub const HISTORY_MS: i64 = 90 * 24 * 3_600_000;

/// Where the changes of the cities' multipliers are kept.
pub trait HistoryStore: Send + Sync {
    /// Saves an item ([`equilibrium_domain::surge::history::items`]) under its key. The same item may be saved again.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_history(
        &self,
        city: &CityId,
        key: HistoryKey,
        item: &[u8],
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// The items from the key `from` on, in order, at most `limit` and fewer only where there are no more or they are
    /// large; none only where there is none.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable>> + Send;
}

/// The past from two stores: of logs, and of histories.
#[derive(Clone, Debug, Default)]
pub struct Past<L, H> {
    /// The logs.
    pub logs: L,
    /// The histories.
    pub histories: H,
}

impl<L: PastLog, H: Send + Sync> PastLog for Past<L, H> {
    async fn load_past(&self, key: &CheckpointKey, tick: i64) -> Result<Option<Loaded>, Unavailable> {
        self.logs.load_past(key, tick).await
    }
}

impl<L: Send + Sync, H: HistoryStore> HistoryStore for Past<L, H> {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.histories.save_history(city, key, item).await
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        self.histories.history(city, from, limit).await
    }
}
