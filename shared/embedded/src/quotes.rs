//! The confirmed quotes of a process, and the key that signs its quotes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::str;

use equilibrium_app::quote::keys::{MIN_KEY_BYTES, QuoteKey, QuoteKeys};
use equilibrium_app::quote::ports::{Confirmation, KEPT_MS, QuoteStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::fare::quote::QuoteId;
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
    by_id: BTreeMap<QuoteId, Confirmation>,
    by_time: BTreeMap<(i64, QuoteId), ()>,
}

impl ConfirmedQuotes {
    /// Takes the row of a confirmation.
    pub(crate) fn restore(&mut self, id: u128, row: &[u8]) -> Result<(), &'static str> {
        self.insert(QuoteId(id), decode(row).ok_or("an invalid row of a confirmed quote")?);
        Ok(())
    }

    fn insert(&mut self, id: QuoteId, confirmation: Confirmation) {
        self.by_time.insert((confirmation.confirmed_at, id), ());
        self.by_id.insert(id, confirmation);
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
}

/// A confirmation is on disk when the call returns.
impl QuoteStore for Store {
    async fn confirmation(&self, id: QuoteId) -> Result<Option<Confirmation>, Unavailable> {
        Ok(self.0.state.lock().quotes.by_id.get(&id).cloned())
    }

    async fn confirm(&self, id: QuoteId, new: &Confirmation) -> Result<Option<Confirmation>, Unavailable> {
        let on_disk = {
            let mut state = self.writable()?;
            if let Some(before) = state.quotes.by_id.get(&id) {
                return Ok(Some(before.clone()));
            }
            let removed = state.quotes.remove_old(new.confirmed_at);
            state.quotes.insert(id, new.clone());
            let rows = removed.into_iter().map(|id| (id, None)).chain([(id, Some(encode(new)))]);
            self.write_quotes(&mut state, rows)
        };
        if let Some(on_disk) = on_disk {
            on_disk.await.map_err(|_| Unavailable)?;
        }
        Ok(None)
    }

    async fn logged(&self, id: QuoteId) -> Result<(), Unavailable> {
        let mut state = self.writable()?;
        let Some(confirmed) = state.quotes.by_id.get_mut(&id).filter(|confirmed| !confirmed.is_logged) else {
            return Ok(());
        };
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
