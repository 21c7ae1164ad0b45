//! Routes HTTP requests to the functions, as API Gateway does in a deployment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use equilibrium_app::clock::Clock;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::memory::{MemoryWatermarkBoard, NoOp};
use equilibrium_app::notify::change_log::ChangeLog;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::Pace as MapPace;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::quote::keys::QuoteKeys;
use equilibrium_app::quote::service::QuoteService;
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_embedded::store::Store;
use equilibrium_http::routes::{self, Function, STREAM};
use equilibrium_http::{Problem, Request, Response};
use equilibrium_http_server::{self as http_server, Answer};
use equilibrium_local_access::LocalAdmission;
use equilibrium_notify::Subscription;
use equilibrium_page::Basemaps;
use equilibrium_price::{EventSource, RenderedMaps};
use equilibrium_quote::Quoting;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task;
use tokio::time::Sleep;

use crate::host::clock_timer::ClockTimer;
use crate::workload::driver::EventSink;

/// The paths whose answers take long: a map has many cells, and the past is replayed.
const LONG: [&str; 4] = [
    "/v1/cities/{city}/surge",
    "/v1/cities/{city}/surge/{cell}/explain",
    "/v1/cities/{city}/history",
    "/v1/cities/{city}/policy",
];

/// Answers of these paths that are written at once.
const LONG_TURNS: usize = 2;

/// The policies in force: a saved policy takes effect without a restart.
pub type Policies = PolicyCache<Store, fn(Duration) -> Sleep, Store>;

/// Reads maps from the store of the process, without a cache.
pub type Maps = MapReader<Store, NoOp, fn(Duration) -> Sleep>;

/// Issues and confirms quotes from the store of the process.
pub type Quotes = QuoteService<Store, QuoteKeys, Store>;

/// The changes of the process's maps.
pub type Changes = ChangeLog<Arc<Policies>, Store>;

/// Responds to requests with the function that each path belongs to.
#[derive(Debug)]
pub struct LocalApi {
    store: Store,
    ingester: Arc<Ingester<Store, MemoryWatermarkBoard, ClockTimer>>,
    quotes: Quotes,
    maps: Arc<Maps>,
    rendered: RenderedMaps,
    long_turns: Semaphore,
    policies: Arc<Policies>,
    changes: Arc<Changes>,
    clock: Clock,
    accepted: AtomicU64,
    refused: AtomicU64,
    admission: LocalAdmission,
    site: Site,
}

/// What the process answers beside prices.
#[derive(Debug)]
pub struct Site {
    /// The text at `/`, for clients that do not ask for HTML.
    pub index: String,
    /// The basemaps beside the city file.
    pub basemaps: Basemaps,
    /// Where events come from, apart from the API.
    pub source: EventSource,
}

