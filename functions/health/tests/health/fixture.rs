//! Verdicts in memory, and requests for them.

use std::future;
use std::time::Duration;

use equilibrium_admission::{Admit, Caller};
use equilibrium_app::health::prober::{Found, Probe, Prober};
use equilibrium_app::health::reader::HealthReader;
use equilibrium_app::health::run::{HealthRun, SCHEDULE_MS};
use equilibrium_app::memory::MemoryVerdicts;
use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_http::{Request, Response};
use equilibrium_openapi::conformance::assert_conforms;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::time::{Sleep, sleep};

/// 2026-02-25T06:13:20Z.
pub const NOW_MS: i64 = 1_772_000_000_000;

pub type SleepFn = fn(Duration) -> Sleep;

/// A component that serves, or does not.
struct Target(Component, bool);

impl Probe for Target {
    fn component(&self) -> Component {
        self.0
    }

    fn look(&self, _: i64) -> BoxFuture<'_, Found> {
        let look = if self.1 { Look::good(12) } else { Look::bad("cache: no answer") };
        future::ready(look.into()).boxed()
    }
}

/// The function over a store, with a target for every component of which those in `bad` fail.
pub struct Fixture {
    pub reader: HealthReader<MemoryVerdicts, SleepFn>,
    pub run: HealthRun<MemoryVerdicts, SleepFn>,
    pub store: MemoryVerdicts,
}

impl Fixture {
    pub fn new(bad: &[Component]) -> Self {
        let store = MemoryVerdicts::default();
        let target =
            |component: Component| Box::new(Target(component, !bad.contains(&component))) as Box<dyn Probe>;
        let prober = Prober::new(Component::ALL.map(target).into_iter().collect(), sleep as SleepFn);
        Self {
            reader: HealthReader::new(store.clone(), sleep as SleepFn, SCHEDULE_MS),
            run: HealthRun::new(store.clone(), prober, SCHEDULE_MS),
            store,
        }
    }

    /// The same after looks 10 s apart, the last of them now.
    pub async fn looked(bad: &[Component]) -> Self {
        let fixture = Self::new(bad);
        for ago_ms in [20_000, 10_000, 0] {
            fixture.run.look(NOW_MS - ago_ms).await;
        }
        fixture
    }

    pub async fn get_at(&self, path: &str, now_ms: i64) -> Response {
        self.send(&request("GET", path), now_ms).await
    }

    pub async fn send(&self, request: &Request<'_>, now_ms: i64) -> Response {
        let response = equilibrium_health::respond(&self.reader, (request, &Caller::ANONYMOUS), now_ms).await;
        assert_conforms(request, &response);
        response
    }

    pub async fn json(&self, path: &str) -> Value {
        let response = self.get_at(path, NOW_MS).await;
        assert_eq!(response.status, 200, "{path}");
        serde_json::from_slice(&response.body.bytes()).unwrap()
    }

    pub async fn handle(&self, admission: &impl Admit, payload: &[u8]) -> (Value, usize) {
        let parts = (&self.reader, &self.run);
        let handled = equilibrium_health::handle_event(admission, parts, payload, || NOW_MS).await;
        let (answer, looks) = handled.unwrap();
        (serde_json::from_slice(&answer).unwrap(), looks.len())
    }
}

pub fn request<'a>(method: &'a str, path: &'a str) -> Request<'a> {
    Request { method, path, query: "", headers: &[], body: b"" }
}
