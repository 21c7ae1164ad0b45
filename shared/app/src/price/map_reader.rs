//! The cities' maps in memory: read at start, and refreshed beside the answers.
//!
//! A request is answered by the map in memory while that is fresh (CONTRACT §6). If the next map is due, the request begins
//! a look for it, or continues the one under way, without waiting (single flight; stale-while-revalidate, RFC 5861). A
//! request for a city without a fresh map waits for a look: a second at most, and less while looks fail ([`patience`]). The
//! time of the next look is learned ([`super::schedule`]). A look reads the cache; once a map is overdue by a whole tick it also reads the store, for the
//! cache may be stale (cache bypass).
//!
//! Lambda freezes an instance between requests, so no task runs in the background: a look is a shared future that
//! requests poll, and [`MapReader::finish`] continues it once a response is sent.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Clock;
use equilibrium_domain::surge::bounds::Bounds;
use equilibrium_domain::surge::fallback::{CACHED_MS, FRESH_MS};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use xxhash_rust::xxh3::xxh3_64;

use crate::price::city_map::CityMap;
use crate::price::frozen::FrozenReader;
use crate::price::look::{Finding, Sources, Wanted, look};
use crate::price::metrics::MapReaderMetrics;
use crate::price::patience::{LOOK_ABANDONED_MS, patience};
use crate::price::ports::MapStore;
use crate::price::report::FrozenMaps;
use crate::price::rungs::{RungSamples, Sample};
use crate::price::schedule::{Pace, Schedule};
use crate::price::tier::{Tier, TierCounts};
use crate::timer::{Timer, is_within, with_timeout};

/// A city that no request asked for during this time is not looked for, in milliseconds.
pub const ASKED_MS: i64 = 10_000;

/// Cities whose looks are due within this time are looked for together, in milliseconds.
const TOGETHER_MS: i64 = 50;

/// The least time between two looks for the head of a city whose map no request needs, in milliseconds.
const HEAD_INTERVAL_MS: i64 = 1_000;

/// The maps of all cities, each at the newest version that this instance has read.
#[derive(Debug)]
pub struct MapReader<M, K, T> {
    sources: Arc<Sources<M, K, T>>,
    cities: RwLock<HashMap<CityId, Arc<Mutex<CityEntry>>>>,
    frozen: FrozenReader,
    rungs: RungSamples,
    current: Mutex<Current>,
    /// Whether a look is under way: read without the lock of `current`.
    is_looking: AtomicBool,
    /// Whether a read of the last look failed, of any city.
    is_failing: AtomicBool,
    /// Whether a map was needed of a city that is overdue by two ticks.
    is_overdue: AtomicBool,
}

#[derive(Debug)]
struct Current {
    look: Option<Look>,
    /// The state of the random numbers.
    random: u64,
}

/// A city's map, and when to look for the next.
#[derive(Debug)]
struct CityEntry {
    clock: Clock,
    map: Option<Arc<CityMap>>,
    /// The tick of the newest head, whether or not its map is in memory.
    as_of_ms: Option<i64>,
    schedule: Schedule,
    /// When a request last needed the map.
    asked_at_ms: Option<i64>,
    /// When a request last needed the age of the map alone.
    age_asked_at_ms: Option<i64>,
    head_looked_at_ms: Option<i64>,
    cache_bypassed_at_ms: Option<i64>,
    /// Whether the last look was not allowed to read what it needed.
    is_postponed: bool,
    /// Looks of which a read failed, or that did not end, since the last one that succeeded.
    failures: u32,
    /// Where the map was read.
    tier: Tier,
}

#[derive(Clone, Debug)]
struct Look {
    began_at_ms: i64,
    /// Each city, and whether its map is looked for, or its head alone.
    cities: Arc<[(CityId, bool)]>,
    result: Shared<BoxFuture<'static, Arc<[Finding]>>>,
}

/// What a request without a fresh map does next.
enum Step {
    Join(Look),
    WaitMs(i64),
    Again,
    Done,
}

/// How far a look has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completion {
    UnderWay,
    Ended,
    GivenUp,
}

