//! The policies in force at one moment, by city.

use std::sync::Arc;

use equilibrium_domain::count::config::CountingConfig;
use equilibrium_domain::event::Position;
use equilibrium_domain::health::probe;
use equilibrium_domain::id::{CityId, PROBE_CITY, ProductId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::city_pricing::PricingConfig;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::policy::bounds::CityBounds;

/// The limits of a city that are not part of its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimits {
    /// How long a tick waits for its last lane, in milliseconds (CONTRACT §3).
    pub max_hold_ms: i64,
    /// The most drivers, and the most riders, of a city in one lane.
    pub max_entities: u32,
}

impl Default for ResourceLimits {
    /// Ten seconds (CONTRACT §3), and 2²⁰ entities: 32 MB of state, of the 1.7 GB of a function with one
    /// whole core.
    fn default() -> Self {
        Self { max_hold_ms: 10_000, max_entities: 1 << 20 }
    }
}

/// A city's policy, as counting and pricing use it.
#[derive(Clone, Debug)]
pub struct CityConfig {
    /// For counting.
    pub counting: Arc<CountingConfig>,
    /// For pricing.
    pub pricing: Arc<PricingConfig>,
    /// The version of the policy in its store; 0 for a policy that no store holds.
    pub version: u64,
    /// What bounds its multipliers: the policy and the overrides.
    pub bounds: Arc<CityBounds>,
    /// A hash of the policy's document: policies that differ have different ones, whatever their version.
    pub fingerprint: u64,
}

impl CityConfig {
    /// What bounds its multipliers with these overrides, and with the days that were known before.
    fn bounded(&self, before: &CityBounds, overrides: OverrideSet) -> Arc<CityBounds> {
        let days = Arc::clone(before.days());
        Arc::new(CityBounds::new(Arc::clone(&self.pricing), self.version, overrides, days))
    }

    /// Whether the city's boundary contains a place.
    #[must_use]
    pub fn serves(&self, place: Position) -> bool {
        self.pricing.policy.boundary.contains(place.lng, place.lat)
    }
}

/// The policies in force at one moment.
#[derive(Debug)]
pub struct PolicySet {
    limits: ResourceLimits,
    cities: HashMap<CityId, CityConfig>,
    /// Defined cities, by id.
    in_order: Vec<CityId>,
    /// Cities without a policy, in a set that accepts any city.
    open: Option<Mutex<HashMap<CityId, CityConfig>>>,
}

impl PolicySet {
    /// A set that knows only the cities of `policies`, which no store holds.
    #[must_use]
    pub fn of(policies: Vec<Policy>, limits: ResourceLimits) -> Self {
        Self::of_versions(policies.into_iter().map(|policy| (0, policy)), limits)
    }

    /// A set that knows only the cities of `policies`, each with its version.
    #[must_use]
    pub fn of_versions(policies: impl Iterator<Item = (u64, Policy)>, limits: ResourceLimits) -> Self {
        let cities =
            policies.map(|(version, policy)| (policy.city.clone(), city_config(policy, version, limits)));
        Self::of_cities(cities.collect(), limits)
    }

    /// This set with other policies of some cities, whose overrides stay, and without the cities that `stays` excludes. The
    /// configurations of the others are shared.
    #[must_use]
    pub fn with(
        &self,
        changed: impl Iterator<Item = (u64, Policy)>,
        stays: impl Fn(&CityId) -> bool,
    ) -> Self {
        let kept = self.cities.iter().filter(|(city, _)| city.is_probe() || stays(city));
        let mut cities: HashMap<CityId, CityConfig> =
            kept.map(|(city, config)| (city.clone(), config.clone())).collect();
        cities.extend(changed.map(|(version, policy)| {
            let city = policy.city.clone();
            let mut config = city_config(policy, version, self.limits);
            if let Some(before) = self.cities.get(&city) {
                let overrides = before.bounds.overrides().clone();
                config.bounds = config.bounded(&before.bounds, overrides);
            }
            (city, config)
        }));
        Self::of_cities(cities, self.limits)
    }

    /// This set with other overrides of some cities.
    #[must_use]
    pub fn with_overrides(mut self, changed: Vec<(CityId, OverrideSet)>) -> Self {
        for (city, overrides) in changed {
            if let Some(config) = self.cities.get_mut(&city) {
                config.bounds = config.bounded(&config.bounds, overrides);
            }
        }
        self
    }

