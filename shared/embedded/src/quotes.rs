//! The confirmed quotes of a process.

use std::collections::{BTreeMap, BTreeSet};

use equilibrium_app::quote::ports::{Confirmation, KEPT_MS, QuoteStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::fare::quote::QuoteId;
use redb::{ReadTransaction, ReadableTable, TableDefinition};
use tokio::sync::oneshot::{self, Receiver};

use crate::database::{Row, existing};
use crate::open_error::OpenErrorKind;
use crate::state::State;
use crate::store::Store;

pub(crate) const QUOTES: TableDefinition<'_, u128, &'static [u8]> = TableDefinition::new("quotes");

/// Quotes that expire beside one that is confirmed, at most: more than one, so that the table becomes no longer.
const MAX_EXPIRED: usize = 4;

/// Bits of a row.
const IS_LOGGED: u8 = 1;
const HAS_KEY: u8 = 2;

/// Confirmed quotes, and those by the time of their confirmation.
#[derive(Debug, Default)]
pub struct StoredQuotes {
    by_id: BTreeMap<QuoteId, StoredQuote>,
    by_time: BTreeSet<(i64, QuoteId)>,
}

#[derive(Debug)]
struct StoredQuote {
    confirmation: Confirmation,
    /// Whether the row is on disk, or in a store that has none.
    is_durable: bool,
}

impl StoredQuotes {
    fn insert(&mut self, id: QuoteId, confirmation: Confirmation, is_durable: bool) {
        self.by_time.insert((confirmation.confirmed_at, id));
        self.by_id.insert(id, StoredQuote { confirmation, is_durable });
    }

    /// Removes some of the quotes that are no longer kept.
    fn expire(&mut self, now_ms: i64) -> Vec<QuoteId> {
        let is_over = |(confirmed_at, _): &&(i64, QuoteId)| now_ms - confirmed_at >= KEPT_MS;
        let over: Vec<_> = self.by_time.iter().take_while(is_over).take(MAX_EXPIRED).copied().collect();
        for entry in &over {
            self.by_time.remove(entry);
            self.by_id.remove(&entry.1);
        }
        over.into_iter().map(|(_, id)| id).collect()
    }
}

/// Reads the quotes of a database; folders of earlier versions have none.
pub(crate) fn read(transaction: &ReadTransaction) -> Result<StoredQuotes, OpenErrorKind> {
    let mut quotes = StoredQuotes::default();
    for row in existing(transaction.open_table(QUOTES))?.iter().map(ReadableTable::iter) {
        for row in row? {
            let (id, row) = row?;
            let confirmation = decode(row.value()).ok_or("an invalid row of a quote")?;
            quotes.insert(QuoteId(id.value()), confirmation, true);
        }
    }
    Ok(quotes)
}

/// The row of a confirmation: the time of 8 bytes, a byte of bits, the length of the idempotency key of 1 byte, the key, the
/// token.
fn encode(confirmation: &Confirmation) -> Vec<u8> {
    let Confirmation { token, confirmed_at, idempotency_key, is_logged } = confirmation;
    let key = idempotency_key.as_deref().unwrap_or_default();
    let has_key = if idempotency_key.is_some() { HAS_KEY } else { 0 };
    let mut row = Vec::with_capacity(10 + key.len() + token.len());
    row.extend(confirmed_at.to_le_bytes());
    row.push(has_key | u8::from(*is_logged) * IS_LOGGED);
    row.push(u8::try_from(key.len()).expect("an idempotency key has at most 64 characters of ASCII"));
    row.extend(key.bytes());
    row.extend(token.bytes());
    row
}

fn decode(row: &[u8]) -> Option<Confirmation> {
    let (confirmed_at, rest) = row.split_first_chunk()?;
    let ([bits, key_bytes], rest) = rest.split_first_chunk()?;
    let (key, token) = rest.split_at_checked(usize::from(*key_bytes))?;
    let key = String::from_utf8(key.to_vec()).ok()?;
    Some(Confirmation {
        token: String::from_utf8(token.to_vec()).ok()?,
        confirmed_at: i64::from_le_bytes(*confirmed_at),
        idempotency_key: (bits & HAS_KEY != 0).then_some(key),
        is_logged: bits & IS_LOGGED != 0,
    })
}

/// Has the row of a quote written; the receiver completes once it is on disk. `None` in a store in memory.
fn write(state: &mut State, id: QuoteId) -> Option<Receiver<()>> {
    let row = encode(&state.quotes.by_id.get(&id)?.confirmation);
    let pending = state.pending.as_mut()?;
    let (written, on_disk) = oneshot::channel();
    pending.changes.rows.insert(Row::Quote(id), Some(row));
    pending.written.push(written);
    Some(on_disk)
}

impl Store {
    /// Waits until a confirmation is on disk: what a client has been answered is not lost.
    async fn wait_until_durable(
        &self,
        id: QuoteId,
        on_disk: Option<Receiver<()>>,
    ) -> Result<(), Unavailable> {
        let Some(on_disk) = on_disk else { return Ok(()) };
        self.0.changed.notify_one();
        on_disk.await.map_err(|_| Unavailable)?;
        if let Some(stored) = self.0.state.lock().quotes.by_id.get_mut(&id) {
            stored.is_durable = true;
        }
        Ok(())
    }
}

/// Confirmations are on disk when the calls return, those of other calls among them.
impl QuoteStore for Store {
    async fn confirmation(&self, id: QuoteId) -> Result<Option<Confirmation>, Unavailable> {
        let (found, on_disk) = {
            let mut state = self.0.state.lock();
            let Some(stored) = state.quotes.by_id.get(&id) else { return Ok(None) };
            let (found, is_durable) = (stored.confirmation.clone(), stored.is_durable);
            (found, if is_durable { None } else { write(&mut state, id) })
        };
        self.wait_until_durable(id, on_disk).await?;
        Ok(Some(found))
    }

    async fn confirm(&self, id: QuoteId, new: &Confirmation) -> Result<Option<Confirmation>, Unavailable> {
        let (before, on_disk) = {
            let mut state = self.writable()?;
            let before = state.quotes.by_id.get(&id).map(|stored| stored.confirmation.clone());
            if before.is_none() {
                let expired = state.quotes.expire(new.confirmed_at);
                let is_durable = state.pending.is_none();
                state.quotes.insert(id, new.clone(), is_durable);
                if let Some(pending) = &mut state.pending {
                    pending.changes.rows.extend(expired.into_iter().map(|id| (Row::Quote(id), None)));
                }
            }
            let is_durable = state.quotes.by_id.get(&id).is_some_and(|stored| stored.is_durable);
            (before, if is_durable { None } else { write(&mut state, id) })
        };
        self.wait_until_durable(id, on_disk).await?;
        Ok(before)
    }

    /// Is written behind: an event that is logged twice is one event.
    async fn logged(&self, id: QuoteId) -> Result<(), Unavailable> {
        let mut state = self.writable()?;
        if let Some(stored) = state.quotes.by_id.get_mut(&id)
            && !stored.confirmation.is_logged
        {
            stored.confirmation.is_logged = true;
            write(&mut state, id);
            self.0.changed.notify_one();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmation(confirmed_at: i64, key: Option<&str>, is_logged: bool) -> Confirmation {
        let idempotency_key = key.map(str::to_owned);
        Confirmation { token: "t".repeat(1_000), confirmed_at, idempotency_key, is_logged }
    }

    #[test]
    fn a_row_reads_back_and_a_torn_one_does_not() {
        let longest = "k".repeat(64);
        for key in [None, Some(""), Some(longest.as_str())] {
            for is_logged in [false, true] {
                let confirmed = confirmation(1_772_000_000_000, key, is_logged);
                assert_eq!(decode(&encode(&confirmed)), Some(confirmed));
            }
        }
        let row = encode(&confirmation(1, Some("key"), false));
        assert_eq!((0..13).find_map(|end| decode(&row[..end])), None);
    }

    #[test]
    fn quotes_are_kept_for_90_days_and_leave_a_few_at_a_time() {
        let mut quotes = StoredQuotes::default();
        for id in 0..6 {
            quotes.insert(QuoteId(id), confirmation(1_000, None, true), true);
        }
        quotes.insert(QuoteId(6), confirmation(1_001, None, true), true);
        assert_eq!(quotes.expire(999 + KEPT_MS), []);
        assert_eq!(quotes.expire(1_000 + KEPT_MS), [0, 1, 2, 3].map(QuoteId));
        assert_eq!(quotes.expire(1_000 + KEPT_MS), [4, 5].map(QuoteId));
        assert_eq!(quotes.by_id.keys().copied().collect::<Vec<_>>(), [QuoteId(6)]);
    }
}
