//! `surge` on AWS: reads tick counts of a Kinesis stream, writes maps to DynamoDB and to the cache.

use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dynamodb::{self, Checkpoints, Maps, Policies, Tables};
use equilibrium_aws::kinesis::{self, Changes, Streams};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, limits, cache), sdk) = runtime::start(|variables| {
        (resources::deployment(variables), variables.limits(), resources::cache(variables))
    })
    .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let policy_cache = &PolicyCache::new(Policies::new(&dynamodb, &tables), limits);
    let sinks = SurgeSinks {
        maps: Maps::new(&dynamodb, &tables),
        cache: Cache::new(&cache)?,
        changes: Changes::new(&kinesis, &streams),
        ticks: NoOp,
    };
    let city_processor = &CityProcessor::new(Checkpoints::new(&dynamodb, &tables), sinks);
    runtime::run("surge", async move |Invocation { payload, now_ms, .. }| {
        let handled = equilibrium_surge::handle_event(city_processor, &payload, policy_cache, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    })
    .await
}
