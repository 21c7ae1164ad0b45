//! A look for newer maps of several cities: their heads in one read, then the chunks that are not in memory in another.
//!
//! The cache is read first, and the store for what the cache lacks. Reads of the store are eventually consistent; a
//! consistent one follows only where a head names a chunk that is not there yet. The store's reads are bounded
//! ([`Pace`]); of several cities the one with the oldest map goes first.

use std::sync::Arc;
use std::time::Duration;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, decode_chunk};
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::price::city_map::{Chunk, CityMap};
use crate::price::metrics::MapReaderMetrics;
use crate::price::ports::{Consistency, MapStore};
use crate::price::schedule::{Pace, ReadBudget};
use crate::timer::{Timer, with_timeout};
use crate::unavailable::Unavailable;

/// How long a look waits for the heads of the cache before it reads the store.
pub const CACHE_READ_TIMEOUT: Duration = Duration::from_millis(10);

/// How long a look waits for the chunks of the cache: they are larger, and the cache has just answered.
pub const CACHE_CHUNKS_TIMEOUT: Duration = Duration::from_millis(50);

/// Items of one read of the store (`BatchGetItem`, Amazon DynamoDB API reference).
pub const MAX_READ_ITEMS: usize = 100;

/// Where maps are read from.
#[derive(Debug)]
pub(super) struct Sources<M, K, T> {
    pub(super) store: M,
    pub(super) cache: K,
    pub(super) timer: T,
    pub(super) pace: Pace,
    pub(super) budget: Mutex<ReadBudget>,
    pub(super) metrics: Mutex<MapReaderMetrics>,
}

/// A city to look for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) city: CityId,
    /// The map in memory.
    pub(super) known: Option<Arc<CityMap>>,
    /// Whether the chunks are read, too, or the head alone.
    pub(super) needs_map: bool,
    /// Whether the store is read although the cache has a head: the cache may have stopped.
    pub(super) bypass_cache: bool,
}

/// What a look found of a city.
#[derive(Clone, Debug, Default)]
pub(super) struct Finding {
    /// The tick of the newest head, in milliseconds since the epoch.
    pub(super) as_of_ms: Option<i64>,
    /// A map newer than the one in memory.
    pub(super) newer: Option<Arc<CityMap>>,
    /// For how long no read of the store is allowed, where one would have been needed.
    pub(super) postponed_ms: Option<i64>,
    /// Whether a read failed that would have been needed.
    pub(super) has_failed: bool,
}

/// A newer map, of which some chunks may not be read yet.
struct Draft {
    /// Its index among the cities of the look.
    at: usize,
    head: MapHead,
    /// Chunks of the map in memory, or read.
    chunks: Vec<Chunk>,
    missing: Vec<ChunkName>,
}

/// Looks for cities, whose maps are ordered from the oldest on; the findings have their order.
pub(super) async fn look<M: MapStore, K: MapStore, T: Timer>(
    sources: Arc<Sources<M, K, T>>,
    wanted: Vec<Wanted>,
    began_ms: i64,
) -> Arc<[Finding]> {
    let mut findings = vec![Finding::default(); wanted.len()];
    let (heads, cache_answers) = sources.heads(&wanted, &mut findings, began_ms).await;
    let mut drafts = Vec::new();
    for (at, (wanted, head)) in wanted.iter().zip(heads).enumerate() {
        findings[at].as_of_ms = head.as_ref().map(|head| head.as_of);
        drafts.extend(head.filter(|head| wanted.needs_map && wanted.is_older(head)).map(|head| {
            let known = wanted.known.as_deref();
            let chunks: Vec<Chunk> =
                head.chunks.iter().filter_map(|name| known?.chunk(*name).cloned()).collect();
            let is_missing = |name: &ChunkName| !chunks.iter().any(|chunk| chunk.name == *name);
            let missing = match known {
                Some(_) => head.chunks.iter().copied().filter(is_missing).collect(),
                None => head.chunks.clone(),
            };
            Draft { at, head, chunks, missing }
        }));
    }
    if cache_answers {
        sources.read_cached_chunks(&mut drafts).await;
    }
    sources.read_stored_chunks(&mut drafts, &mut findings, began_ms).await;
    for Draft { at, head, mut chunks, missing } in drafts {
        if missing.is_empty() {
            chunks.sort_unstable_by_key(|chunk| chunk.name);
            findings[at].newer = Some(Arc::new(CityMap { head, chunks }));
        } else {
            findings[at].has_failed = true;
        }
    }
    findings.into()
}

impl Wanted {
    fn is_older(&self, head: &MapHead) -> bool {
        self.known.as_ref().is_none_or(|known| known.head.version < head.version)
    }
}

impl<M: MapStore, K: MapStore, T: Timer> Sources<M, K, T> {
    /// The newest head of each city that answers, and whether the cache does.
    async fn heads(
        &self,
        wanted: &[Wanted],
        findings: &mut [Finding],
        began_ms: i64,
    ) -> (Vec<Option<MapHead>>, bool) {
        let cities: Vec<CityId> = wanted.iter().map(|wanted| wanted.city.clone()).collect();
        let cached = self.cached(CACHE_READ_TIMEOUT, self.cache.heads(&cities)).await;
        let cache_answers = cached.is_ok();
        let mut heads = cached.unwrap_or_else(|Unavailable| vec![None; cities.len()]);
        let needs_store = |at: &usize| {
            let (wanted, head) = (&wanted[*at], &heads[*at]);
            head.as_ref().is_none_or(|head| wanted.bypass_cache && !wanted.is_older(head))
        };
        let asked: Vec<usize> = (0..wanted.len()).filter(needs_store).collect();
        // Heads leave a read for chunks: heads alone would bring no map closer.
        let spared = i64::from(wanted.iter().any(|wanted| wanted.needs_map));
        let allowed = self.take_reads(asked.len(), spared, began_ms);
        for at in &asked[allowed..] {
            findings[*at].postponed_ms = Some(self.wait_ms(began_ms));
        }
        let asked = &asked[..allowed];
        if !asked.is_empty() {
            let cities: Vec<CityId> = asked.iter().map(|at| wanted[*at].city.clone()).collect();
            let stored = self.stored(self.store.heads(&cities)).await;
            for at in asked {
                findings[*at].has_failed = stored.is_err();
            }
            for (at, stored) in asked.iter().zip(stored.unwrap_or_default()) {
                let version = heads[*at].as_ref().map(|head| head.version);
                heads[*at] = stored.filter(|stored| Some(stored.version) > version).or(heads[*at].take());
            }
        }
        (heads, cache_answers)
    }

