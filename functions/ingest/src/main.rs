//! `ingest` on AWS: puts the events of API Gateway requests into a Kinesis stream.

use equilibrium_app::config::Variables;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::dynamodb::{self, Policies};
use equilibrium_aws::kinesis::{self, Events};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    runtime::init_tracing();
    let mut variables = Variables::new(runtime::env_var);
    let (tables, streams) = resources::names(&mut variables);
    let (lanes, limits) = (variables.lanes(), variables.limits());
    variables.finish()?;

    let sdk = runtime::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let policies = &PolicyCache::new(Policies::new(&dynamodb, &tables), limits);
    let ingester = &Ingester::new(Events::new(&kinesis, &streams, lanes), lanes);
    runtime::run("ingest", async move |Invocation { payload, now_ms, .. }| {
        let (response, metrics) =
            equilibrium_ingest::handle_event(ingester, &payload, policies, now_ms).await?;
        Ok((response, metrics.measures()))
    })
    .await
}
