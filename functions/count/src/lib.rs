//! `count`: market events from Kinesis become per-lane counts of each city's ticks.

use equilibrium_app::checkpoint::ports::CheckpointLog;
use equilibrium_app::count::lane_processor::LaneProcessor;
use equilibrium_app::count::metrics::CountMetrics;
use equilibrium_app::count::ports::{CountsStream, DeadLetterQueue};
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_lambda::kinesis::decode::{KinesisEventError, decode_event, encode_failures};

/// Handles one invocation at `now`, in milliseconds since the epoch: a Kinesis event in, Lambda's answer
/// and what to measure out.
///
/// # Errors
/// [`KinesisEventError`] where the payload is no Kinesis event; nothing has changed then.
pub async fn handle_event<C: CheckpointLog, S: CountsStream, D: DeadLetterQueue>(
    counter: &LaneProcessor<C, S, D>,
    payload: &[u8],
    book: &PolicySet,
    now: i64,
) -> Result<(Vec<u8>, CountMetrics), KinesisEventError> {
    let batch = decode_event(payload)?;
    let outcome = counter.count(&batch, book, now).await;
    Ok((encode_failures(&outcome.failed), outcome.metrics))
}
