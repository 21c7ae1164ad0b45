//! `capacity` on AWS: projects from the metrics of `CloudWatch`, for API Gateway and once a day.

use std::time::Duration;

use equilibrium_admission::Admission;
use equilibrium_app::clock::system_now_ms;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::issuer_keys;
use equilibrium_aws::load::DeploymentLoad;
use equilibrium_aws::resources;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use tokio::time::sleep;

/// The metrics are read at once, each within this time.
const METRIC_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, settings, cache, access, rates), sdk) = runtime::start(|variables| {
        let (access, rates, settings) = (variables.access(), variables.rates(), variables.capacity());
        (resources::deployment(variables), settings, resources::cache(variables), access, rates)
    })
    .await?;
    let load = &DeploymentLoad::new(&sdk, deployment.clone(), settings, METRIC_TIMEOUT);
    let shared_rates = Cache::optional(cache.as_ref())?.as_ref().map(Cache::rates);
    let admission = &Admission::new(issuer_keys::tokens(access)?, rates, (shared_rates, sleep));
    admission.refresh(system_now_ms()).await;

    let name = FunctionName { deployment: &deployment, function: "capacity" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        // Once a day, or for a person: its memory is not held by every other invocation.
        Ok(Box::pin(equilibrium_capacity::handle_event(admission, (load, settings), &payload, now_ms))
            .await?)
    };
    runtime::run(name, handle, async || admission.refresh(system_now_ms()).await).await
}