impl LocalApi {
    /// An API over the store; ids of people become pseudonyms under the first key, and the others sign quotes.
    #[must_use]
    pub fn new(
        store: &Store,
        policies: Arc<Policies>,
        (key, quote_keys): (PseudonymKey, QuoteKeys),
        (admission, site): (LocalAdmission, Site),
    ) -> Self {
        let (board, timer) = (MemoryWatermarkBoard::default(), ClockTimer(store.clock()));
        let ingester = Ingester::new(store.clone(), store.lanes(), key, board, timer, Pace::ALONE);
        Self {
            store: store.clone(),
            quotes: QuoteService::new(store.clone(), quote_keys, (store.clone(), store.lanes())),
            ingester: Arc::new(ingester),
            maps: Arc::new(MapReader::with_pace(store.clone(), NoOp, tokio::time::sleep, MapPace::OWN_STORE)),
            rendered: RenderedMaps::default(),
            long_turns: Semaphore::new(LONG_TURNS),
            changes: Arc::new(ChangeLog::new(Arc::clone(&policies), store.clone(), store.clock())),
            policies,
            clock: store.clock(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            admission,
            site,
        }
    }

    /// The policies in force.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The changes of the maps, which the pipeline records.
    #[must_use]
    pub fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// The map reader.
    #[must_use]
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Announces every tick that events have reached: those of the past, before the first price.
    pub async fn announce_due(&self) {
        self.ingester.flush().await;
    }

    /// Number of events accepted and refused so far.
    #[must_use]
    pub fn ingest_totals(&self) -> (u64, u64) {
        (self.accepted.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Responds to one request that is admitted.
    pub async fn respond(&self, request: &Request<'_>) -> Response {
        let now_ms = self.clock.now_ms();
        if let Some(response) = equilibrium_page::respond(request, &self.site.basemaps) {
            return response;
        }
        if request.path == "/" {
            return request.respond(request.require_method("GET").map(|()| self.index()));
        }
        match routes::function_at(request.path) {
            Function::Ingest => {
                let ingest = equilibrium_ingest::respond(&self.ingester, request, &*self.policies, now_ms);
                let (response, metrics) = ingest.await;
                if self.ingester.turn_ms().is_some() {
                    let ingester = Arc::clone(&self.ingester);
                    task::spawn(async move { ingester.settle().await });
                }
                self.accepted.fetch_add(metrics.accepted, Ordering::Relaxed);
                self.refused.fetch_add(metrics.refused.iter().sum(), Ordering::Relaxed);
                response
            }
            Function::Price => {
                let maps = (&*self.maps, &self.rendered, &self.site.source, &self.store);
                let response = equilibrium_price::respond(maps, request, &*self.policies, now_ms).await;
                if self.maps.has_sample() {
                    let maps = Arc::clone(&self.maps);
                    task::spawn(async move { maps.check_rungs().await });
                }
                response
            }
            Function::Quote => {
                let caller = match self.admission.caller(request).await {
                    Ok(caller) => caller,
                    Err(refused) => return refused,
                };
                let quoting = Quoting { service: &self.quotes, maps: &self.maps };
                let request = (request, equilibrium_quote::trust(&caller));
                equilibrium_quote::respond(quoting, request, &*self.policies, now_ms).await
            }
            Function::Policy => {
                let caller = match self.admission.caller(request).await {
                    Ok(caller) => caller,
                    Err(refused) => return refused,
                };
                let stores = (&self.store, &self.store, &*self.maps);
                let response = equilibrium_policy::respond(stores, (request, caller.author()), now_ms).await;
                if !matches!(request.method, "GET" | "HEAD") {
                    self.follow_policies(now_ms);
                }
                response
            }
        }
    }

    /// Brings what was saved into force without waiting for the next check.
    fn follow_policies(&self, now_ms: i64) {
        let policies = Arc::clone(&self.policies);
        task::spawn(async move { policies.newest(now_ms).await });
    }

    async fn stream(&self, request: &Request<'_>) -> Answer<Events> {
        let now_ms = self.clock.now_ms();
        match equilibrium_notify::subscribe(&self.changes, request, &*self.policies, now_ms).await {
            Ok((head, events)) if request.method == "GET" => Answer::Stream(head, Events(events)),
            result => Answer::Whole(request.respond(result.map(|(head, _)| head))),
        }
    }

    fn index(&self) -> Response {
        let response = Response::empty(200).with("content-type", "text/plain; charset=utf-8");
        let response = response.with("vary", "accept");
        Response { body: self.site.index.clone().into_bytes().into(), ..response }
    }
}

impl http_server::Handler for LocalApi {
    type Stream = Events;

    /// The function limits the size after decompression; compression may add a few bytes, for which there is a margin.
    const MAX_BODY_BYTES: usize = equilibrium_http::body::MAX_BODY_BYTES + 4_096;

    fn body_too_large() -> Problem {
        equilibrium_http::body::body_too_large()
    }

    async fn takes_body(&self, request: &Request<'_>) -> Result<bool, Problem> {
        self.admission.admit(request).await?;
        match routes::function_at(request.path) {
            Function::Ingest => equilibrium_ingest::check_head(request).map(|()| true),
            Function::Policy => equilibrium_policy::check_head(request),
            Function::Quote => equilibrium_quote::check_head(request),
            Function::Price => Ok(false),
        }
    }

    /// What takes a second, to write or to check, is done beside the threads that serve the sockets, few at a time.
    async fn respond(&self, request: &Request<'_>) -> Answer<Events> {
        if routes::matches(STREAM.path, request.path) {
            return self.stream(request).await;
        }
        if routes::find(request.path).is_none_or(|route| !LONG.contains(&route.path)) {
            return Answer::Whole(Self::respond(self, request).await);
        }
        let _turn = self.long_turns.acquire().await;
        Answer::Whole(task::block_in_place(|| Handle::current().block_on(Self::respond(self, request))))
    }
}

/// The events of one client of the change stream.
#[derive(Debug)]
pub struct Events(Subscription<Arc<Policies>, Store>);

impl http_server::Pieces for Events {
    async fn next(&mut self) -> Arc<[u8]> {
        self.0.next().await
    }
}

impl EventSink for Arc<LocalApi> {
    async fn post(&self, body: &[u8]) -> io::Result<bool> {
        let headers = [("content-type".into(), "application/x-ndjson".into())];
        let request = Request { method: "POST", path: "/v1/events", query: "", headers: &headers, body };
        Ok(self.respond(&request).await.status != 503)
    }
}
