//! `surge` on AWS: counts of a Kinesis stream in, maps in DynamoDB and their copies in the cache out.

use equilibrium_app::config::Variables;
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dynamodb::{self, Checkpoints, Maps, Policies};
use equilibrium_aws::kinesis::{self, Changes};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    runtime::init_tracing();
    let mut variables = Variables::new(runtime::env_var);
    let (tables, streams) = resources::names(&mut variables);
    let (settings, bounds) = (variables.counting(), variables.limits());
    let cache = resources::cache(&mut variables);
    variables.finish()?;

    let sdk = runtime::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let policies = &PolicyCache::new(Policies::new(&dynamodb, &tables), bounds);
    let sinks = SurgeSinks {
        maps: Maps::new(&dynamodb, &tables),
        cache: Cache::new(&cache)?,
        changes: Changes::new(&kinesis, &streams),
        ticks: NoOp,
    };
    let processor = &CityProcessor::new(settings.lanes, Checkpoints::new(&dynamodb, &tables), sinks);
    runtime::run("surge", async move |Invocation { payload, now_ms, .. }| {
        let handled = equilibrium_surge::handle_event(processor, &payload, policies, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    })
    .await
}
