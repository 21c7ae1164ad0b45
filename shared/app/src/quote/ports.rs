//! The store of confirmed quotes, and the source of the keys that sign quotes.

use std::future::Future;

use equilibrium_domain::quote::QuoteId;

use crate::quote::keys::QuoteKeys;
use crate::unavailable::Unavailable;

/// For how long a confirmed quote is kept, in milliseconds: 90 days (CONTRACT §8).
pub const KEPT_MS: i64 = 90 * 86_400_000;

/// A confirmed quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The whole token, so that it is known after the key that signed it is gone.
    pub token: String,
    /// When it was confirmed, in milliseconds since the epoch.
    pub confirmed_at: i64,
    /// The key of the request that confirmed it, if it had one.
    pub idempotency_key: Option<String>,
    /// Whether the event of the confirmation is in the market's log.
    pub is_logged: bool,
}

/// The store of confirmed quotes. Quotes that are not confirmed are in no store.
pub trait QuoteStore: Send + Sync {
    /// The confirmation of a quote, if it has one. It includes every confirmation before the call.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn confirmation(
        &self,
        id: QuoteId,
    ) -> impl Future<Output = Result<Option<Confirmation>, Unavailable>> + Send;

    /// Confirms a quote unless it is confirmed, and returns the confirmation that it had before: `None` for one of many at
    /// once. It is kept for [`KEPT_MS`].
    ///
    /// # Errors
    /// [`Unavailable`]: it is unknown whether the quote was confirmed.
    fn confirm(
        &self,
        id: QuoteId,
        new: &Confirmation,
    ) -> impl Future<Output = Result<Option<Confirmation>, Unavailable>> + Send;

    /// Records that the event of the confirmation is in the log.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn logged(&self, id: QuoteId) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The source of the keys that sign quotes.
pub trait QuoteKeySource: Send + Sync {
    /// The keys now.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn keys(&self) -> impl Future<Output = Result<QuoteKeys, Unavailable>> + Send;
}
