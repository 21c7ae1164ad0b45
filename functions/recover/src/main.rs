//! `recover` on AWS: answers requests from API Gateway and direct invocations, and does the steps of recoveries.

use std::sync::Arc;

use equilibrium_admission::Admission;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::recover::recoverer::{Parts, Recoverer};
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::dynamodb::{self, Checkpoints, Maps, Policies, Recoveries, Tables};
use equilibrium_aws::issuer_keys;
use equilibrium_aws::kinesis;
use equilibrium_aws::launch::RecoverInvoker;
use equilibrium_aws::levers::AwsLevers;
use equilibrium_aws::resources;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, cache, access, rates, lanes, limits), sdk) = runtime::start(|variables| {
        let (access, rates) = (variables.access(), variables.rates());
        let (lanes, limits) = (variables.lanes(), variables.limits());
        (resources::deployment(variables), resources::cache(variables), access, rates, lanes, limits)
    })
    .await?;
    let tables = Tables::named(&deployment);

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let once = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let policies = &Arc::new(PolicyCache::new(Policies::new(&once, &tables), limits, sleep));
    policies.policies(system_now_ms()).await.ok();
    let of_levers = (Checkpoints::new(&dynamodb, &tables), Arc::clone(policies));
    let recoverer = &Recoverer(Parts {
        store: Recoveries::new(&dynamodb, &tables),
        logs: Checkpoints::new(&dynamodb, &tables),
        maps: Maps::new(&dynamodb, &tables),
        policies: Arc::clone(policies),
        levers: AwsLevers::new(&sdk, kinesis, (deployment.clone(), lanes), of_levers),
        timer: sleep,
        now_ms: system_now_ms,
        watcher: runtime::log_recovery,
    });
    let invoker = &RecoverInvoker::new(&sdk, &deployment);
    let launch = &|| invoker.go_on();
    let shared_rates = Cache::optional(cache.as_ref())?.as_ref().map(Cache::rates);
    let admission = &Admission::new(issuer_keys::tokens(access)?, rates, (shared_rates, sleep));
    admission.refresh(system_now_ms()).await;

    let name = FunctionName { deployment: &deployment, function: "recover" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let recoveries = (recoverer, launch);
        let handled = equilibrium_recover::handle_event(admission, recoveries, &payload, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    };
    let finish = async || {
        policies.finish().await;
        admission.refresh(system_now_ms()).await;
    };
    runtime::run(name, handle, finish).await
}
