//! One request's events: packed into records by lane, then committed to the event log.

use std::sync::Arc;

use equilibrium_domain::event::watermark::Watermarks;
use equilibrium_domain::event::{self, Refusal};
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::pseudonym::PseudonymKey;
use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::ingest::ports::EventLog;
use crate::ingest::record_packer::{RecordPacker, RecordSink};
use crate::ingest::time_rule::TimeRule;
use crate::policy::policy_set::PolicySet;
use crate::unavailable::Unavailable;

/// One request's events, checked and packed, not yet in the log.
#[derive(Debug)]
pub struct IngestBatch {
    packer: RecordPacker<LaneRecords>,
    watermarks: Arc<Mutex<Watermarks>>,
}

impl IngestBatch {
    /// An empty batch that arrives at `now_ms`, in milliseconds since the epoch.
    pub(super) fn new(
        lanes: LaneCount,
        policies: Arc<PolicySet>,
        key: Arc<PseudonymKey>,
        now_ms: i64,
    ) -> Self {
        let records = LaneRecords(lanes.iter().map(|_| Vec::new()).collect());
        let rule = TimeRule::Live { now_ms };
        let watermarks = Arc::default();
        let packer = RecordPacker::new(records, lanes, policies, Arc::clone(&watermarks), rule, key);
        Self { packer, watermarks }
    }

    /// Checks and packs one line, which is not blank and has no line feed.
    ///
    /// # Errors
    /// The line's [`Refusal`]: nothing was packed.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        event::check_start(line)?;
        self.packer.line(line)
    }

    /// Accepted events of an unknown type: they are counted, and not put into the log.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.packer.unknown()
    }

    /// Puts the records into the log: the lanes concurrently, the records of a lane in order. The number of records, and
    /// the watermarks of their cities.
    ///
    /// # Errors
    /// [`Unavailable`] if a lane failed. Of that lane, no record after the failed one was put; the other lanes are
    /// complete unless they failed too.
    pub(super) async fn commit(mut self, log: &impl EventLog) -> Result<(u64, Watermarks), Unavailable> {
        let LaneRecords(lanes) = std::mem::take(self.packer.flush());
        let records = lanes.iter().map(|records| records.len() as u64).sum();
        let lanes = (0..=u16::MAX).map(LaneId).zip(lanes).filter(|(_, records)| !records.is_empty());
        for put in join_all(lanes.map(|(lane, records)| log.put_all(lane, records))).await {
            put?;
        }
        Ok((records, std::mem::take(&mut *self.watermarks.lock())))
    }
}

/// The records of each lane, in order.
#[derive(Debug, Default)]
struct LaneRecords(Vec<Vec<Vec<u8>>>);

impl RecordSink for LaneRecords {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        self.0[usize::from(lane.0)].push(record);
    }
}
