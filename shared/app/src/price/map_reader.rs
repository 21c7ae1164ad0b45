//! The cities' maps in memory, kept new by a single-flight refresh per city with stale-while-revalidate and a cache
//! bypass.
//!
//! A map is served from memory until its next tick usually closes. The first request after that begins a refresh, and
//! requests that arrive while it is in flight join it (single flight). Each waits up to [`REFRESH_TIMEOUT`], then
//! is served the map in memory while the refresh continues (stale-while-revalidate, RFC 5861). A refresh reads
//! the cache; once a map is overdue by a whole tick it also reads the store, for the cache may be stale (cache
//! bypass).
//!
//! Lambda freezes an instance between requests, so no task runs in the background: a refresh is a shared future
//! that waiting requests poll, and one that timed out is continued by the next request.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Clock;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, decode_chunk};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Shared, join_all, select};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use crate::price::city_map::{Chunk, CityMap};
use crate::price::metrics::MapReaderMetrics;
use crate::surge::ports::MapStore;
use crate::unavailable::Unavailable;

/// The least time between the beginnings of two refreshes of a city, in milliseconds.
pub const REFRESH_INTERVAL_MS: i64 = 20;

/// How long a request waits for a refresh: a tenth of what a person notices.
pub const REFRESH_TIMEOUT: Duration = Duration::from_millis(20);

/// How long a refresh waits for the cache before it reads the store: half of [`REFRESH_TIMEOUT`].
pub const CACHE_READ_TIMEOUT: Duration = Duration::from_millis(10);

/// A refresh that takes longer is abandoned, in milliseconds: its connection is likely dead.
pub const REFRESH_ABANDONED_MS: i64 = 1_000;

/// Waits for time to pass.
pub trait Timer: Send + Sync {
    /// Ends after `time`.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// The timer of an asynchronous runtime, as `tokio::time::sleep`.
impl<S, F> Timer for S
where
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        self(time)
    }
}

/// The maps of all cities, each at the newest version that this instance has read.
#[derive(Debug)]
pub struct MapReader<M, K, T> {
    sources: Arc<Sources<M, K, T>>,
    cities: RwLock<HashMap<CityId, Arc<Mutex<CityEntry>>>>,
}

#[derive(Debug)]
struct Sources<M, K, T> {
    store: M,
    cache: K,
    timer: T,
    metrics: Mutex<MapReaderMetrics>,
}

/// A city's map and its refresh.
#[derive(Debug, Default)]
struct CityEntry {
    map: Option<Arc<CityMap>>,
    /// The refresh in flight.
    refresh: Option<Refresh>,
    /// When the last refresh began.
    refreshed_at_ms: Option<i64>,
    /// When a refresh last bypassed the cache.
    cache_bypassed_at_ms: Option<i64>,
}

/// A map newer than the one in memory.
type NewerMap = Option<Arc<CityMap>>;

#[derive(Clone, Debug)]
struct Refresh {
    began_at_ms: i64,
    result: Shared<BoxFuture<'static, NewerMap>>,
}

