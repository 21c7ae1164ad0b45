//! The live ingester: takes requests' events into the event log.

use std::sync::Arc;

use equilibrium_domain::event::watermark::Watermarks;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::pseudonym::PseudonymKey;
use parking_lot::Mutex;

use crate::ingest::ingest_batch::IngestBatch;
use crate::ingest::ports::EventLog;
use crate::policy::ports::PolicySource;
use crate::unavailable::Unavailable;

/// Takes events into the log; a batch is in the log once [`Self::commit`] has succeeded.
///
/// After [`Unavailable`] the client sends the same events again. Those that were in the log already are then in
/// it twice and count once: a second sighting of the same entity at the same time and place changes nothing
/// (CONTRACT §3).
#[derive(Debug)]
pub struct Ingester<L> {
    log: L,
    lanes: LaneCount,
    watermarks: Arc<Mutex<Watermarks>>,
    key: Arc<PseudonymKey>,
}

impl<L: EventLog> Ingester<L> {
    /// An ingester that has seen no event yet. All ingesters of a log have the same key.
    pub fn new(log: L, lanes: LaneCount, key: PseudonymKey) -> Self {
        Self { log, lanes, watermarks: Arc::default(), key: Arc::new(key) }
    }

    /// An empty batch for a request that arrives at `now_ms`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Unavailable`] if the policies are.
    pub async fn begin(&self, policies: &impl PolicySource, now_ms: i64) -> Result<IngestBatch, Unavailable> {
        let policies = policies.policies(now_ms).await?;
        let (watermarks, key) = (Arc::clone(&self.watermarks), Arc::clone(&self.key));
        Ok(IngestBatch::new(self.lanes, policies, watermarks, key, now_ms))
    }

    /// Puts a batch into the log: the lanes concurrently, the records of a lane one after the other.
    ///
    /// # Errors
    /// [`Unavailable`] if a lane failed: it is unknown which events are in the log.
    pub async fn commit(&self, batch: IngestBatch) -> Result<(), Unavailable> {
        batch.commit(&self.log).await
    }
}