impl<M, K, T> MapReader<M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    /// A reader without any map yet, of a store that other instances read, too.
    pub fn new(store: M, cache: K, timer: T) -> Self {
        Self::with_pace(store, cache, timer, Pace::SHARED_STORE)
    }

    /// A reader that looks at this pace.
    pub fn with_pace(store: M, cache: K, timer: T, pace: Pace) -> Self {
        let (budget, metrics, hits) = (Mutex::default(), Mutex::default(), TierCounts::default());
        let sources = Sources { store, cache, timer, pace, budget, metrics, hits };
        // The standard library's hasher takes its keys from the operating system's random numbers.
        let current = Current { look: None, random: RandomState::new().hash_one(0) };
        Self {
            sources: Arc::new(sources),
            cities: RwLock::default(),
            frozen: FrozenReader::default(),
            rungs: RungSamples::default(),
            current: Mutex::new(current),
            is_looking: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            is_overdue: AtomicBool::new(false),
        }
    }

    /// The city's map at `now_ms`, in milliseconds since the epoch: the one in memory if it is fresh, else the newest that
    /// a look finds within a second. `None` before the city's first map.
    pub async fn map(&self, city: &CityId, clock: Clock, now_ms: i64) -> Option<Arc<CityMap>> {
        let entry = self.entry(city, clock);
        let (map, is_due, is_failing) = {
            let mut entry = entry.lock();
            entry.clock = clock;
            entry.asked_at_ms = Some(now_ms);
            (entry.map.clone(), entry.schedule.is_due(now_ms), entry.is_failing())
        };
        if map.as_ref().is_some_and(|map| clock.is_overdue_by_two(map.head.as_of, now_ms)) {
            self.is_overdue.store(true, Ordering::Relaxed);
        }
        if map.as_ref().is_some_and(|map| is_fresh(map.head.as_of, now_ms)) {
            self.sources.hits.hit(Tier::Memory);
            if !is_due && !self.is_looking.load(Ordering::Acquire) {
                return map;
            }
            self.poll(is_due, now_ms);
            return entry.lock().map.clone();
        }
        let wait = self.wait_for_map(city, &entry, now_ms);
        if with_timeout(&self.sources.timer, patience(is_failing), wait).await.is_none() {
            self.sources.count(|metrics| metrics.refresh_timeouts += 1);
            entry.lock().failures += 1;
        }
        let entry = entry.lock();
        let is_read = entry.map.as_ref().map(|map| map.head.version) != map.map(|map| map.head.version);
        match entry.map.as_ref().filter(|map| now_ms - map.head.as_of <= CACHED_MS) {
            Some(_) => self.sources.hits.hit(if is_read { entry.tier } else { Tier::Memory }),
            None => self.sources.hits.miss(),
        }
        entry.map.clone()
    }

    /// The tick of each city's newest map, in milliseconds since the epoch, as far as it is known within
    /// a second. Heads alone are read for this, those of all cities together.
    pub async fn ages<'a>(
        &self,
        cities: impl Iterator<Item = (&'a CityId, Clock)> + Send,
        now_ms: i64,
    ) -> Vec<Option<i64>> {
        let entries: Vec<_> = cities.map(|(city, clock)| self.entry(city, clock)).collect();
        let mut is_due = false;
        let mut is_missing = false;
        let mut is_failing = false;
        for entry in &entries {
            let mut entry = entry.lock();
            is_failing |= entry.is_failing();
            entry.age_asked_at_ms = Some(now_ms);
            let is_fresh = entry.as_of_ms.is_some_and(|as_of_ms| is_fresh(as_of_ms, now_ms));
            let city_is_due = entry.is_due(now_ms);
            is_due |= city_is_due;
            is_missing |= city_is_due && !is_fresh;
        }
        if is_missing && let Some(look) = self.current(now_ms, is_due) {
            let result = with_timeout(&self.sources.timer, patience(is_failing), look.result.clone()).await;
            self.complete(&look, result.as_ref(), now_ms);
        }
        self.poll(is_due, now_ms);
        entries.iter().map(|entry| entry.lock().as_of_ms).collect()
    }

    /// Reads the maps of all these cities, as far as that is done within a second, for a start.
    pub async fn read_all<'a>(&self, cities: impl Iterator<Item = (&'a CityId, Clock)> + Send, now_ms: i64) {
        for (city, clock) in cities {
            self.entry(city, clock).lock().asked_at_ms = Some(now_ms);
        }
        drop(self.current(now_ms, true));
        self.finish().await;
    }

    /// Waits for the look under way, if there is one, for as long as a request would, and compares an answer with the ladder
    /// ([`Self::check_rungs`]) now and then. Lambda freezes an instance between two
    /// invocations; this is for the time after a response is sent and before the next invocation.
    pub async fn finish(&self) {
        let is_looking = self.is_looking.load(Ordering::Acquire);
        let look = if is_looking { self.current.lock().look.clone() } else { None };
        if let Some(look) = look {
            // While reads fail the next invocation continues the look: waiting here would keep the instance from requests.
            let timeout = patience(self.is_failing.load(Ordering::Relaxed));
            let result = with_timeout(&self.sources.timer, timeout, look.result.clone()).await;
            self.complete(&look, result.as_ref(), look.began_at_ms);
        }
        self.check_rungs().await;
    }

    /// The maps of the freezes in force of a city whose newest tick is `as_of`, in milliseconds since the epoch. One that is not
    /// in memory is read within a second; the newest map has it until a tick after the start has closed.
    pub async fn frozen_maps(
        &self,
        city: &CityId,
        bounds: &Bounds,
        as_of: Option<i64>,
        now_ms: i64,
    ) -> FrozenMaps {
        let mut frozen = FrozenMaps::default();
        for start_ms in bounds.freezes() {
            let is_needed = as_of.is_some_and(|as_of| as_of > start_ms);
            let freeze = (city.clone(), start_ms);
            if let Some(read) = self.frozen.map(freeze, is_needed, &self.sources, now_ms).await {
                frozen.add(start_ms, read);
            }
        }
        frozen
    }

    /// Keeps an answer for [`Self::check_rungs`], which `sample` makes if it is one of those that are compared.
    pub(super) fn sample(&self, now_ms: i64, sample: impl FnOnce() -> Sample) {
        self.rungs.count(now_ms, sample);
    }

    /// Whether an answer waits to be compared.
    pub fn has_sample(&self) -> bool {
        self.rungs.is_waiting()
    }

    /// Compares the answer that waits, if there is one, with every rung; for the time after a response is sent. It takes no
    /// longer than a second.
    pub async fn check_rungs(&self) {
        if let Some(sample) = self.rungs.take() {
            let metrics = sample.check(&self.sources).await;
            self.sources.count(|sum| sum.rungs.add(&metrics));
        }
    }

    /// Whether a map was needed since the last call of a city that was overdue by two ticks (CONTRACT §6): its pipeline may
    /// have failed.
    pub fn take_overdue(&self) -> bool {
        self.is_overdue.load(Ordering::Relaxed) && self.is_overdue.swap(false, Ordering::Relaxed)
    }

    /// The metrics since the last call.
    pub fn take_metrics(&self) -> MapReaderMetrics {
        let metrics = std::mem::take(&mut *self.sources.metrics.lock());
        MapReaderMetrics { hits: self.sources.hits.take(), ..metrics }
    }

    fn entry(&self, city: &CityId, clock: Clock) -> Arc<Mutex<CityEntry>> {
        if let Some(entry) = self.cities.read().get(city) {
            return Arc::clone(entry);
        }
        let mut entries = self.cities.write();
        let entry =
            entries.entry(city.clone()).or_insert_with(|| Arc::new(Mutex::new(CityEntry::new(clock))));
        Arc::clone(entry)
    }

    /// The look under way, or else a new one if `begins`.
    fn current(&self, now_ms: i64, begins: bool) -> Option<Look> {
        let mut current = self.current.lock();
        if current.look.is_none() && begins {
            current.look = self.begin(now_ms);
            self.is_looking.store(current.look.is_some(), Ordering::Release);
        }
        current.look.clone()
    }

    /// A look for all cities that requests asked for and that are due, the oldest maps first.
    fn begin(&self, now_ms: i64) -> Option<Look> {
        let mut wanted = Vec::new();
        for (city, entry) in self.cities.read().iter() {
            wanted.extend(entry.lock().want(city, now_ms));
        }
        if wanted.is_empty() {
            return None;
        }
        self.sources.count(|metrics| metrics.refreshes += 1);
        wanted.sort_by_key(|wanted: &Wanted| wanted.known.as_ref().map(|known| known.head.as_of));
        let cities = wanted.iter().map(|wanted| (wanted.city.clone(), wanted.needs_map)).collect();
        let result = look(Arc::clone(&self.sources), wanted, now_ms);
        Some(Look { began_at_ms: now_ms, cities, result: result.boxed().shared() })
    }

    /// Continues the look under way, or a new one if one `is_due`, as far as that takes no time. One that has taken too
    /// long is continued once more before it is given up: its answers may have arrived while the instance was frozen.
    fn poll(&self, is_due: bool, now_ms: i64) {
        if let Some(look) = self.current(now_ms, is_due)
            && self.complete(&look, look.result.clone().now_or_never().as_ref(), now_ms)
                == Completion::GivenUp
            && let Some(look) = self.current(now_ms, true)
        {
            self.complete(&look, look.result.clone().now_or_never().as_ref(), now_ms);
        }
    }

    /// Waits for looks until one has ended that could read what the city needs. One more follows a look that failed: a
    /// connection is often dead after a rest, and another is opened at once.
    async fn wait_for_map(&self, city: &CityId, entry: &Mutex<CityEntry>, now_ms: i64) {
        let mut at_ms = now_ms;
        let mut failures = 0;
        loop {
            match self.next_step(entry, failures > 0, at_ms) {
                Step::Join(look) => {
                    let result = look.result.clone().await;
                    self.complete(&look, Some(&result), at_ms);
                    let is_own = look.cities.iter().any(|(other, needs_map)| *needs_map && other == city);
                    let entry = entry.lock();
                    let has_failed = entry.failures > 0;
                    failures += u32::from(is_own && has_failed);
                    if is_own && !entry.is_postponed && (!has_failed || failures > 1) {
                        return;
                    }
                }
                Step::WaitMs(ms) => {
                    self.sources.timer.sleep(Duration::from_millis(ms.unsigned_abs())).await;
                    at_ms += ms;
                }
                Step::Again => {}
                Step::Done => return,
            }
        }
    }

    fn next_step(&self, entry: &Mutex<CityEntry>, looks_again: bool, at_ms: i64) -> Step {
        let (is_due, looks_again, wait_ms) = {
            let entry = entry.lock();
            let looks_again = entry.is_postponed || looks_again && entry.failures > 0;
            (entry.schedule.is_due(at_ms), looks_again, entry.schedule.wait_ms(at_ms))
        };
        match self.current(at_ms, is_due) {
            Some(look) if is_late(&look, at_ms) => {
                self.complete(&look, look.result.clone().now_or_never().as_ref(), at_ms);
                Step::Again
            }
            Some(look) => Step::Join(look),
            None if looks_again => Step::WaitMs(wait_ms.max(1)),
            None => Step::Done,
        }
    }

    /// Takes the findings of a look, or gives it up if it has none for too long.
    fn complete(&self, look: &Look, findings: Option<&Arc<[Finding]>>, now_ms: i64) -> Completion {
        if findings.is_none() && !is_late(look, now_ms) {
            return Completion::UnderWay;
        }
        let completion = if findings.is_some() { Completion::Ended } else { Completion::GivenUp };
        let mut current = self.current.lock();
        if current.look.take_if(|current| current.result.ptr_eq(&look.result)).is_none() {
            return completion;
        }
        self.is_looking.store(false, Ordering::Release);
        let has_failed = findings.is_none_or(|findings| findings.iter().any(|finding| finding.has_failed));
        self.is_failing.store(has_failed, Ordering::Relaxed);
        let nothing = Finding { has_failed: true, ..Finding::default() };
        for (at, (city, needs_map)) in look.cities.iter().enumerate() {
            let finding = findings.map_or(&nothing, |findings| &findings[at]);
            current.random = xxh3_64(&current.random.to_le_bytes());
            let random = f64::from(u32::try_from(current.random >> 32).unwrap_or(0)) / 4_294_967_296.0;
            if let Some(entry) = self.cities.read().get(city) {
                entry.lock().take(finding, *needs_map, look.began_at_ms, &self.sources.pace, random);
            }
        }
        completion
    }
}