impl<M, K, T> MapReader<M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    /// A reader without any map yet.
    pub fn new(store: M, cache: K, timer: T) -> Self {
        let sources = Sources { store, cache, timer, metrics: Mutex::default() };
        Self { sources: Arc::new(sources), cities: RwLock::default() }
    }

    /// The city's map at `now_ms`, in milliseconds since the epoch: the one in memory until its next tick is due,
    /// from then on the newest that a refresh finds within [`REFRESH_TIMEOUT`]. `None` before the city's first map.
    pub async fn map(&self, city: &CityId, clock: Clock, now_ms: i64) -> Option<Arc<CityMap>> {
        let entry = self.entry(city);
        let refresh = {
            let mut entry = entry.lock();
            match self.refresh_if_due(&mut entry, city, clock, now_ms) {
                Some(refresh) => refresh,
                None => return entry.map.clone(),
            }
        };
        let result = self.wait_for(&refresh, now_ms).await;
        let mut entry = entry.lock();
        if let Some(newer) = result {
            entry.complete(&refresh, newer);
        }
        entry.map.clone()
    }

    /// The metrics since the last call.
    pub fn take_metrics(&self) -> MapReaderMetrics {
        std::mem::take(&mut *self.sources.metrics.lock())
    }

    fn entry(&self, city: &CityId) -> Arc<Mutex<CityEntry>> {
        if let Some(entry) = self.cities.read().get(city) {
            return Arc::clone(entry);
        }
        let mut entries = self.cities.write();
        Arc::clone(entries.entry(city.clone()).or_default())
    }

    /// The refresh to wait for, if any: the one in flight, or a new one if it is due.
    fn refresh_if_due(
        &self,
        entry: &mut CityEntry,
        city: &CityId,
        clock: Clock,
        now_ms: i64,
    ) -> Option<Refresh> {
        entry.refresh.take_if(|refresh| {
            let age_ms = now_ms - refresh.began_at_ms;
            !(0..=REFRESH_ABANDONED_MS).contains(&age_ms)
        });
        if entry.refresh.is_some() {
            return entry.refresh.clone();
        }
        let next_tick_ms = |map: &Arc<CityMap>| map.head.as_of + clock.tick_ms + clock.lateness_ms;
        let due_ms = entry.map.as_ref().map(next_tick_ms);
        let is_recent = is_within(entry.refreshed_at_ms, REFRESH_INTERVAL_MS, now_ms);
        if is_recent || due_ms.is_some_and(|due_ms| now_ms < due_ms) {
            return None;
        }
        // Overdue by a whole tick: the cache may have stopped, rather than the city. Bypassed once a tick.
        let is_overdue = due_ms.is_some_and(|due_ms| now_ms >= due_ms + clock.tick_ms);
        let bypass_cache = is_overdue && !is_within(entry.cache_bypassed_at_ms, clock.tick_ms, now_ms);
        if bypass_cache {
            entry.cache_bypassed_at_ms = Some(now_ms);
        }
        entry.refreshed_at_ms = Some(now_ms);
        self.sources.count(|metrics| metrics.refreshes += 1);
        let result = refresh(Arc::clone(&self.sources), city.clone(), entry.map.clone(), bypass_cache);
        entry.refresh = Some(Refresh { began_at_ms: now_ms, result: result.boxed().shared() });
        entry.refresh.clone()
    }

    /// The refresh's result; `None` if it is not there within [`REFRESH_TIMEOUT`] of its beginning.
    async fn wait_for(&self, refresh: &Refresh, now_ms: i64) -> Option<NewerMap> {
        let elapsed = Duration::from_millis((now_ms - refresh.began_at_ms).unsigned_abs());
        let result = match REFRESH_TIMEOUT.saturating_sub(elapsed) {
            Duration::ZERO => refresh.result.clone().now_or_never(),
            remaining => with_timeout(&self.sources.timer, remaining, refresh.result.clone()).await,
        };
        if result.is_none() {
            self.sources.count(|metrics| metrics.refresh_timeouts += 1);
        }
        result
    }
}

impl CityEntry {
    /// Takes a refresh's result, also that of a refresh that was abandoned or completed by another request.
    fn complete(&mut self, refresh: &Refresh, newer: NewerMap) {
        self.refresh.take_if(|current| current.result.ptr_eq(&refresh.result));
        if let Some(newer) = newer
            && self.map.as_ref().is_none_or(|map| map.head.version < newer.head.version)
        {
            self.map = Some(newer);
        }
    }
}

