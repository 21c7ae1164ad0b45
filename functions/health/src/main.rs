//! `health` on AWS: looks at the deployment each minute, as EventBridge Scheduler says, and responds to requests from API
//! Gateway with the verdicts in DynamoDB.

use std::sync::Arc;
use std::time::Duration;

use equilibrium_admission::Admission;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::health::metrics;
use equilibrium_app::health::prober::{Probe, Prober};
use equilibrium_app::health::probes::cities::CityProbe;
use equilibrium_app::health::probes::pipeline::PipelineProbe;
use equilibrium_app::health::probes::places::PlaceProbe;
use equilibrium_app::health::probes::prices::PriceProbe;
use equilibrium_app::health::probes::quotes::QuoteProbe;
use equilibrium_app::health::probes::round_trips::RoundTripProbe;
use equilibrium_app::health::reader::HealthReader;
use equilibrium_app::health::run::{HealthRun, SCHEDULE_MS};
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::direct_api::DirectApi;
use equilibrium_aws::dynamodb::{self, Checkpoints, Maps, Policies, Tables, Verdicts, WatermarkBoard};
use equilibrium_aws::kinesis::{self, StreamRoundTrip, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};
use equilibrium_aws::{issuer_keys, resources};
use equilibrium_domain::health::component::Component::{DynamoDb, ElastiCache, Kinesis};
use tokio::time::sleep;

/// A look is over after five seconds. A call that fails within them is a finding, and nothing repeats it.
const LOOK_ONCE: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_millis(4_500),
    attempt_timeout: Duration::from_millis(4_500),
    max_attempts: 1,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, limits, cache, (access, rates)), sdk) = runtime::start(|variables| {
        let (limits, cache) = (variables.limits(), resources::cache(variables));
        (resources::deployment(variables), limits, cache, (variables.access(), variables.rates()))
    })
    .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    // One pool of connections for each dependency: what hangs holds up its own looks alone.
    let dynamodb = dynamodb::Connection::new(&sdk, LOOK_ONCE);
    let kinesis = kinesis::Connection::new(&sdk, LOOK_ONCE);
    let api = DirectApi::new(&sdk, &deployment, LOOK_ONCE);
    let cache = Cache::optional(cache.as_ref())?;
    let admission =
        &Admission::new(issuer_keys::tokens(access)?, rates, (cache.as_ref().map(Cache::rates), sleep));
    let policies = Arc::new(PolicyCache::with_bounds(
        Policies::new(&dynamodb, &tables),
        dynamodb::bounds(&dynamodb, &tables),
        limits,
        sleep,
    ));
    let verdicts = || Verdicts::new(&dynamodb, &tables);
    let maps = || Maps::new(&dynamodb, &tables);
    let (stopwatch, timer) = (system_now_ms as fn() -> i64, sleep);
    let stream = |name, target| RoundTripProbe {
        component: Kinesis,
        target,
        answers: StreamRoundTrip::new(&kinesis, name),
        stopwatch,
    };
    let logs = Checkpoints::new(&dynamodb, &tables);
    let board = WatermarkBoard::new(&dynamodb, &tables);
    let probes: Vec<Box<dyn Probe>> = vec![
        Box::new(PipelineProbe { api: api.clone(), logs, maps: maps(), timer, stopwatch }),
        Box::new(CityProbe { policies: Arc::clone(&policies), maps: maps(), board, slack_ms: 0, stopwatch }),
        Box::new(PriceProbe { api: api.clone(), stopwatch }),
        Box::new(QuoteProbe { api: api.clone(), stopwatch }),
        Box::new(PlaceProbe { api, policies: Arc::clone(&policies), stopwatch }),
        Box::new(RoundTripProbe { component: DynamoDb, target: "tables", answers: verdicts(), stopwatch }),
        Box::new(stream(&streams.events, "stream of events")),
        Box::new(stream(&streams.counts, "stream of counts")),
        Box::new(RoundTripProbe { component: ElastiCache, target: "cache", answers: cache, stopwatch }),
    ];
    let run = &HealthRun::new(verdicts(), Prober::new(probes, sleep), SCHEDULE_MS);
    let reader = &HealthReader::new(verdicts(), sleep, SCHEDULE_MS);
    admission.refresh(system_now_ms()).await;

    let name = FunctionName { deployment: &deployment, function: "health" };
    let handle = async move |Invocation { payload, .. }: Invocation| {
        let (response, looks) =
            equilibrium_health::handle_event(admission, (reader, run), &payload, system_now_ms).await?;
        Ok((response, metrics::of_run(&looks)))
    };
    let finish = async || {
        policies.finish().await;
        admission.refresh(system_now_ms()).await;
    };
    runtime::run(name, handle, finish).await
}
