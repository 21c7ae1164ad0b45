//! The cities' maps in memory, as those who answer riders read them (HOUSE, "Why it is fast and cheap").
//!
//! Nothing runs between requests: a look at the head is a future that whoever needs it drives on, so that
//! one look serves all who wait, and one that outlasts their patience is finished by those who come next.

use parking_lot::{Mutex, RwLock};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Clock;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, decode_chunk};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Shared, join_all, select};
use hashbrown::HashMap;

use crate::price::city_map::{Chunk, CityMap};
use crate::price::metrics::MapReaderMetrics;
use crate::surge::ports::MapStore;
use crate::unavailable::Unavailable;

/// A look at the head begins at most this often, in milliseconds (HOUSE).
pub const REFRESH_INTERVAL_MS: i64 = 20;

/// How long a request waits for a look: a tenth of what a person notices.
pub const REFRESH_TIMEOUT: Duration = Duration::from_millis(20);

/// How long the cache may take before the store is asked: half of a request's patience.
pub const CACHE_READ_TIMEOUT: Duration = Duration::from_millis(10);

/// A look that takes longer is given up, in milliseconds: its connection is likely dead.
pub const REFRESH_ABANDONED_MS: i64 = 1_000;

/// How time is waited for.
pub trait Timer: Send + Sync {
    /// Ends after `time`.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// The maps of all cities, each at its newest version that this instance has seen.
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
    tally: Mutex<MapReaderMetrics>,
}

/// One city, as this instance knows it.
#[derive(Debug, Default)]
struct CityEntry {
    map: Option<Arc<CityMap>>,
    refresh: Option<Refresh>,
    refreshed_at_ms: Option<i64>,
    /// When a cache that had nothing new was last doubted.
    cache_bypassed_at_ms: Option<i64>,
}

type Found = Option<Arc<CityMap>>;

#[derive(Clone, Debug)]
struct Refresh {
    began_at_ms: i64,
    found: Shared<BoxFuture<'static, Found>>,
}

impl<M, K, T> MapReader<M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    /// A reader that has seen nothing yet.
    pub fn new(store: M, cache: K, timer: T) -> Self {
        let sources = Sources { store, cache, timer, tally: Mutex::default() };
        Self { sources: Arc::new(sources), cities: RwLock::default() }
    }

    /// The city's map at `now`, in milliseconds since the epoch: from memory until its next tick is due,
    /// and the newest that can be had within [`PATIENCE`] from then on. `None` before the first.
    pub async fn map(&self, city: &CityId, clock: Clock, now: i64) -> Option<Arc<CityMap>> {
        let watch = self.entry(city);
        let look = {
            let mut watch = watch.lock();
            match self.refresh_if_due(&mut watch, city, clock, now) {
                Some(look) => look,
                None => return watch.map.clone(),
            }
        };
        let found = self.wait_for(&look, now).await;
        let mut watch = watch.lock();
        if let Some(found) = found {
            watch.settle(&look, found);
        }
        watch.map.clone()
    }

    /// What looking came to since the last call.
    pub fn take_metrics(&self) -> MapReaderMetrics {
        std::mem::take(&mut *self.sources.tally.lock())
    }

    fn entry(&self, city: &CityId) -> Arc<Mutex<CityEntry>> {
        if let Some(watch) = self.cities.read().get(city) {
            return Arc::clone(watch);
        }
        let mut watches = self.cities.write();
        Arc::clone(watches.entry(city.clone()).or_default())
    }

    /// The look to wait for, if there is one: what has begun, or a new one where it is due.
    fn refresh_if_due(
        &self,
        watch: &mut CityEntry,
        city: &CityId,
        clock: Clock,
        now: i64,
    ) -> Option<Refresh> {
        watch.refresh.take_if(|look| !(0..=REFRESH_ABANDONED_MS).contains(&(now - look.began_at_ms)));
        if watch.refresh.is_some() {
            return watch.refresh.clone();
        }
        let next_tick = |map: &Arc<CityMap>| map.head.as_of + clock.tick_ms + clock.lateness_ms;
        let due = watch.map.as_ref().map(next_tick);
        let rests = is_within(watch.refreshed_at_ms, REFRESH_INTERVAL_MS, now);
        if rests || due.is_some_and(|due| now < due) {
            return None;
        }
        // Nothing new for a whole tick more: the copy, rather than the market, may stand still.
        let overdue = due.is_some_and(|due| now >= due + clock.tick_ms);
        let doubts = overdue && !is_within(watch.cache_bypassed_at_ms, clock.tick_ms, now);
        if doubts {
            watch.cache_bypassed_at_ms = Some(now);
        }
        watch.refreshed_at_ms = Some(now);
        self.sources.count(|tally| tally.refreshes += 1);
        let found = refresh(Arc::clone(&self.sources), city.clone(), watch.map.clone(), doubts);
        watch.refresh = Some(Refresh { began_at_ms: now, found: found.boxed().shared() });
        watch.refresh.clone()
    }

    /// What the look finds; `None` where that takes longer than a request waits.
    async fn wait_for(&self, look: &Refresh, now: i64) -> Option<Found> {
        let waited = Duration::from_millis((now - look.began_at_ms).unsigned_abs());
        let found = match REFRESH_TIMEOUT.saturating_sub(waited) {
            Duration::ZERO => look.found.clone().now_or_never(),
            patience => with_timeout(&self.sources.timer, patience, look.found.clone()).await,
        };
        if found.is_none() {
            self.sources.count(|tally| tally.refresh_timeouts += 1);
        }
        found
    }
}

