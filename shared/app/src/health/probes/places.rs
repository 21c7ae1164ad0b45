//! A point inside every city's boundary and zones: that it is found there, and, of one city at each look, that it has a
//! price.

use equilibrium_domain::event::Position;
use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::health::probe::{finds_zones, point_inside};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{ProbeError, call, read, since};
use crate::health::ports::{Api, ApiRequest};
use crate::health::prober::{Found, Probe, Stopwatch};
use crate::health::run::LOOK_INTERVAL;
use crate::policy::policy_set::{CityConfig, PolicySet};
use crate::policy::ports::PolicySource;

const POLICIES: &str = "policies";
const PRICE: &str = "price at a point of a city";

/// A probe of boundaries and zones.
#[derive(Clone, Debug)]
pub struct PlaceProbe<A, P> {
    /// The functions.
    pub api: A,
    /// The policies.
    pub policies: P,
    /// The time.
    pub stopwatch: Stopwatch,
}

#[derive(Debug, Deserialize)]
struct Located {
    city: String,
}

impl<A: Api, P: PolicySource> PlaceProbe<A, P> {
    async fn check(&self, now_ms: i64) -> Result<Look, ProbeError> {
        let began_ms = (self.stopwatch)();
        let policies = self.policies.policies(now_ms).await.map_err(ProbeError::unavailable(POLICIES))?;
        let cities: Vec<&CityConfig> = policies.cities(None).collect();
        let lost = cities.iter().find(|config| !has_places(&policies, config, now_ms));
        let interval_ms = i64::try_from(LOOK_INTERVAL.as_millis()).unwrap_or(1);
        let turn = usize::try_from(now_ms.div_euclid(interval_ms)).unwrap_or(0);
        if let Some(config) = cities.get(turn % cities.len().max(1)) {
            self.check_price(&policies, config).await?;
        }
        let took_ms = since((self.stopwatch)(), began_ms);
        Ok(match lost {
            None => Look::good(took_ms),
            Some(config) => {
                let city = &config.pricing.policy.city;
                Look::poor(
                    Some(took_ms),
                    &format!(
                        "{city}: a point inside its boundary is in no city, or one inside a zone in no zone"
                    ),
                )
            }
        })
    }

    async fn check_price(&self, policies: &PolicySet, config: &CityConfig) -> Result<(), ProbeError> {
        let Some(place) = point_inside(&config.pricing.policy.boundary) else { return Ok(()) };
        let Some(expected) = policies.city_around(place) else { return Ok(()) };
        let Position { lat, lng } = place;
        let request = ApiRequest::get("price", "/v1/price", format!("lat={lat}&lng={lng}"));
        let Located { city } = read(PRICE, &call(&self.api, (PRICE, 200), request).await?)?;
        if city == expected.pricing.policy.city.as_str() {
            return Ok(());
        }
        Err(ProbeError::Wrong { target: PRICE, fact: "the price of another city" })
    }
}

/// Whether a point inside a city's boundary is found in a city, and one inside each zone in that zone or an earlier one of
/// the list. A polygon without area has no such point.
fn has_places(policies: &PolicySet, config: &CityConfig, now_ms: i64) -> bool {
    let policy = &config.pricing.policy;
    let is_found = point_inside(&policy.boundary).is_none_or(|place| policies.city_around(place).is_some());
    is_found && finds_zones(policy, config.bounds.in_force(now_ms).bounds())
}

impl<A: Api, P: PolicySource> Probe for PlaceProbe<A, P> {
    fn component(&self) -> Component {
        Component::Geospatial
    }

    fn look(&self, now_ms: i64) -> BoxFuture<'_, Found> {
        let found = |checked: Result<Look, ProbeError>| {
            checked.unwrap_or_else(|error| Look::bad(&error.to_string())).into()
        };
        self.check(now_ms).map(found).boxed()
    }
}
