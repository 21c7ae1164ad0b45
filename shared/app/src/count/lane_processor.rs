//! Counting: a batch of the event stream becomes, range by range of lanes, checkpoint entries and the counts of closed
//! ticks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::count::lane::LaneState;
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::count::tick_counts::{self, CityCounts};
use equilibrium_domain::event::record_batch::RecordBatch;
use equilibrium_domain::event::sequence::SequenceRef;
use equilibrium_domain::geo::locate::Locators;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::parking::{self, ParkedRecord};
use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::checkpoint::ports::{CheckpointKey, CheckpointLog};
use crate::checkpoint::process::{
    BatchKind, BatchOutcome, Checkpoints, LoadError, LogBatch, Origin, ProcessFailure,
};
use crate::count::absorb::Absorber;
use crate::count::batch_result::BatchResult;
use crate::count::dead_letters::DeadLetterBuffer;
use crate::count::lane_doubling;
use crate::count::metrics::CountMetrics;
use crate::count::ports::{CountsStream, DeadLetterQueue};
use crate::count::routing::{Content, LaneRecord, RoutedBatch};
use crate::policy::policy_set::PolicySet;
use crate::policy::ports::PolicySource;
use crate::unavailable::{SendError, Unavailable};

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
    checkpoints: Checkpoints<C, LaneRangeState>,
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

    /// Whether this instance has given a log up, because another one has raised its epoch.
    pub fn is_fenced(&self) -> bool {
        self.checkpoints.is_fenced()
    }

    /// Entities in memory, over all lanes.
    pub fn entities(&self) -> usize {
        self.checkpoints.sum(|range| range.lanes().map(LaneState::entities).sum())
    }

    /// Processes a batch of one shard at `now_ms`, in milliseconds since the epoch. Ranges of lanes fail alone: what
    /// the lanes of other ranges counted stays.
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
        let ranges = RoutedBatch::route(batch, self.settings.lanes, &mut result).ranges;
        let processed = ranges.into_iter().map(|(range, records)| {
            let policies = &policies;
            async move {
                let first = records[0].record.sequence.to_owned();
                let delivered = (records.as_slice(), (&**policies, are_newest));
                let processed = self.process_range(range, delivered, now_ms).await;
                if are_newest || !processed.0.has_unknown {
                    return (first, processed);
                }
                // Another instance may have accepted the events by a policy that this one has not read yet.
                let Some(newest) = source.newest(now_ms).await else { return (first, withheld()) };
                (first, self.process_range(range, (&records, (&newest, true)), now_ms).await)
            }
        });
        let mut failed = Vec::new();
        for (first, (range, failure)) in join_all(processed).await {
            result.add(range);
            failed.extend(failure.map(|_| first));
        }
        self.met_unknown.store(result.has_unknown, Relaxed);
        Ok(BatchOutcome { failed, metrics: self.send_dead_letters(result).await })
    }

    async fn process_range(
        &self,
        range: LaneRange,
        (records, policies): (&[LaneRecord<'_>], (&PolicySet, bool)),
        now_ms: i64,
    ) -> (BatchResult, Option<ProcessFailure>) {
        let delivered = (records, BatchKind::Delivered);
        let (mut result, failure, waiting) = self.process_records(range, delivered, policies, now_ms).await;
        if waiting.is_empty() {
            return (result, failure);
        }
        for waiting in waiting {
            let batch = parking::record_batch(&waiting);
            let mut unroutable = BatchResult::default();
            let mut routed = RoutedBatch::route(&batch, self.settings.lanes, &mut unroutable);
            let Some(parked) = routed.ranges.remove(&range) else { continue };
            let parked = (parked.as_slice(), BatchKind::Parked);
            let (resumed, failure, _) = self.process_records(range, parked, policies, now_ms).await;
            result.add(resumed);
            if failure.is_some() {
                return (result, failure);
            }
        }
        if self.checkpoints.resumed(&CheckpointKey::Lanes(range)).await.is_err() {
            return (result, Some(ProcessFailure::NotAppended));
        }
        let resumed = (records, BatchKind::Parked);
        let (delivered, failure, _) = self.process_records(range, resumed, policies, now_ms).await;
        result.add(delivered);
        (result, failure)
    }

    async fn process_records(
        &self,
        range: LaneRange,
        (records, kind): (&[LaneRecord<'_>], BatchKind),
        (policies, are_newest): (&PolicySet, bool),
        now_ms: i64,
    ) -> (BatchResult, Option<ProcessFailure>, Vec<Vec<ParkedRecord>>) {
        let batch = RangeBatch { processor: self, range, records, policies, are_newest };
        let processed = self.checkpoints.process(&CheckpointKey::Lanes(range), (&batch, kind), now_ms).await;
        let mut result = processed.outcome;
        if processed.failure == Some(ProcessFailure::NotAppended) {
            // The records will be absorbed again, and their refused lines with them.
            result.dead_letters = DeadLetterBuffer::default();
        }
        result.metrics.checkpoint.add(processed.metrics);
        (result, processed.failure, processed.waiting)
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

    /// Sends the counts of a range's lanes, which are some of `lanes`. Returns the number of records that are too large.
    async fn send_counts(
        &self,
        lanes: LaneCount,
        counts: Vec<(LaneId, Vec<CityCounts>)>,
    ) -> Result<u64, Unavailable> {
        let sent = counts.into_iter().map(|(lane, counts)| self.send_lane_counts(lane, lanes, counts));
        join_all(sent).await.into_iter().sum()
    }

    async fn send_lane_counts(
        &self,
        lane: LaneId,
        lanes: LaneCount,
        counts: Vec<CityCounts>,
    ) -> Result<u64, Unavailable> {
        let mut too_large = 0;
        let mut groups: BTreeMap<CityGroup, Vec<CityCounts>> = BTreeMap::new();
        for counts in counts {
            groups.entry(self.settings.groups.group_of(&counts.city)).or_default().push(counts);
        }
        for (group, counts) in groups {
            for record in tick_counts::records(lane, lanes, counts) {
                let sent = self.counts.send(lane, group, record).await;
                SendError::count_too_large(sent, &mut too_large)?;
            }
        }
        Ok(too_large)
    }
}

/// The records of a range of lanes.
struct RangeBatch<'a, C, S, D> {
    processor: &'a LaneProcessor<C, S, D>,
    range: LaneRange,
    records: &'a [LaneRecord<'a>],
    policies: &'a PolicySet,
    /// Whether the policies were read after the records arrived: then what they lack is refused.
    are_newest: bool,
}

/// The result of a lane whose records can be neither counted nor refused now.
fn withheld() -> (BatchResult, Option<ProcessFailure>) {
    (BatchResult { has_unknown: true, ..BatchResult::default() }, Some(ProcessFailure::NotAppended))
}

impl<'r, C: CheckpointLog, S: CountsStream, D: DeadLetterQueue> LogBatch for RangeBatch<'r, C, S, D> {
    type State = LaneRangeState;
    type Record = LaneRecord<'r>;
    type Outcome = BatchResult;

    fn identity(&self) -> &LaneRange {
        &self.range
    }

    fn initial_state(&self) -> LaneRangeState {
        LaneRangeState::new(self.range)
    }

    fn records(&self) -> &[LaneRecord<'r>] {
        self.records
    }

    fn sequence<'a>(&self, record: &'a LaneRecord<'r>) -> SequenceRef<'a> {
        record.record.sequence
    }

    fn arrival_ms(&self, record: &LaneRecord<'r>) -> i64 {
        record.record.arrival_ms
    }

    fn parked(&self) -> Vec<u8> {
        parking::encode_records(self.records.iter().map(|record| record.record))
    }

    fn already_processed(&self, state: &LaneRangeState, record: &LaneRecord<'r>) -> bool {
        state.lane(record.lane).is_some_and(|lane| lane.already_processed(record.record.sequence))
    }

    /// A watermark that reaches no tick changes nothing: the next one covers it.
    fn has_effect(&self, state: &LaneRangeState, records: &[&LaneRecord<'r>]) -> bool {
        records.iter().any(|LaneRecord { lane, content, .. }| match content {
            Content::Events { .. } => true,
            Content::Watermarks(watermarks) => state.lane(*lane).is_some_and(|lane| {
                watermarks.iter().any(|(city, watermark)| {
                    lane.is_watermark_due(city.as_str(), watermark)
                        && (!self.are_newest || self.policies.city(city.as_str()).is_some())
                })
            }),
        })
    }

    fn is_withheld(&self, result: &BatchResult) -> bool {
        result.has_unknown && !self.are_newest
    }

    fn absorb(&self, state: &mut LaneRangeState, records: &[&LaneRecord<'r>], result: &mut BatchResult) {
        let mut locators = self.processor.locators.lock();
        let mut absorber = Absorber::new(state, self.policies, &mut locators);
        records.iter().for_each(|record| absorber.absorb(record, result));
        result.metrics.late = state.lanes().map(LaneState::late_in_batch).sum();
        result.metrics.evicted = state.lanes().map(LaneState::evicted_in_batch).sum();
    }

    async fn deliver(
        &self,
        counts: Vec<(LaneId, Vec<CityCounts>)>,
        result: &mut BatchResult,
    ) -> Result<(), Unavailable> {
        result.metrics.too_large += self.processor.send_counts(self.range.lane_count(), counts).await?;
        Ok(())
    }

    fn is_continued(&self, first: &[u8]) -> bool {
        LaneRangeState::is_continued(first)
    }

    async fn origin(
        &self,
        log: &impl CheckpointLog,
        result: &mut BatchResult,
    ) -> Result<Option<Origin<LaneRangeState>>, LoadError> {
        let too_large = &mut result.metrics.too_large;
        let deliver = |lanes, counts| async move {
            *too_large += self.processor.send_counts(lanes, counts).await?;
            Ok(())
        };
        lane_doubling::origin(log, self.range, deliver).await
    }

    fn is_ended(&self, state: &LaneRangeState) -> bool {
        state.doubled_to().is_some()
    }
}
