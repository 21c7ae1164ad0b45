//! `ingest` on AWS: receives requests from API Gateway, writes events to a Kinesis stream.

use std::time::Duration;

use equilibrium_admission::Admission;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dynamodb::{self, Policies, Tables, WatermarkBoard};
use equilibrium_aws::issuer_keys;
use equilibrium_aws::kinesis::{self, Events, Streams};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use equilibrium_aws::secrets::{self, SECRET_TIMEOUT};
use equilibrium_aws::system_timer::SystemTimer;

/// A stream that does not take a request's events within a second has them sent again: clients wait better than
/// invocations, each of which holds an instance of the function.
const STREAM_RETRY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(1),
    attempt_timeout: Duration::from_millis(400),
    max_attempts: 3,
};

/// The watermark board stands in the way of one response per tick and instance; without it ticks are announced more slowly.
const BOARD_RETRY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_millis(300),
    attempt_timeout: Duration::from_millis(140),
    max_attempts: 2,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, lanes, limits, cache, (access, rates)), sdk) = runtime::start(|variables| {
        let (lanes, limits, cache) = (variables.lanes(), variables.limits(), resources::cache(variables));
        (resources::deployment(variables), lanes, limits, cache, (variables.access(), variables.rates()))
    })
    .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    let kinesis = kinesis::Connection::new(&sdk, STREAM_RETRY);
    let board = WatermarkBoard::new(&dynamodb::Connection::new(&sdk, BOARD_RETRY), &tables);
    // The cache looks again by itself.
    let once = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let policy_cache = &PolicyCache::new(Policies::new(&once, &tables), limits, tokio::time::sleep);
    policy_cache.policies(system_now_ms()).await.ok();
    let key = secrets::pseudonym_key(&sdk, &deployment, SECRET_TIMEOUT).await?;
    let events = Events::new(&kinesis, &streams, lanes);
    let ingester = &Ingester::new(events, lanes, key, board, SystemTimer, Pace::FLEET);
    let shared_rates = Cache::optional(cache.as_ref())?.as_ref().map(Cache::rates);
    let admission = &Admission::new(issuer_keys::tokens(access)?, rates, (shared_rates, tokio::time::sleep));
    admission.refresh(system_now_ms()).await;

    let name = FunctionName { deployment: &deployment, function: "ingest" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let handled = equilibrium_ingest::handle_event(admission, ingester, &payload, policy_cache, now_ms);
        let (response, metrics) = handled.await?;
        Ok((response, metrics.measures()))
    };
    let finish = async || {
        policy_cache.finish().await;
        admission.refresh(system_now_ms()).await;
    };
    runtime::run(name, handle, finish).await
}
