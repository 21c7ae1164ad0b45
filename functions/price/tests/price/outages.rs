//! Prices while cache and store hang, and when they come back.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equilibrium_app::dependency::breaker::BreakerState;
use equilibrium_app::dependency::guard::Dependency;
use equilibrium_app::dependency::guarded::{Deadlines, Guarded};
use equilibrium_app::dependency::metrics::DependencyKind;
use equilibrium_app::history::ports::Past;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryHistory, MemoryMaps, MemoryPolicies};
use equilibrium_app::overrides::ports::NoOverrides;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::policy_set::ResourceLimits;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore, ReplaceError, SavedVersion, StoredPolicy};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use equilibrium_http::{Request, Response};
use equilibrium_price::{EventSource, RenderedMaps};
use serde_json::json;
use tokio::time::Instant;

use crate::fixture::*;

/// A server behind ports, which can hang: a call that has begun then never ends.
#[derive(Debug, Default)]
struct Remote {
    hangs: AtomicBool,
    calls: Mutex<Vec<Instant>>,
    hanging: AtomicUsize,
}

impl Remote {
    async fn answer(&self) {
        self.calls.lock().unwrap().push(Instant::now());
        if self.hangs.load(Relaxed) {
            self.hanging.fetch_add(1, Relaxed);
            pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    /// The calls since `began`, and the most of them in a second.
    fn calls_since(&self, began: Instant) -> (usize, usize) {
        let calls = self.calls.lock().unwrap();
        let since: Vec<Instant> = calls.iter().copied().filter(|at| *at >= began).collect();
        let in_second = |from: &Instant| {
            since.iter().filter(|at| (*from..*from + Duration::from_secs(1)).contains(at)).count()
        };
        (since.len(), since.iter().map(in_second).max().unwrap_or(0))
    }
}

#[derive(Clone, Debug, Default)]
struct At<P>(Arc<Remote>, P);

impl MapStore for At<MemoryMaps> {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.1.save_chunk(city, name, chunk).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.1.save_head(head).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.0.answer().await;
        self.1.head(city).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.1.chunk(city, name).await
    }

    async fn heads(&self, cities: &[CityId]) -> Result<Vec<Option<MapHead>>, Unavailable> {
        self.0.answer().await;
        self.1.heads(cities).await
    }

    async fn chunks(
        &self,
        names: &[(CityId, ChunkName)],
        consistency: equilibrium_app::price::ports::Consistency,
    ) -> Result<Vec<Option<Vec<u8>>>, Unavailable> {
        self.0.answer().await;
        self.1.chunks(names, consistency).await
    }
}

impl PolicyStore for At<MemoryPolicies> {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        self.0.answer().await;
        self.1.versions().await
    }

    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        self.0.answer().await;
        self.1.read(cities).await
    }

    async fn save(
        &self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> Result<u64, ReplaceError> {
        self.1.save(city, new, after).await
    }

    async fn saved_versions(
        &self,
        city: &CityId,
        below: Option<u64>,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<SavedVersion>, Unavailable> {
        self.1.saved_versions(city, below, limit, now_ms).await
    }

    async fn version(
        &self,
        city: &CityId,
        version: u64,
        now_ms: i64,
    ) -> Result<Option<StoredPolicy>, Unavailable> {
        self.1.version(city, version, now_ms).await
    }
}

type MapPort = Guarded<At<MemoryMaps>, Sleep>;

/// An instance of `price` over a cache and a store.
struct Instance {
    cache: At<MemoryMaps>,
    store: At<MemoryMaps>,
    cache_calls: Arc<Dependency<Sleep>>,
    store_calls: Arc<Dependency<Sleep>>,
    policies: PolicyCache<Guarded<At<MemoryPolicies>, Sleep>, Sleep, NoOverrides>,
    maps: MapReader<MapPort, MapPort, Sleep>,
    rendered: RenderedMaps,
    past: Past<MemoryCheckpoints, MemoryHistory, NoOverrides>,
    began: Instant,
    versions: AtomicUsize,
}

impl Instance {
    async fn new() -> Arc<Self> {
        let documents = MemoryPolicies::default();
        for policy in policies() {
            let (city, document) = (policy["city"].as_str().unwrap(), policy.to_string());
            documents.save(&CityId::new(city).unwrap(), NewVersion::local(&document), None).await.unwrap();
        }
        let [cache_calls, store_calls] = [DependencyKind::Cache, DependencyKind::Store].map(dependency);
        let (cache, store) = (At::<MemoryMaps>::default(), At::<MemoryMaps>::default());
        let second = Deadlines::of(Duration::from_secs(1));
        let policies = At(Arc::clone(&store.0), documents);
        let policies = Guarded::new(policies, &store_calls, second);
        let map_store = Guarded::new(store.clone(), &store_calls, second);
        let map_cache = Guarded::new(cache.clone(), &cache_calls, Deadlines::CACHE);
        Arc::new(Self {
            policies: PolicyCache::with_bounds(policies, NoOverrides, ResourceLimits::default(), Sleep),
            maps: MapReader::new(map_store, map_cache, Sleep),
            rendered: RenderedMaps::default(),
            past: Past {
                logs: MemoryCheckpoints::keeping_past(),
                histories: MemoryHistory::default(),
                bounds: NoOverrides,
            },
            cache,
            store,
            cache_calls,
            store_calls,
            began: Instant::now(),
            versions: AtomicUsize::new(7),
        })
    }

    fn now(&self) -> i64 {
        TICK + i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    /// The map of the newest tick reaches store and cache, whether or not they hang for readers.
    async fn publish(&self) {
        let version = u64::try_from(self.versions.fetch_add(1, Relaxed)).unwrap();
        let map = new_york(version, self.now() / 5_000 * 5_000);
        map.save_to(&self.store.1).await;
        map.save_to(&self.cache.1).await;
    }

    fn set_hanging(&self, hangs: bool) {
        self.store.0.hangs.store(hangs, Relaxed);
        self.cache.0.hangs.store(hangs, Relaxed);
    }

    async fn price(&self) -> Response {
        let request = Request {
            method: "GET",
            path: "/v1/price",
            query: "lat=40.7128&lng=-74.006",
            headers: &[],
            body: b"",
        };
        let reading = (&self.maps, &self.rendered, &EventSource::DEPLOYED, &self.past);
        equilibrium_price::respond(reading, &request, &self.policies, self.now()).await
    }

    /// What follows a response of a function.
    async fn finish(&self) {
        self.policies.finish().await;
        self.maps.finish().await;
    }
}

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    waits: Vec<Duration>,
    modes: Vec<String>,
}

impl Seen {
    fn percentile(&self, share: f64) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let at = ((waits.len() - 1) as f64 * share) as usize;
        waits[at]
    }

    fn has_mode(&self, mode: &str) -> bool {
        self.modes.iter().any(|seen| seen == mode)
    }
}

