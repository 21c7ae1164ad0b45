//! A port whose calls are those of a [`Dependency`].

use std::sync::Arc;
use std::time::Duration;

use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::overrides::Override;
use equilibrium_domain::quote::QuoteId;
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, MapHead};

use crate::checkpoint::ports::{CheckpointKey, Loaded, PastLog};
use crate::dependency::guard::{Deadline, Dependency};
use crate::history::ports::HistoryStore;
use crate::laws::ports::DayStore;
use crate::overrides::ports::{CreateError, OverrideStore};
use crate::policy::ports::{NewVersion, PolicyStore, ReplaceError, SavedVersion, StoredPolicy};
use crate::price::ports::{Consistency, MapStore};
use crate::quote::ports::{Confirmation, QuoteStore};
use crate::timer::Timer;
use crate::unavailable::Unavailable;

/// How long the calls of a port may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Of a read of heads.
    pub heads: Duration,
    /// Of a read of chunks: they are larger, and the dependency has just answered.
    pub chunks: Duration,
    /// Of any other call.
    pub call: Duration,
}

impl Deadlines {
    /// For a cache in front of a store: a look that waits longer for it has the answer of the store sooner.
    pub const CACHE: Self = Self {
        heads: Duration::from_millis(10),
        chunks: Duration::from_millis(50),
        call: Duration::from_millis(100),
    };

    /// The same for all calls.
    #[must_use]
    pub const fn of(call: Duration) -> Self {
        Self { heads: call, chunks: call, call }
    }
}

/// A port, guarded.
#[derive(Debug)]
pub struct Guarded<P, T> {
    port: P,
    dependency: Arc<Dependency<T>>,
    deadlines: Deadlines,
}

impl<P: Clone, T> Clone for Guarded<P, T> {
    fn clone(&self) -> Self {
        let dependency = Arc::clone(&self.dependency);
        Self { port: self.port.clone(), dependency, deadlines: self.deadlines }
    }
}

impl<P, T: Timer> Guarded<P, T> {
    /// A port of a dependency.
    pub fn new(port: P, dependency: &Arc<Dependency<T>>, deadlines: Deadlines) -> Self {
        Self { port, dependency: Arc::clone(dependency), deadlines }
    }

    fn deadline(&self) -> Deadline {
        Deadline::of(self.deadlines.call)
    }
}

impl<M: MapStore, T: Timer> MapStore for Guarded<M, T> {
    fn exists(&self) -> bool {
        self.port.exists()
    }

    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.dependency.call(self.deadline(), self.port.save_chunk(city, name, chunk)).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.dependency.call(self.deadline(), self.port.save_head(head)).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.dependency.call(Deadline::of(self.deadlines.heads), self.port.head(city)).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.dependency.call(Deadline::of(self.deadlines.chunks), self.port.chunk(city, name)).await
    }

    async fn save_frozen(&self, city: &CityId, start_ms: i64, map: &FrozenMap) -> Result<(), Unavailable> {
        self.dependency.call(self.deadline(), self.port.save_frozen(city, start_ms, map)).await
    }

    async fn frozen(&self, city: &CityId, start_ms: i64) -> Result<Option<FrozenMap>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.frozen(city, start_ms)).await
    }

    async fn heads(&self, cities: &[CityId]) -> Result<Vec<Option<MapHead>>, Unavailable> {
        self.dependency.call(Deadline::of(self.deadlines.heads), self.port.heads(cities)).await
    }

    async fn chunks(
        &self,
        names: &[(CityId, ChunkName)],
        consistency: Consistency,
    ) -> Result<Vec<Option<Vec<u8>>>, Unavailable> {
        let read = self.port.chunks(names, consistency);
        self.dependency.call(Deadline::of(self.deadlines.chunks), read).await
    }
}

impl<P: PolicyStore, T: Timer> PolicyStore for Guarded<P, T> {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.versions()).await
    }

    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.read(cities)).await
    }

    async fn save(
        &self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> Result<u64, ReplaceError> {
        self.dependency.call(self.deadline(), self.port.save(city, new, after)).await
    }

    async fn saved_versions(
        &self,
        city: &CityId,
        below: Option<u64>,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<SavedVersion>, Unavailable> {
        let read = self.port.saved_versions(city, below, limit, now_ms);
        self.dependency.call(self.deadline(), read).await
    }

    async fn version(
        &self,
        city: &CityId,
        version: u64,
        now_ms: i64,
    ) -> Result<Option<StoredPolicy>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.version(city, version, now_ms)).await
    }
}

impl<O: OverrideStore, T: Timer> OverrideStore for Guarded<O, T> {
    async fn revisions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.revisions()).await
    }

    async fn not_ended(&self, city: &CityId, now_ms: i64) -> Result<OverrideSet, Unavailable> {
        self.dependency.call(self.deadline(), self.port.not_ended(city, now_ms)).await
    }

    async fn create(&self, city: &CityId, new: &Override) -> Result<(), CreateError> {
        self.dependency.call(self.deadline(), self.port.create(city, new)).await
    }

    async fn end(&self, city: &CityId, id: &str, now_ms: i64) -> Result<Option<Arc<Override>>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.end(city, id, now_ms)).await
    }

    async fn one(&self, city: &CityId, id: &str) -> Result<Option<Arc<Override>>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.one(city, id)).await
    }

    async fn page(
        &self,
        city: &CityId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Override>>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.page(city, before, limit)).await
    }
}

impl<Q: QuoteStore, T: Timer> QuoteStore for Guarded<Q, T> {
    async fn confirmation(&self, id: QuoteId) -> Result<Option<Confirmation>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.confirmation(id)).await
    }

    async fn confirm(&self, id: QuoteId, new: &Confirmation) -> Result<Option<Confirmation>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.confirm(id, new)).await
    }

    async fn logged(&self, id: QuoteId) -> Result<(), Unavailable> {
        self.dependency.call(self.deadline(), self.port.logged(id)).await
    }
}

impl<L: PastLog, T: Timer> PastLog for Guarded<L, T> {
    async fn load_past(&self, key: &CheckpointKey, tick: i64) -> Result<Option<Loaded>, Unavailable> {
        let deadline = Deadline::of_long_read(self.deadlines.call);
        self.dependency.call(deadline, self.port.load_past(key, tick)).await
    }
}

impl<H: HistoryStore, T: Timer> HistoryStore for Guarded<H, T> {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.dependency.call(self.deadline(), self.port.save_history(city, key, item)).await
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        let deadline = Deadline::of_long_read(self.deadlines.call);
        self.dependency.call(deadline, self.port.history(city, from, limit)).await
    }
}

impl<D: DayStore, T: Timer> DayStore for Guarded<D, T> {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.dependency.call(self.deadline(), self.port.save_day(city, day, figures)).await
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        self.dependency.call(self.deadline(), self.port.days(city, from, to)).await
    }
}
