//! The stored policies and overrides in memory: read at start, and checked for changes beside the answers. The days that laws
//! refer to are read with them.
//!
//! A check is one small read of each ([`PolicyStore::versions`], [`OverrideStore::revisions`]); what has changed since is
//! read after it. A request
//! is answered by the policies in memory while a check is under way, so long as they were checked within the last
//! [`MAX_UNCHECKED_MS`]: a saved policy is in force in every instance within five seconds (CONTRACT §7). After a longer
//! rest, as in an instance that Lambda froze, the request waits for the check, and while checks fail up to
//! [`FAILING_TIMEOUT`].
//!
//! The load, for 100 cities with 10 KB of policy each and 200 instances: the versions of 100 cities take 4 KB, at most two
//! read units of DynamoDB. A check every two seconds in every instance makes 200 units a second, where a partition serves
//! 3,000; a saved policy adds its three units once for each instance, 600 within two seconds. An instance that starts reads
//! all, 150 units (eventually consistent): twenty instances a second may start before one partition is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::bounds::OverrideSet;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, try_join, try_join_all};
use parking_lot::Mutex;

use crate::laws::ports::BoundStore;
use crate::overrides::ports::NoOverrides;
use crate::policy::policy_set::{PolicySet, ResourceLimits};
use crate::policy::ports::{PolicySource, PolicyStore, StoredPolicy};
use crate::timer::{FAILING_TIMEOUT, Timer, is_within, with_timeout};
use crate::unavailable::Unavailable;

/// The time between two checks of the store, in milliseconds.
pub const CHECK_INTERVAL_MS: i64 = 2_000;

/// Policies that were checked longer ago are not used before another check has ended, in milliseconds: the five seconds
/// of CONTRACT §7, less one for the check.
pub const MAX_UNCHECKED_MS: i64 = 4_000;

/// The least time between two checks before a refusal, in milliseconds.
pub const NEWEST_INTERVAL_MS: i64 = 1_000;

/// The least time between the beginnings of two checks of which the first failed, in milliseconds.
pub const RETRY_INTERVAL_MS: i64 = 500;

/// Overrides that have ended within this time are read, too, in milliseconds: ticks of the time before may close after it.
pub const ENDED_MS: i64 = 600_000;

/// How long a request waits for a check.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// A check that takes longer is abandoned, in milliseconds: its connection is likely dead.
const CHECK_ABANDONED_MS: i64 = 2_000;

/// The policies of a store, in memory, with what bounds multipliers beside them in another.
#[derive(Debug)]
pub struct PolicyCache<P, T, O = NoOverrides> {
    source: Arc<Source<P, O>>,
    timer: T,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Source<P, O> {
    store: P,
    bounds: O,
    limits: ResourceLimits,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// The check under way.
    check: Option<Check>,
    /// When the last check began.
    began_at_ms: Option<i64>,
    /// Whether the last check that ended failed, or did not end in time.
    is_failing: bool,
}

/// The policies as of one check.
#[derive(Clone, Debug)]
struct Known {
    policies: Arc<PolicySet>,
    /// The versions that were read, also of documents that are no valid policy.
    versions: Arc<BTreeMap<CityId, u64>>,
    /// The revisions of the overrides that were read.
    revisions: Arc<BTreeMap<CityId, u64>>,
    checked_at_ms: i64,
}

#[derive(Clone, Debug)]
struct Check {
    began_at_ms: i64,
    result: Shared<BoxFuture<'static, Result<Known, Unavailable>>>,
}

/// What a caller that needs a newer check does next.
enum NextCheck {
    Done(Arc<PolicySet>),
    Join(Check),
    WaitMs(i64),
}

impl<P: PolicyStore + 'static, T: Timer> PolicyCache<P, T> {
    /// A cache that has read nothing yet, of policies alone: counting needs no bounds.
    pub fn new(store: P, limits: ResourceLimits, timer: T) -> Self {
        Self::with_bounds(store, NoOverrides, limits, timer)
    }
}

impl<P: PolicyStore + 'static, T: Timer, O: BoundStore + 'static> PolicyCache<P, T, O> {
    /// A cache that has read nothing yet.
    pub fn with_bounds(store: P, bounds: O, limits: ResourceLimits, timer: T) -> Self {
        Self { source: Arc::new(Source { store, bounds, limits }), timer, state: Mutex::default() }
    }

    /// The store of the overrides and the days.
    pub fn bound_store(&self) -> &O {
        &self.source.bounds
    }

