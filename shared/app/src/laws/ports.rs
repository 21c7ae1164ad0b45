//! The store of the figures of days.

use std::future::Future;
use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::overrides::Override;
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};

use crate::overrides::ports::{CreateError, NoOverrides, OverrideStore};
use crate::unavailable::Unavailable;

/// Where the figures of the cities' days are kept, for [`equilibrium_domain::surge::daily::KEPT_DAYS`].
pub trait DayStore: Send + Sync {
    /// Saves the figures of a local day, unless those of a later version of the same run are stored.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn save_day(
        &self,
        city: &CityId,
        day: LocalDay,
        figures: &DayFigures,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// The figures that are stored of the days from `from` to `to`, both included, in order. It includes every save before
    /// the call.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> impl Future<Output = Result<Vec<(LocalDay, DayFigures)>, Unavailable>> + Send;
}

/// What bounds multipliers beside the policy: overrides, and the days that laws refer to.
pub trait BoundStore: OverrideStore + DayStore {}

impl<S: OverrideStore + DayStore> BoundStore for S {}

/// Neither.
impl DayStore for NoOverrides {
    async fn save_day(&self, _: &CityId, _: LocalDay, _: &DayFigures) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn days(
        &self,
        _: &CityId,
        _: LocalDay,
        _: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        Ok(Vec::new())
    }
}

/// Overrides and days from two stores.
#[derive(Clone, Debug, Default)]
pub struct BoundStores<O, D> {
    /// The overrides.
    pub overrides: O,
    /// The days.
    pub days: D,
}

impl<O: Send + Sync, D: DayStore> DayStore for BoundStores<O, D> {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.days.save_day(city, day, figures).await
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        self.days.days(city, from, to).await
    }
}

impl<O: OverrideStore, D: Send + Sync> OverrideStore for BoundStores<O, D> {
    async fn revisions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        self.overrides.revisions().await
    }

    async fn not_ended(&self, city: &CityId, now_ms: i64) -> Result<OverrideSet, Unavailable> {
        self.overrides.not_ended(city, now_ms).await
    }

    async fn create(&self, city: &CityId, new: &Override) -> Result<(), CreateError> {
        self.overrides.create(city, new).await
    }

    async fn end(&self, city: &CityId, id: &str, at_ms: i64) -> Result<Option<Arc<Override>>, Unavailable> {
        self.overrides.end(city, id, at_ms).await
    }

    async fn one(&self, city: &CityId, id: &str) -> Result<Option<Arc<Override>>, Unavailable> {
        self.overrides.one(city, id).await
    }

    async fn page(
        &self,
        city: &CityId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Override>>, Unavailable> {
        self.overrides.page(city, before, limit).await
    }
}
