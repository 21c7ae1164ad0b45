//! One shard's way through the mapping: gather, batch, retry, split, give up, always in order.
//!
//! A machine without clock or I/O. Whoever drives it reads when [`Shard::read_at`] says so, does what
//! [`Shard::step`] asks for, and tells how it went. At most one thing is in hand at a time.

use std::collections::VecDeque;

use equilibrium_domain::event::sequence::Sequence;

use crate::record::{Discarded, Page, Position, Reason};
use crate::settings::{RETRY_FIRST_MS, RETRY_LONGEST_MS, Settings};
use equilibrium_lambda::kinesis::encode::{Envelope, FRAME_BYTES, InvocationOutcome};
use equilibrium_lambda::kinesis::record::{Record, ShardId};

/// What is due on a shard.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Invoke with [`Shard::batch`], then [`Shard::settle`].
    Invoke,
    /// Tell the on-failure destination, then [`Shard::reported`].
    Report(Discarded),
    /// Nothing before this time; none: not before something is gathered or what is in hand comes back.
    Wait(Option<i64>),
}

/// One shard: what is gathered, what of it is under way, and how far all is done.
#[derive(Debug)]
pub struct Shard {
    envelope: Envelope,
    /// Read and not yet done, oldest first.
    held: VecDeque<Held>,
    /// The batch under way, the front of `held`, in parts; the last part is the next to go.
    parts: Vec<Part>,
    next_batch: Filling,
    in_hand: InHand,
    position: Position,
    ended: bool,
    /// Answers in a row that moved nothing.
    setbacks: u32,
    not_before_ms: i64,
    read_at_ms: i64,
}

#[derive(Debug)]
struct Held {
    record: Record,
    bytes: usize,
    gathered_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    len: usize,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InHand {
    Nothing,
    Batch(usize),
    Report(usize),
}

/// How many of the held records the next batch has so far, so that none is looked at twice.
#[derive(Debug, Default)]
struct Filling {
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
            held: VecDeque::new(),
            parts: Vec::new(),
            next_batch: Filling::default(),
            in_hand: InHand::Nothing,
            ended: position == Position::End,
            position,
            setbacks: 0,
            not_before_ms: i64::MIN,
            read_at_ms: i64::MIN,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &ShardId {
        self.envelope.shard()
    }

    /// How far all is done. It never moves backwards.
    #[must_use]
    pub fn position(&self) -> &Position {
        if self.is_finished() { &Position::End } else { &self.position }
    }

    /// Whether it was read to its end and everything in it is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.ended && self.held.is_empty()
    }