    /// Waits for the check under way, if there is one, for as long as a request would. Lambda freezes an instance between
    /// two invocations; this is for the time after a response is sent and before the next invocation.
    pub async fn finish(&self) {
        let check = self.state.lock().check.clone();
        if let Some(check) = check {
            let result = self.wait_for(&check, true).await;
            self.complete(&check, result, check.began_at_ms);
        }
    }

    /// The policies in memory, and the check to drive at `now_ms`: the one under way, or a new one if it is due.
    fn state_at(&self, now_ms: i64) -> (Option<Known>, Option<Check>) {
        let mut state = self.state.lock();
        if state.check.is_none() {
            let checked_at_ms = state.known.as_ref().map(|known| known.checked_at_ms);
            let is_recent = is_within(checked_at_ms, CHECK_INTERVAL_MS, now_ms)
                || is_within(state.began_at_ms, RETRY_INTERVAL_MS, now_ms);
            if !is_recent {
                self.begin(&mut state, now_ms);
            }
        }
        (state.known.clone(), state.check.clone())
    }

    fn begin(&self, state: &mut State, now_ms: i64) -> Check {
        let result = Arc::clone(&self.source).check(state.known.clone(), now_ms);
        let check = Check { began_at_ms: now_ms, result: result.boxed().shared() };
        state.began_at_ms = Some(now_ms);
        state.check = Some(check.clone());
        check
    }

    /// Takes the result of a check, or gives up one that has no result for too long.
    fn complete(&self, check: &Check, result: Option<Result<Known, Unavailable>>, now_ms: i64) {
        let is_abandoned = !is_within(Some(check.began_at_ms), CHECK_ABANDONED_MS, now_ms);
        let mut state = self.state.lock();
        if result.is_some() || is_abandoned {
            let ended = state.check.take_if(|current| current.result.ptr_eq(&check.result));
            if ended.is_some() {
                state.is_failing = !matches!(result, Some(Ok(_)));
            }
        }
        if let Some(Ok(known)) = result
            && state.known.as_ref().is_none_or(|last| last.checked_at_ms < known.checked_at_ms)
        {
            state.known = Some(known);
        }
    }

    /// The result of a check, as far as a request waits for it.
    async fn wait_for(&self, check: &Check, has_policies: bool) -> Option<Result<Known, Unavailable>> {
        let is_failing = has_policies && self.state.lock().is_failing;
        let timeout = if is_failing { FAILING_TIMEOUT } else { CHECK_TIMEOUT };
        let result = with_timeout(&self.timer, timeout, check.result.clone()).await;
        if result.is_none() {
            self.state.lock().is_failing = true;
        }
        result
    }

    fn next_check(&self, at_ms: i64, not_before_ms: i64) -> NextCheck {
        let mut state = self.state.lock();
        if let Some(known) = state.known.as_ref().filter(|known| known.checked_at_ms >= not_before_ms) {
            return NextCheck::Done(Arc::clone(&known.policies));
        }
        if let Some(check) = &state.check {
            return NextCheck::Join(check.clone());
        }
        match state.began_at_ms {
            Some(began_at_ms) if is_within(Some(began_at_ms), NEWEST_INTERVAL_MS, at_ms) => {
                NextCheck::WaitMs(began_at_ms + NEWEST_INTERVAL_MS - at_ms)
            }
            _ => NextCheck::Join(self.begin(&mut state, at_ms)),
        }
    }
}

impl<P: PolicyStore, O: BoundStore> Source<P, O> {
    /// Reads the policies whose versions differ from those of `known`, and the overrides whose revisions do. The others are
    /// kept as they are.
    async fn check(self: Arc<Self>, known: Option<Known>, now_ms: i64) -> Result<Known, Unavailable> {
        let (versions, revisions) = try_join(self.store.versions(), self.bounds.revisions()).await?;
        let versions: BTreeMap<CityId, u64> = versions.into_iter().collect();
        let revisions: BTreeMap<CityId, u64> = revisions.into_iter().collect();
        let is_same = |known: &Known| *known.versions == versions && *known.revisions == revisions;
        let known = match known {
            Some(known) if is_same(&known) => Known { checked_at_ms: now_ms, ..known },
            known => self.read(known, (versions, revisions), now_ms).await?,
        };
        self.read_days(&known.policies, now_ms).await?;
        Ok(known)
    }

    /// Reads the days that laws refer to, of the cities where it is time to.
    async fn read_days(&self, policies: &PolicySet, now_ms: i64) -> Result<(), Unavailable> {
        let due = policies.cities(None).filter_map(|config| {
            let policy = &config.pricing.policy;
            let (first, last) = config.bounds.days().due(policy, now_ms)?;
            Some(async move {
                let days = self.bounds.days(&policy.city, first, last).await?;
                config.bounds.days().take(first, days, now_ms);
                Ok(())
            })
        });
        try_join_all(due).await.map(drop)
    }

