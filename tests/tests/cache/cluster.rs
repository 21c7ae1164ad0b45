//! A cluster, of one node: keys of a city share a slot, or a server of a cluster refuses them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use equilibrium_app::contract;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{Cache, Layout};

use crate::server::{Server, free_port};
use crate::{head, nyc, settings};

/// A node that holds all slots.
fn start() -> Server {
    let bus = free_port().to_string();
    let server = Server::start(&["--cluster-enabled", "yes", "--cluster-port", &bus]);
    take_slots(&server);
    server
}

fn take_slots(server: &Server) {
    server.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let began = Instant::now();
    while !server.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        assert!(began.elapsed() < Duration::from_secs(20), "the cluster does not form");
        sleep(Duration::from_millis(50));
    }
}

fn cache(server: &Server) -> Cache {
    let mut settings = settings(server.url());
    settings.layout = Layout::Cluster;
    Cache::new(&settings).unwrap()
}

#[tokio::test]
async fn in_a_cluster_the_contract_is_kept() {
    let server = start();
    let cache = cache(&server);
    assert_eq!(cache.ping().await, Ok(()));
    contract::map_store(&cache).await;
}

#[tokio::test]
async fn a_cluster_that_dies_is_found_again_when_it_is_back() {
    let mut server = start();
    let cache = cache(&server);
    cache.save_head(&head(1, &[(1, 1), (2, 1)])).await.unwrap();
    server.kill();
    assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
    server.run();
    take_slots(&server);
    let began = Instant::now();
    while cache.head(&nyc()).await != Ok(None) {
        assert!(began.elapsed() < Duration::from_secs(10), "it never recovers");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cache.save_head(&head(2, &[(1, 1), (2, 1)])).await.unwrap();
    assert_eq!(cache.head(&nyc()).await, Ok(Some(head(2, &[(1, 1), (2, 1)]))));
}