/// Reads a map newer than `known`, if there is one: its head from the cache, else or to bypass the cache from the
/// store, then its chunks.
async fn refresh<M: MapStore, K: MapStore, T: Timer>(
    sources: Arc<Sources<M, K, T>>,
    city: CityId,
    known: Option<Arc<CityMap>>,
    bypass_cache: bool,
) -> NewerMap {
    let version = known.as_ref().map(|map| map.head.version);
    let is_newer = |head: &MapHead| version.is_none_or(|version| head.version > version);
    let cached = sources.cached(sources.cache.head(&city)).await;
    let cache_answers = cached.is_ok();
    let mut head = cached.ok().flatten();
    if head.is_none() || bypass_cache && !head.as_ref().is_some_and(is_newer) {
        let stored = sources.stored(sources.store.head(&city)).await.ok().flatten();
        head =
            stored.filter(|stored| head.as_ref().is_none_or(|head| stored.version > head.version)).or(head);
    }
    let head = head.filter(is_newer)?;
    let chunks = head.chunks.iter().map(|name| {
        let kept = known.as_ref().and_then(|known| known.chunk(*name)).cloned();
        sources.chunk(&head, *name, kept, cache_answers)
    });
    let chunks: Option<Vec<Chunk>> = join_all(chunks).await.into_iter().collect();
    let mut chunks = chunks?;
    chunks.sort_unstable_by_key(|chunk| chunk.name);
    Some(Arc::new(CityMap { head, chunks }))
}

impl<M: MapStore, K: MapStore, T: Timer> Sources<M, K, T> {
    /// A chunk that the head names: `kept` from the map in memory, else from the cache if it answers, else from
    /// the store.
    async fn chunk(
        &self,
        head: &MapHead,
        name: ChunkName,
        kept: Option<Chunk>,
        cache_answers: bool,
    ) -> Option<Chunk> {
        if kept.is_some() {
            return kept;
        }
        if cache_answers {
            let cached = self.cached(self.cache.chunk(&head.city, name)).await;
            if let Some(rows) = cached.ok().flatten().and_then(|bytes| self.decode(head, &bytes)) {
                return Some(Chunk { name, rows });
            }
        }
        let stored = self.stored(self.store.chunk(&head.city, name)).await;
        let rows = self.decode(head, &stored.ok().flatten()?)?;
        Some(Chunk { name, rows })
    }

    fn decode(&self, head: &MapHead, bytes: &[u8]) -> Option<Arc<[Row]>> {
        let rows = decode_chunk(bytes).ok();
        let rows = rows.filter(|rows| rows.iter().all(|row| usize::from(row.product) < head.products.len()));
        let Some(mut rows) = rows else {
            self.count(|metrics| metrics.corrupt += 1);
            return None;
        };
        rows.sort_unstable_by_key(|row| (row.product, row.cell));
        Some(rows.into())
    }

    async fn cached<R>(&self, read: impl Future<Output = Result<R, Unavailable>>) -> Result<R, Unavailable> {
        let read = with_timeout(&self.timer, CACHE_READ_TIMEOUT, read).await.unwrap_or(Err(Unavailable));
        read.inspect_err(|Unavailable| self.count(|metrics| metrics.cache_faults += 1))
    }

    async fn stored<R>(&self, read: impl Future<Output = Result<R, Unavailable>>) -> Result<R, Unavailable> {
        read.await.inspect_err(|Unavailable| self.count(|metrics| metrics.store_faults += 1))
    }
}

impl<M, K, T> Sources<M, K, T> {
    fn count(&self, add: impl FnOnce(&mut MapReaderMetrics)) {
        add(&mut self.metrics.lock());
    }
}

/// The future's output, if it completes within `time`.
async fn with_timeout<F: Future>(timer: &impl Timer, time: Duration, future: F) -> Option<F::Output> {
    match select(pin!(future), pin!(timer.sleep(time))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Whether `now_ms` is less than `span_ms` after `since_ms`. A moment in the future does not count: the clock was set
/// back.
fn is_within(since_ms: Option<i64>, span_ms: i64, now_ms: i64) -> bool {
    since_ms.is_some_and(|since_ms| (0..span_ms).contains(&(now_ms - since_ms)))
}
