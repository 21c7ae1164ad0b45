//! Counts the market, lane by lane: the walk of a batch from the log to the counts (HOUSE, "count").

use parking_lot::Mutex;
use std::collections::BTreeMap;

use equilibrium_domain::count::lane::{CityIndex, LaneState};
use equilibrium_domain::count::tick_counts;
use equilibrium_domain::event::watermark::{self, CityWatermark};
use equilibrium_domain::event::{self, Event, Lines, MarketEvent, Refusal};
use equilibrium_domain::geo::locate::Locators;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::wire;
use futures_util::future::join_all;

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::checkpoint::state_cache::{BatchOutcome, CachedState, StateCache, group_of};
use crate::count::dead_letters::DeadLetterBuffer;
use crate::count::metrics::CountMetrics;
use crate::count::ports::{CountsStream, DeadLetterQueue};
use crate::policy::policy_set::PolicySet;
use crate::unavailable::Unavailable;
use equilibrium_domain::event::record_batch::{RecordBatch, RecordRef};

/// What counting needs to know of its stream.
#[derive(Clone, Copy, Debug)]
pub struct CountSettings {
    /// Lanes of the stream.
    pub lanes: LaneCount,
    /// Groups of cities of the counts' stream.
    pub groups: u32,
}

/// Counts the market of the lanes whose records it is handed.
#[derive(Debug)]
pub struct LaneProcessor<C, S, D> {
    settings: CountSettings,
    checkpoints: C,
    counts: S,
    dead_letters: D,
    states: StateCache<LaneId, LaneState>,
    locators: Mutex<Locators>,
}

/// A record, read as far as its lane shows.
struct LaneRecord<'a> {
    record: RecordRef<'a>,
    content: Content<'a>,
}

enum Content<'a> {
    Watermarks(Vec<(CityId, CityWatermark)>),
    Events { first: MarketEvent<'a>, line: Line<'a>, rest: Lines<'a> },
}

/// A line of a record, and its place among those that are not blank.
#[derive(Clone, Copy)]
struct Line<'a> {
    index: usize,
    bytes: &'a [u8],
}

/// What a batch, or a lane's part of it, comes to.
#[derive(Default)]
struct BatchResult {
    tally: CountMetrics,
    dead_letters: DeadLetterBuffer,
}

impl BatchResult {
    fn refuse(&mut self, record: &RecordRef<'_>, line: Line<'_>, refusal: &Refusal) {
        self.tally.refused[refusal.index()] += 1;
        if !self.dead_letters.keep(record, line.index, line.bytes, refusal) {
            self.tally.dead_letters_dropped += 1;
        }
    }

    /// Takes note of the record's first lines, of which none is an event of a known type.
    fn take_lead(&mut self, record: &RecordRef<'_>, lines: usize) {
        let lead = Lines::new(record.data).filter(|bytes| !event::is_blank(bytes)).take(lines);
        for (index, bytes) in lead.enumerate() {
            match event::read(bytes) {
                Ok(_) => self.tally.unknown += 1,
                Err(refusal) => self.refuse(record, Line { index, bytes }, &refusal),
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.tally.add(other.tally);
        self.tally.dead_letters_dropped += self.dead_letters.append(other.dead_letters) as u64;
    }
}

impl<C: CheckpointLog, S: CountsStream, D: DeadLetterQueue> LaneProcessor<C, S, D> {
    /// A counter that remembers nothing yet.
    pub fn new(settings: CountSettings, checkpoints: C, counts: S, letters: D) -> Self {
        Self {
            settings,
            checkpoints,
            counts,
            dead_letters: letters,
            states: StateCache::default(),
            locators: Mutex::default(),
        }
    }

    /// Entities in memory, over all lanes.
    pub fn entities(&self) -> usize {
        self.states.sum(LaneState::entities)
    }

    /// Takes in a batch of one shard. Lanes fail alone: what others counted is kept.
    ///
    /// Refused lines become letters once what else their lane's records hold is written down, so that a store
    /// that is away does not fill the queue; those of records without a lane whenever they come. An instance
    /// that ends in between sends none, and whether anybody takes them is no reason to fail.
    pub async fn count(
        &self,
        batch: &RecordBatch<'_>,
        book: &PolicySet,
        now: i64,
    ) -> BatchOutcome<CountMetrics> {
        let mut notes = BatchResult::default();
        let lanes = self.sort_by_lane(batch, &mut notes);
        let runs = lanes.into_iter().map(|(lane, parts)| async move {
            let run = self.run_lane(lane, &parts, book, now).await;
            (parts[0].record.sequence, run)
        });
        let mut failed = Vec::new();
        for (first, (run, outcome)) in join_all(runs).await {
            notes.add(run);
            if outcome.is_err() {
                failed.push(first.to_owned());
            }
        }
        BatchOutcome { failed, metrics: self.deliver(notes).await }
    }

    async fn deliver(&self, notes: BatchResult) -> CountMetrics {
        let BatchResult { mut tally, dead_letters: letters } = notes;
        let letters = letters.into_inner();
        let count = letters.len() as u64;
        if count > 0 && self.dead_letters.send(letters).await.is_err() {
            tally.dead_letters_dropped += count;
        }
        tally
    }

    /// The records of each lane. A record's events are all of one lane (CONTRACT §1), that of its first.
    fn sort_by_lane<'a>(
        &self,
        batch: &'a RecordBatch<'_>,
        notes: &mut BatchResult,
    ) -> BTreeMap<LaneId, Vec<LaneRecord<'a>>> {
        let mut lanes: BTreeMap<LaneId, Vec<LaneRecord<'_>>> = BTreeMap::new();
        for record in batch.iter() {
            match self.open(record, notes) {
                Some((lane, part)) => lanes.entry(lane).or_default().push(part),
                None => notes.tally.unroutable += 1,
            }
        }
        lanes
    }

