//! The store of the cities' overrides.

use std::future::Future;
use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::overrides::Override;
use equilibrium_domain::surge::bounds::OverrideSet;
use thiserror::Error;

use crate::unavailable::Unavailable;

/// The most overrides of a city that have not ended: each is evaluated at every cell that is asked for.
pub const MAX_OVERRIDES: usize = 1_000;

/// For how long an override is kept after its end, in milliseconds: 90 days, as versions of policies are.
pub const KEPT_MS: i64 = 90 * 86_400_000;

/// Why an override was not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// The city has [`MAX_OVERRIDES`] that have not ended.
    #[error("the city has {MAX_OVERRIDES} overrides that have not ended")]
    TooMany,
    /// It is unknown whether the override was created: list the overrides to find out.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The store of the cities' overrides. Ids are ordered by creation.
pub trait OverrideStore: Send + Sync {
    /// The number of changes of the overrides of every city that has had any, in any order: a small read, which shows what
    /// has changed. It includes every change before the call.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn revisions(&self) -> impl Future<Output = Result<Vec<(CityId, u64)>, Unavailable>> + Send;

    /// The overrides that have not ended at `now_ms`, in milliseconds since the epoch. It includes every change before the
    /// call.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn not_ended(
        &self,
        city: &CityId,
        now_ms: i64,
    ) -> impl Future<Output = Result<OverrideSet, Unavailable>> + Send;

    /// Adds an override whose id is new.
    ///
    /// # Errors
    /// [`CreateError`].
    fn create(&self, city: &CityId, new: &Override) -> impl Future<Output = Result<(), CreateError>> + Send;

    /// Ends an override at `at_ms`, in milliseconds since the epoch, unless it has ended before, and returns it. `None` for
    /// an unknown id.
    ///
    /// # Errors
    /// [`Unavailable`]: it is unknown whether it was ended.
    fn end(
        &self,
        city: &CityId,
        id: &str,
        at_ms: i64,
    ) -> impl Future<Output = Result<Option<Arc<Override>>, Unavailable>> + Send;

    /// The override with this id.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn one(
        &self,
        city: &CityId,
        id: &str,
    ) -> impl Future<Output = Result<Option<Arc<Override>>, Unavailable>> + Send;

    /// Up to `limit` overrides that were created before the one called `before`, or up to now, the newest first.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn page(
        &self,
        city: &CityId,
        before: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Arc<Override>>, Unavailable>> + Send;
}

/// No overrides, for what only counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoOverrides;

impl OverrideStore for NoOverrides {
    async fn revisions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        Ok(Vec::new())
    }

    async fn not_ended(&self, _: &CityId, _: i64) -> Result<OverrideSet, Unavailable> {
        Ok(OverrideSet::default())
    }

    async fn create(&self, _: &CityId, _: &Override) -> Result<(), CreateError> {
        Ok(())
    }

    async fn end(&self, _: &CityId, _: &str, _: i64) -> Result<Option<Arc<Override>>, Unavailable> {
        Ok(None)
    }

    async fn one(&self, _: &CityId, _: &str) -> Result<Option<Arc<Override>>, Unavailable> {
        Ok(None)
    }

    async fn page(&self, _: &CityId, _: Option<&str>, _: usize) -> Result<Vec<Arc<Override>>, Unavailable> {
        Ok(Vec::new())
    }
}
