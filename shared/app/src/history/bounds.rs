//! The bounds of a city at moments of the past.

use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::city_pricing::PricingConfig;
use equilibrium_domain::surge::daily::{Days, LocalDay};
use equilibrium_domain::surge::laws::first_day_needed;

use crate::laws::ports::BoundStore;
use crate::policy::bounds::BoundsInForce;
use crate::unavailable::Unavailable;

/// The bounds of a city at moments from one on, in any order of policies.
#[derive(Debug)]
pub struct PastBounds<'a, S> {
    store: &'a S,
    city: &'a CityId,
    /// Those that had not ended at the first moment.
    overrides: OverrideSet,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<PricingConfig>,
    days: Days,
    bounds: Arc<BoundsInForce>,
}

impl<'a, S: BoundStore> PastBounds<'a, S> {
    /// The bounds from `from_ms` on, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn from(store: &'a S, city: &'a CityId, from_ms: i64) -> Result<Self, Unavailable> {
        Ok(Self { store, city, overrides: store.not_ended(city, from_ms).await?, current: None })
    }

    /// The bounds in force at `at_ms`, in milliseconds since the epoch, where the city was priced by `config`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn in_force(
        &mut self,
        config: &Arc<PricingConfig>,
        at_ms: i64,
    ) -> Result<Arc<BoundsInForce>, Unavailable> {
        let policy = &config.policy;
        let known = self.current.take().filter(|known| Arc::ptr_eq(&known.config, config));
        let is_current = |known: &Current| known.bounds.is_at(at_ms);
        if known.as_ref().is_some_and(is_current) {
            self.current = known;
        } else {
            let days = match (known, first_day_needed(policy, at_ms)) {
                // The days that this policy refers to are read once: an hour later they are the same, but for one.
                (Some(known), Some(first)) if known.days.contains_key(&first) => known.days,
                (_, None) => Days::default(),
                (_, Some(first)) => {
                    let today = LocalDay::of(at_ms, &policy.timezone);
                    let read = self.store.days(self.city, first.plus(-1), today.plus(1)).await?;
                    read.into_iter().map(|(day, figures)| (day, Arc::new(figures))).collect()
                }
            };
            let policy = (policy, config.policy_version);
            let bounds = Arc::new(BoundsInForce::new(policy, &self.overrides, &days, at_ms));
            self.current = Some(Current { config: Arc::clone(config), days, bounds });
        }
        // It has been set above.
        self.current.as_ref().map(|current| Arc::clone(&current.bounds)).ok_or(Unavailable)
    }
}
