//! Each function as the router calls it, and as probes do.

use equilibrium_app::capacity::process_load::ServedLoad;
use equilibrium_domain::capacity::system::Settings;
use std::sync::Arc;

use equilibrium_admission::Caller;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::quote::issue::Trust;
use equilibrium_http::{Problem, Request, Response};
use equilibrium_ingest::IngestMetrics;
use equilibrium_quote::Quoting;
use tokio::task;

use crate::host::router::{LocalApi, Subscribed};

impl LocalApi {
    pub(super) async fn ingest(&self, request: &Request<'_>) -> (Response, IngestMetrics) {
        let now_ms = self.clock.now_ms();
        let answer = equilibrium_ingest::respond(&self.ingester, request, &*self.policies, now_ms).await;
        if self.ingester.turn_ms().is_some() {
            let ingester = Arc::clone(&self.ingester);
            task::spawn(async move { ingester.settle().await });
        }
        answer
    }

    pub(super) async fn price(&self, request: &Request<'_>) -> Response {
        let maps = (&*self.maps, &self.rendered, &self.site.source, &self.store);
        let now_ms = self.clock.now_ms();
        let response = equilibrium_price::respond(maps, request, &*self.policies, now_ms).await;
        if self.maps.has_sample() {
            let maps = Arc::clone(&self.maps);
            task::spawn(async move { maps.check_rungs().await });
        }
        response
    }

    pub(super) async fn quote(&self, request: &Request<'_>, trust: Trust) -> Response {
        let quoting = Quoting { service: &self.quotes, maps: &self.maps };
        let now_ms = self.clock.now_ms();
        equilibrium_quote::respond(quoting, (request, trust), &*self.policies, now_ms).await
    }

    pub(super) async fn policy(&self, request: &Request<'_>, caller: &Caller) -> Response {
        let stores = (&self.store, &self.store, &*self.maps);
        let now_ms = self.clock.now_ms();
        let response = equilibrium_policy::respond(stores, (request, caller.author()), now_ms).await;
        if !matches!(request.method, "GET" | "HEAD") {
            self.follow_policies(now_ms);
        }
        response
    }

    pub(super) async fn health(&self, request: &Request<'_>, caller: &Caller) -> Response {
        equilibrium_health::respond(&self.health, (request, caller), self.clock.now_ms()).await
    }

    pub(super) async fn capacity(&self, request: &Request<'_>) -> Response {
        let source = ServedLoad { load: &self.load, policies: &*self.policies };
        let settings = Settings { lanes: self.store.lanes().get(), ..Settings::DEFAULT };
        equilibrium_capacity::respond((&source, settings), request, self.clock.now_ms()).await
    }

    /// The beginning of the stream of changes, and its events.
    pub(super) async fn subscribe(&self, request: &Request<'_>) -> Result<(Response, Subscribed), Problem> {
        let now_ms = self.clock.now_ms();
        equilibrium_notify::subscribe(&self.changes, request, &*self.policies, now_ms).await
    }

    /// Brings what was saved into force without waiting for the next check.
    fn follow_policies(&self, now_ms: i64) {
        let policies = Arc::clone(&self.policies);
        task::spawn(async move { policies.newest(now_ms).await });
    }
}
