//! `ingest` on AWS: receives requests from API Gateway, writes events to a Kinesis stream.

use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::dynamodb::{self, Policies, Tables};
use equilibrium_aws::kinesis::{self, Events, Streams};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError};
use equilibrium_aws::secrets::{self, SECRET_TIMEOUT};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, lanes, limits), sdk) =
        runtime::start(|variables| (resources::deployment(variables), variables.lanes(), variables.limits()))
            .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let policy_cache = &PolicyCache::new(Policies::new(&dynamodb, &tables), limits);
    let key = secrets::pseudonym_key(&sdk, &deployment, SECRET_TIMEOUT).await?;
    let ingester = &Ingester::new(Events::new(&kinesis, &streams, lanes), lanes, key);
    runtime::run("ingest", async move |Invocation { payload, now_ms, .. }| {
        let handled = equilibrium_ingest::handle_event(ingester, &payload, policy_cache, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    })
    .await
}
