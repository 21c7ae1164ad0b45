//! `count` on AWS: reads events of a Kinesis stream, writes checkpoints to DynamoDB and tick counts to Kinesis.

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::count::lane_processor::LaneProcessor;
use equilibrium_app::policy::policy_cache::PolicyCache;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::telemetry::emf::ToMeasurements;
use equilibrium_aws::dead_letters::SqsDeadLetterQueue;
use equilibrium_aws::dynamodb::{self, Checkpoints, Policies, Tables};
use equilibrium_aws::kinesis::{self, Counts, Streams};
use equilibrium_aws::resources::{self, DEAD_LETTER_TIMEOUT};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::runtime::{self, FunctionName, Invocation, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    let ((deployment, settings, limits, retention_hours, dead_letters_url), sdk) =
        runtime::start(|variables| {
            let (deployment, settings) = (resources::deployment(variables), variables.counting());
            let (limits, retention_hours) = (variables.limits(), resources::retention_hours(variables));
            let dead_letters_url = variables.text("EQUILIBRIUM_DEAD_LETTERS_URL");
            (deployment, settings, limits, retention_hours, dead_letters_url)
        })
        .await?;
    let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));

    let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
    let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
    // The cache looks again by itself.
    let once = dynamodb::Connection::new(&sdk, RetryPolicy::ONCE);
    let policy_cache = &PolicyCache::new(Policies::new(&once, &tables), limits, tokio::time::sleep);
    policy_cache.policies(system_now_ms()).await.ok();
    let lane_processor = &LaneProcessor::new(
        settings,
        Checkpoints::new(&dynamodb, &tables).with_retention_hours(retention_hours),
        Counts::new(&kinesis, &streams, settings.groups),
        SqsDeadLetterQueue::at(&sdk, dead_letters_url, DEAD_LETTER_TIMEOUT),
    );
    let name = FunctionName { deployment: &deployment, function: "count" };
    let handle = async move |Invocation { payload, now_ms, .. }: Invocation| {
        let handled = equilibrium_count::handle_event(lane_processor, &payload, policy_cache, now_ms).await;
        let (response, metrics) = handled?;
        Ok((response, metrics.measures()))
    };
    let finish = async || {
        policy_cache.finish().await;
        runtime::end_if(lane_processor.is_fenced());
    };
    runtime::run(name, handle, finish).await
}
