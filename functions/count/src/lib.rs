//! `count`: market events from Kinesis become per-lane counts of each city's ticks.

use equilibrium_app::batch::{Batch, PayloadError, answer};
use equilibrium_app::book::PolicyBook;
use equilibrium_app::counting::{Counter, Tally};
use equilibrium_app::ports::{CheckpointLog, CountsStream, DeadLetters};

/// Handles one invocation at `now`, in milliseconds since the epoch: a Kinesis event in, Lambda's answer
/// and what to measure out.
///
/// # Errors
/// [`PayloadError`] where the payload is no Kinesis event; nothing has changed then.
pub async fn handle<C: CheckpointLog, S: CountsStream, D: DeadLetters>(
    counter: &Counter<C, S, D>,
    payload: &[u8],
    book: &PolicyBook,
    now: i64,
) -> Result<(Vec<u8>, Tally), PayloadError> {
    let batch = Batch::read(payload)?;
    let outcome = counter.count(&batch, book, now).await;
    Ok((answer(&outcome.failed), outcome.tally))
}
