//! `count`: market events from Kinesis become per-lane counts of each city's ticks.

use equilibrium_app::batch::{Batch, PayloadError, answer};
use equilibrium_app::counting::{CountMetrics, LaneProcessor};
use equilibrium_app::policy_set::PolicySet;
use equilibrium_app::ports::{CheckpointLog, CountsStream, DeadLetterQueue};

/// Handles one invocation at `now`, in milliseconds since the epoch: a Kinesis event in, Lambda's answer
/// and what to measure out.
///
/// # Errors
/// [`PayloadError`] where the payload is no Kinesis event; nothing has changed then.
pub async fn handle_event<C: CheckpointLog, S: CountsStream, D: DeadLetterQueue>(
    counter: &LaneProcessor<C, S, D>,
    payload: &[u8],
    book: &PolicySet,
    now: i64,
) -> Result<(Vec<u8>, CountMetrics), PayloadError> {
    let batch = Batch::read(payload)?;
    let outcome = counter.count(&batch, book, now).await;
    Ok((answer(&outcome.failed), outcome.metrics))
}