    /// How many records are gathered and not yet done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.held.len()
    }

    /// The record behind which reading goes on; none: with the oldest.
    #[must_use]
    pub fn read_after(&self) -> Option<&Sequence> {
        if let Some(last) = self.held.back() {
            return Some(&last.record.sequence);
        }
        match &self.position {
            Position::After(sequence) => Some(sequence),
            Position::Oldest | Position::End => None,
        }
    }

    /// When more records are wanted; none: not while a batch is full or under way, nor after the end.
    #[must_use]
    pub fn read_at(&self) -> Option<i64> {
        let wanted = !self.ended && self.parts.is_empty() && !self.next_batch.full;
        wanted.then_some(self.read_at_ms)
    }

    /// How many records are wanted.
    #[must_use]
    pub fn room(&self, settings: &Settings) -> usize {
        settings.batch_size.saturating_sub(self.held.len()).max(1)
    }

    /// Takes what was read behind [`Self::read_after`] and says how many records were new. What it
    /// already has is passed over.
    pub fn gather(&mut self, now_ms: i64, page: Page, settings: &Settings) -> usize {
        let before = self.held.len();
        self.read_at_ms = if page.records.is_empty() { now_ms + settings.poll_ms } else { now_ms };
        for record in page.records {
            if self.read_after().is_some_and(|last| record.sequence <= *last) {
                continue;
            }
            let bytes = self.envelope.record_bytes(&record);
            self.held.push_back(Held { record, bytes, gathered_ms: now_ms });
        }
        self.ended |= page.ended;
        self.fill(settings);
        self.held.len() - before
    }

    /// Takes note that a read failed: the next one is tried after a pause.
    pub fn read_failed(&mut self, now_ms: i64, settings: &Settings) {
        self.read_at_ms = now_ms + settings.poll_ms.max(RETRY_FIRST_MS);
    }

    /// Takes note that the stream no longer has this shard: nothing more can be read.
    pub fn gone(&mut self) {
        self.ended = true;
    }

    /// When [`Self::step`] or a read is next due, as far as is known now.
    #[must_use]
    pub fn due_at(&self, settings: &Settings) -> Option<i64> {
        if self.in_hand != InHand::Nothing {
            return None;
        }
        if let Some(part) = self.parts.last() {
            return Some(if exhausted(*part, settings) { i64::MIN } else { self.not_before_ms });
        }
        [self.read_at(), self.batch_at(settings)].into_iter().flatten().min()
    }

    /// What is to be done at `now_ms`.
    pub fn step(&mut self, now_ms: i64, settings: &Settings) -> Step {
        if self.in_hand != InHand::Nothing {
            return Step::Wait(None);
        }
        let part = match (self.parts.last(), self.batch_at(settings)) {
            (Some(part), _) => *part,
            (None, Some(at)) if at <= now_ms => self.begin_batch(),
            (None, at) => return Step::Wait(at),
        };
        if let Some((len, reason)) = self.hopeless(part, now_ms, settings) {
            self.in_hand = InHand::Report(len);
            return Step::Report(self.discarded(len, reason, part.failures));
        }
        if self.not_before_ms > now_ms {
            return Step::Wait(Some(self.not_before_ms));
        }
        self.in_hand = InHand::Batch(part.len);
        Step::Invoke
    }

    /// The records to invoke with, in order; empty unless [`Step::Invoke`] was asked for.
    pub fn batch(&self) -> impl Iterator<Item = &Record> {
        let len = if let InHand::Batch(len) = self.in_hand { len } else { 0 };
        self.held.range(..len).map(|held| &held.record)
    }

    /// Appends the payload of [`Self::batch`] to `out`.
    pub fn write_payload(&self, out: &mut Vec<u8>) {
        self.envelope.write(self.batch(), out);
    }

    /// Takes the answer to the batch in hand.
    pub fn settle(&mut self, now_ms: i64, answer: &InvocationOutcome, settings: &Settings) {
        let InHand::Batch(len) = self.in_hand else { return };
        self.in_hand = InHand::Nothing;
        match answer {
            InvocationOutcome::Success => self.done(len, settings),
            InvocationOutcome::Refused => self.hold_off(now_ms),
            InvocationOutcome::Failure => self.failed(now_ms, settings),
            InvocationOutcome::Items(items) => match self.first_failed(items, len) {
                None | Some(0) => self.failed(now_ms, settings),
                Some(first) => self.failed_from(first, now_ms, settings),
            },
        }
    }

    /// Takes note that the on-failure destination was told: the shard goes on behind what was given up.
    pub fn reported(&mut self, settings: &Settings) {
        let InHand::Report(len) = self.in_hand else { return };
        self.in_hand = InHand::Nothing;
        self.done(len, settings);
    }

    /// Takes note that what was in hand will never be answered: it is due again, no attempt is used up.
    pub fn abandon(&mut self) {
        self.in_hand = InHand::Nothing;
    }

    /// When the next batch goes: at once if it is full or the shard has ended, else with its window.
    fn batch_at(&self, settings: &Settings) -> Option<i64> {
        let first = self.held.front()?;
        if self.next_batch.full || self.ended {
            return Some(i64::MIN);
        }
        Some(first.gathered_ms + settings.batching_window_ms)
    }

    fn begin_batch(&mut self) -> Part {
        let part = Part { len: std::mem::take(&mut self.next_batch).len, failures: 0 };
        self.parts.push(part);
        part
    }

    /// Lets held records into the next batch as long as it keeps its limits. A record too large for any
    /// batch goes in alone, to be given up.
    fn fill(&mut self, settings: &Settings) {
        if !self.parts.is_empty() {
            return;
        }
        let filling = &mut self.next_batch;
        while !filling.full && filling.len < self.held.len() {
            let record_bytes = filling.record_bytes + self.held[filling.len].bytes;
            let payload_bytes = FRAME_BYTES + record_bytes + filling.len;
            let fits = payload_bytes <= settings.max_payload_bytes;
            if fits || filling.len == 0 {
                filling.record_bytes = record_bytes;
                filling.len += 1;
            }
            filling.full = !fits || filling.len == settings.batch_size;
        }
    }

    /// The first records of `part` that the function shall not see (again), and why.
    fn hopeless(&self, part: Part, now_ms: i64, settings: &Settings) -> Option<(usize, Reason)> {
        if exhausted(part, settings) {
            return Some((part.len, Reason::RetriesExhausted));
        }
        if let Some(age) = settings.max_record_age_ms {
            let records = self.held.range(..part.len);
            let old = records.take_while(|held| now_ms.saturating_sub(held.record.arrival_ms) > age).count();
            if old > 0 {
                return Some((old, Reason::TooOld));
            }
        }
        let alone = part.len == 1 && FRAME_BYTES + self.held[0].bytes > settings.max_payload_bytes;
        alone.then_some((1, Reason::TooLarge))
    }

    fn discarded(&self, len: usize, reason: Reason, attempts: u32) -> Discarded {
        let (first, last) = (&self.held[0].record, &self.held[len - 1].record);
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

    /// Moves the position over the first `len` records of the part under way.
    fn done(&mut self, len: usize, settings: &Settings) {
        if let Some(last) = self.held.drain(..len).next_back() {
            self.position = Position::After(last.record.sequence);
        }
        if let Some(part) = self.parts.last_mut() {
            part.len -= len;
        }
        self.parts.pop_if(|part| part.len == 0);
        self.setbacks = 0;
        self.not_before_ms = i64::MIN;
        self.fill(settings);
    }

    /// Halves the part if that can tell the record at fault from its neighbours, else counts a failure.
    fn failed(&mut self, now_ms: i64, settings: &Settings) {
        let Some(part) = self.parts.last_mut() else { return };
        if settings.bisect_on_error && part.len > 1 {
            let first = Part { len: part.len / 2, failures: part.failures };
            part.len -= first.len;
            return self.parts.push(first);
        }
        part.failures += 1;
        self.hold_off(now_ms);
    }

    /// Goes on with the record at `first`. With bisecting this is a split, which uses up no attempt;
    /// without, the rest has failed once more.
    fn failed_from(&mut self, first: usize, now_ms: i64, settings: &Settings) {
        self.done(first, settings);
        if settings.bisect_on_error {
            return;
        }
        if let Some(part) = self.parts.last_mut() {
            part.failures += 1;
        }
        self.hold_off(now_ms);
    }

    fn hold_off(&mut self, now_ms: i64) {
        let wait_ms = RETRY_FIRST_MS.checked_shl(self.setbacks.min(30)).unwrap_or(RETRY_LONGEST_MS);
        self.not_before_ms = now_ms + wait_ms.min(RETRY_LONGEST_MS);
        self.setbacks += 1;
    }

    /// Where in the batch the lowest of `items` lies; none if any of them is not in it.
    fn first_failed(&self, items: &[Sequence], len: usize) -> Option<usize> {
        let mut first = None;
        for item in items {
            let at = self.held.binary_search_by(|held| held.record.sequence.cmp(item)).ok()?;
            if at >= len {
                return None;
            }
            first = Some(first.map_or(at, |first: usize| first.min(at)));
        }
        first
    }
}

fn exhausted(part: Part, settings: &Settings) -> bool {
    settings.retries.is_some_and(|retries| part.failures > retries)
}
