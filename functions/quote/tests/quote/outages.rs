//! Quotes while the store hangs.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use equilibrium_app::dependency::breaker::BreakerState;
use equilibrium_app::dependency::guard::Dependency;
use equilibrium_app::dependency::guarded::{Deadlines, Guarded};
use equilibrium_app::dependency::metrics::DependencyKind;
use equilibrium_app::memory::{MemoryMaps, MemoryQuotes, NoOp};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::quote::issue::Trust;
use equilibrium_app::quote::keys::{QuoteKey, QuoteKeys};
use equilibrium_app::quote::ports::{Confirmation, QuoteStore};
use equilibrium_app::quote::service::QuoteService;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::{CityId, LaneCount};
use equilibrium_domain::quote::QuoteId;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use equilibrium_http::{Request, Response};
use equilibrium_quote::Quoting;
use serde_json::json;
use tokio::time::{Instant, Sleep, sleep};

use crate::fixture::*;

type SleepFn = fn(Duration) -> Sleep;

const CALL: Duration = Duration::from_secs(2);

/// A port of a server that can hang, or do what a write asks and then hang.
#[derive(Clone, Debug, Default)]
struct Remote<P> {
    port: P,
    hangs: Arc<AtomicBool>,
    hangs_after_writes: Arc<AtomicBool>,
}

impl<P> Remote<P> {
    async fn call<R>(&self, call: impl Future<Output = R> + Send) -> R {
        if self.hangs.load(Relaxed) {
            return pending().await;
        }
        call.await
    }
}

impl QuoteStore for Remote<MemoryQuotes> {
    async fn confirmation(&self, id: QuoteId) -> Result<Option<Confirmation>, Unavailable> {
        self.call(self.port.confirmation(id)).await
    }

    async fn confirm(&self, id: QuoteId, new: &Confirmation) -> Result<Option<Confirmation>, Unavailable> {
        let before = self.call(self.port.confirm(id, new)).await;
        if self.hangs_after_writes.load(Relaxed) { pending().await } else { before }
    }

    async fn logged(&self, id: QuoteId) -> Result<(), Unavailable> {
        self.call(self.port.logged(id)).await
    }
}

impl MapStore for Remote<MemoryMaps> {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.call(self.port.save_chunk(city, name, chunk)).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.call(self.port.save_head(head)).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.call(self.port.head(city)).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.call(self.port.chunk(city, name)).await
    }
}

/// An instance of `quote` whose store can hang.
struct Instance {
    fixture: Fixture,
    quotes: Remote<MemoryQuotes>,
    calls: Arc<Dependency<SleepFn>>,
    service: QuoteService<Guarded<Remote<MemoryQuotes>, SleepFn>, QuoteKeys, Log>,
    maps: MapReader<Guarded<Remote<MemoryMaps>, SleepFn>, NoOp, SleepFn>,
    began: Instant,
}

impl Instance {
    async fn new() -> Self {
        let fixture = Fixture::priced(150).await;
        let began = Instant::now();
        let clock = move || i64::try_from(began.elapsed().as_millis()).unwrap();
        let calls = Arc::new(Dependency::new(DependencyKind::Store, clock, sleep as SleepFn));
        let quotes = Remote::<MemoryQuotes>::default();
        let maps =
            Remote { port: fixture.map_store.clone(), hangs: Arc::clone(&quotes.hangs), ..Remote::default() };
        let keys = QuoteKeys { current: QuoteKey::new(&[1; 32]).unwrap(), previous: None };
        let store = Guarded::new(quotes.clone(), &calls, Deadlines::of(CALL));
        let second = Deadlines::of(Duration::from_secs(1));
        Self {
            service: QuoteService::new(store, keys, (fixture.log.clone(), LaneCount::new(4).unwrap())),
            maps: MapReader::new(Guarded::new(maps, &calls, second), NoOp, sleep as SleepFn),
            fixture,
            quotes,
            calls,
            began,
        }
    }

    async fn ask(&self, path: &str, key: Option<&str>, body: &str) -> Response {
        let headers: Vec<_> = key.map(|key| ("idempotency-key".into(), key.into())).into_iter().collect();
        let request = Request { method: "POST", path, query: "", headers: &headers, body: body.as_bytes() };
        let quoting = Quoting { service: &self.service, maps: &self.maps };
        let now_ms = TICK + i64::try_from(self.began.elapsed().as_millis()).unwrap();
        equilibrium_quote::respond(quoting, (&request, Trust::Untrusted), &self.fixture.policies, now_ms)
            .await
    }

    async fn issue(&self) -> String {
        let response = self.ask("/v1/quotes", None, &ride().to_string()).await;
        assert_eq!(response.status, 201, "{}", body(&response));
        body(&response)["quote_id"].as_str().unwrap().to_owned()
    }

    /// The answer, and how long it took.
    async fn confirm(&self, id: &str, key: &str) -> (Response, Duration) {
        let began = Instant::now();
        let response = self.ask(&format!("/v1/quotes/{id}/confirm"), Some(key), "{}").await;
        (response, began.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn quotes_are_issued_while_the_store_hangs_and_need_none() {
    let instance = Instance::new().await;
    instance.issue().await;
    instance.quotes.hangs.store(true, Relaxed);
    let mut longest = Duration::ZERO;
    while instance.began.elapsed() < Duration::from_secs(400) {
        let began = Instant::now();
        instance.issue().await;
        longest = longest.max(began.elapsed());
        sleep(Duration::from_millis(250)).await;
    }
    println!("quotes while the store hangs: {longest:?} at most");
    assert!(longest <= Duration::from_millis(50), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_is_refused_within_its_deadline_while_the_store_hangs_and_succeeds_once_it_answers() {
    let instance = Instance::new().await;
    let id = instance.issue().await;
    instance.quotes.hangs.store(true, Relaxed);
    for attempt in 0..20 {
        let (response, took) = instance.confirm(&id, "a").await;
        assert_eq!((problem(&response).0, response.header("retry-after")), (503, Some("1")));
        let expected = if attempt < 5 { CALL } else { Duration::ZERO };
        assert_eq!(took, expected, "attempt {attempt}");
    }
    assert_eq!(instance.calls.state(), BreakerState::Open);
    instance.quotes.hangs.store(false, Relaxed);
    sleep(Duration::from_secs(1)).await;
    let (response, _) = instance.confirm(&id, "a").await;
    assert_eq!(response.status, 200, "{}", body(&response));
    assert_eq!(instance.calls.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_whose_answer_was_lost_is_found_under_its_idempotency_key() {
    let instance = Instance::new().await;
    let id = instance.issue().await;
    instance.quotes.hangs_after_writes.store(true, Relaxed);
    let (response, took) = instance.confirm(&id, "a").await;
    assert_eq!((response.status, took), (503, CALL));
    instance.quotes.hangs_after_writes.store(false, Relaxed);
    let (again, _) = instance.confirm(&id, "a").await;
    assert_eq!(again.status, 200, "the same request");
    let (other, _) = instance.confirm(&id, "b").await;
    assert_eq!(problem(&other), (409, "already_confirmed".to_owned()));
    assert_eq!(body(&again)["status"], json!("confirmed"));
}
