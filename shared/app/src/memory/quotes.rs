//! The store of confirmed quotes in memory.

use std::collections::BTreeMap;

use equilibrium_domain::quote::QuoteId;

use super::shared::Shared;
use crate::quote::keys::QuoteKeys;
use crate::quote::ports::{Confirmation, QuoteKeySource, QuoteStore};
use crate::unavailable::Unavailable;

/// Confirmed quotes in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryQuotes(Shared<BTreeMap<QuoteId, Confirmation>>);

impl QuoteStore for MemoryQuotes {
    async fn confirmation(&self, id: QuoteId) -> Result<Option<Confirmation>, Unavailable> {
        Ok(self.0.lock().get(&id).cloned())
    }

    async fn confirm(&self, id: QuoteId, new: &Confirmation) -> Result<Option<Confirmation>, Unavailable> {
        let mut quotes = self.0.lock();
        let before = quotes.get(&id).cloned();
        if before.is_none() {
            quotes.insert(id, new.clone());
        }
        Ok(before)
    }

    async fn logged(&self, id: QuoteId) -> Result<(), Unavailable> {
        if let Some(confirmed) = self.0.lock().get_mut(&id) {
            confirmed.is_logged = true;
        }
        Ok(())
    }
}

/// Keys that do not change.
impl QuoteKeySource for QuoteKeys {
    async fn keys(&self) -> Result<QuoteKeys, Unavailable> {
        Ok(self.clone())
    }
}