    /// A stored document that is not a valid policy leaves its city undefined and affects no other city.
    async fn read(
        &self,
        known: Option<Known>,
        (versions, revisions): (BTreeMap<CityId, u64>, BTreeMap<CityId, u64>),
        now_ms: i64,
    ) -> Result<Known, Unavailable> {
        let overrides = self.changed_overrides(known.as_ref(), &revisions, now_ms);
        let is_known = |city: &CityId, version: u64| {
            known.as_ref().is_some_and(|known| known.versions.get(city) == Some(&version))
        };
        let changed = versions.iter().filter(|(city, version)| !is_known(city, **version));
        let changed: Vec<(CityId, u64)> = changed.map(|(city, version)| (city.clone(), *version)).collect();
        let (stored, overrides) = try_join(self.store.read(&changed), overrides).await?;
        let policies = stored.iter().filter_map(|StoredPolicy { version, document, .. }| {
            let document = serde_json::from_str(document).ok()?;
            Some((*version, Policy::from_json(&document).ok()?))
        });
        let policies = match &known {
            Some(Known { policies: before, .. }) => before.with(policies, |city| {
                versions.contains_key(city) && !changed.iter().any(|(other, _)| other == city)
            }),
            None => PolicySet::of_versions(policies, self.limits),
        };
        let policies = Arc::new(policies.with_overrides(overrides));
        let (versions, revisions) = (Arc::new(versions), Arc::new(revisions));
        Ok(Known { policies, versions, revisions, checked_at_ms: now_ms })
    }

    /// The overrides of the cities whose revisions differ from those that are known.
    async fn changed_overrides(
        &self,
        known: Option<&Known>,
        revisions: &BTreeMap<CityId, u64>,
        now_ms: i64,
    ) -> Result<Vec<(CityId, OverrideSet)>, Unavailable> {
        let is_known = |city: &CityId, revision| {
            known.is_some_and(|known| {
                known.revisions.get(city) == Some(revision) && known.policies.city(city.as_str()).is_some()
            })
        };
        let changed = revisions.iter().filter(|(city, revision)| !is_known(city, revision));
        let read = changed
            .map(async |(city, _)| Ok((city.clone(), self.bounds.not_ended(city, now_ms - ENDED_MS).await?)));
        try_join_all(read).await
    }
}

impl<P: PolicyStore + 'static, T: Timer, O: BoundStore + 'static> PolicySource for PolicyCache<P, T, O> {
    /// If the store is unavailable, the policies read last stay in force.
    async fn policies(&self, now_ms: i64) -> Result<Arc<PolicySet>, Unavailable> {
        let (mut known, mut check) = self.state_at(now_ms);
        // Its answer may have arrived while the instance was frozen; else it is given up, and another begins.
        if let Some(late) =
            check.take_if(|check| !is_within(Some(check.began_at_ms), CHECK_ABANDONED_MS, now_ms))
        {
            self.complete(&late, late.result.clone().now_or_never(), now_ms);
            (known, check) = self.state_at(now_ms);
        }
        if let Some(check) = check {
            let checked_at_ms = known.as_ref().map(|known| known.checked_at_ms);
            let result = if is_within(checked_at_ms, MAX_UNCHECKED_MS, now_ms) {
                check.result.clone().now_or_never()
            } else {
                let has_policies = known.is_some();
                self.wait_for(&check, has_policies).await
            };
            self.complete(&check, result, now_ms);
            known = self.state.lock().known.clone();
        }
        known.map(|known| known.policies).ok_or(Unavailable)
    }

    /// At most one check a second begins here.
    async fn newest(&self, now_ms: i64) -> Option<Arc<PolicySet>> {
        let mut at_ms = now_ms;
        loop {
            match self.next_check(at_ms, now_ms) {
                NextCheck::Done(policies) => return Some(policies),
                NextCheck::WaitMs(ms) => {
                    self.timer.sleep(Duration::from_millis(ms.unsigned_abs())).await;
                    at_ms += ms;
                }
                NextCheck::Join(check) => {
                    let result = with_timeout(&self.timer, CHECK_TIMEOUT, check.result.clone()).await;
                    let has_failed = !matches!(result, Some(Ok(_)));
                    self.complete(&check, result, at_ms);
                    if has_failed {
                        self.state.lock().check.take_if(|current| current.result.ptr_eq(&check.result));
                        if check.began_at_ms >= now_ms {
                            return None;
                        }
                    }
                }
            }
        }
    }
}

