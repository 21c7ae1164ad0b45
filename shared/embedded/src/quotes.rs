//! The confirmed quotes of a process, and the key that signs its quotes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::str;

use equilibrium_app::quote::keys::{MIN_KEY_BYTES, QuoteKey, QuoteKeys};
use equilibrium_app::quote::ports::{Confirmation, KEPT_MS, QuoteStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::quote::QuoteId;
use tokio::sync::oneshot::{self, Receiver};

use crate::database::Row;
use crate::key_file;
use crate::open_error::OpenError;
use crate::state::State;
use crate::store::Store;

/// Name of the key's file in the folder of the database.
pub const KEY_FILE_NAME: &str = "quote.key";

/// The keys of a process's quotes: the one in `folder`, of which it has opened the database, or a new one if there is none.
///
/// # Errors
/// [`OpenError`]; a damaged file is not replaced.
pub fn open_keys(folder: Option<&Path>) -> Result<QuoteKeys, OpenError> {
    let digits = match folder {
        Some(folder) => key_file::open(folder, KEY_FILE_NAME, MIN_KEY_BYTES)?,
        None => {
            key_file::random(MIN_KEY_BYTES).map_err(|cause: io::Error| OpenError::NoRandomness { cause })?
        }
    };
    let current = QuoteKey::from_hex(&digits).expect("hexadecimal digits of a key's length");
    Ok(QuoteKeys { current, previous: None })
}

/// The confirmed quotes, and their order in time.
#[derive(Debug, Default)]
pub struct ConfirmedQuotes {
    by_id: BTreeMap<QuoteId, StoredQuote>,
    by_time: BTreeMap<(i64, QuoteId), ()>,
}

#[derive(Debug)]
struct StoredQuote {
    confirmation: Confirmation,
    /// Whether it is on disk, or in a store that has none.
    is_durable: bool,
}

impl ConfirmedQuotes {
    /// Takes the row of a confirmation.
    pub(crate) fn restore(&mut self, id: u128, row: &[u8]) -> Result<(), &'static str> {
        self.insert(QuoteId(id), decode(row).ok_or("an invalid row of a confirmed quote")?, true);
        Ok(())
    }

    fn insert(&mut self, id: QuoteId, confirmation: Confirmation, is_durable: bool) {
        self.by_time.insert((confirmation.confirmed_at, id), ());
        self.by_id.insert(id, StoredQuote { confirmation, is_durable });
    }

    /// Removes those that are no longer kept at `now_ms`.
    fn remove_old(&mut self, now_ms: i64) -> Vec<QuoteId> {
        let mut removed = Vec::new();
        while let Some(oldest) = self.by_time.first_entry().filter(|oldest| now_ms - oldest.key().0 > KEPT_MS)
        {
            let (_, id) = *oldest.key();
            oldest.remove();
            self.by_id.remove(&id);
            removed.push(id);
        }
        removed
    }
}

impl Store {
    fn write_quotes(
        &self,
        state: &mut State,
        rows: impl Iterator<Item = (QuoteId, Option<Vec<u8>>)>,
    ) -> Option<Receiver<()>> {
        let pending = state.pending.as_mut()?;
        let (written, on_disk) = oneshot::channel();
        pending.changes.rows.extend(rows.map(|(QuoteId(id), row)| (Row::Quote(id), row)));
        pending.written.push(written);
        self.0.changed.notify_one();
        Some(on_disk)
    }

    /// The confirmation of a quote, and a receiver that completes once it is on disk, if it is not known to be. Another call
    /// may have made it that still waits for the disk, or has failed to: its row is written again.
    fn stored_quote(&self, state: &mut State, id: QuoteId) -> Option<(Confirmation, Option<Receiver<()>>)> {
        let StoredQuote { confirmation, is_durable } = state.quotes.by_id.get(&id)?;
        let (found, is_durable) = (confirmation.clone(), *is_durable);
        if is_durable {
            return Some((found, None));
        }
        let row = encode(&found);
        let on_disk = self.write_quotes(state, [(id, Some(row))].into_iter());
        Some((found, on_disk))
    }

    /// Waits until a confirmation is on disk: a crash takes back no answer that a client has.
    async fn quote_on_disk(&self, id: QuoteId, on_disk: Option<Receiver<()>>) -> Result<(), Unavailable> {
        let Some(on_disk) = on_disk else { return Ok(()) };
        on_disk.await.map_err(|_| Unavailable)?;
        if let Some(stored) = self.0.state.lock().quotes.by_id.get_mut(&id) {
            stored.is_durable = true;
        }
        Ok(())
    }
}

/// A confirmation is on disk when a call returns it, whichever call made it.
impl QuoteStore for Store {
    async fn confirmation(&self, id: QuoteId) -> Result<Option<Confirmation>, Unavailable> {
        let found = self.stored_quote(&mut self.0.state.lock(), id);
        let Some((found, on_disk)) = found else { return Ok(None) };
        self.quote_on_disk(id, on_disk).await?;
        Ok(Some(found))
    }

    async fn confirm(&self, id: QuoteId, new: &Confirmation) -> Result<Option<Confirmation>, Unavailable> {
        let (before, on_disk) = {
            let mut state = self.writable()?;
            if let Some((before, on_disk)) = self.stored_quote(&mut state, id) {
                (Some(before), on_disk)
            } else {
                let removed = state.quotes.remove_old(new.confirmed_at);
                let is_durable = state.pending.is_none();
                state.quotes.insert(id, new.clone(), is_durable);
                let rows = removed.into_iter().map(|id| (id, None)).chain([(id, Some(encode(new)))]);
                (None, self.write_quotes(&mut state, rows))
            }
        };
        self.quote_on_disk(id, on_disk).await?;
        Ok(before)
    }

    async fn logged(&self, id: QuoteId) -> Result<(), Unavailable> {
        let mut state = self.writable()?;
        let Some(StoredQuote { confirmation: confirmed, .. }) = state.quotes.by_id.get_mut(&id) else {
            return Ok(());
        };
        if confirmed.is_logged {
            return Ok(());
        }
        confirmed.is_logged = true;
        let row = encode(confirmed);
        // Not waited for: an event that is logged twice is one by its id.
        self.write_quotes(&mut state, [(id, Some(row))].into_iter());
        Ok(())
    }
}

/// The row of a confirmation: the time of 8 bytes, 1 if it is logged, the length of the idempotency key or 0, that key, the
/// token.
fn encode(confirmation: &Confirmation) -> Vec<u8> {
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

fn decode(row: &[u8]) -> Option<Confirmation> {
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
