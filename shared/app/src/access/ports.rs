//! The source of the keys that verify tokens.

use std::future::Future;

use crate::unavailable::Unavailable;

/// The source of an issuer's public keys.
pub trait KeySetSource: Send + Sync {
    /// The document of the keys now: a JWK Set (RFC 7517 §5).
    ///
    /// # Errors
    /// [`Unavailable`].
    fn read(&self) -> impl Future<Output = Result<Vec<u8>, Unavailable>> + Send;
}

/// A document that never changes: one of the configuration.
#[derive(Clone, Debug)]
pub struct ConfiguredKeySet(pub Vec<u8>);

impl KeySetSource for ConfiguredKeySet {
    async fn read(&self) -> Result<Vec<u8>, Unavailable> {
        Ok(self.0.clone())
    }
}
