//! `count` on AWS: reads events of a Kinesis stream, writes checkpoints to DynamoDB and tick counts to Kinesis.

use equilibrium_app::count::lane_processor::LaneProcessor;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::dead_letters::SqsDeadLetterQueue;
use equilibrium_aws::dynamodb::{self, Checkpoints, Policies, Tables};
use equilibrium_aws::kinesis::{self, Counts, Streams};
use equilibrium_aws::resources::{self, DEAD_LETTER_TIMEOUT};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, settings, limits, dead_letters_url), sdk) = runtime::start(|variables| {
        let (deployment, settings) = (resources::deployment(variables), variables.counting());
        (deployment, settings, variables.limits(), variables.text("EQUILIBRIUM_DEAD_LETTERS_URL"))
    })
    .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    let policy_cache = &PolicyCache::new(Policies::new(&dynamodb, &tables), limits);
    let lane_processor = &LaneProcessor::new(
        settings,
        Checkpoints::new(&dynamodb, &tables),
        Counts::new(&kinesis, &streams, settings.groups),
        SqsDeadLetterQueue::at(&sdk, dead_letters_url, DEAD_LETTER_TIMEOUT),
    );
    runtime::run("count", async move |Invocation { payload, now_ms, .. }| {
        let handled = equilibrium_count::handle_event(lane_processor, &payload, policy_cache, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    })
    .await
}
