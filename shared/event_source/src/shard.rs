//! One shard's state machine: gather, batch, retry, bisect, discard, always in order.
//!
//! It has no clock and no I/O. The poller reads when [`Shard::read_at`] is due, does what [`Shard::step`] returns, and
//! reports the result. At most one batch or report is in progress at a time.

use std::collections::VecDeque;

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_lambda::kinesis::encode::{Envelope, FRAME_BYTES, InvocationOutcome};
use equilibrium_lambda::kinesis::record::{Record, ShardId};

use crate::record::{Discarded, Page, Position, Reason};
use crate::settings::{MAX_RETRY_BACKOFF_MS, MIN_RETRY_BACKOFF_MS, Settings};

/// What is due on a shard.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Invoke the function with [`Shard::batch`], then call [`Shard::settle`].
    Invoke,
    /// Report to the on-failure destination, then call [`Shard::reported`].
    Report(Discarded),
    /// Nothing before this time; `None`: nothing until a record is gathered or the work in progress ends.
    Wait(Option<i64>),
}

/// One shard: the gathered records, the batch in progress, and the position.
#[derive(Debug)]
pub struct Shard {
    envelope: Envelope,
    /// Records that are read and not yet done, oldest first.
    gathered: VecDeque<Gathered>,
    /// The batch at the front of `gathered`, in the pieces that bisecting made of it; the last piece is the next to go.
    pieces: Vec<Piece>,
    next_batch: NextBatch,
    in_progress: InProgress,
    position: Position,
    ended: bool,
    /// Outcomes in a row that did not advance the position.
    setbacks: u32,
    not_before_ms: i64,
    read_at_ms: i64,
}

#[derive(Debug)]
struct Gathered {
    record: Record,
    bytes: usize,
    at_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    len: usize,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InProgress {
    Nothing,
    Batch(usize),
    Report(usize),
}

/// How many of the gathered records the next batch has so far, so that each is considered once.
#[derive(Debug, Default)]
struct NextBatch {
    len: usize,
    record_bytes: usize,
    full: bool,
}

impl Shard {
    /// A shard that is done up to `position`.
    #[must_use]
    pub fn new(envelope: Envelope, position: Position) -> Self {
        Self {
            envelope,
            gathered: VecDeque::new(),
            pieces: Vec::new(),
            next_batch: NextBatch::default(),
            in_progress: InProgress::Nothing,
            ended: position == Position::End,
            position,
            setbacks: 0,
            not_before_ms: i64::MIN,
            read_at_ms: i64::MIN,
        }
    }

    /// The shard's id.
    #[must_use]
    pub fn id(&self) -> &ShardId {
        self.envelope.shard()
    }

    /// How far the shard is done. The position never moves backwards.
    #[must_use]
    pub fn position(&self) -> &Position {
        if self.is_finished() { &Position::End } else { &self.position }
    }

    /// Whether the shard has been read to its end and all its records are done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.ended && self.gathered.is_empty()
    }

