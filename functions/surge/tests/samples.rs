//! The function as Lambda invokes it, with the samples of `events/kinesis`: batches of tick counts of two lanes.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::checkpoint::metrics::CheckpointMetrics;
use equilibrium_app::history::ports::HistoryStore;
use equilibrium_app::laws::ports::DayStore;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, MemoryPolicies, NoOp, Recorder};
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::policy::ports::{NewVersion, PolicySource, PolicyStore};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::surge::metrics::SurgeMetrics;
use equilibrium_app::surge::ports::ChangeStream;
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, ClosedTick, MapHead, Row, TickChanges};

/// 2026-03-06T17:00:05Z, the first tick of New York in the samples.
const TICK: i64 = 1_772_816_405_000;

/// Shortly after the samples' records arrived.
const NOW_MS: i64 = TICK + 7_000;

const NONE_FAILED: &str = r#"{"batchItemFailures":[]}"#;

type Changes = Recorder<(CityId, Vec<u8>)>;
type Ticks = Recorder<(MapHead, Vec<ClosedTick>)>;

fn sample(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/kinesis").join(name).with_extension("json");
    fs::read(path).unwrap()
}

fn nyc() -> CityId {
    CityId::new("nyc").unwrap()
}

/// An instance of the function with its stores and streams.
struct Function {
    processor: CityProcessor<MemoryCheckpoints, MemoryMaps, MemoryMaps, Changes, Ticks>,
    maps: MemoryMaps,
    changes: Changes,
    ticks: Ticks,
    policies: Arc<PolicySet>,
}

impl Function {
    fn new() -> Self {
        let (maps, changes, ticks) = (MemoryMaps::default(), Changes::default(), Ticks::default());
        let sinks = SurgeSinks {
            maps: maps.clone(),
            cache: MemoryMaps::default(),
            changes: changes.clone(),
            ticks: ticks.clone(),
        };
        let mut policy = Policy::open_city(&nyc());
        // So that the one tick of the samples changes prices.
        policy.surge.half_life_up_ms = 30_000;
        let processor = CityProcessor::new(MemoryCheckpoints::default(), sinks);
        Self {
            processor,
            maps,
            changes,
            ticks,
            policies: Arc::new(PolicySet::of(vec![policy], ResourceLimits::default())),
        }
    }

    /// Handles a sample; no record may fail.
    async fn handle_sample(&self, name: &str) -> SurgeMetrics {
        let handled =
            equilibrium_surge::handle_event(&self.processor, &sample(name), &self.policies, NOW_MS).await;
        let (response, metrics) = handled.unwrap();
        assert_eq!(String::from_utf8(response).unwrap(), NONE_FAILED, "{name}");
        metrics
    }

    /// The rows of the one tick that has closed since the last call, with the counts of both lanes.
    fn rows(&self) -> Vec<Row> {
        let closed = self.ticks.take();
        let [(map, ticks)] = &closed[..] else { panic!("{} records of ticks", closed.len()) };
        let [tick] = &ticks[..] else { panic!("{} ticks", ticks.len()) };
        assert_eq!((&map.city, map.as_of), (&nyc(), TICK));
        assert_eq!((tick.at, tick.version, tick.lanes_reported), (TICK, 1, 2));
        tick.rows.clone()
    }
}

#[tokio::test]
async fn the_counts_of_both_lanes_become_multipliers_and_changes() {
    let function = Function::new();
    let metrics = function.handle_sample("surge").await;
    let rows = function.rows();
    let changes = function.changes.take();
    let [(city, record)] = &changes[..] else { panic!("{} records of changes", changes.len()) };
    let decoded = TickChanges::decode(record).unwrap();
    assert_eq!((city, &decoded.city, decoded.at, decoded.version), (&nyc(), &nyc(), TICK, 1));
    assert_eq!(
        metrics,
        SurgeMetrics { ticks: 1, changes: decoded.changes.len() as u64, ..SurgeMetrics::default() }
    );

    let corner = rows.iter().max_by_key(|row| row.demand).unwrap();
    // ((6 + 2) / 2)^(1 / 1.8) = 2.16, and 0.109 of the way from 1 to it is 1.13 (CONTRACT §3).
    assert_eq!((corner.demand, corner.supply, corner.published.hundredths()), (6, 0, 110));
    let pier = rows.iter().max_by_key(|row| row.supply).unwrap();
    assert_eq!((pier.demand, pier.supply, pier.published.hundredths()), (0, 1, 100));
    let changed = decoded.changes.iter().find(|change| change.row.cell == corner.cell).unwrap();
    assert_eq!((changed.before, changed.row.published), (100, corner.published));

    let head = function.maps.head(&nyc()).await.unwrap().unwrap();
    assert_eq!((head.version, head.as_of, head.lanes_reported, head.lanes), (1, TICK, 2, 2));
}

#[tokio::test]
async fn a_malformed_record_affects_no_neighbour() {
    let (function, whole) = (Function::new(), Function::new());
    let metrics = function.handle_sample("surge-malformed").await;
    let expected = whole.handle_sample("surge").await;
    assert_eq!(metrics, SurgeMetrics { malformed: 1, ..expected });
    assert_eq!(function.rows(), whole.rows());
    assert_eq!(function.changes.take(), whole.changes.take());
    let heads = [&function, &whole].map(|function| function.maps.clone());
    assert_eq!(heads[0].head(&nyc()).await, heads[1].head(&nyc()).await);
}

