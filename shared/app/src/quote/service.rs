//! What issues and confirms quotes: keys, store, and the market's log, which receives an event of every confirmation.

use equilibrium_domain::id::LaneCount;
use equilibrium_domain::quote::Quote;
use equilibrium_domain::time::Timestamp;
use parking_lot::Mutex;
use serde_json::json;

use crate::ingest::ports::EventLog;
use crate::quote::confirm::{Acceptance, ConfirmError, FindError, Found, KeyRing, confirm};
use crate::quote::metrics::QuoteMetrics;
use crate::quote::ports::{Confirmation, QuoteKeySource, QuoteStore};

/// Issues and confirms quotes.
#[derive(Debug)]
pub struct QuoteService<Q, S, L> {
    store: Q,
    ring: KeyRing<S>,
    log: L,
    lanes: LaneCount,
    metrics: Mutex<QuoteMetrics>,
}

impl<Q: QuoteStore, S: QuoteKeySource, L: EventLog> QuoteService<Q, S, L> {
    /// A service over a store of confirmations, a source of keys, and the market's log of so many lanes.
    pub fn new(store: Q, keys: S, (log, lanes): (L, LaneCount)) -> Self {
        Self { store, ring: KeyRing::new(keys), log, lanes, metrics: Mutex::default() }
    }

    /// The keys.
    pub fn ring(&self) -> &KeyRing<S> {
        &self.ring
    }

    /// The metrics since the last call.
    pub fn take_metrics(&self) -> QuoteMetrics {
        std::mem::take(&mut *self.metrics.lock())
    }

    /// Adds to the metrics.
    pub fn count(&self, add: impl FnOnce(&mut QuoteMetrics)) {
        add(&mut self.metrics.lock());
    }

    /// The quote of a token, with its confirmation. A confirmation whose event is not in the log yet is logged again.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn find(&self, token: &str, now_ms: i64) -> Result<Found, FindError> {
        let found = self.ring.find(token, &self.store, now_ms).await?;
        if let Some(confirmation) = found.confirmation.as_ref().filter(|confirmed| !confirmed.is_logged) {
            self.log(&found.quote, confirmation).await;
        }
        Ok(found)
    }

    /// Confirms a quote that was found by `token`.
    ///
    /// # Errors
    /// [`ConfirmError`].
    pub async fn confirm(
        &self,
        (token, found): (&str, &Found),
        acceptance: Acceptance<'_>,
        now_ms: i64,
    ) -> Result<Confirmation, ConfirmError> {
        let confirmed = confirm(&self.store, (token, found), acceptance, now_ms).await;
        let (confirmation, is_new) = confirmed.inspect_err(|error| {
            self.count(|metrics| match error {
                ConfirmError::Expired => metrics.expired += 1,
                _ => metrics.refused += 1,
            });
        })?;
        if is_new {
            self.count(|metrics| metrics.confirmed += 1);
            self.log(&found.quote, &confirmation).await;
        }
        Ok(confirmation)
    }

    /// Puts the event of a confirmation into the market's log. The store is the truth: a confirmation stands whether or not
    /// its event is logged, and the event may be logged twice. It has the quote's id, and names no person.
    async fn log(&self, quote: &Quote, confirmation: &Confirmation) {
        let id = quote.id.to_string();
        let event = json!({
            "type": "quote_confirmed",
            "id": id,
            "time": Timestamp::from_ms(confirmation.confirmed_at),
            "city": quote.city.as_str(),
            "product": quote.product.as_str(),
        });
        let lane = self.lanes.lane_of(id.as_bytes());
        let is_logged = self.log.put(lane, format!("{event}\n").into_bytes()).await.is_ok()
            && self.store.logged(quote.id).await.is_ok();
        if !is_logged {
            self.count(|metrics| metrics.unlogged += 1);
        }
    }
}
