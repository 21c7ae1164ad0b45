//! The policies in force, as counting and pricing look them up.

use parking_lot::Mutex;
use std::sync::Arc;

use equilibrium_domain::count::config::CountingConfig;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::city_pricing::PricingConfig;
use hashbrown::HashMap;

/// What bounds a city beyond its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimits {
    /// How long a tick waits for its last lane, in milliseconds (CONTRACT §3).
    pub max_hold_ms: i64,
    /// Drivers, and riders, of a city that one lane holds at most.
    pub max_entities: u32,
}

impl Default for ResourceLimits {
    /// Ten seconds (CONTRACT §3), and 2²⁰ entities: 32 MB of state, of the 1.7 GB of a function with one
    /// core to itself.
    fn default() -> Self {
        Self { max_hold_ms: 10_000, max_entities: 1 << 20 }
    }
}

/// What counting and pricing follow in one city.
#[derive(Clone, Debug)]
pub struct CityConfig {
    /// For counting.
    pub counting: Arc<CountingConfig>,
    /// For pricing.
    pub pricing: Arc<PricingConfig>,
}

/// The policies in force.
#[derive(Debug)]
pub struct PolicySet {
    bounds: ResourceLimits,
    cities: HashMap<CityId, CityConfig>,
    /// By id.
    in_order: Vec<CityId>,
    /// Cities that nobody defined, where any is taken.
    open: Option<Mutex<HashMap<CityId, CityConfig>>>,
}

impl PolicySet {
    /// The cities of these policies, and no others.
    #[must_use]
    pub fn of(policies: Vec<Policy>, bounds: ResourceLimits) -> Self {
        let cities = policies.into_iter().map(|policy| (policy.city.clone(), city_book(policy, bounds)));
        let cities: HashMap<CityId, CityConfig> = cities.collect();
        let mut in_order: Vec<CityId> = cities.keys().cloned().collect();
        in_order.sort_unstable();
        Self { bounds, cities, in_order, open: None }
    }

    /// Any city, with the defaults of CONTRACT §3.
    #[must_use]
    pub fn open(bounds: ResourceLimits) -> Self {
        Self { bounds, cities: HashMap::new(), in_order: Vec::new(), open: Some(Mutex::default()) }
    }

    /// The cities that somebody defined, by id, from the first behind `after` on.
    pub fn cities(&self, after: Option<&str>) -> impl Iterator<Item = &CityConfig> {
        let passed = |city: &CityId| after.is_some_and(|after| city.as_str() <= after);
        let first = self.in_order.partition_point(passed);
        self.in_order[first..].iter().filter_map(|city| self.cities.get(city))
    }

    /// What holds in `city`; `None` where nobody defines it.
    #[must_use]
    pub fn city(&self, city: &str) -> Option<CityConfig> {
        if let Some(book) = self.cities.get(city) {
            return Some(book.clone());
        }
        let mut open = self.open.as_ref()?.lock();
        if let Some(book) = open.get(city) {
            return Some(book.clone());
        }
        let city = CityId::new(city)?;
        let book = city_book(Policy::open_city(&city), self.bounds);
        open.insert(city, book.clone());
        Some(book)
    }
}

fn city_book(policy: Policy, bounds: ResourceLimits) -> CityConfig {
    let rules = Arc::new(CountingConfig::of(&policy, bounds.max_entities));
    CityConfig {
        counting: rules,
        pricing: Arc::new(PricingConfig { policy, max_hold_ms: bounds.max_hold_ms }),
    }
}
