//! `ingest` on AWS: receives requests from API Gateway, writes events to a Kinesis stream.

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::dynamodb::{self, Policies, Tables};
use equilibrium_aws::kinesis::{self, Events, Streams};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, lanes, limits), sdk) =
        runtime::start(|variables| (resources::deployment(variables), variables.lanes(), variables.limits()))
            .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let policy_cache = &PolicyCache::new(Policies::new(&dynamodb, &tables), limits, tokio::time::sleep);
    policy_cache.policies(system_now_ms()).await.ok();
    let ingester = &Ingester::new(Events::new(&kinesis, &streams, lanes), lanes);
    let name = FunctionName { deployment: &deployment, function: "ingest" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let handled = equilibrium_ingest::handle_event(ingester, &payload, policy_cache, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    };
    runtime::run(name, handle, async || policy_cache.finish().await).await
}
