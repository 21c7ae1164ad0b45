//! The confirmed quotes of a process, and their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::str;

use equilibrium_app::quote::ports::{Confirmation, KEPT_MS};
use equilibrium_domain::quote::QuoteId;

/// The confirmed quotes, and their order in time.
#[derive(Debug, Default)]
pub struct ConfirmedQuotes {
    pub(crate) by_id: BTreeMap<QuoteId, StoredQuote>,
    pub(crate) by_time: BTreeSet<(i64, QuoteId)>,
}

#[derive(Debug)]
pub(crate) struct StoredQuote {
    pub(crate) confirmation: Confirmation,
    /// Whether it is on disk, or in a store that has none.
    pub(crate) is_durable: bool,
}

impl ConfirmedQuotes {
    /// Takes the row of a confirmation.
    pub(crate) fn restore(&mut self, id: u128, row: &[u8]) -> Result<(), &'static str> {
        self.insert(QuoteId(id), decode(row).ok_or("an invalid row of a confirmed quote")?, true);
        Ok(())
    }

    pub(crate) fn insert(&mut self, id: QuoteId, confirmation: Confirmation, is_durable: bool) {
        self.by_time.insert((confirmation.confirmed_at, id));
        self.by_id.insert(id, StoredQuote { confirmation, is_durable });
    }

    /// Removes those that are no longer kept at `now_ms`.
    pub(crate) fn remove_old(&mut self, now_ms: i64) -> Vec<QuoteId> {
        let mut removed = Vec::new();
        while let Some(oldest) = self.by_time.first().copied().filter(|(at, _)| now_ms - at > KEPT_MS) {
            self.by_time.remove(&oldest);
            self.by_id.remove(&oldest.1);
            removed.push(oldest.1);
        }
        removed
    }
}

/// The row of a confirmation: the time of 8 bytes, 1 if it is logged, the length of the idempotency key or 0, that key, the
/// token.
pub(crate) fn encode(confirmation: &Confirmation) -> Vec<u8> {
    let Confirmation { token, confirmed_at, idempotency_key, is_logged } = confirmation;
    let key = idempotency_key.as_deref().unwrap_or_default();
    let mut row = Vec::with_capacity(10 + key.len() + token.len());
    row.extend(confirmed_at.to_le_bytes());
    row.push(u8::from(*is_logged));
    row.push(u8::try_from(key.len()).expect("a key has 64 characters at most"));
    row.extend(key.bytes());
    row.extend(token.bytes());
    row
}

pub(crate) fn decode(row: &[u8]) -> Option<Confirmation> {
    let (time, row) = row.split_first_chunk()?;
    let ([is_logged, length], row) = row.split_first_chunk()?;
    let (key, token) = row.split_at_checked(usize::from(*length))?;
    Some(Confirmation {
        token: str::from_utf8(token).ok()?.to_owned(),
        confirmed_at: i64::from_le_bytes(*time),
        idempotency_key: Some(str::from_utf8(key).ok()?.to_owned()).filter(|key| !key.is_empty()),
        is_logged: *is_logged == 1,
    })
}