    async fn read_cached_chunks(&self, drafts: &mut [Draft]) {
        let names = missing(drafts);
        if names.is_empty() {
            return;
        }
        let cached =
            self.cached(CACHE_CHUNKS_TIMEOUT, self.cache.chunks(&names, Consistency::Eventual)).await;
        self.take_chunks(drafts, &names, cached.unwrap_or_default());
    }

    /// Reads what is still missing, of as many cities as the reads allow and of one at least.
    async fn read_stored_chunks(&self, drafts: &mut [Draft], findings: &mut [Finding], began_ms: i64) {
        let allowed = self.allowed_items(began_ms);
        let (mut items, mut end) = (0, 0);
        for draft in drafts.iter() {
            let needed = draft.missing.len();
            if needed > 0 && (allowed == 0 || items > 0 && items + needed > allowed) {
                break;
            }
            items += needed;
            end += 1;
        }
        for draft in drafts[end..].iter().filter(|draft| !draft.missing.is_empty()) {
            findings[draft.at].postponed_ms = Some(self.wait_ms(began_ms));
        }
        if items == 0 {
            return;
        }
        let drafts = &mut drafts[..end];
        self.budget.lock().owe(reads(items), began_ms, &self.pace);
        self.read_stored(drafts, Consistency::Eventual).await;
        let items = missing(drafts).len();
        if items > 0 && self.take_reads(items, 0, began_ms) == items {
            self.read_stored(drafts, Consistency::Strong).await;
        }
    }

    async fn read_stored(&self, drafts: &mut [Draft], consistency: Consistency) {
        let names = missing(drafts);
        let stored = self.stored(self.store.chunks(&names, consistency)).await;
        self.take_chunks(drafts, &names, stored.unwrap_or_default());
    }

    /// Adds the chunks that were read to the maps that they belong to.
    fn take_chunks(&self, drafts: &mut [Draft], names: &[(CityId, ChunkName)], read: Vec<Option<Vec<u8>>>) {
        let read: HashMap<&(CityId, ChunkName), Vec<u8>> =
            names.iter().zip(read).filter_map(|(name, bytes)| Some((name, bytes?))).collect();
        for Draft { head, chunks, missing, .. } in drafts {
            missing.retain(|name| {
                let bytes = read.get(&(head.city.clone(), *name));
                let rows = bytes.and_then(|bytes| self.decode(head, bytes));
                chunks.extend(rows.as_ref().map(|rows| Chunk { name: *name, rows: Arc::clone(rows) }));
                rows.is_none()
            });
        }
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

    async fn cached<R>(
        &self,
        timeout: Duration,
        read: impl Future<Output = Result<R, Unavailable>>,
    ) -> Result<R, Unavailable> {
        let read = with_timeout(&self.timer, timeout, read).await.unwrap_or(Err(Unavailable));
        read.inspect_err(|Unavailable| self.count(|metrics| metrics.cache_faults += 1))
    }

    async fn stored<R>(&self, read: impl Future<Output = Result<R, Unavailable>>) -> Result<R, Unavailable> {
        read.await.inspect_err(|Unavailable| self.count(|metrics| metrics.store_faults += 1))
    }
}

impl<M, K, T> Sources<M, K, T> {
    pub(super) fn count(&self, add: impl FnOnce(&mut MapReaderMetrics)) {
        add(&mut self.metrics.lock());
    }

    /// Takes the reads that so many items need, as far as they are allowed and so many spared; returns the items that may
    /// be read.
    fn take_reads(&self, items: usize, spared: i64, now_ms: i64) -> usize {
        let mut budget = self.budget.lock();
        let taken = reads(items).min(budget.allowed(now_ms, &self.pace) - spared).max(0);
        budget.owe(taken, now_ms, &self.pace);
        items.min(usize::try_from(taken).unwrap_or(0) * MAX_READ_ITEMS)
    }

    /// How long until a look may read heads and chunks.
    fn wait_ms(&self, now_ms: i64) -> i64 {
        self.budget.lock().wait_ms(2, now_ms, &self.pace)
    }

    fn allowed_items(&self, now_ms: i64) -> usize {
        let allowed = self.budget.lock().allowed(now_ms, &self.pace);
        usize::try_from(allowed).unwrap_or(0) * MAX_READ_ITEMS
    }
}

/// The reads that so many items need.
fn reads(items: usize) -> i64 {
    i64::try_from(items.div_ceil(MAX_READ_ITEMS)).unwrap_or(i64::MAX)
}

fn missing(drafts: &[Draft]) -> Vec<(CityId, ChunkName)> {
    let of_one = |draft: &Draft| {
        let city = draft.head.city.clone();
        draft.missing.clone().into_iter().map(move |name| (city.clone(), name))
    };
    drafts.iter().flat_map(of_one).collect()
}
