//! `surge`: the lanes' counts from Kinesis become each city's surge map.

use equilibrium_app::checkpoint::ports::CheckpointLog;
use equilibrium_app::history::ports::HistoryStore;
use equilibrium_app::laws::ports::DayStore;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::surge::city_processor::CityProcessor;
use equilibrium_app::surge::metrics::SurgeMetrics;
use equilibrium_app::surge::ports::{ChangeStream, TickLog};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_lambda::kinesis::decode::{KinesisEventError, decode_event, encode_failures};
use thiserror::Error;

/// Why an invocation failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvocationError {
    /// The payload is not a Kinesis event.
    #[error(transparent)]
    Event(#[from] KinesisEventError),
    /// The policies cannot be read: the invocation may be repeated.
    #[error("the policies cannot be read: {0}")]
    Policies(#[from] Unavailable),
}

/// Handles one invocation at `now_ms`, in milliseconds since the epoch: a Kinesis event in, Lambda's response and the
/// metrics out.
///
/// # Errors
/// [`InvocationError`] where the payload is not a Kinesis event, or there are no policies to price by; nothing has
/// changed then.
pub async fn handle_event<C, M, K, H, T>(
    processor: &CityProcessor<C, M, K, H, T>,
    payload: &[u8],
    policies: &impl PolicySource,
    now_ms: i64,
) -> Result<(Vec<u8>, SurgeMetrics), InvocationError>
where
    C: CheckpointLog,
    M: MapStore + HistoryStore + DayStore,
    K: MapStore,
    H: ChangeStream,
    T: TickLog,
{
    let batch = decode_event(payload)?;
    let outcome = processor.process(&batch, policies, now_ms).await?;
    Ok((encode_failures(&outcome.failed), outcome.metrics))
}
