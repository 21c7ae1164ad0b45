//! Finding and confirming a quote by its token.

use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::quote::Quote;
use parking_lot::RwLock;
use thiserror::Error;

use crate::quote::keys::QuoteKeys;
use crate::quote::ports::{Confirmation, QuoteKeySource, QuoteStore};
use crate::quote::token::{TokenError, sign, unverified, verify};
use crate::timer::is_within;
use crate::unavailable::Unavailable;

/// The keys are read again after this time, in milliseconds, so that a new one signs soon after a rotation.
pub const REFRESH_MS: i64 = 300_000;

/// The least time between two reads for tokens of unknown keys, in milliseconds: anyone can name one.
pub const UNKNOWN_KEY_MS: i64 = 5_000;

/// The keys of a source, in memory.
#[derive(Debug)]
pub struct KeyRing<S> {
    source: S,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<QuoteKeys>,
    read_at_ms: Option<i64>,
    /// When a read last failed, unless one has succeeded since.
    failed_at_ms: Option<i64>,
}

/// A quote whose token is this deployment's, and its confirmation.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The quote.
    pub quote: Quote,
    /// Its confirmation, if it has one.
    pub confirmation: Option<Confirmation>,
}

/// Why a quote is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FindError {
    /// No quote of this deployment has the token.
    #[error("no such quote")]
    Unknown,
    /// Keys or store cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a client gives to confirm a quote.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acceptance<'a> {
    /// The key under which a repeat of the request is the same request.
    pub idempotency_key: Option<&'a str>,
    /// The multiplier that the rider has acknowledged.
    pub ack: Option<Multiplier>,
}

/// Why a quote was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfirmError {
    /// Another request has confirmed it.
    #[error("the quote is confirmed already")]
    AlreadyConfirmed,
    /// It was valid up to a time that has passed.
    #[error("the quote has expired")]
    Expired,
    /// The multiplier must be acknowledged.
    #[error("the multiplier must be acknowledged")]
    AckRequired,
    /// It is unknown whether the quote was confirmed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl<S: QuoteKeySource> KeyRing<S> {
    /// A ring that has read nothing yet.
    pub fn new(source: S) -> Self {
        Self { source, known: RwLock::default() }
    }

    /// The token of a quote, signed by the newest key.
    ///
    /// # Errors
    /// [`Unavailable`] if no key has been read yet and none can be now.
    pub async fn sign(&self, quote: &Quote, now_ms: i64) -> Result<String, Unavailable> {
        if let Some(keys) = &self.known.read().keys {
            return Ok(sign(quote, keys));
        }
        self.read(now_ms).await?;
        self.known.read().keys.as_ref().map(|keys| sign(quote, keys)).ok_or(Unavailable)
    }

    /// Reads the keys again if they were read long ago; for the time after a response is sent.
    pub async fn refresh(&self, now_ms: i64) {
        let read_at_ms = self.known.read().read_at_ms;
        if !is_within(read_at_ms, REFRESH_MS, now_ms) {
            // The known keys stay: they verify what they have signed.
            self.read(now_ms).await.ok();
        }
    }

    /// The quote of a token, with its confirmation.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn find(&self, token: &str, store: &impl QuoteStore, now_ms: i64) -> Result<Found, FindError> {
        let (read_at_ms, mut verified) = self.verify(token, now_ms);
        if verified == Err(TokenError::UnknownKey) && !is_within(read_at_ms, UNKNOWN_KEY_MS, now_ms) {
            // A source that is down is asked no more often than one that answers.
            let has_failed = is_within(self.known.read().failed_at_ms, UNKNOWN_KEY_MS, now_ms);
            let read = if has_failed { Err(Unavailable) } else { self.read(now_ms).await };
            verified = self.verify(token, now_ms).1;
            if read.is_err() && verified == Err(TokenError::UnknownKey) {
                return Err(Unavailable.into());
            }
        }
        match verified {
            Ok(quote) => {
                let confirmation = store.confirmation(quote.id).await?;
                // Ids are random: another token with this one's id is not of a quote.
                if confirmation.as_ref().is_some_and(|confirmed| confirmed.token != token) {
                    return Err(FindError::Unknown);
                }
                Ok(Found { quote, confirmation })
            }
            Err(TokenError::Invalid) => Err(FindError::Unknown),
            // The key may be gone. What was confirmed is known by the whole token.
            Err(TokenError::UnknownKey) => {
                let quote = unverified(token).ok_or(FindError::Unknown)?;
                let confirmation = store.confirmation(quote.id).await?;
                let confirmation = confirmation.filter(|confirmed| confirmed.token == token);
                let confirmation = Some(confirmation.ok_or(FindError::Unknown)?);
                Ok(Found { quote, confirmation })
            }
        }
    }

    fn verify(&self, token: &str, now_ms: i64) -> (Option<i64>, Result<Quote, TokenError>) {
        let known = self.known.read();
        let verified = known.keys.as_ref().map(|keys| verify(token, keys, now_ms));
        (known.read_at_ms, verified.unwrap_or(Err(TokenError::UnknownKey)))
    }

    async fn read(&self, now_ms: i64) -> Result<(), Unavailable> {
        let read = self.source.keys().await;
        let mut known = self.known.write();
        let keys = read.inspect_err(|Unavailable| known.failed_at_ms = Some(now_ms))?;
        *known = Known { keys: Some(keys), read_at_ms: Some(now_ms), failed_at_ms: None };
        Ok(())
    }
}

/// Confirms a quote that was found by `token`, in the order of CONTRACT §8. Returns the confirmation, and whether it is new.
///
/// # Errors
/// [`ConfirmError`].
pub async fn confirm(
    store: &impl QuoteStore,
    (token, found): (&str, &Found),
    acceptance: Acceptance<'_>,
    now_ms: i64,
) -> Result<(Confirmation, bool), ConfirmError> {
    let Acceptance { idempotency_key, ack } = acceptance;
    let repeated = |confirmed: Confirmation| {
        let is_repeat = idempotency_key.is_some() && confirmed.idempotency_key.as_deref() == idempotency_key;
        if is_repeat { Ok((confirmed, false)) } else { Err(ConfirmError::AlreadyConfirmed) }
    };
    if let Some(confirmed) = &found.confirmation {
        return repeated(confirmed.clone());
    }
    let quote = &found.quote;
    if now_ms >= quote.expires_at {
        return Err(ConfirmError::Expired);
    }
    if quote.requires_ack && ack != Some(quote.multiplier) {
        return Err(ConfirmError::AckRequired);
    }
    let new = Confirmation {
        token: token.to_owned(),
        confirmed_at: now_ms,
        idempotency_key: idempotency_key.map(str::to_owned),
        is_logged: false,
    };
    // Another request may have confirmed it meanwhile.
    match store.confirm(quote.id, &new).await? {
        None => Ok((new, true)),
        Some(before) => repeated(before),
    }
}

#[cfg(test)]
mod tests;
