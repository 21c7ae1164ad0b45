//! The live ingester: takes requests' events into the event log, and announces the ticks that they reach.

use std::sync::Arc;

use equilibrium_domain::id::LaneCount;
use equilibrium_domain::pseudonym::PseudonymKey;

use crate::ingest::announcer::Announcer;
use crate::ingest::ingest_batch::IngestBatch;
use crate::ingest::pace::Pace;
use crate::ingest::ports::{EventLog, Timer, WatermarkBoard};
use crate::policy::ports::PolicySource;
use crate::unavailable::Unavailable;

/// Takes events into the log; a batch is in the log once [`Self::commit`] has succeeded.
///
/// After [`Unavailable`] the client sends the same events again. Those that were in the log already are then in
/// it twice and count once: a second sighting of the same entity at the same time and place changes nothing
/// (CONTRACT §3).
#[derive(Debug)]
pub struct Ingester<L, B, T> {
    log: L,
    lanes: LaneCount,
    key: Arc<PseudonymKey>,
    announcer: Announcer<B, T>,
}

impl<L: EventLog, B: WatermarkBoard, T: Timer> Ingester<L, B, T> {
    /// An ingester that has seen no event yet. All ingesters of one log share `board` and have the same key.
    pub fn new(log: L, lanes: LaneCount, key: PseudonymKey, board: B, timer: T, pace: Pace) -> Self {
        Self { log, lanes, key: Arc::new(key), announcer: Announcer::new(board, timer, pace, lanes) }
    }

    /// An empty batch for a request that arrives at `now_ms`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Unavailable`] if the policies are.
    pub async fn begin(&self, policies: &impl PolicySource, now_ms: i64) -> Result<IngestBatch, Unavailable> {
        let policies = policies.policies(now_ms).await?;
        Ok(IngestBatch::new(self.lanes, policies, Arc::clone(&self.key), now_ms))
    }

    /// Puts a batch into the log: the lanes concurrently, the records of a lane in order. Then announces the ticks that it
    /// has reached, if that takes no waiting; otherwise [`Self::turn_ms`] says when to call [`Self::settle`]. Events are
    /// in the log before the watermark that they move.
    ///
    /// # Errors
    /// [`Unavailable`] if a lane failed: it is unknown which events are in the log. A failed announcement is no
    /// error: another one follows.
    pub async fn commit(&self, batch: IngestBatch) -> Result<(), Unavailable> {
        let (records, watermarks) = batch.commit(&self.log).await?;
        self.announcer.observe(watermarks.reached());
        self.announcer.advance(&self.log, records).await;
        Ok(())
    }

    /// When this ingester is to announce, in milliseconds since the epoch, if it has undertaken to.
    pub fn turn_ms(&self) -> Option<i64> {
        self.announcer.turn_ms()
    }

    /// Waits until this ingester is to announce, and announces. The host calls it after [`Self::commit`], and where
    /// nothing runs after a response, before that: a tick must not wait for an event that may never come.
    pub async fn settle(&self) {
        self.announcer.settle(&self.log).await;
    }

    /// Announces everything that is due, whatever the pace.
    pub async fn flush(&self) {
        self.announcer.flush(&self.log).await;
    }
}
