//! The cache adapter against a real `redis-server`: its contract, outages, clusters and TLS.
#![allow(clippy::unwrap_used)]

mod cluster;
mod map_store;
mod outages;
mod rates;
mod security;

use std::time::Duration;

use equilibrium_aws::cache::{Cache, CacheSettings, Layout};
use equilibrium_tests::harness::maps::{head, nyc};

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