impl<P: PolicyStore + 'static, T: Timer, O: BoundStore + 'static> PolicySource for Arc<PolicyCache<P, T, O>> {
    async fn policies(&self, now_ms: i64) -> Result<Arc<PolicySet>, Unavailable> {
        PolicyCache::policies(self, now_ms).await
    }

    async fn newest(&self, now_ms: i64) -> Option<Arc<PolicySet>> {
        PolicyCache::newest(self, now_ms).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

    use super::*;
    use crate::memory::MemoryPolicies;
    use crate::policy::ports::{NewVersion, ReplaceError, SavedVersion};

    fn document(city: &str, name: &str) -> String {
        format!(
            r#"{{"city": "{city}", "name": "{name}", "currency": "USD", "products": [{{"id": "standard"}}],
            "boundary": {{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}}}}"#
        )
    }

    async fn save(store: &MemoryPolicies, city: &str, document: &str, after: Option<u64>) {
        store.save(&CityId::new(city).unwrap(), NewVersion::local(document), after).await.unwrap();
    }

    fn name(policies: &PolicySet, city: &str) -> Option<String> {
        Some(policies.city(city)?.pricing.policy.name.clone())
    }

    /// A store that can be slow or down, and counts its reads.
    #[derive(Clone, Default)]
    struct Counted {
        store: MemoryPolicies,
        delay_ms: Arc<AtomicU64>,
        down: Arc<AtomicBool>,
        versions: Arc<AtomicU64>,
        documents: Arc<AtomicU64>,
    }

    impl Counted {
        async fn answer(&self) -> Result<(), Unavailable> {
            tokio::time::sleep(Duration::from_millis(self.delay_ms.load(Relaxed))).await;
            if self.down.load(Relaxed) { Err(Unavailable) } else { Ok(()) }
        }

        fn reads(&self) -> (u64, u64) {
            (self.versions.load(Relaxed), self.documents.load(Relaxed))
        }

        fn cache(&self) -> PolicyCache<Self, fn(Duration) -> tokio::time::Sleep> {
            PolicyCache::new(self.clone(), ResourceLimits::default(), tokio::time::sleep)
        }
    }

    impl PolicyStore for Counted {
        async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
            self.versions.fetch_add(1, Relaxed);
            self.answer().await?;
            self.store.versions().await
        }

        async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
            self.documents.fetch_add(cities.len() as u64, Relaxed);
            self.answer().await?;
            self.store.read(cities).await
        }

        async fn save(
            &self,
            city: &CityId,
            new: NewVersion<'_>,
            after: Option<u64>,
        ) -> Result<u64, ReplaceError> {
            self.store.save(city, new, after).await
        }

        async fn saved_versions(
            &self,
            city: &CityId,
            below: Option<u64>,
            limit: usize,
            now_ms: i64,
        ) -> Result<Vec<SavedVersion>, Unavailable> {
            self.store.saved_versions(city, below, limit, now_ms).await
        }

        async fn version(
            &self,
            city: &CityId,
            version: u64,
            now_ms: i64,
        ) -> Result<Option<StoredPolicy>, Unavailable> {
            self.store.version(city, version, now_ms).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_policy_takes_effect_within_five_seconds_and_is_read_alone() {
        let store = Counted::default();
        save(&store.store, "nyc", &document("nyc", "one"), None).await;
        save(&store.store, "oslo", &document("oslo", "kept"), None).await;
        let cache = store.cache();
        let first = cache.policies(1_000).await.unwrap();
        assert_eq!((name(&first, "nyc").as_deref(), store.reads()), (Some("one"), (1, 2)));

        save(&store.store, "nyc", &document("nyc", "two"), Some(1)).await;
        save(&store.store, "suva", &document("suva", "new"), None).await;
        let soon = cache.policies(1_000 + CHECK_INTERVAL_MS - 1).await.unwrap();
        assert!(Arc::ptr_eq(&first, &soon));
        // Checked beside the answer of another request, or waited for after a rest.
        let later = cache.policies(1_000 + MAX_UNCHECKED_MS).await.unwrap();
        assert_eq!(name(&later, "nyc").as_deref(), Some("two"));
        assert_eq!(name(&later, "suva").as_deref(), Some("new"));
        assert_eq!(store.reads(), (2, 4), "the policy of oslo is not read again");
        let kept = |set: &PolicySet| Arc::as_ptr(&set.city("oslo").unwrap().pricing);
        assert_eq!(kept(&first), kept(&later));
        let same = cache.policies(1_000 + 2 * MAX_UNCHECKED_MS).await.unwrap();
        assert!(Arc::ptr_eq(&later, &same), "unchanged policies are not rebuilt");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_is_in_no_requests_way_so_long_as_the_last_is_recent() {
        let store = Counted::default();
        save(&store.store, "nyc", &document("nyc", "one"), None).await;
        let cache = store.cache();
        cache.policies(0).await.unwrap();
        save(&store.store, "nyc", &document("nyc", "two"), Some(1)).await;
        store.delay_ms.store(30, Relaxed);
        let began = tokio::time::Instant::now();
        let known = cache.policies(CHECK_INTERVAL_MS).await.unwrap();
        assert_eq!((name(&known, "nyc").as_deref(), began.elapsed()), (Some("one"), Duration::ZERO));
        for _ in 0..100 {
            cache.policies(CHECK_INTERVAL_MS + 1).await.unwrap();
        }
        assert_eq!(store.reads().0, 2, "one check serves all");
        cache.finish().await;
        let known = cache.policies(CHECK_INTERVAL_MS + 60).await.unwrap();
        assert_eq!(name(&known, "nyc").as_deref(), Some("two"));

        let after_a_rest = cache.policies(60_000);
        save(&store.store, "nyc", &document("nyc", "three"), Some(2)).await;
        assert_eq!(name(&after_a_rest.await.unwrap(), "nyc").as_deref(), Some("three"), "waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_policies_stay_in_force_while_the_store_is_down_and_it_is_asked_twice_a_second_at_most()
    {
        let store = Counted::default();
        store.down.store(true, Relaxed);
        let cache = store.cache();
        for now_ms in 0..1_000 {
            assert!(cache.policies(now_ms).await.is_err());
        }
        assert_eq!(store.reads().0, 2);
        store.down.store(false, Relaxed);
        save(&store.store, "nyc", &document("nyc", "one"), None).await;
        cache.policies(1_000).await.unwrap();
        store.down.store(true, Relaxed);
        for now_ms in 10_000..11_000 {
            assert_eq!(name(&cache.policies(now_ms).await.unwrap(), "nyc").as_deref(), Some("one"));
        }
        assert_eq!(store.reads().0, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_for_the_first_check_of_a_store_that_hangs_and_hardly_for_the_next() {
        let store = Counted::default();
        save(&store.store, "nyc", &document("nyc", "one"), None).await;
        let cache = store.cache();
        cache.policies(0).await.unwrap();
        store.delay_ms.store(60_000, Relaxed);
        let mut waited = Vec::new();
        for now_ms in [20_000, 21_001, 22_500, 30_000] {
            let began = tokio::time::Instant::now();
            assert!(cache.policies(now_ms).await.is_ok());
            waited.push(began.elapsed());
        }
        assert_eq!(waited, [CHECK_TIMEOUT, FAILING_TIMEOUT, FAILING_TIMEOUT, FAILING_TIMEOUT]);
        // Two reads, one after the other.
        store.delay_ms.store(5, Relaxed);
        save(&store.store, "nyc", &document("nyc", "two"), Some(1)).await;
        let known = cache.policies(40_000).await.unwrap();
        assert_eq!(name(&known, "nyc").as_deref(), Some("two"), "the store has come back");
        store.delay_ms.store(500, Relaxed);
        save(&store.store, "nyc", &document("nyc", "three"), Some(2)).await;
        let known = cache.policies(60_000).await.unwrap();
        assert_eq!(name(&known, "nyc").as_deref(), Some("three"), "and is waited for again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_policies_are_read_after_the_question_and_once_a_second_at_most() {
        let store = Counted::default();
        save(&store.store, "nyc", &document("nyc", "one"), None).await;
        let cache = store.cache();
        cache.policies(0).await.unwrap();
        save(&store.store, "suva", &document("suva", "new"), None).await;
        let began = tokio::time::Instant::now();
        let newest = cache.newest(400).await.unwrap();
        assert_eq!((name(&newest, "suva").as_deref(), store.reads().0), (Some("new"), 2));
        assert_eq!(began.elapsed(), Duration::from_millis(600));
        cache.newest(900).await.unwrap();
        assert_eq!(store.reads().0, 2, "read after this question already");
        store.down.store(true, Relaxed);
        assert!(cache.newest(5_000).await.is_none());
    }

    #[tokio::test]
    async fn an_invalid_document_leaves_other_cities_defined() {
        let store = MemoryPolicies::default();
        save(&store, "bad", "{", None).await;
        save(&store, "nyc", &document("nyc", "one"), None).await;
        let policies =
            PolicyCache::new(store, ResourceLimits::default(), tokio::time::sleep).policies(0).await.unwrap();
        assert_eq!((name(&policies, "bad"), name(&policies, "nyc").as_deref()), (None, Some("one")));
    }
}
