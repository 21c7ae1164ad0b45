//! The store of the cities' policies.

use std::future::Future;

use equilibrium_domain::id::CityId;
use thiserror::Error;

use crate::unavailable::Unavailable;

/// A city's policy as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    /// The city.
    pub city: CityId,
    /// 1 for the first document, one more with each that replaced it.
    pub version: u64,
    /// JSON (CONTRACT §7).
    pub document: String,
}

/// Why a policy was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplaceError {
    /// The one there is not the one to be replaced: read it and decide again.
    #[error("the policy has been replaced by another")]
    VersionMismatch,
    /// Nobody can say whether the policy was saved: read it to find out.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Where the cities' policies are kept.
pub trait PolicyStore: Send + Sync {
    /// The policy of every city that has one, in any order.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn all(&self) -> impl Future<Output = Result<Vec<StoredPolicy>, Unavailable>> + Send;

    /// Saves the city's policy over the one of version `after`, or as its first where that is `None`; gives
    /// the version it got.
    ///
    /// # Errors
    /// [`ReplaceError`].
    fn save(
        &self,
        city: &CityId,
        document: &str,
        after: Option<u64>,
    ) -> impl Future<Output = Result<u64, ReplaceError>> + Send;
}