    /// The number of records that are gathered and not yet done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.gathered.len()
    }

    /// The record after which the next read starts; `None`: at the oldest.
    #[must_use]
    pub fn read_after(&self) -> Option<&Sequence> {
        if let Some(last) = self.gathered.back() {
            return Some(&last.record.sequence);
        }
        match &self.position {
            Position::After(sequence) => Some(sequence),
            Position::Oldest | Position::End => None,
        }
    }

    /// When the next read is due; `None` while a batch is full or in progress, and after the end.
    #[must_use]
    pub fn read_at(&self) -> Option<i64> {
        let wanted = !self.ended && self.pieces.is_empty() && !self.next_batch.full;
        wanted.then_some(self.read_at_ms)
    }

    /// The maximum number of records of the next read.
    #[must_use]
    pub fn read_limit(&self, settings: &Settings) -> usize {
        settings.batch_size.saturating_sub(self.gathered.len()).max(1)
    }

    /// Gathers the records of a read after [`Self::read_after`] and returns how many were new. Skips those that are
    /// gathered already.
    pub fn gather(&mut self, now_ms: i64, page: Page, settings: &Settings) -> usize {
        let before = self.gathered.len();
        self.read_at_ms = if page.records.is_empty() { now_ms + settings.poll_ms } else { now_ms };
        for record in page.records {
            if self.read_after().is_some_and(|last| record.sequence <= *last) {
                continue;
            }
            let bytes = self.envelope.record_bytes(&record);
            self.gathered.push_back(Gathered { record, bytes, at_ms: now_ms });
        }
        self.ended |= page.ended;
        self.fill_next_batch(settings);
        self.gathered.len() - before
    }

    /// Records that a read failed: the next one is due after a pause.
    pub fn read_failed(&mut self, now_ms: i64, settings: &Settings) {
        self.read_at_ms = now_ms + settings.poll_ms.max(MIN_RETRY_BACKOFF_MS);
    }

    /// Records that the stream no longer has this shard: it counts as read to its end.
    pub fn gone(&mut self) {
        self.ended = true;
    }

    /// Lets the shard wait for no time that was computed before the clock was set back to `now_ms`: a batching window
    /// begins again, and a pause is over.
    pub fn clock_set_back(&mut self, now_ms: i64) {
        self.read_at_ms = self.read_at_ms.min(now_ms);
        self.not_before_ms = self.not_before_ms.min(now_ms);
        for gathered in &mut self.gathered {
            gathered.at_ms = gathered.at_ms.min(now_ms);
        }
    }

    /// When [`Self::step`] or a read is next due, as far as is known now.
    #[must_use]
    pub fn due_at(&self, settings: &Settings) -> Option<i64> {
        if self.in_progress != InProgress::Nothing {
            return None;
        }
        if let Some(piece) = self.pieces.last() {
            return Some(if retries_exhausted(*piece, settings) { i64::MIN } else { self.not_before_ms });
        }
        [self.read_at(), self.next_batch_at(settings)].into_iter().flatten().min()
    }

    /// Returns what is due at `now_ms` and marks it as in progress.
    pub fn step(&mut self, now_ms: i64, settings: &Settings) -> Step {
        if self.in_progress != InProgress::Nothing {
            return Step::Wait(None);
        }
        let piece = match (self.pieces.last(), self.next_batch_at(settings)) {
            (Some(piece), _) => *piece,
            (None, Some(at_ms)) if at_ms <= now_ms => self.begin_batch(),
            (None, at_ms) => return Step::Wait(at_ms),
        };
        if let Some((len, reason)) = self.to_discard(piece, now_ms, settings) {
            self.in_progress = InProgress::Report(len);
            return Step::Report(self.discarded(len, reason, piece.failures));
        }
        if self.not_before_ms > now_ms {
            return Step::Wait(Some(self.not_before_ms));
        }
        self.in_progress = InProgress::Batch(piece.len);
        Step::Invoke
    }

    /// The records of the batch in progress, in order; empty unless [`Self::step`] returned [`Step::Invoke`].
    pub fn batch(&self) -> impl Iterator<Item = &Record> {
        let len = if let InProgress::Batch(len) = self.in_progress { len } else { 0 };
        self.gathered.range(..len).map(|gathered| &gathered.record)
    }

    /// Appends the payload of [`Self::batch`] to `out`.
    pub fn write_payload(&self, out: &mut Vec<u8>) {
        self.envelope.write(self.batch(), out);
    }

    /// Applies the outcome of the batch in progress.
    pub fn settle(&mut self, now_ms: i64, outcome: &InvocationOutcome, settings: &Settings) {
        let InProgress::Batch(len) = self.in_progress else { return };
        self.in_progress = InProgress::Nothing;
        match outcome {
            InvocationOutcome::Success => self.advance(len, settings),
            InvocationOutcome::Refused => self.back_off(now_ms),
            InvocationOutcome::Failure => self.batch_failed(now_ms, settings),
            InvocationOutcome::Items(items) => match self.first_failed_index(items, len) {
                None | Some(0) => self.batch_failed(now_ms, settings),
                Some(first) => self.failed_from(first, now_ms, settings),
            },
        }
    }

    /// Records that the on-failure destination has received the report: the shard continues after the discarded
    /// records.
    pub fn reported(&mut self, settings: &Settings) {
        let InProgress::Report(len) = self.in_progress else { return };
        self.in_progress = InProgress::Nothing;
        self.advance(len, settings);
    }

    /// Abandons the batch or report in progress, which has no outcome: it is due again and uses up no attempt.
    pub fn abandon(&mut self) {
        self.in_progress = InProgress::Nothing;
    }

    /// When the next batch is due: at once if it is full or the shard has ended, else at the end of its window.
    fn next_batch_at(&self, settings: &Settings) -> Option<i64> {
        let first = self.gathered.front()?;
        if self.next_batch.full || self.ended {
            return Some(i64::MIN);
        }
        Some(first.at_ms + settings.batching_window_ms)
    }

    fn begin_batch(&mut self) -> Piece {
        let piece = Piece { len: std::mem::take(&mut self.next_batch).len, failures: 0 };
        self.pieces.push(piece);
        piece
    }

    /// Adds gathered records to the next batch as long as they fit. A record too large for any payload becomes a batch
    /// of its own, to be discarded.
    fn fill_next_batch(&mut self, settings: &Settings) {
        if !self.pieces.is_empty() {
            return;
        }
        let next = &mut self.next_batch;
        while !next.full && next.len < self.gathered.len() {
            let record_bytes = next.record_bytes + self.gathered[next.len].bytes;
            let payload_bytes = FRAME_BYTES + record_bytes + next.len;
            let fits = payload_bytes <= settings.max_payload_bytes;
            if fits || next.len == 0 {
                next.record_bytes = record_bytes;
                next.len += 1;
            }
            next.full = !fits || next.len == settings.batch_size;
        }
    }

    /// How many of the first records of `piece` the function must not receive (again), and why.
    fn to_discard(&self, piece: Piece, now_ms: i64, settings: &Settings) -> Option<(usize, Reason)> {
        if retries_exhausted(piece, settings) {
            return Some((piece.len, Reason::RetriesExhausted));
        }
        if let Some(max_age_ms) = settings.max_record_age_ms {
            let records = self.gathered.range(..piece.len).map(|gathered| &gathered.record);
            let old =
                records.take_while(|record| now_ms.saturating_sub(record.arrival_ms) > max_age_ms).count();
            if old > 0 {
                return Some((old, Reason::TooOld));
            }
        }
        let too_large = piece.len == 1 && FRAME_BYTES + self.gathered[0].bytes > settings.max_payload_bytes;
        too_large.then_some((1, Reason::TooLarge))
    }

    fn discarded(&self, len: usize, reason: Reason, attempts: u32) -> Discarded {
        let (first, last) = (&self.gathered[0].record, &self.gathered[len - 1].record);
        Discarded {
            shard: self.id().clone(),
            reason,
            first: first.sequence.clone(),
            last: last.sequence.clone(),
            count: len,
            first_arrival_ms: first.arrival_ms,
            last_arrival_ms: last.arrival_ms,
            attempts,
        }
    }

    /// Moves the position past the first `len` records of the piece in progress.
    fn advance(&mut self, len: usize, settings: &Settings) {
        if let Some(last) = self.gathered.drain(..len).next_back() {
            self.position = Position::After(last.record.sequence);
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.len -= len;
        }
        self.pieces.pop_if(|piece| piece.len == 0);
        self.setbacks = 0;
        self.not_before_ms = i64::MIN;
        self.fill_next_batch(settings);
    }

    /// Halves the piece if bisecting can separate the record at fault from its neighbours, else counts a failure.
    fn batch_failed(&mut self, now_ms: i64, settings: &Settings) {
        let Some(piece) = self.pieces.last_mut() else { return };
        if settings.bisect_on_error && piece.len > 1 {
            let first = Piece { len: piece.len / 2, failures: piece.failures };
            piece.len -= first.len;
            return self.pieces.push(first);
        }
        piece.failures += 1;
        self.back_off(now_ms);
    }

    /// Resumes at the record with index `first`. With bisecting this is a split, which uses up no attempt; without it,
    /// the remaining records have failed once more.
    fn failed_from(&mut self, first: usize, now_ms: i64, settings: &Settings) {
        self.advance(first, settings);
        if settings.bisect_on_error {
            return;
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.failures += 1;
        }
        self.back_off(now_ms);
    }

    fn back_off(&mut self, now_ms: i64) {
        let backoff_ms =
            MIN_RETRY_BACKOFF_MS.checked_shl(self.setbacks.min(30)).unwrap_or(MAX_RETRY_BACKOFF_MS);
        self.not_before_ms = now_ms + backoff_ms.min(MAX_RETRY_BACKOFF_MS);
        self.setbacks += 1;
    }

    /// The index of the lowest of `items` in the batch; `None` if any of them is not in it.
    fn first_failed_index(&self, items: &[Sequence], len: usize) -> Option<usize> {
        let mut first = None;
        for item in items {
            let at = self.gathered.binary_search_by(|gathered| gathered.record.sequence.cmp(item)).ok()?;
            if at >= len {
                return None;
            }
            first = Some(first.map_or(at, |first: usize| first.min(at)));
        }
        first
    }
}

fn retries_exhausted(piece: Piece, settings: &Settings) -> bool {
    settings.retries.is_some_and(|retries| piece.failures > retries)
}