impl CityEntry {
    fn new(clock: Clock) -> Self {
        Self {
            clock,
            map: None,
            as_of_ms: None,
            schedule: Schedule::default(),
            asked_at_ms: None,
            age_asked_at_ms: None,
            head_looked_at_ms: None,
            cache_bypassed_at_ms: None,
            is_postponed: false,
            failures: 0,
            tier: Tier::Memory,
        }
    }

    /// When the tick after the one of `as_of_ms` is due.
    fn next_due_ms(&self, as_of_ms: i64) -> i64 {
        as_of_ms + self.clock.tick_ms + self.clock.lateness_ms
    }

    /// Whether reads fail. An instance that has no map yet looks twice before it believes that.
    fn is_failing(&self) -> bool {
        self.failures > u32::from(self.map.is_none())
    }

    fn needs_map(&self, now_ms: i64) -> bool {
        is_within(self.asked_at_ms, ASKED_MS, now_ms)
    }

    /// Whether a look for what requests need is due.
    fn is_due(&self, now_ms: i64) -> bool {
        if self.needs_map(now_ms) {
            return self.schedule.is_due(now_ms);
        }
        is_within(self.age_asked_at_ms, ASKED_MS, now_ms)
            && !is_within(self.head_looked_at_ms, HEAD_INTERVAL_MS, now_ms)
            && self.as_of_ms.is_none_or(|as_of_ms| now_ms >= self.next_due_ms(as_of_ms))
    }