    /// Reads a record as far as its lane shows; `None` where nothing in it has one.
    fn open<'a>(&self, record: RecordRef<'a>, notes: &mut BatchResult) -> Option<(LaneId, LaneRecord<'a>)> {
        if wire::is_frame(record.data) {
            let whole = Line { index: 0, bytes: record.data };
            let refuse = |_: &_| notes.refuse(&record, whole, &Refusal::MalformedJson { at: 0 });
            let (lane, clocks) =
                watermark::read(record.data, self.settings.lanes).inspect_err(refuse).ok()?;
            return Some((lane, LaneRecord { record, content: Content::Watermarks(clocks) }));
        }
        let mut lines = Lines::new(record.data);
        let mut index = 0;
        while let Some(bytes) = lines.next() {
            if event::is_blank(bytes) {
                continue;
            }
            if let Ok(Event::Market(first)) = event::read(bytes) {
                let lane = self.settings.lanes.lane_of(first.what.entity());
                let line = Line { index, bytes };
                return Some((
                    lane,
                    LaneRecord { record, content: Content::Events { first, line, rest: lines } },
                ));
            }
            index += 1;
        }
        notes.take_lead(&record, index);
        None
    }

    async fn run_lane(
        &self,
        number: LaneId,
        parts: &[LaneRecord<'_>],
        book: &PolicySet,
        now: i64,
    ) -> (BatchResult, Result<(), Unavailable>) {
        let mut append_conflicts = 0;
        loop {
            let mut notes = BatchResult {
                tally: CountMetrics { append_conflicts: append_conflicts, ..CountMetrics::default() },
                ..BatchResult::default()
            };
            let mut held = match self.hold(number, now, &mut notes.tally).await {
                Ok(held) => held,
                Err(unavailable) => return (notes, Err(unavailable)),
            };
            if held.has_pending_output
                && let Err(unavailable) = self.send(&mut held).await
            {
                return (notes, Err(unavailable));
            }
            if held.is_snapshot_due(now) {
                held.state.request_snapshot();
            }
            let lane = &mut held.state;
            let (late, evicted) = (lane.late(), lane.evicted());
            let Some((entry, snapshot)) = self.absorb(lane, parts, book, &mut notes) else {
                self.states.put_back(number, held);
                return (notes, Ok(()));
            };
            notes.tally.late = lane.late() - late;
            notes.tally.evicted = lane.evicted() - evicted;
            let name = CheckpointKey::Lane(number);
            match self.checkpoints.append(&name, lane.next_entry() - 1, &entry, snapshot).await {
                Ok(()) => {}
                // What is in memory is not what is stored: it is dropped, and loaded anew.
                Err(AppendError::Conflict) => {
                    append_conflicts += 1;
                    continue;
                }
                Err(AppendError::Unavailable(unavailable)) => {
                    // Its records come again, and with them what is to be said of them.
                    notes.dead_letters = DeadLetterBuffer::default();
                    return (notes, Err(unavailable));
                }
            }
            held.entry_appended(now, snapshot);
            if let Err(unavailable) = self.send(&mut held).await {
                return (notes, Err(unavailable));
            }
            self.states.put_back(number, held);
            return (notes, Ok(()));
        }
    }

    /// The lane from memory, or from its log; of that nobody knows whether all it owes was sent.
    async fn hold(
        &self,
        number: LaneId,
        now: i64,
        tally: &mut CountMetrics,
    ) -> Result<CachedState<LaneState>, Unavailable> {
        if let Some(held) = self.states.take(&number, now) {
            return Ok(held);
        }
        let entries = self.checkpoints.load(&CheckpointKey::Lane(number)).await?;
        let lanes = self.settings.lanes;
        match LaneState::load(number, lanes, entries.iter().map(Vec::as_slice)) {
            Ok(lane) => Ok(CachedState::loaded(lane, now)),
            Err(corrupt) => {
                tally.corrupt.push((number, corrupt));
                Err(Unavailable)
            }
        }
    }

    /// Takes in what the lane does not hold yet; the entry that says so, and whether it is a snapshot.
    fn absorb(
        &self,
        lane: &mut LaneState,
        parts: &[LaneRecord<'_>],
        book: &PolicySet,
        notes: &mut BatchResult,
    ) -> Option<(Vec<u8>, bool)> {
        let mut new: Vec<&LaneRecord<'_>> = Vec::with_capacity(parts.len());
        for part in parts {
            let sequence = part.record.sequence;
            if !lane.already_processed(sequence)
                && new.last().is_none_or(|last| last.record.sequence < sequence)
            {
                new.push(part);
            }
        }
        notes.tally.skipped = (parts.len() - new.len()) as u64;
        let reached = new.last()?.record.sequence;
        let snapshot = lane.begin_batch();
        let mut locators = self.locators.lock();
        let mut absorber =
            Absorber { lane, lanes: self.settings.lanes, book, locators: &mut locators, city: None };
        for part in new {
            absorber.take_in(part, notes);
        }
        drop(locators);
        Some((lane.seal_entry(snapshot.as_deref(), reached), snapshot.is_some()))
    }

    /// Sends what the newest entry owes.
    async fn send(&self, held: &mut CachedState<LaneState>) -> Result<(), Unavailable> {
        let mut groups: BTreeMap<u32, Vec<tick_counts::CityCounts>> = BTreeMap::new();
        for section in held.state.take_output() {
            groups.entry(group_of(&section.city, self.settings.groups)).or_default().push(section);
        }
        for (group, sections) in groups {
            for record in tick_counts::records(held.state.number(), self.settings.lanes, sections) {
                self.counts.send(group, record).await?;
            }
        }
        held.has_pending_output = false;
        Ok(())
    }
}

/// Takes records into a lane.
struct Absorber<'a> {
    lane: &'a mut LaneState,
    lanes: LaneCount,
    book: &'a PolicySet,
    locators: &'a mut Locators,
    /// The city of the last event: the next is most likely of the same.
    city: Option<(Vec<u8>, CityIndex)>,
}

