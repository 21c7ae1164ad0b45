//! Counting: a batch of the event stream becomes, lane by lane, checkpoint entries and the counts of closed ticks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::count::lane::{LaneIdentity, LaneState};
use equilibrium_domain::count::tick_counts::{self, CityCounts};
use equilibrium_domain::event::record_batch::RecordBatch;
use equilibrium_domain::event::sequence::SequenceRef;
use equilibrium_domain::geo::locate::Locators;
use equilibrium_domain::id::{LaneCount, LaneId};
use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::checkpoint::ports::{CheckpointKey, CheckpointLog};
use crate::checkpoint::process::{BatchOutcome, Checkpoints, LogBatch, ProcessFailure};
use crate::count::absorb::Absorber;
use crate::count::batch_result::BatchResult;
use crate::count::dead_letters::DeadLetterBuffer;
use crate::count::metrics::CountMetrics;
use crate::count::ports::{CountsStream, DeadLetterQueue};
use crate::count::routing::{LaneRecord, RoutedBatch};
use crate::policy::policy_set::PolicySet;
use crate::policy::ports::PolicySource;
use crate::unavailable::Unavailable;

/// The streams that counting reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct CountSettings {
    /// Lanes of the event stream.
    pub lanes: LaneCount,
    /// Groups of cities of the counts stream.
    pub groups: GroupCount,
}

/// Counts the records of every lane that an instance is handed.
#[derive(Debug)]
pub struct LaneProcessor<C, S, D> {
    settings: CountSettings,
    checkpoints: Checkpoints<C, LaneState>,
    counts: S,
    dead_letters: D,
    locators: Mutex<Locators>,
    /// Whether the last batch had a city or product that no policy has.
    met_unknown: AtomicBool,
}

impl<C: CheckpointLog, S: CountsStream, D: DeadLetterQueue> LaneProcessor<C, S, D> {
    /// A processor without a lane in memory.
    pub fn new(settings: CountSettings, log: C, counts: S, dead_letters: D) -> Self {
        let checkpoints = Checkpoints::new(log);
        let (locators, met_unknown) = (Mutex::default(), AtomicBool::new(false));
        Self { settings, checkpoints, counts, dead_letters, locators, met_unknown }
    }

    /// Entities in memory, over all lanes.
    pub fn entities(&self) -> usize {
        self.checkpoints.sum(LaneState::entities)
    }

    /// Processes a batch of one shard at `now_ms`, in milliseconds since the epoch. Lanes fail alone: what other lanes
    /// counted stays.
    ///
    /// Refused lines of a lane become dead letters once the entry that holds the lane's records is appended, so that a
    /// store that is unavailable does not fill the queue; those of unroutable records at every delivery. An instance
    /// that ends in between sends none, and a queue that takes none does not fail the batch.
    ///
    /// # Errors
    /// [`Unavailable`] where there are no policies to count by.
    pub async fn process(
        &self,
        batch: &RecordBatch<'_>,
        policies: &impl PolicySource,
        now_ms: i64,
    ) -> Result<BatchOutcome<CountMetrics>, Unavailable> {
        let source = policies;
        let first = if self.met_unknown.load(Relaxed) { source.newest(now_ms).await } else { None };
        let (policies, are_newest) = match first {
            Some(newest) => (newest, true),
            None => (source.policies(now_ms).await?, false),
        };
        let mut result = BatchResult::default();
        let lanes = RoutedBatch::route(batch, self.settings.lanes, &mut result).lanes;
        let processed = lanes.into_iter().map(|(lane, records)| {
            let policies = &policies;
            async move {
                let first = records[0].record.sequence.to_owned();
                let processed = self.process_lane(lane, &records, (policies, are_newest), now_ms).await;
                if are_newest || !processed.0.has_unknown {
                    return (first, processed);
                }
                // Another instance may have accepted the events by a policy that this one has not read yet.
                let Some(newest) = source.newest(now_ms).await else { return (first, withheld()) };
                (first, self.process_lane(lane, &records, (&newest, true), now_ms).await)
            }
        });
        let mut failed = Vec::new();
        for (first, (lane, failure)) in join_all(processed).await {
            result.add(lane);
            failed.extend(failure.map(|_| first));
        }
        self.met_unknown.store(result.has_unknown, Relaxed);
        Ok(BatchOutcome { failed, metrics: self.send_dead_letters(result).await })
    }