#[tokio::test]
async fn a_repeated_batch_is_skipped_and_sends_nothing() {
    let function = Function::new();
    function.handle_sample("surge").await;
    function.rows();
    assert!(!function.changes.take().is_empty());
    let checkpoint = CheckpointMetrics { skipped: 2, ..CheckpointMetrics::default() };
    assert_eq!(function.handle_sample("surge").await, SurgeMetrics { checkpoint, ..SurgeMetrics::default() });
    assert!(function.ticks.take().is_empty() && function.changes.take().is_empty());
}

/// A stream of changes that takes none, because each would be too large.
struct TakesNone;

impl ChangeStream for TakesNone {
    async fn send(&self, _: &CityId, record: Vec<u8>) -> Result<(), SendError> {
        Err(SendError::TooLarge { bytes: record.len() })
    }
}

#[tokio::test]
async fn changes_that_the_stream_never_takes_are_counted_and_block_nothing() {
    let whole = Function::new();
    let maps = MemoryMaps::default();
    let sinks = SurgeSinks { maps: maps.clone(), cache: NoOp, changes: TakesNone, ticks: NoOp };
    let processor = CityProcessor::new(MemoryCheckpoints::default(), sinks);
    let handled =
        equilibrium_surge::handle_event(&processor, &sample("surge"), &whole.policies, NOW_MS).await;
    let (response, metrics) = handled.unwrap();
    let expected = whole.handle_sample("surge").await;
    assert_eq!(String::from_utf8(response).unwrap(), NONE_FAILED);
    assert_eq!(metrics, SurgeMetrics { too_large: 1, ..expected });
    assert_eq!(maps.head(&nyc()).await, whole.maps.head(&nyc()).await);
}

#[tokio::test]
async fn a_policy_that_was_saved_before_its_counts_is_read_before_they_are_refused() {
    for product_is_new in [false, true] {
        let function = Function::new();
        let mut policy = Policy::open_city(&nyc());
        let store = MemoryPolicies::default();
        let mut after = None;
        if product_is_new {
            policy.products[0].id = ProductId::new("boat").unwrap();
            after = Some(
                store.save(&nyc(), NewVersion::local(&policy.to_json().to_string()), None).await.unwrap(),
            );
        }
        let policies = PolicyCache::new(store.clone(), ResourceLimits::default(), tokio::time::sleep);
        policies.policies(NOW_MS - 1_500).await.unwrap();
        let policy = Policy::open_city(&nyc());
        store.save(&nyc(), NewVersion::local(&policy.to_json().to_string()), after).await.unwrap();

        let payload = sample("surge");
        let handled = equilibrium_surge::handle_event(&function.processor, &payload, &policies, NOW_MS);
        let (response, metrics) = handled.await.unwrap();
        assert_eq!(String::from_utf8(response).unwrap(), NONE_FAILED);
        assert_eq!((metrics.ticks, metrics.unknown_city), (1, 0));
        let rows = function.rows();
        assert!(rows.iter().map(|row| row.demand).sum::<u32>() > 0, "{rows:?}");
    }
}

#[tokio::test]
async fn a_city_waits_in_the_stream_while_the_newest_policies_cannot_be_read() {
    struct Stale(Arc<PolicySet>);
    impl PolicySource for Stale {
        async fn policies(&self, _: i64) -> Result<Arc<PolicySet>, Unavailable> {
            Ok(Arc::clone(&self.0))
        }

        async fn newest(&self, _: i64) -> Option<Arc<PolicySet>> {
            None
        }
    }
    let function = Function::new();
    let stale = Stale(Arc::new(PolicySet::of(Vec::new(), ResourceLimits::default())));
    let handled =
        equilibrium_surge::handle_event(&function.processor, &sample("surge"), &stale, NOW_MS).await;
    let (response, metrics) = handled.unwrap();
    assert_ne!(String::from_utf8(response).unwrap(), NONE_FAILED);
    assert_eq!(metrics, SurgeMetrics::default());
    assert_eq!(function.handle_sample("surge").await.ticks, 1);
}

/// A map store whose chunks take time to save.
#[derive(Clone, Default)]
struct SlowChunks(MemoryMaps);

impl MapStore for SlowChunks {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        tokio::time::sleep(Duration::from_millis(15)).await;
        self.0.save_chunk(city, name, chunk).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.0.save_head(head).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.0.head(city).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.0.chunk(city, name).await
    }
}

impl HistoryStore for SlowChunks {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.0.save_history(city, key, item).await
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        self.0.history(city, from, limit).await
    }
}

impl DayStore for SlowChunks {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.0.save_day(city, day, figures).await
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        self.0.days(city, from, to).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_chunks_go_to_the_store_and_the_cache_at_once_and_without_a_cache_nothing_fails() {
    for cache in [Some(SlowChunks::default()), None] {
        let maps = SlowChunks::default();
        let sinks = SurgeSinks {
            maps: maps.clone(),
            cache: cache.clone(),
            changes: Changes::default(),
            ticks: Ticks::default(),
        };
        let processor = CityProcessor::new(MemoryCheckpoints::default(), sinks);
        let policies = Function::new().policies;
        let began = tokio::time::Instant::now();
        let handled = equilibrium_surge::handle_event(&processor, &sample("surge"), &policies, NOW_MS).await;
        assert_eq!(began.elapsed(), Duration::from_millis(15));
        assert_eq!(handled.unwrap().1.cache_write_failures, 0);
        if let Some(cache) = cache {
            assert_eq!(cache.head(&nyc()).await, maps.head(&nyc()).await);
        }
    }
}
