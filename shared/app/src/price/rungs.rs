//! The ladder of CONTRACT §6, evaluated beside answers: a rung that only a disaster uses would fail unseen until then.
//!
//! Of the answers of an instance the first and every thousandth are compared with what each rung would have answered, after
//! the response. `fresh` and the rung that answered must give the same price again. `cached` reads cache and store again: each
//! must have a recent map, and where it is the version in memory, the same price. `static` and `degraded` must give a price
//! within the bounds in force. Failures are metrics by rung; so is by how many checks the fallback's price would have
//! differed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::{Multiplier, Policy};
use equilibrium_domain::surge::fallback::{CACHED_MS, Fallback, Mode};
use equilibrium_domain::surge::map::{MapHead, Row};
use parking_lot::Mutex;

use crate::policy::bounds::BoundsInForce;
use crate::policy::policy_set::CityConfig;
use crate::price::city_map::{Chunk, CityMap};
use crate::price::look::Sources;
use crate::price::metrics::RungMetrics;
use crate::price::patience::LOOK_TIMEOUT;
use crate::price::ports::{Consistency, MapStore};
use crate::price::report::{FrozenMaps, Reporting};
use crate::timer::{Timer, is_within, with_timeout};

/// Of so many answers of an instance one is compared.
pub const SAMPLED_OF: u64 = 1_000;

/// The least time between two comparisons, in milliseconds: each reads cache and store.
pub const SAMPLE_INTERVAL_MS: i64 = 10_000;

/// By how many ticks the map of a tier may be older than the one in memory.
const MAX_LAG_TICKS: i64 = 2;

/// Which answers are compared, and the one that is next.
#[derive(Debug, Default)]
pub(super) struct RungSamples {
    answers: AtomicU64,
    /// Whether `state` has a next one: read without its lock.
    is_waiting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken_at_ms: Option<i64>,
    next: Option<Sample>,
}

/// An answer, with what it was worked out from.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) city: CityConfig,
    pub(super) bounds: Arc<BoundsInForce>,
    pub(super) frozen: FrozenMaps,
    pub(super) map: Option<Arc<CityMap>>,
    pub(super) now_ms: i64,
    /// The product's index in the policy.
    pub(super) product: usize,
    pub(super) cell: Cell,
    pub(super) mode: Mode,
    pub(super) answered: Multiplier,
}

impl RungSamples {
    /// Counts an answer at `now_ms`, and keeps it if it is one of those that are compared.
    pub(super) fn count(&self, now_ms: i64, sample: impl FnOnce() -> Sample) {
        if !self.answers.fetch_add(1, Relaxed).is_multiple_of(SAMPLED_OF) {
            return;
        }
        let mut state = self.state.lock();
        if is_within(state.taken_at_ms, SAMPLE_INTERVAL_MS, now_ms) {
            return;
        }
        *state = State { taken_at_ms: Some(now_ms), next: Some(sample()) };
        self.is_waiting.store(true, Relaxed);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting.load(Relaxed)
    }

    pub(super) fn take(&self) -> Option<Sample> {
        if self.is_waiting.swap(false, Relaxed) { self.state.lock().next.take() } else { None }
    }
}

impl Sample {
    /// Compares the answer with every rung.
    pub(super) async fn check<M, K, T>(&self, sources: &Sources<M, K, T>) -> RungMetrics
    where
        M: MapStore,
        K: MapStore,
        T: Timer,
    {
        let is_cached = with_timeout(&sources.timer, LOOK_TIMEOUT, self.is_cached_in(sources)).await;
        self.compare(is_cached.unwrap_or(false))
    }

    fn policy(&self) -> &Policy {
        &self.city.pricing.policy
    }

