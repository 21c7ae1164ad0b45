//! The store of the cities' histories.

use std::future::Future;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::history::HistoryKey;

use crate::checkpoint::ports::PastLog;
use crate::laws::ports::BoundStore;
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

/// The stores of a city's past.
pub trait PastStores: Send + Sync {
    /// Of the logs.
    type Logs: PastLog;
    /// Of the histories.
    type Histories: HistoryStore;
    /// Of the overrides, and of the days that laws refer to.
    type Bounds: BoundStore;

    /// The logs.
    fn logs(&self) -> &Self::Logs;

    /// The histories.
    fn histories(&self) -> &Self::Histories;

    /// The overrides, and the days that laws refer to.
    fn bounds(&self) -> &Self::Bounds;
}

/// The past from three stores.
#[derive(Clone, Debug, Default)]
pub struct Past<L, H, B> {
    /// The logs.
    pub logs: L,
    /// The histories.
    pub histories: H,
    /// The overrides, and the days that laws refer to.
    pub bounds: B,
}

impl<L: PastLog, H: HistoryStore, B: BoundStore> PastStores for Past<L, H, B> {
    type Logs = L;
    type Histories = H;
    type Bounds = B;

    fn logs(&self) -> &L {
        &self.logs
    }

    fn histories(&self) -> &H {
        &self.histories
    }

    fn bounds(&self) -> &B {
        &self.bounds
    }
}
