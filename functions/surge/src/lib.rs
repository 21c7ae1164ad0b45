//! `surge`: what the lanes counted, from Kinesis, becomes each city's surge map.

use equilibrium_app::checkpoint::ports::CheckpointLog;
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_app::surge::city_processor::CityProcessor;
use equilibrium_app::surge::metrics::SurgeMetrics;
use equilibrium_app::surge::ports::{ChangeStream, MapStore, TickLog};
use equilibrium_lambda::kinesis::decode::{KinesisEventError, decode_event, encode_failures};

/// Handles one invocation at `now`, in milliseconds since the epoch: a Kinesis event in, Lambda's answer
/// and what to measure out.
///
/// # Errors
/// [`KinesisEventError`] where the payload is no Kinesis event; nothing has changed then.
pub async fn handle_event<C, M, K, H, T>(
    pricer: &CityProcessor<C, M, K, H, T>,
    payload: &[u8],
    book: &PolicySet,
    now: i64,
) -> Result<(Vec<u8>, SurgeMetrics), KinesisEventError>
where
    C: CheckpointLog,
    M: MapStore,
    K: MapStore,
    H: ChangeStream,
    T: TickLog,
{
    let batch = decode_event(payload)?;
    let outcome = pricer.price(&batch, book, now).await;
    Ok((encode_failures(&outcome.failed), outcome.metrics))
}
