//! The functions that answer requests, and what they share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_app::price::map_reader::{MapReader, Timer};
use equilibrium_http::{Problem, Request, Response};

use crate::workload::driver::EventSink;
use equilibrium_app::clock::Clock;
use equilibrium_embedded::store::Store;

/// The runtime's time.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeTimer;

impl Timer for RuntimeTimer {
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

/// The maps, as the store in the same process has them.
pub type Maps = MapReader<Store, NoOp, RuntimeTimer>;

/// Answers requests by the function that each is for.
#[derive(Debug)]
pub struct LocalApi {
    ingester: Ingester<Store>,
    maps: Maps,
    book: Arc<PolicySet>,
    clock: Clock,
    accepted: AtomicU64,
    refused: AtomicU64,
    index: String,
}

impl LocalApi {
    /// A host of the store's events and maps; `index` is what it says of itself.
    #[must_use]
    pub fn new(store: &Store, book: Arc<PolicySet>, index: String) -> Self {
        Self {
            ingester: Ingester::new(store.clone(), store.lanes()),
            maps: MapReader::new(store.clone(), NoOp, RuntimeTimer),
            book,
            clock: store.clock(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            index,
        }
    }

    /// The policies it answers by.
    #[must_use]
    pub fn book(&self) -> &Arc<PolicySet> {
        &self.book
    }

    /// The maps it answers from.
    #[must_use]
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Events accepted and refused so far.
    #[must_use]
    pub fn ingest_totals(&self) -> (u64, u64) {
        (self.accepted.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Answers one request.
    pub async fn respond(&self, request: &Request<'_>) -> Response {
        let now_ms = self.clock.now_ms();
        match request.path {
            "/v1/events" => {
                let answer = equilibrium_ingest::respond(&self.ingester, request, &self.book, now_ms);
                let (response, tally) = answer.await;
                self.accepted.fetch_add(tally.accepted, Ordering::Relaxed);
                self.refused.fetch_add(tally.refused.iter().sum(), Ordering::Relaxed);
                response
            }
            "/" => self.print(request),
            _ => equilibrium_price::respond(&self.maps, request, &self.book, now_ms).await,
        }
    }

    fn print(&self, request: &Request<'_>) -> Response {
        let mut response = Response::empty(200).with("content-type", "text/plain; charset=utf-8");
        match request.method {
            "GET" => response.body = self.index.clone().into_bytes(),
            "HEAD" => {}
            _ => return Problem::method_not_allowed("GET, HEAD").into(),
        }
        response
    }
}

impl EventSink for Arc<LocalApi> {
    async fn post(&self, body: &[u8]) -> io::Result<bool> {
        let headers = [("content-type".into(), "application/x-ndjson".into())];
        let request = Request { method: "POST", path: "/v1/events", query: "", headers: &headers, body };
        Ok(self.respond(&request).await.status != 503)
    }
}
