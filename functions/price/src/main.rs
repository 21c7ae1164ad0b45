//! `price` on AWS: responds to requests from API Gateway with maps from memory, the cache and DynamoDB.

use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dynamodb::{self, Maps, Policies, Tables};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError};
use equilibrium_price::RenderedMaps;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, limits, cache), sdk) = runtime::start(|variables| {
        (resources::deployment(variables), variables.limits(), resources::cache(variables))
    })
    .await?;
    let tables = Tables::named(&deployment);

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let policy_cache = &PolicyCache::new(Policies::new(&dynamodb, &tables), limits);
    let map_reader = &MapReader::new(Maps::new(&dynamodb, &tables), Cache::new(&cache)?, tokio::time::sleep);
    let rendered = &RenderedMaps::default();
    runtime::run("price", async move |Invocation { payload, now_ms, .. }| {
        let response =
            equilibrium_price::handle_event((map_reader, rendered), &payload, policy_cache, now_ms).await?;
        Ok((response, map_reader.take_metrics().measures()))
    })
    .await
}
