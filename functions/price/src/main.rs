//! `price` on AWS: responds to requests from API Gateway with maps from memory, the cache and DynamoDB.

use equilibrium_admission::Admission;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::history::ports::Past;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dependencies::{self, of_cache, of_store};
use equilibrium_aws::dynamodb::{self, Checkpoints, History, Maps, Policies, Tables};
use equilibrium_aws::issuer_keys;
use equilibrium_aws::launch::RecoverInvoker;
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use equilibrium_price::RenderedMaps;
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, limits, cache, (access, rates)), sdk) = runtime::start(|variables| {
        let (limits, cache) = (variables.limits(), resources::cache(variables));
        (resources::deployment(variables), limits, cache, (variables.access(), variables.rates()))
    })
    .await?;
    let tables = Tables::named(&deployment);

    // Both caches look again by themselves.
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let (cache_calls, store_calls) = (&dependencies::cache(), &dependencies::store());
    let bounds = || of_store(dynamodb::bounds(&dynamodb, &tables), store_calls, RetryPolicy::ONCE);
    let policy_cache = &PolicyCache::with_bounds(
        of_store(Policies::new(&dynamodb, &tables), store_calls, RetryPolicy::ONCE),
        bounds(),
        limits,
        sleep,
    );
    let map_cache = Cache::optional(cache.as_ref())?;
    let shared_rates = map_cache.as_ref().map(Cache::rates);
    let admission = &Admission::new(issuer_keys::tokens(access)?, rates, (shared_rates, sleep));
    let map_store = of_store(Maps::new(&dynamodb, &tables), store_calls, RetryPolicy::ONCE);
    let map_reader = &MapReader::new(map_store, of_cache(map_cache, cache_calls), sleep);
    let rendered = &RenderedMaps::default();
    let past = &Past {
        logs: of_store(Checkpoints::new(&dynamodb, &tables), store_calls, RetryPolicy::ONCE),
        histories: of_store(History::new(&dynamodb, &tables), store_calls, RetryPolicy::ONCE),
        bounds: bounds(),
    };
    equilibrium_price::read_at_start(map_reader, policy_cache, system_now_ms()).await;
    admission.refresh(system_now_ms()).await;

    let recover = &RecoverInvoker::new(&sdk, &deployment);
    let name = FunctionName { deployment: &deployment, function: "price" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let reading = (map_reader, rendered, past);
        let response =
            equilibrium_price::handle_event(admission, reading, &payload, policy_cache, now_ms).await?;
        let mut metrics = map_reader.take_metrics().measures();
        metrics.add(cache_calls.take_metrics().measures());
        metrics.add(store_calls.take_metrics().measures());
        Ok((response, metrics))
    };
    let finish = async || {
        policy_cache.finish().await;
        map_reader.finish().await;
        recover.answered(map_reader.take_overdue(), system_now_ms()).await;
        admission.refresh(system_now_ms()).await;
    };
    runtime::run(name, handle, finish).await
}
