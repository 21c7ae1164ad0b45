//! The one verifier of bearer tokens, which remembers those that it has verified.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::RwLock;
use thiserror::Error;

use crate::access::client::Client;
use crate::access::key_ring::KeyRing;
use crate::access::key_set::KeySet;
use crate::access::ports::KeySetSource;
use crate::access::token::{Expected, Lifetime, MAX_TOKEN_BYTES, TokenError, key_id, verify};
use crate::unavailable::Unavailable;

/// The most tokens that are remembered: with the longest ones they take 8 MiB. A client uses one for minutes, and verifying
/// its signature takes some fifty times as long as finding it.
pub const MAX_REMEMBERED: usize = 1_024;

/// Why a client is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The token is not valid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The keys of the issuer cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Verifies tokens of one issuer for one audience.
#[derive(Debug)]
pub struct Verifier<S> {
    expected: Expected,
    ring: KeyRing<S>,
    remembered: RwLock<Remembered>,
}

/// Tokens that were verified with `keys`.
#[derive(Default)]
struct Remembered {
    keys: Option<Arc<KeySet>>,
    tokens: HashMap<Box<str>, (Arc<Client>, Lifetime)>,
}

impl<S: KeySetSource> Verifier<S> {
    /// A verifier of tokens that are as `expected`, with the keys of `source`.
    pub fn new(expected: Expected, source: S) -> Self {
        Self { expected, ring: KeyRing::new(source), remembered: RwLock::default() }
    }

    /// The client of a token at `now_ms`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify(&self, token: &str, now_ms: i64) -> Result<Arc<Client>, VerifyError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid.into());
        }
        if let Some(keys) = self.ring.current(now_ms)
            && let Some(found) = self.remembered.read().find(token, &keys, now_ms)
        {
            return Ok(found?);
        }
        let id = key_id(token)?;
        let mut keys = self.ring.keys(now_ms).await?;
        if keys.named(&id).is_none() {
            keys = self.ring.newer_than(&keys, now_ms).await?;
        }
        let (client, lifetime) = verify(token, &keys, &self.expected, now_ms)?;
        let client = Arc::new(client);
        self.remembered.write().insert((token, &client, lifetime), &keys, now_ms);
        Ok(client)
    }

    /// Reads the keys again if they were read long ago; for the time after a response is sent, and for the start.
    pub async fn refresh(&self, now_ms: i64) {
        self.ring.refresh(now_ms).await;
    }
}

impl Remembered {
    fn find(&self, token: &str, keys: &Arc<KeySet>, now_ms: i64) -> Option<Result<Arc<Client>, TokenError>> {
        self.keys.as_ref().filter(|known| Arc::ptr_eq(known, keys))?;
        let (client, lifetime) = self.tokens.get(token)?;
        Some(lifetime.check(now_ms).map(|()| Arc::clone(client)))
    }

    /// Remembers a token. What was verified with other keys is forgotten: one of them may have been withdrawn.
    fn insert(
        &mut self,
        (token, client, lifetime): (&str, &Arc<Client>, Lifetime),
        keys: &Arc<KeySet>,
        now_ms: i64,
    ) {
        if !self.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, keys)) {
            self.tokens.clear();
            self.keys = Some(Arc::clone(keys));
        }
        if self.tokens.len() >= MAX_REMEMBERED {
            self.tokens.retain(|_, (_, lifetime)| !lifetime.is_over(now_ms));
        }
        if self.tokens.len() >= MAX_REMEMBERED {
            self.tokens.clear();
        }
        self.tokens.insert(token.into(), (Arc::clone(client), lifetime));
    }
}

impl std::fmt::Debug for Remembered {
    /// Tokens are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
