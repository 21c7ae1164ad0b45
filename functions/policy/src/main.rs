//! `policy` on AWS: responds to requests from API Gateway with policies and overrides from DynamoDB, and saves
//! them there.

use equilibrium_admission::Admission;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::memory::NoOp;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dependencies::{self, of_store};
use equilibrium_aws::dynamodb::{self, Maps, Policies, Tables};
use equilibrium_aws::issuer_keys;
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, cache, access, rates), sdk) = runtime::start(|variables| {
        let (access, rates) = (variables.access(), variables.rates());
        (resources::deployment(variables), resources::cache(variables), access, rates)
    })
    .await?;
    let tables = Tables::named(&deployment);

    let connection = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let (store_calls, retry) = (&dependencies::store(), RetryPolicy::default());
    let policies = &of_store(Policies::new(&connection, &tables), store_calls, retry);
    let bounds = &of_store(dynamodb::bounds(&connection, &tables), store_calls, retry);
    // A dry run reads a map once: it needs no cache, and the reader looks again by itself.
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let map_store = of_store(Maps::new(&dynamodb, &tables), store_calls, RetryPolicy::ONCE);
    let maps = &MapReader::new(map_store, NoOp, sleep);
    let shared_rates = Cache::optional(cache.as_ref())?.as_ref().map(Cache::rates);
    let admission = &Admission::new(issuer_keys::tokens(access)?, rates, (shared_rates, sleep));
    admission.refresh(system_now_ms()).await;

    let name = FunctionName { deployment: &deployment, function: "policy" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let stores = (policies, bounds, maps);
        let response = equilibrium_policy::handle_event(admission, stores, &payload, now_ms).await?;
        Ok((response, store_calls.take_metrics().measures()))
    };
    let finish = async || {
        maps.finish().await;
        admission.refresh(system_now_ms()).await;
    };
    runtime::run(name, handle, finish).await
}
