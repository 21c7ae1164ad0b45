//! `count` on AWS: events of a Kinesis stream in, checkpoints in DynamoDB and counts in Kinesis out.

use equilibrium_app::config::Variables;
use equilibrium_app::count::lane_processor::LaneProcessor;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::dead_letters::SqsDeadLetterQueue;
use equilibrium_aws::dynamodb::{self, Checkpoints, Policies};
use equilibrium_aws::kinesis::{self, Counts};
use equilibrium_aws::resources::{self, DEAD_LETTER_TIMEOUT};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    runtime::init_tracing();
    let mut variables = Variables::new(runtime::env_var);
    let (tables, streams) = resources::names(&mut variables);
    let (settings, bounds) = (variables.counting(), variables.limits());
    let letters = variables.text("EQUILIBRIUM_DEAD_LETTERS_URL");
    variables.finish()?;

    let sdk = runtime::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let policies = &PolicyCache::new(Policies::new(&dynamodb, &tables), bounds);
    let processor = &LaneProcessor::new(
        settings,
        Checkpoints::new(&dynamodb, &tables),
        Counts::new(&kinesis, &streams, settings.groups),
        SqsDeadLetterQueue::at(&sdk, letters, DEAD_LETTER_TIMEOUT),
    );
    runtime::run("count", async move |Invocation { payload, now_ms, .. }| {
        let handled = equilibrium_count::handle_event(processor, &payload, policies, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    })
    .await
}
