//! `quote` on AWS: responds to requests from API Gateway with quotes, and keeps confirmed ones in DynamoDB.

use std::time::Duration;

use equilibrium_admission::Admission;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::quote::service::QuoteService;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dependencies::{self, of_cache, of_store};
use equilibrium_aws::dynamodb::{self, Maps, Policies, Quotes, Tables};
use equilibrium_aws::issuer_keys;
use equilibrium_aws::kinesis::{self, Events, Streams};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use equilibrium_aws::secrets::{QuoteKeySecret, SECRET_TIMEOUT};
use equilibrium_quote::Quoting;
use tokio::time::sleep;

/// The log of events stands in the way of a confirmation's response, which does not need it: what it does not take now is
/// logged later.
const LOG_RETRY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_millis(500),
    attempt_timeout: Duration::from_millis(240),
    max_attempts: 2,
};

/// A rider waits for the answer: two seconds for the read of a confirmation, and as many for its write.
const QUOTE_RETRY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(2),
    attempt_timeout: Duration::from_millis(600),
    max_attempts: 3,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, lanes, limits, cache, (access, rates)), sdk) = runtime::start(|variables| {
        let (lanes, limits, cache) = (variables.lanes(), variables.limits(), resources::cache(variables));
        (resources::deployment(variables), lanes, limits, cache, (variables.access(), variables.rates()))
    })
    .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    // Both caches look again by themselves.
    let once = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let (cache_calls, store_calls) = (&dependencies::cache(), &dependencies::store());
    let policy_cache = &PolicyCache::with_bounds(
        of_store(Policies::new(&once, &tables), store_calls, RetryPolicy::ONCE),
        of_store(dynamodb::bounds(&once, &tables), store_calls, RetryPolicy::ONCE),
        limits,
        sleep,
    );
    let map_cache = Cache::optional(cache.as_ref())?;
    let shared_rates = map_cache.as_ref().map(Cache::rates);
    let admission = &Admission::new(issuer_keys::tokens(access)?, rates, (shared_rates, sleep));
    let map_store = of_store(Maps::new(&once, &tables), store_calls, RetryPolicy::ONCE);
    let maps = &MapReader::new(map_store, of_cache(map_cache, cache_calls), sleep);
    let quotes = Quotes::new(&dynamodb::Connection::new(&sdk, QUOTE_RETRY), &tables);
    let store = of_store(quotes, store_calls, QUOTE_RETRY);
    let keys = QuoteKeySecret::new(&sdk, &deployment, SECRET_TIMEOUT);
    let kinesis = kinesis::Connection::new(&sdk, LOG_RETRY);
    let events = Events::new(&kinesis, &streams, lanes);
    let service = &QuoteService::new(store, keys, (events, lanes));
    service.ring().refresh(system_now_ms()).await;
    policy_cache.policies(system_now_ms()).await.ok();
    admission.refresh(system_now_ms()).await;

    let name = FunctionName { deployment: &deployment, function: "quote" };
    let quoting = Quoting { service, maps };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let response =
            equilibrium_quote::handle_event(admission, quoting, &payload, policy_cache, now_ms).await?;
        let mut metrics = service.take_metrics().measures();
        metrics.add(maps.take_metrics().measures());
        metrics.add(cache_calls.take_metrics().measures());
        metrics.add(store_calls.take_metrics().measures());
        Ok((response, metrics))
    };
    let finish = async || {
        policy_cache.finish().await;
        maps.finish().await;
        service.ring().refresh(system_now_ms()).await;
        admission.refresh(system_now_ms()).await;
    };
    runtime::run(name, handle, finish).await
}