    async fn process_lane(
        &self,
        lane: LaneId,
        records: &[LaneRecord<'_>],
        (policies, are_newest): (&PolicySet, bool),
        now_ms: i64,
    ) -> (BatchResult, Option<ProcessFailure>) {
        let identity = LaneIdentity { lane, lanes: self.settings.lanes };
        let batch = LaneBatch { processor: self, identity, records, policies, are_newest };
        let processed = self.checkpoints.process(&CheckpointKey::Lane(lane), &batch, now_ms).await;
        let mut result = processed.outcome;
        if processed.failure == Some(ProcessFailure::NotAppended) {
            // The records will be absorbed again, and their refused lines with them.
            result.dead_letters = DeadLetterBuffer::default();
        }
        result.metrics.skipped += processed.skipped;
        result.metrics.append_conflicts += processed.append_conflicts;
        result.metrics.corrupt.extend(processed.corrupt.map(|corrupt| (lane, corrupt)));
        (result, processed.failure)
    }

    async fn send_dead_letters(&self, result: BatchResult) -> CountMetrics {
        let BatchResult { mut metrics, dead_letters, .. } = result;
        let dead_letters = dead_letters.into_inner();
        let count = dead_letters.len() as u64;
        if count > 0 && self.dead_letters.send(dead_letters).await.is_err() {
            metrics.dead_letters_dropped += count;
        }
        metrics
    }
}

/// The records of one lane.
struct LaneBatch<'a, C, S, D> {
    processor: &'a LaneProcessor<C, S, D>,
    identity: LaneIdentity,
    records: &'a [LaneRecord<'a>],
    policies: &'a PolicySet,
    /// Whether the policies were read after the records arrived: then what they lack is refused.
    are_newest: bool,
}

/// The result of a lane whose records can be neither counted nor refused now.
fn withheld() -> (BatchResult, Option<ProcessFailure>) {
    (BatchResult { has_unknown: true, ..BatchResult::default() }, Some(ProcessFailure::NotAppended))
}

impl<'r, C: CheckpointLog, S: CountsStream, D: DeadLetterQueue> LogBatch for LaneBatch<'r, C, S, D> {
    type State = LaneState;
    type Record = LaneRecord<'r>;
    type Outcome = BatchResult;

    fn identity(&self) -> &LaneIdentity {
        &self.identity
    }

    fn initial_state(&self) -> LaneState {
        LaneState::new(self.identity)
    }

    fn records(&self) -> &[LaneRecord<'r>] {
        self.records
    }

    fn sequence<'a>(&self, record: &'a LaneRecord<'r>) -> SequenceRef<'a> {
        record.record.sequence
    }

    fn absorb(&self, lane: &mut LaneState, records: &[&LaneRecord<'r>], result: &mut BatchResult) {
        let mut locators = self.processor.locators.lock();
        let mut absorber = Absorber::new(lane, self.identity.lanes, self.policies, &mut locators);
        for record in records {
            absorber.absorb(record, result);
        }
        result.metrics.late = lane.late_in_batch();
        result.metrics.evicted = lane.evicted_in_batch();
    }

    fn is_withheld(&self, result: &BatchResult) -> bool {
        result.has_unknown && !self.are_newest
    }

    async fn deliver(&self, counts: Vec<CityCounts>, _: &mut BatchResult) -> Result<(), Unavailable> {
        let mut groups: BTreeMap<CityGroup, Vec<CityCounts>> = BTreeMap::new();
        for counts in counts {
            groups.entry(self.processor.settings.groups.group_of(&counts.city)).or_default().push(counts);
        }
        // Each group within the time of its own records: one after the other, sixteen could outlast the function.
        let sends = groups.into_iter().map(async |(group, counts)| {
            for record in tick_counts::records(self.identity.lane, self.identity.lanes, counts) {
                self.processor.counts.send(group, record).await?;
            }
            Ok(())
        });
        join_all(sends).await.into_iter().collect()
    }
}
