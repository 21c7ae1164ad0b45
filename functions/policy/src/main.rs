//! `policy` on AWS: responds to requests from API Gateway with policies and overrides from DynamoDB, and saves
//! them there.

use equilibrium_app::memory::NoOp;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::telemetry::emf::Measurements;
use equilibrium_aws::dynamodb::{self, Maps, Policies, Tables};
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let (deployment, sdk) = runtime::start(resources::deployment).await?;
    let tables = Tables::named(&deployment);

    let connection = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let policies = &Policies::new(&connection, &tables);
    let bounds = &dynamodb::bounds(&connection, &tables);
    // A dry run reads a map once: it needs no cache, and the reader looks again by itself.
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let maps = &MapReader::new(Maps::new(&dynamodb, &tables), NoOp, sleep);

    let name = FunctionName { deployment: &deployment, function: "policy" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let response = equilibrium_policy::handle_event((policies, bounds, maps), &payload, now_ms).await?;
        Ok((response, Measurements::default()))
    };
    runtime::run(name, handle, async || maps.finish().await).await
}
