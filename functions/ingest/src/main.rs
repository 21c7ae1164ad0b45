//! `ingest` on AWS: requests of API Gateway in, events in a Kinesis stream out.

use equilibrium_app::config::Variables;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
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
    let (lanes, bounds) = (variables.lanes(), variables.limits());
    variables.finish()?;

    let sdk = runtime::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let library = &PolicyCache::new(Policies::new(&dynamodb, &tables), bounds);
    let ingester = &Ingester::new(Events::new(&kinesis, &streams, lanes), lanes);
    runtime::run("ingest", async move |Invocation { payload, now_ms, .. }| {
        let book = library.policies(now_ms).await?;
        let (answer, tally) = equilibrium_ingest::handle_event(ingester, &payload, &book, now_ms).await?;
        Ok((answer, tally.measures()))
    })
    .await
}