    /// Every set has the city of health probes, and no list of cities does.
    fn of_cities(mut cities: HashMap<CityId, CityConfig>, limits: ResourceLimits) -> Self {
        let mut in_order: Vec<CityId> = cities.keys().filter(|city| !city.is_probe()).cloned().collect();
        in_order.sort_unstable();
        cities.entry(CityId::probe()).or_insert_with(|| city_config(probe::policy(), 0, limits));
        Self { limits, cities, in_order, open: None }
    }

    /// A set that accepts any city, with the defaults of CONTRACT §3.
    #[must_use]
    pub fn open(limits: ResourceLimits) -> Self {
        Self { limits, cities: HashMap::new(), in_order: Vec::new(), open: Some(Mutex::default()) }
    }

    /// The defined cities in order of id, beginning after `after`.
    pub fn cities(&self, after: Option<&str>) -> impl Iterator<Item = &CityConfig> {
        let passed = |city: &CityId| after.is_some_and(|after| city.as_str() <= after);
        let first = self.in_order.partition_point(passed);
        self.in_order[first..].iter().filter_map(|city| self.cities.get(city))
    }

    /// The first city by id whose boundary contains a place (CONTRACT §7).
    #[must_use]
    pub fn city_around(&self, place: Position) -> Option<&CityConfig> {
        self.cities(None).find(|city| city.serves(place))
    }

    /// The city of health probes, for a request of its product at its place.
    #[must_use]
    pub fn probe_around(&self, place: Position, product: Option<&ProductId>) -> Option<&CityConfig> {
        product.filter(|product| product.as_str() == probe::PRODUCT)?;
        self.cities.get(PROBE_CITY).filter(|city| city.serves(place))
    }

    /// The configuration of `city`; `None` if it is not defined.
    #[must_use]
    pub fn city(&self, city: &str) -> Option<CityConfig> {
        if let Some(config) = self.cities.get(city) {
            return Some(config.clone());
        }
        let mut open = self.open.as_ref()?.lock();
        if let Some(config) = open.get(city) {
            return Some(config.clone());
        }
        let city = CityId::new(city)?;
        let config = city_config(Policy::open_city(&city), 0, self.limits);
        open.insert(city, config.clone());
        Some(config)
    }
}

fn city_config(policy: Policy, version: u64, limits: ResourceLimits) -> CityConfig {
    let fingerprint = policy.fingerprint();
    let counting = Arc::new(CountingConfig::of(&policy, limits.max_entities));
    let (policy_version, max_hold_ms) = (version, limits.max_hold_ms);
    let pricing = Arc::new(PricingConfig { policy, policy_version, max_hold_ms });
    let (overrides, days) = (OverrideSet::default(), Arc::default());
    let bounds = Arc::new(CityBounds::new(Arc::clone(&pricing), version, overrides, days));
    CityConfig { counting, pricing, version, bounds, fingerprint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_city_of_probes_is_known_and_in_no_list() {
        let nyc = Policy { city: CityId::new("nyc").unwrap(), ..probe::policy() };
        let set = PolicySet::of(vec![nyc], ResourceLimits::default());
        let listed = |set: &PolicySet| -> Vec<String> {
            set.cities(None).map(|config| config.pricing.policy.city.to_string()).collect()
        };
        assert_eq!(listed(&set), ["nyc"]);
        let place = set.city_around(probe::PLACE).map(|config| config.pricing.policy.city.clone());
        assert_eq!(place, CityId::new("nyc"), "no place belongs to it");
        let product = |id| ProductId::new(id);
        assert!(set.probe_around(probe::PLACE, product(probe::PRODUCT).as_ref()).is_some());
        assert!(set.probe_around(probe::PLACE, product("standard").as_ref()).is_none());
        assert!(set.probe_around(probe::OUTSIDE, product(probe::PRODUCT).as_ref()).is_none());
        let before = set.city("_probe").unwrap();
        let set = set.with(std::iter::empty(), |_| false);
        assert_eq!(listed(&set), [""; 0]);
        assert!(set.city_around(probe::PLACE).is_none());
        let after = set.city("_probe").unwrap();
        assert!(Arc::ptr_eq(&before.pricing, &after.pricing), "its configuration is shared");
    }
}
