//! The confirmed quotes of a process, and the key that signs its quotes.

use std::io;
use std::path::Path;

use equilibrium_app::quote::keys::{MIN_KEY_BYTES, QuoteKey, QuoteKeys};
use equilibrium_app::quote::ports::{Confirmation, QuoteStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::quote::QuoteId;
use tokio::sync::oneshot::{self, Receiver};

use crate::confirmed_quotes::{StoredQuote, encode};
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
