//! The cache adapter against a real `redis-server`: its contract, outages, clusters and TLS.
#![allow(clippy::unwrap_used)]

mod cluster;
mod map_store;
mod outages;
mod security;

use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::ChunkName;
use std::time::Duration;

use equilibrium_aws::cache::{Cache, CacheSettings, Layout};
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::MapHead;

/// Far longer than a call to a local server takes, so that only calls to a dead one time out.
const DEADLINE: Duration = Duration::from_secs(5);

fn settings(url: String) -> CacheSettings {
    CacheSettings {
        endpoints: vec![url],
        layout: Layout::Single,
        credentials: None,
        roots: None,
        deadline: DEADLINE,
    }
}

fn cache(url: String) -> Cache {
    Cache::new(&settings(url)).unwrap()
}

fn nyc() -> CityId {
    CityId::new("nyc").unwrap()
}

fn head(version: u64, chunks: &[(u64, u64)]) -> MapHead {
    MapHead {
        city: nyc(),
        version,
        as_of: 5000,
        lanes_reported: 1,
        lanes: 1,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: Vec::new(),
        chunks: chunks.iter().map(|(parent, version)| ChunkName::new(Cell(*parent), *version)).collect(),
    }
}