impl Absorber<'_> {
    fn take_in(&mut self, part: &LaneRecord<'_>, notes: &mut BatchResult) {
        let record = &part.record;
        match &part.content {
            Content::Watermarks(clocks) => self.advance_watermarks(clocks),
            Content::Events { first, line, rest } => {
                notes.take_lead(record, line.index);
                self.count(first, record, *line, notes);
                let rest = rest.clone().filter(|bytes| !event::is_blank(bytes));
                for (index, bytes) in (line.index + 1..).zip(rest) {
                    let line = Line { index, bytes };
                    match event::read(bytes) {
                        Ok(Event::Market(event)) => self.count(&event, record, line, notes),
                        Ok(Event::Unknown) => notes.tally.unknown += 1,
                        Err(refusal) => notes.refuse(record, line, &refusal),
                    }
                }
            }
        }
    }

    /// Hears the cities' clocks. A city that nobody defines any more has none.
    fn advance_watermarks(&mut self, clocks: &[(CityId, CityWatermark)]) {
        for (city, clock) in clocks {
            if let Some(book) = self.book.city(city.as_str()) {
                let index = self.lane.city_mut(city, &book.counting);
                self.lane.advance_watermark(index, clock);
            }
        }
    }

    fn count(
        &mut self,
        event: &MarketEvent<'_>,
        record: &RecordRef<'_>,
        line: Line<'_>,
        notes: &mut BatchResult,
    ) {
        if self.is_misrouted(event) {
            notes.tally.misrouted += 1;
            return;
        }
        match self.market(event, record.arrival_ms) {
            Ok(()) => notes.tally.absorbed += 1,
            Err(refusal) => notes.refuse(record, line, &refusal),
        }
    }

    /// Whether the event is of another lane: taken in here, its entity would count in two.
    fn is_misrouted(&self, event: &MarketEvent<'_>) -> bool {
        self.lanes.lane_of(event.what.entity()) != self.lane.number()
    }

    fn market(&mut self, event: &MarketEvent<'_>, arrival: i64) -> Result<(), Refusal> {
        let city = match &self.city {
            Some((name, index)) if *name == *event.city => *index,
            _ => self.enter(&event.city)?,
        };
        // No fast clock runs ahead of the city (CONTRACT §1).
        let time = event.time.ms().min(arrival);
        self.lane.absorb(city, event, time, self.locators)
    }

    fn enter(&mut self, name: &[u8]) -> Result<CityIndex, Refusal> {
        let text = String::from_utf8_lossy(name);
        let unknown = || Refusal::UnknownCity { city: text.as_ref().into() };
        let city = CityId::new(&text).ok_or_else(unknown)?;
        let book = self.book.city(&text).ok_or_else(unknown)?;
        let index = self.lane.city_mut(&city, &book.counting);
        self.city = Some((name.to_vec(), index));
        Ok(index)
    }
}
