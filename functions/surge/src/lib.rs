//! `surge`: what the lanes counted, from Kinesis, becomes each city's surge map.

use equilibrium_app::batch::{Batch, PayloadError, answer};
use equilibrium_app::policy_set::PolicySet;
use equilibrium_app::ports::{ChangeStream, CheckpointLog, MapStore, TickLog};
use equilibrium_app::pricing::{CityProcessor, SurgeMetrics};

/// Handles one invocation at `now`, in milliseconds since the epoch: a Kinesis event in, Lambda's answer
/// and what to measure out.
///
/// # Errors
/// [`PayloadError`] where the payload is no Kinesis event; nothing has changed then.
pub async fn handle_event<C, M, K, H, T>(
    pricer: &CityProcessor<C, M, K, H, T>,
    payload: &[u8],
    book: &PolicySet,
    now: i64,
) -> Result<(Vec<u8>, SurgeMetrics), PayloadError>
where
    C: CheckpointLog,
    M: MapStore,
    K: MapStore,
    H: ChangeStream,
    T: TickLog,
{
    let batch = Batch::read(payload)?;
    let outcome = pricer.price(&batch, book, now).await;
    Ok((answer(&outcome.failed), outcome.metrics))
}