    /// The price of a rung, given the row of the map, if there is one.
    fn price(&self, mode: Mode, row: Option<&Row>) -> Multiplier {
        let as_of_ms = self.map.as_ref().map(|map| map.head().as_of);
        let fallback = Fallback::in_mode(self.policy(), as_of_ms, mode, self.now_ms);
        let reporting = Reporting { bounds: &self.bounds, fallback: &fallback, frozen: &self.frozen };
        let product = &self.policy().products[self.product];
        reporting.cell((self.product, product.id.as_str()), self.cell, row).multiplier
    }

    fn row<'a>(&self, map: Option<&'a CityMap>) -> Option<&'a Row> {
        let map = map?;
        map.row(map.product(self.policy().products[self.product].id.as_str())?, self.cell)
    }

    fn compare(&self, is_cached: bool) -> RungMetrics {
        let row = self.row(self.map.as_deref());
        let prices =
            [Mode::Fresh, Mode::Cached, Mode::Static, Mode::Degraded].map(|mode| self.price(mode, row));
        let bounds = self.bounds.at(self.product, self.cell);
        // Bounds leave a price as it is that is within them.
        let is_bound = |price: Multiplier| bounds.report(price.into()).0 == price;
        let has_table = self.policy().static_hours.is_some();
        let [_, _, of_table, of_nothing] = prices;
        let mut gives =
            [self.mode == Mode::Fresh, is_cached, !has_table || is_bound(of_table), is_bound(of_nothing)];
        gives[self.mode as usize] &= prices[self.mode as usize] == self.answered;
        RungMetrics {
            checks: 1,
            failures: gives.map(|gives| u64::from(!gives)),
            differences: [has_table && of_table != self.answered, of_nothing != self.answered].map(u64::from),
        }
    }

    /// Whether cache and store each have a recent map of the city, with the price in memory where it is of that version.
    async fn is_cached_in<M: MapStore, K: MapStore, T: Send + Sync>(
        &self,
        sources: &Sources<M, K, T>,
    ) -> bool {
        let in_cache = !sources.cache.exists() || self.is_in(&sources.cache, sources).await;
        // A head and a chunk: the reads of looks wait for these.
        sources.budget.lock().owe(2, self.now_ms, &sources.pace);
        self.is_in(&sources.store, sources).await && in_cache
    }

    async fn is_in<M, K, T: Send + Sync>(&self, tier: &impl MapStore, sources: &Sources<M, K, T>) -> bool
    where
        M: MapStore,
        K: MapStore,
    {
        let Ok(Some(head)) = tier.head(&self.policy().city).await else { return false };
        let Some(map) = &self.map else { return false };
        let lag_ms = map.head().as_of - head.as_of;
        if self.now_ms - head.as_of > CACHED_MS || lag_ms > MAX_LAG_TICKS * self.policy().clock.tick_ms {
            return false;
        }
        let is_same = (head.version, head.began_ms) == (map.head().version, map.head().began_ms);
        let Some(read) = self.chunk(head, tier, sources).await else { return false };
        let [read, known] = [read.as_ref(), Some(&**map)].map(|map| self.price(Mode::Cached, self.row(map)));
        !is_same || read == known
    }

    /// A map of the one chunk that has the cell, if there is one: `None` where it cannot be read.
    async fn chunk<M: MapStore, K: MapStore, T: Send + Sync>(
        &self,
        head: MapHead,
        tier: &impl MapStore,
        sources: &Sources<M, K, T>,
    ) -> Option<Option<CityMap>> {
        let parent_of = |level| Some(Cell(self.cell.h3()?.parent(level)?.into()));
        let level = head.chunks.first().and_then(|name| Some(name.parent.h3()?.resolution()));
        let parent = level.and_then(parent_of);
        let Some(name) = head.chunks.iter().copied().find(|name| Some(name.parent) == parent) else {
            return Some(None);
        };
        let names = [(head.city.clone(), name)];
        let bytes = tier.chunks(&names, Consistency::Strong).await.ok()?.pop()??;
        let rows = sources.decode(&head, &bytes)?;
        Some(Some(CityMap { head, chunks: vec![Chunk { name, rows }] }))
    }
}