    /// What a look that begins at `now_ms` is to find of this city.
    fn want(&mut self, city: &CityId, now_ms: i64) -> Option<Wanted> {
        let is_due_soon = self.needs_map(now_ms) && self.is_due(now_ms + TOGETHER_MS);
        if !is_due_soon && !self.is_due(now_ms) {
            return None;
        }
        // Overdue by a whole tick: the cache may have stopped, rather than the city. Bypassed once a tick.
        let is_overdue = self.map.as_ref().is_some_and(|map| {
            self.schedule.is_overdue(self.next_due_ms(map.head.as_of), self.clock.tick_ms, now_ms)
        });
        let bypass_cache = is_overdue && !is_within(self.cache_bypassed_at_ms, self.clock.tick_ms, now_ms);
        if bypass_cache {
            self.cache_bypassed_at_ms = Some(now_ms);
        }
        let needs_map = self.needs_map(now_ms);
        Some(Wanted { city: city.clone(), known: self.map.clone(), needs_map, bypass_cache })
    }

    /// Takes what a look that began at `began_ms` found.
    fn take(&mut self, finding: &Finding, needs_map: bool, began_ms: i64, pace: &Pace, random: f64) {
        self.as_of_ms = self.as_of_ms.max(finding.as_of_ms);
        self.head_looked_at_ms = Some(began_ms);
        if !needs_map {
            return;
        }
        self.is_postponed = finding.newer.is_none() && finding.postponed_ms.is_some();
        self.failures = if finding.has_failed { self.failures.saturating_add(1) } else { 0 };
        let is_newer = |(newer, _): &&(Arc<CityMap>, Tier)| {
            self.map.as_ref().is_none_or(|map| map.head.version < newer.head.version)
        };
        match (finding.newer.as_ref().filter(is_newer), finding.postponed_ms) {
            (Some((newer, tier)), _) => {
                let due_ms = newer.head.as_of + self.clock.lateness_ms;
                self.schedule.found(began_ms, due_ms, self.clock.tick_ms, random);
                self.map = Some(Arc::clone(newer));
                self.tier = *tier;
            }
            (None, Some(wait_ms)) => self.schedule.postponed(began_ms, wait_ms),
            (None, None) => self.schedule.missed(began_ms, pace, random),
        }
    }
}

fn is_late(look: &Look, now_ms: i64) -> bool {
    !is_within(Some(look.began_at_ms), LOOK_ABANDONED_MS + 1, now_ms)
}

fn is_fresh(as_of_ms: i64, now_ms: i64) -> bool {
    now_ms - as_of_ms <= FRESH_MS
}
