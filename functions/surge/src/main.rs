//! `surge` on AWS: reads tick counts of a Kinesis stream, writes maps to DynamoDB and to the cache.

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dependencies::{self, of_cache};
use equilibrium_aws::dynamodb::{self, Checkpoints, Maps, Policies, Tables};
use equilibrium_aws::kinesis::{self, Changes, Streams};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, limits, retention_hours, cache), sdk) = runtime::start(|variables| {
        let (limits, retention_hours) = (variables.limits(), resources::retention_hours(variables));
        (resources::deployment(variables), limits, retention_hours, resources::cache(variables))
    })
    .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    // The cache looks again by itself.
    let once = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let policy_cache = &PolicyCache::with_bounds(
        Policies::new(&once, &tables),
        dynamodb::bounds(&once, &tables),
        limits,
        tokio::time::sleep,
    );
    policy_cache.policies(system_now_ms()).await.ok();
    let cache_calls = &dependencies::cache();
    let sinks = SurgeSinks {
        maps: Maps::new(&dynamodb, &tables),
        cache: of_cache(Cache::optional(cache.as_ref())?, cache_calls),
        changes: Changes::new(&kinesis, &streams),
        ticks: NoOp,
    };
    let checkpoints = Checkpoints::new(&dynamodb, &tables).with_retention_hours(retention_hours);
    let city_processor = &CityProcessor::new(checkpoints, sinks);
    let name = FunctionName { deployment: &deployment, function: "surge" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let handled = equilibrium_surge::handle_event(city_processor, &payload, policy_cache, now_ms).await;
        let (response, metrics) = handled?;
        let mut metrics = metrics.measures();
        metrics.add(cache_calls.take_metrics().measures());
        Ok((response, metrics))
    };
    let finish = async || {
        policy_cache.finish().await;
        runtime::end_if(city_processor.is_fenced());
    };
    runtime::run(name, handle, finish).await
}
