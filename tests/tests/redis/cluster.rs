//! A cluster of one node, which refuses scripts whose keys are not in the same slot.

use std::thread::sleep;
use std::time::{Duration, Instant};

use equilibrium_app::contract;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{Cache, Layout};
use equilibrium_tests::harness::redis::{RedisServer, free_port};

use crate::{head, nyc, settings};

/// A node with all slots.
fn start() -> RedisServer {
    let bus = free_port().to_string();
    let server = RedisServer::start(&["--cluster-enabled", "yes", "--cluster-port", &bus]);
    assign_slots(&server);
    server
}

fn assign_slots(server: &RedisServer) {
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let started = Instant::now();
    while !server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        assert!(started.elapsed() < Duration::from_secs(20), "the cluster is not ready");
        sleep(Duration::from_millis(50));
    }
}

fn cache(server: &RedisServer) -> Cache {
    let mut settings = settings(server.url());
    settings.layout = Layout::Cluster;
    Cache::new(&settings).unwrap()
}

#[tokio::test]
async fn a_cluster_meets_the_contract_of_the_map_store() {
    let server = start();
    let cache = cache(&server);
    assert_eq!(cache.ping().await, Ok(()));
    contract::map_store(&cache).await;
}

#[tokio::test]
async fn the_cache_reconnects_to_a_cluster_that_was_restarted() {
    let mut server = start();
    let cache = cache(&server);
    cache.save_head(&head(1, &[(1, 1), (2, 1)])).await.unwrap();
    server.kill();
    assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
    server.run();
    assign_slots(&server);
    let started = Instant::now();
    while cache.head(&nyc()).await != Ok(None) {
        assert!(started.elapsed() < Duration::from_secs(10), "the cache does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cache.save_head(&head(2, &[(1, 1), (2, 1)])).await.unwrap();
    assert_eq!(cache.head(&nyc()).await, Ok(Some(head(2, &[(1, 1), (2, 1)]))));
}
