//! Prices while the table and the cache hang: an instance of `price` over a real Redis server and DynamoDB of the emulator,
//! whose requests a proxy stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::dependency::breaker::BreakerState;
use equilibrium_app::dependency::guard::Dependency;
use equilibrium_app::dependency::guarded::Guarded;
use equilibrium_app::history::ports::Past;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryHistory};
use equilibrium_app::overrides::ports::NoOverrides;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::policy_set::ResourceLimits;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_aws::cache::{Cache, CacheSettings, Layout};
use equilibrium_aws::dependencies::{self, SleepFn, of_cache, of_store};
use equilibrium_aws::dynamodb::{Connection, Maps, Policies, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::surge::map::MapHead;
use equilibrium_http::{Request, Response};
use equilibrium_price::{EventSource, RenderedMaps};
use equilibrium_simulator::city::policy::policy;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use equilibrium_tests::harness::maps;
use equilibrium_tests::harness::redis::RedisServer;
use serde_json::Value;
use tokio::time::sleep;

use crate::fault_proxy::{Fault, FaultProxy};

type Stored<P> = Guarded<P, SleepFn>;

struct Instance {
    policies: PolicyCache<Stored<Policies>, SleepFn, NoOverrides>,
    maps: MapReader<Stored<Maps>, Stored<Cache>, SleepFn>,
    rendered: RenderedMaps,
    past: Past<MemoryCheckpoints, MemoryHistory, NoOverrides>,
    cache_calls: Arc<Dependency<SleepFn>>,
    store_calls: Arc<Dependency<SleepFn>>,
}

fn cache(server: &RedisServer) -> Cache {
    let (endpoints, deadline) = (vec![server.url()], Duration::from_millis(100));
    Cache::new(&CacheSettings { endpoints, layout: Layout::Single, credentials: None, roots: None, deadline })
        .unwrap()
}

impl Instance {
    fn new(endpoint: &str, tables: &Tables, server: &RedisServer) -> Self {
        let once = Connection::new(&sdk_config(endpoint), RetryPolicy::ONCE);
        let (cache_calls, store_calls) = (dependencies::cache(), dependencies::store());
        let policies = of_store(Policies::new(&once, tables), &store_calls, RetryPolicy::ONCE);
        let map_store = of_store(Maps::new(&once, tables), &store_calls, RetryPolicy::ONCE);
        let timer = sleep as SleepFn;
        Self {
            policies: PolicyCache::with_bounds(policies, NoOverrides, ResourceLimits::default(), timer),
            maps: MapReader::new(map_store, of_cache(cache(server), &cache_calls), timer),
            rendered: RenderedMaps::default(),
            past: Past {
                logs: MemoryCheckpoints::keeping_past(),
                histories: MemoryHistory::default(),
                bounds: NoOverrides,
            },
            cache_calls,
            store_calls,
        }
    }

    async fn price(&self) -> Response {
        let query = "lat=40.7128&lng=-74.006";
        let request = Request { method: "GET", path: "/v1/price", query, headers: &[], body: b"" };
        let reading = (&self.maps, &self.rendered, &EventSource::DEPLOYED, &self.past);
        equilibrium_price::respond(reading, &request, &self.policies, system_now_ms()).await
    }

    /// Prices one after the other for `time`, and what follows each response: how long each took, and its mode.
    async fn ask(&self, time: Duration) -> Vec<(Duration, String)> {
        let (mut seen, began) = (Vec::new(), Instant::now());
        while began.elapsed() < time {
            let asked_at = Instant::now();
            let response = self.price().await;
            let took = asked_at.elapsed();
            let price: Value = serde_json::from_slice(&response.body.bytes()).unwrap();
            assert_eq!(response.status, 200, "{price}");
            seen.push((took, price["mode"].as_str().unwrap().to_owned()));
            self.policies.finish().await;
            self.maps.finish().await;
            sleep(Duration::from_millis(5)).await;
        }
        seen
    }
}

/// The time that one answer of a hundred exceeds.
fn p99(seen: &[(Duration, String)]) -> Duration {
    let mut took: Vec<Duration> = seen.iter().map(|(took, _)| *took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

fn most_in_a_second(requests: &[Instant]) -> usize {
    let in_second = |from: &Instant| {
        requests.iter().filter(|at| (*from..*from + Duration::from_secs(1)).contains(*at)).count()
    };
    requests.iter().map(in_second).max().unwrap_or(0)
}

/// Saves an empty map of the tick `age_ms` ago.
async fn publish(stores: &(Maps, Cache), version: u64, age_ms: i64) {
    let as_of = (system_now_ms() - age_ms) / 5_000 * 5_000;
    let head = MapHead { as_of, ..maps::head(version, &[]) };
    stores.0.save_head(&head).await.unwrap();
    stores.1.save_head(&head).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_answered_while_table_and_cache_hang_and_are_fresh_soon_after() {
    let (proxy, server) = (FaultProxy::new(&emulator().endpoint).await, RedisServer::start(&[]));
    let tables = Tables::named(&unique_name("outage"));
    let direct = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    tables.create(&direct).await.unwrap();
    let policy = policy();
    let document = policy.to_json().to_string();
    let saved = Policies::new(&direct, &tables).save(&policy.city, NewVersion::local(&document), None).await;
    saved.unwrap();
    let stores = (Maps::new(&direct, &tables), cache(&server));
    let instance = Instance::new(&proxy.endpoint, &tables, &server);
    // Fresh for ten seconds more.
    publish(&stores, 1, 15_000).await;
    let before = instance.ask(Duration::from_secs(2)).await;
    assert_eq!(before.last().unwrap().1, "fresh");

    proxy.choose(|_| Some(Fault::Hung));
    server.suspend();
    let began = Instant::now();
    let hanging = instance.ask(Duration::from_secs(25)).await;
    let most = most_in_a_second(&proxy.arrivals(began));
    println!(
        "both hang: p99 {:?}, longest {:?} of {} prices; {} requests to the table, {most} in a second",
        p99(&hanging),
        hanging.iter().map(|(took, _)| took).max().unwrap(),
        hanging.len(),
        proxy.arrivals(began).len()
    );
    assert!(hanging.len() > 500 && p99(&hanging) <= Duration::from_millis(50), "{:?}", p99(&hanging));
    assert_eq!(hanging.last().unwrap().1, "cached");
    assert!(most <= 5, "{most} requests in a second");
    for calls in [&instance.cache_calls, &instance.store_calls] {
        assert_ne!(calls.state(), BreakerState::Closed, "{calls:?}");
    }

    proxy.clear();
    server.resume();
    let back = Instant::now();
    publish(&stores, 2, 5_000).await;
    let after = instance.ask(Duration::from_secs(12)).await;
    let most = most_in_a_second(&proxy.arrivals(back));
    let fresh_at = after.iter().position(|(_, mode)| mode == "fresh").unwrap();
    println!(
        "both are back: p99 {:?}, fresh after {fresh_at} prices; {most} requests in a second",
        p99(&after)
    );
    assert!(p99(&after) <= Duration::from_millis(50), "{:?}", p99(&after));
    assert!(most <= 5, "{most} requests in a second");
    assert!(after[fresh_at..].iter().all(|(_, mode)| mode == "fresh"));
    for calls in [&instance.cache_calls, &instance.store_calls] {
        assert_eq!(calls.state(), BreakerState::Closed, "{calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_hangs_alone_delays_no_price_and_the_table_gives_the_maps() {
    let server = RedisServer::start(&[]);
    let tables = Tables::named(&unique_name("cache-outage"));
    let direct = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    tables.create(&direct).await.unwrap();
    let policy = policy();
    let document = policy.to_json().to_string();
    let saved = Policies::new(&direct, &tables).save(&policy.city, NewVersion::local(&document), None).await;
    saved.unwrap();
    let stores = (Maps::new(&direct, &tables), cache(&server));
    publish(&stores, 1, 25_000).await;
    let instance = Instance::new(&emulator().endpoint, &tables, &server);
    instance.ask(Duration::from_secs(1)).await;
    server.suspend();
    instance.ask(Duration::from_secs(6)).await;
    stores
        .0
        .save_head(&MapHead { as_of: system_now_ms() / 5_000 * 5_000, ..maps::head(2, &[]) })
        .await
        .unwrap();
    let hanging = instance.ask(Duration::from_secs(6)).await;
    println!("the cache hangs: p99 {:?} of {} prices", p99(&hanging), hanging.len());
    assert!(p99(&hanging) <= Duration::from_millis(50), "{:?}", p99(&hanging));
    assert_eq!(hanging.last().unwrap().1, "fresh");
    assert_ne!(instance.cache_calls.state(), BreakerState::Closed);
    assert_eq!(instance.store_calls.state(), BreakerState::Closed);
}
