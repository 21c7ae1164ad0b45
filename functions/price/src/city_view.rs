//! A city at one moment: its policy, its newest map, and the fallback by the map's age.

use std::sync::Arc;

use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::price::city_map::CityMap;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::{Policy, Product};
use equilibrium_domain::surge::fallback::Fallback;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::Row;
use equilibrium_http::Problem;

/// A city at one moment.
pub struct CityView<'a> {
    pub policy: &'a Policy,
    /// The changes of the policy so far, and a hash of it.
    pub policy_version: u64,
    pub policy_fingerprint: u64,
    pub fallback: Fallback<'a>,
    map: Option<Arc<CityMap>>,
}

/// A product of the policy, with its index in the map's rows.
#[derive(Clone, Copy)]
pub struct ProductIndex<'a> {
    pub id: &'a str,
    /// `None` if the map does not have the product.
    in_map: Option<u8>,
}

impl<'a> CityView<'a> {
    /// The city at `now_ms`, in milliseconds since the epoch, with `map` as its newest map.
    pub fn new(city: &'a CityConfig, map: Option<Arc<CityMap>>, now_ms: i64) -> Self {
        let policy = &city.pricing.policy;
        let as_of_ms = map.as_ref().map(|map| map.head().as_of);
        Self {
            policy,
            policy_version: city.version,
            policy_fingerprint: city.fingerprint,
            fallback: Fallback::new(policy, as_of_ms, now_ms),
            map,
        }
    }

    /// The map's tick, in milliseconds since the epoch.
    pub fn as_of_ms(&self) -> Option<i64> {
        self.map.as_ref().map(|map| map.head().as_of)
    }

    /// The map's version; 0 before the first tick.
    pub fn version(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| map.head().version)
    }

    /// The run of the store that the map's versions belong to; 0 before the first tick.
    pub fn began_ms(&self) -> i64 {
        self.map.as_ref().map_or(0, |map| map.head().began_ms)
    }

    /// The state of the feed as of the map's tick.
    pub fn feed(&self) -> Feed {
        self.map.as_ref().map_or(Feed::Ok, |map| map.head().feed)
    }

    /// The map's completeness; 0 before the first tick.
    pub fn completeness(&self) -> f64 {
        self.map.as_ref().map_or(0.0, |map| map.completeness())
    }

    /// The products of the policy, in its order.
    pub fn products(&self) -> impl Iterator<Item = ProductIndex<'a>> {
        self.policy.products.iter().map(|product| self.index(product))
    }

    /// The product called `id`.
    pub fn product(&self, id: &str) -> Result<ProductIndex<'a>, Problem> {
        let product = self.policy.products.iter().find(|product| product.id.as_str() == id);
        let unknown = || Problem {
            parameter: Some("product"),
            ..Problem::new(422, "unknown_product", "no such product")
        };
        Ok(self.index(product.ok_or_else(unknown)?))
    }

    /// The product of a request that names none: the policy's first.
    pub fn default_product(&self) -> ProductIndex<'a> {
        self.index(&self.policy.products[0])
    }

    /// The row of a product and cell, if the map has one.
    pub fn row(&self, product: ProductIndex<'_>, cell: Cell) -> Option<&Row> {
        self.map.as_ref()?.row(product.in_map?, cell)
    }

    /// The rows of a product, by cell.
    pub fn rows(&self, product: ProductIndex<'_>) -> impl Iterator<Item = &Row> {
        self.map.iter().zip(product.in_map).flat_map(|(map, in_map)| map.rows(in_map))
    }

    fn index(&self, product: &'a Product) -> ProductIndex<'a> {
        let id = product.id.as_str();
        ProductIndex { id, in_map: self.map.as_ref().and_then(|map| map.product(id)) }
    }
}
