//! A city at one moment: its policy, its newest map, the fallback by the map's age, and the bounds in force.

use std::sync::Arc;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::{Multiplier, Policy, Product};
use equilibrium_domain::surge::fallback::Fallback;
use equilibrium_domain::surge::feed_guard::Feed;

use crate::policy::bounds::BoundsInForce;
use crate::policy::policy_set::CityConfig;
use crate::price::city_map::CityMap;
use crate::price::map_reader::MapReader;
use crate::price::ports::MapStore;
use crate::price::report::{FrozenMaps, ReportedCell, Reporting};
use crate::price::rungs::Sample;
use crate::timer::Timer;

/// A city at one moment.
#[derive(Debug)]
pub struct CityView<'a> {
    /// Its policy.
    pub policy: &'a Policy,
    /// The version of the policy.
    pub policy_version: u64,
    /// A hash of the policy.
    pub policy_fingerprint: u64,
    /// The multipliers in force by the age of the map.
    pub fallback: Fallback<'a>,
    /// The bounds in force.
    pub bounds: Arc<BoundsInForce>,
    frozen: FrozenMaps,
    map: Option<Arc<CityMap>>,
}

/// A product of the policy, with its index in the map's rows.
#[derive(Clone, Copy, Debug)]
pub struct ProductIndex<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its index in the policy.
    pub at: usize,
    /// `None` if the map does not have the product.
    in_map: Option<u8>,
}

impl<'a> CityView<'a> {
    /// The city at `now_ms`, in milliseconds since the epoch, with the newest map and the maps of its freezes.
    pub async fn read<M, K, T>(city: &'a CityConfig, maps: &MapReader<M, K, T>, now_ms: i64) -> Self
    where
        M: MapStore + 'static,
        K: MapStore + 'static,
        T: Timer + 'static,
    {
        let policy = &city.pricing.policy;
        let map = maps.map(&policy.city, policy.clock, now_ms).await;
        let bounds = city.bounds.in_force(now_ms);
        let as_of = map.as_ref().map(|map| map.head().as_of);
        let frozen = maps.frozen_maps(&policy.city, bounds.bounds(), as_of, now_ms).await;
        Self::new(city, (map, frozen), now_ms)
    }

    fn new(city: &'a CityConfig, (map, frozen): (Option<Arc<CityMap>>, FrozenMaps), now_ms: i64) -> Self {
        let policy = &city.pricing.policy;
        let as_of_ms = map.as_ref().map(|map| map.head().as_of);
        Self {
            policy,
            policy_version: city.version,
            policy_fingerprint: city.fingerprint,
            fallback: Fallback::new(policy, as_of_ms, now_ms),
            bounds: city.bounds.in_force(now_ms),
            frozen,
            map,
        }
    }

    /// The map's tick, in milliseconds since the epoch.
    #[must_use]
    pub fn as_of_ms(&self) -> Option<i64> {
        self.map.as_ref().map(|map| map.head().as_of)
    }

    /// The map's version; 0 before the first tick.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| map.head().version)
    }

    /// The run of the store that the map's versions belong to; 0 before the first tick.
    #[must_use]
    pub fn began_ms(&self) -> i64 {
        self.map.as_ref().map_or(0, |map| map.head().began_ms)
    }

    /// The state of the feed as of the map's tick.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.map.as_ref().map_or(Feed::Ok, |map| map.head().feed)
    }

    /// The map's completeness; 0 before the first tick.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        self.map.as_ref().map_or(0.0, |map| map.completeness())
    }

    /// The products of the policy, in its order.
    pub fn products(&self) -> impl Iterator<Item = ProductIndex<'a>> {
        self.policy.products.iter().enumerate().map(|(at, product)| self.index(at, product))
    }

    /// The product called `id`.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<ProductIndex<'a>> {
        let mut products = self.policy.products.iter().enumerate();
        products.find(|(_, product)| product.id.as_str() == id).map(|(at, product)| self.index(at, product))
    }

    /// The product of a request that names none: the policy's first.
    #[must_use]
    pub fn default_product(&self) -> ProductIndex<'a> {
        self.index(0, &self.policy.products[0])
    }

    /// What is in force in a cell for a product, whether the map has it or not.
    #[must_use]
    pub fn reported(&self, product: ProductIndex<'_>, cell: Cell) -> ReportedCell {
        let row = self.map.as_ref().zip(product.in_map).and_then(|(map, in_map)| map.row(in_map, cell));
        self.reporting().cell((product.at, product.id), cell, row)
    }

    /// Counts an answer of this view of `city`, which the ladder is compared with now and then
    /// ([`MapReader::check_rungs`]).
    pub fn sample<M, K, T>(
        &self,
        (maps, city): (&MapReader<M, K, T>, &CityConfig),
        (product, cell): (ProductIndex<'_>, Cell),
        answered: Multiplier,
        now_ms: i64,
    ) where
        M: MapStore + 'static,
        K: MapStore + 'static,
        T: Timer + 'static,
    {
        maps.sample(now_ms, || Sample {
            city: city.clone(),
            bounds: Arc::clone(&self.bounds),
            frozen: self.frozen.clone(),
            map: self.map.clone(),
            now_ms,
            product: product.at,
            cell,
            mode: self.fallback.mode,
            answered,
        });
    }

    /// What the map lists of a product, by cell.
    #[must_use]
    pub fn listed(&self, product: ProductIndex<'_>) -> Vec<ReportedCell> {
        let rows = self.map.iter().zip(product.in_map).flat_map(|(map, in_map)| map.rows(in_map));
        self.reporting().list((product.at, product.id), rows)
    }

    fn reporting(&self) -> Reporting<'_> {
        Reporting { bounds: &self.bounds, fallback: &self.fallback, frozen: &self.frozen }
    }

    fn index(&self, at: usize, product: &'a Product) -> ProductIndex<'a> {
        let id = product.id.as_str();
        ProductIndex { id, at, in_map: self.map.as_ref().and_then(|map| map.product(id)) }
    }
}