impl CityEntry {
    /// Takes what a look found; one that another has settled or given up brings a map all the same.
    fn settle(&mut self, look: &Refresh, found: Found) {
        self.refresh.take_if(|current| current.found.ptr_eq(&look.found));
        if let Some(found) = found
            && self.map.as_ref().is_none_or(|map| map.head.version < found.head.version)
        {
            self.map = Some(found);
        }
    }
}

/// Looks for a map newer than `known`: the head in the cache, then in the store, then its chunks.
async fn refresh<M: MapStore, K: MapStore, T: Timer>(
    sources: Arc<Sources<M, K, T>>,
    city: CityId,
    known: Option<Arc<CityMap>>,
    doubts: bool,
) -> Found {
    let version = known.as_ref().map(|map| map.head.version);
    let is_new = |head: &MapHead| version.is_none_or(|version| head.version > version);
    let cached = sources.cached(sources.cache.head(&city)).await;
    let answers = cached.is_ok();
    let mut head = cached.ok().flatten();
    if head.is_none() || doubts && !head.as_ref().is_some_and(is_new) {
        let stored = sources.stored(sources.store.head(&city)).await.ok().flatten();
        head =
            stored.filter(|stored| head.as_ref().is_none_or(|head| stored.version > head.version)).or(head);
    }
    let head = head.filter(is_new)?;
    let chunks = head.chunks.iter().map(|name| {
        let kept = known.as_ref().and_then(|known| known.chunk(*name)).cloned();
        sources.chunk(&head, *name, kept, answers)
    });
    let chunks: Option<Vec<Chunk>> = join_all(chunks).await.into_iter().collect();
    let mut chunks = chunks?;
    chunks.sort_unstable_by_key(|chunk| chunk.name);
    Some(Arc::new(CityMap { head, chunks }))
}

impl<M: MapStore, K: MapStore, T: Timer> Sources<M, K, T> {
    /// A chunk that the head names: kept from the map before, or from the cache if it answers, or from the
    /// store.
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
            let copy = self.cached(self.cache.chunk(&head.city, name)).await;
            if let Some(rows) = copy.ok().flatten().and_then(|bytes| self.read(head, &bytes)) {
                return Some(Chunk { name, rows });
            }
        }
        let truth = self.stored(self.store.chunk(&head.city, name)).await;
        let rows = self.read(head, &truth.ok().flatten()?)?;
        Some(Chunk { name, rows })
    }

    fn read(&self, head: &MapHead, bytes: &[u8]) -> Option<Arc<[Row]>> {
        let rows = decode_chunk(bytes).ok();
        let rows = rows.filter(|rows| rows.iter().all(|row| usize::from(row.product) < head.products.len()));
        let Some(mut rows) = rows else {
            self.count(|tally| tally.corrupt += 1);
            return None;
        };
        rows.sort_unstable_by_key(|row| (row.product, row.cell));
        Some(rows.into())
    }

    async fn cached<R>(&self, read: impl Future<Output = Result<R, Unavailable>>) -> Result<R, Unavailable> {
        let read = with_timeout(&self.timer, CACHE_READ_TIMEOUT, read).await.unwrap_or(Err(Unavailable));
        read.inspect_err(|Unavailable| self.count(|tally| tally.cache_faults += 1))
    }

    async fn stored<R>(&self, read: impl Future<Output = Result<R, Unavailable>>) -> Result<R, Unavailable> {
        read.await.inspect_err(|Unavailable| self.count(|tally| tally.store_faults += 1))
    }
}

impl<M, K, T> Sources<M, K, T> {
    fn count(&self, what: impl FnOnce(&mut MapReaderMetrics)) {
        what(&mut self.tally.lock());
    }
}

/// What the future gives, if it does within `time`.
async fn with_timeout<F: Future>(timer: &impl Timer, time: Duration, future: F) -> Option<F::Output> {
    match select(pin!(future), pin!(timer.sleep(time))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Whether `now` is within `span_ms` of a moment; of one still to come it is not, for a clock was set back.
fn is_within(since: Option<i64>, span_ms: i64, now: i64) -> bool {
    since.is_some_and(|since| (0..span_ms).contains(&(now - since)))
}