/// Clients that ask `per_second` times for `time`, while a map is published each five seconds. Requests overlap, as in a
/// server; or else one follows the other, and what follows a response, as in an instance of a function.
async fn ask(instance: &Arc<Instance>, time: Duration, per_second: u32, overlap: bool) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let began = Instant::now();
    let mut published_at = began;
    let mut asked = Vec::new();
    while began.elapsed() < time {
        if Instant::now() >= published_at {
            instance.publish().await;
            published_at += Duration::from_secs(5);
        }
        let one = {
            let (instance, seen) = (Arc::clone(instance), Arc::clone(&seen));
            async move {
                let asked_at = Instant::now();
                let response = instance.price().await;
                let price = ok_body(&response);
                let mut seen = seen.lock().unwrap();
                seen.waits.push(asked_at.elapsed());
                seen.modes.push(price["mode"].as_str().unwrap().to_owned());
            }
        };
        if overlap {
            asked.push(tokio::spawn(one));
        } else {
            one.await;
            instance.finish().await;
        }
        tokio::time::sleep(Duration::from_secs(1) / per_second).await;
    }
    for one in asked {
        one.await.unwrap();
    }
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn prices_are_answered_in_50_ms_while_cache_and_store_hang_and_no_stampede_follows() {
    for (overlap, per_second, hanging_for_s) in
        [(true, 200, 20), (true, 200, 600), (false, 50, 600), (false, 2, 900)]
    {
        let case = format!("overlap {overlap}, {per_second} a second, {hanging_for_s} s");
        let instance = Instance::new().await;
        let before = ask(&instance, Duration::from_secs(20), per_second, overlap).await;
        assert!(before.modes[1..].iter().all(|mode| mode == "fresh"), "{case}");

        let began = Instant::now();
        instance.set_hanging(true);
        let hanging = ask(&instance, Duration::from_secs(hanging_for_s), per_second, overlap).await;
        let (calls, most) = instance.store.0.calls_since(began);
        println!(
            "{case}: p50 {:?}, p99 {:?}, longest {:?} of {} answers; {calls} calls of the store, {most} in a second",
            hanging.percentile(0.5),
            hanging.percentile(0.99),
            hanging.percentile(1.0),
            hanging.waits.len(),
        );
        assert!(hanging.percentile(0.99) <= Duration::from_millis(50), "{case}");
        assert!(most <= 5, "{case}: {most} calls in a second");
        if hanging_for_s > 300 {
            assert!(["fresh", "cached", "degraded"].iter().all(|mode| hanging.has_mode(mode)), "{case}");
            assert_ne!(instance.store_calls.state(), BreakerState::Closed, "{case}");
            assert_ne!(instance.cache_calls.state(), BreakerState::Closed, "{case}");
        }

        let back = Instant::now();
        instance.set_hanging(false);
        let after = ask(&instance, Duration::from_secs(30), per_second, overlap).await;
        let (calls, most) = instance.store.0.calls_since(back);
        let fresh_at = after.modes.iter().position(|mode| mode == "fresh").unwrap();
        println!(
            "{case}, back: p99 {:?}, fresh after {fresh_at} answers; {calls} calls of the store, {most} in a second",
            after.percentile(0.99)
        );
        assert!(after.percentile(0.99) <= Duration::from_millis(50), "{case}");
        assert!(most <= 5, "{case}: {most} calls in a second");
        let limit = usize::try_from(per_second).unwrap() * 9;
        assert!(fresh_at <= limit, "{case}: fresh after {fresh_at} answers");
        assert!(after.modes[fresh_at..].iter().all(|mode| mode == "fresh"), "{case}");
        assert_eq!(instance.store_calls.state(), BreakerState::Closed, "{case}");
        assert_eq!(instance.cache_calls.state(), BreakerState::Closed, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_probes_a_store_that_hangs() {
    let instance = Instance::new().await;
    ask(&instance, Duration::from_secs(10), 100, true).await;
    instance.set_hanging(true);
    ask(&instance, Duration::from_mins(2), 100, true).await;
    let (before, began) = (instance.store.0.hanging.load(Relaxed), Instant::now());
    ask(&instance, Duration::from_mins(1), 500, true).await;
    let probes = instance.store.0.hanging.load(Relaxed) - before;
    // A probe takes its deadline of a second, and two to four seconds pass until the next.
    assert!((60 / 5..=60 / 3 + 1).contains(&probes), "{probes} probes");
    let calls = instance.store.0.calls.lock().unwrap();
    let times: Vec<Instant> = calls.iter().copied().filter(|at| *at >= began).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(3)), "one at a time");
    assert_eq!(instance.store_calls.take_metrics().overflowed, 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_read_a_policy_says_so_within_its_deadline() {
    let instance = Instance::new().await;
    instance.set_hanging(true);
    let began = Instant::now();
    let response = instance.price().await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(body(&response)["code"], json!("unavailable"));
}
