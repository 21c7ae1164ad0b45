//! The store of the cities' policies, and the source from which use cases take the policies in force.

use std::future::{self, Future};
use std::sync::Arc;

use equilibrium_domain::id::CityId;
use thiserror::Error;

use crate::policy::policy_set::PolicySet;
use crate::unavailable::Unavailable;

/// The policies in force, as the use cases read them: at each request or batch, so that a changed policy
/// takes effect without a restart.
pub trait PolicySource: Send + Sync {
    /// The policies in force at `now_ms`, in milliseconds since the epoch: none that was saved more than four seconds
    /// earlier is missing, unless the store is unavailable.
    ///
    /// # Errors
    /// [`Unavailable`] if the policies have never been read and cannot be read now.
    fn policies(&self, now_ms: i64) -> impl Future<Output = Result<Arc<PolicySet>, Unavailable>> + Send;

    /// The policies as read no earlier than `now_ms`, to refuse an event by: another instance accepted it by a policy
    /// that this one may not have read yet. `None` if the store is unavailable: the event can be neither taken nor
    /// refused.
    fn newest(&self, now_ms: i64) -> impl Future<Output = Option<Arc<PolicySet>>> + Send;
}

/// Policies that never change, as in a replay.
impl PolicySource for Arc<PolicySet> {
    fn policies(&self, _: i64) -> impl Future<Output = Result<Arc<PolicySet>, Unavailable>> + Send {
        future::ready(Ok(Arc::clone(self)))
    }

    fn newest(&self, _: i64) -> impl Future<Output = Option<Arc<PolicySet>>> + Send {
        future::ready(Some(Arc::clone(self)))
    }
}

/// A stored policy of a city.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    /// The city.
    pub city: CityId,
    /// 1 for the first document; each replacement adds 1.
    pub version: u64,
    /// JSON (CONTRACT §7).
    pub document: String,
}

/// How long a version is kept after another replaced it, in milliseconds (CONTRACT §7): 90 days. The version in force is
/// kept however old it is.
pub const VERSIONS_KEPT_MS: i64 = 90 * 86_400_000;

/// A version of a city's policy, without its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedVersion {
    /// Its number.
    pub version: u64,
    /// When it was saved, in milliseconds since the epoch.
    pub saved_at_ms: i64,
    /// The author, as [`NewVersion::author`] gave it.
    pub author: String,
}

/// A version to be saved.
#[derive(Clone, Copy, Debug)]
pub struct NewVersion<'a> {
    /// JSON (CONTRACT §7), of at most [`MAX_DOCUMENT_BYTES`].
    pub document: &'a str,
    /// Who saves it: the subject of the request's token, or the part of the system that the policy comes from.
    pub author: &'a str,
    /// Now, in milliseconds since the epoch.
    pub saved_at_ms: i64,
}

/// The author of what is saved without a token (CONTRACT §9).
pub const LOCAL_AUTHOR: &str = "local";

impl<'a> NewVersion<'a> {
    /// A version by [`LOCAL_AUTHOR`] at the epoch, for stores that no other process sees.
    #[must_use]
    pub const fn local(document: &'a str) -> Self {
        Self { document, author: LOCAL_AUTHOR, saved_at_ms: 0 }
    }
}

/// The largest document, in bytes: an item of DynamoDB has 400 KB (Amazon DynamoDB, service quotas), less what else is in
/// it.
pub const MAX_DOCUMENT_BYTES: usize = 390_000;

/// Why a policy was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplaceError {
    /// The stored version is not the expected one: read the policy and decide again.
    #[error("version mismatch: the policy has been replaced")]
    VersionMismatch,
    /// It is unknown whether the policy was saved: read it to find out.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The store of the cities' policies.
pub trait PolicyStore: Send + Sync {
    /// The version of every city that has a policy, in any order: a small read, which shows what has changed. It
    /// includes every policy that was saved before the call.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn versions(&self) -> impl Future<Output = Result<Vec<(CityId, u64)>, Unavailable>> + Send;

    /// The policies of these cities, each of at least the version beside it, in any order. A city without one is left
    /// out.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn read(
        &self,
        cities: &[(CityId, u64)],
    ) -> impl Future<Output = Result<Vec<StoredPolicy>, Unavailable>> + Send;

    /// The policy of every city that has one, in any order.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn all(&self) -> impl Future<Output = Result<Vec<StoredPolicy>, Unavailable>> + Send {
        async { self.read(&self.versions().await?).await }
    }

    /// Saves the city's policy in place of version `after`, or as its first if `after` is `None`, and returns
    /// the new version.
    ///
    /// # Errors
    /// [`ReplaceError`].
    fn save(
        &self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> impl Future<Output = Result<u64, ReplaceError>> + Send;

    /// The versions of a city that are kept at `now_ms`, the newest first: at most `limit`, all below `below` if that is
    /// given.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn saved_versions(
        &self,
        city: &CityId,
        below: Option<u64>,
        limit: usize,
        now_ms: i64,
    ) -> impl Future<Output = Result<Vec<SavedVersion>, Unavailable>> + Send;

    /// One version of a city's policy, if it is kept at `now_ms`.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn version(
        &self,
        city: &CityId,
        version: u64,
        now_ms: i64,
    ) -> impl Future<Output = Result<Option<StoredPolicy>, Unavailable>> + Send;
}
