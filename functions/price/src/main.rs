//! `price` on AWS: answers API Gateway requests from maps in memory, which it reads from the cache and DynamoDB.

use equilibrium_app::config::Variables;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dynamodb::{self, Maps, Policies};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError, RuntimeTimer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    runtime::init_tracing();
    let mut variables = Variables::new(runtime::env_var);
    let (tables, _) = resources::names(&mut variables);
    let limits = variables.limits();
    let cache = resources::cache(&mut variables);
    variables.finish()?;

    let sdk = runtime::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let policies = &PolicyCache::new(Policies::new(&dynamodb, &tables), limits);
    let maps = &MapReader::new(Maps::new(&dynamodb, &tables), Cache::new(&cache)?, RuntimeTimer);
    runtime::run("price", async move |Invocation { payload, now_ms, .. }| {
        let response = equilibrium_price::handle_event(maps, &payload, policies, now_ms).await?;
        Ok((response, maps.take_metrics().measures()))
    })
    .await
}
