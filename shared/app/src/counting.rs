//! Counts the market, lane by lane: the walk of a batch from the log to the counts (HOUSE, "count").

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use equilibrium_domain::clock::{self, CityClock};
use equilibrium_domain::event::{self, Event, Lines, MarketEvent, Refusal};
use equilibrium_domain::id::{CityId, Lane as LaneNumber, LaneCount};
use equilibrium_domain::lane::{CityIndex, Lane};
use equilibrium_domain::locate::Locators;
use equilibrium_domain::report;
use equilibrium_domain::wire;
use futures_util::future::join_all;

use crate::batch::{Batch, Record};
use crate::book::PolicyBook;
use crate::delivery::{Held, Memory, Outcome, group_of};
use crate::ports::{AppendError, CheckpointLog, CountsStream, LogName, Unavailable};

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
pub struct Counter<C, S> {
    settings: CountSettings,
    checkpoints: C,
    counts: S,
    memory: Memory<LaneNumber, Lane>,
    locators: Mutex<Locators>,
}

/// What a batch came to, for metrics. Refused and unknown events are counted as often as their record is
/// delivered; the rest is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events taken in.
    pub absorbed: u64,
    /// Events of an unknown type.
    pub unknown: u64,
    /// Events of another lane than their record's, which CONTRACT §1 rules out: not taken in.
    pub stray: u64,
    /// Records in which nothing has a lane: they hold no event of a known type, and no clock.
    pub without_lane: u64,
    /// Refused events, by [`Refusal::index`].
    pub refused: [u64; Refusal::CODES.len()],
    /// Late events.
    pub late: u64,
    /// Records held already.
    pub skipped: u64,
    /// Races lost to another instance.
    pub races_lost: u64,
    /// Entities that had to go because there were too many.
    pub evicted: u64,
    /// Entries that a lane's log held and nobody can read, by the lane.
    pub corrupt: Vec<(LaneNumber, wire::Corrupt)>,
}

/// A record, read as far as its lane shows.
struct Part<'a> {
    record: Record<'a>,
    content: Content<'a>,
}

enum Content<'a> {
    Clocks(Vec<(CityId, CityClock)>),
    Events { first: MarketEvent<'a>, rest: Lines<'a> },
}

impl<C: CheckpointLog, S: CountsStream> Counter<C, S> {
    /// A counter that remembers nothing yet.
    pub fn new(settings: CountSettings, checkpoints: C, counts: S) -> Self {
        Self { settings, checkpoints, counts, memory: Memory::default(), locators: Mutex::default() }
    }

    /// Entities in memory, over all lanes.
    pub fn entities(&self) -> usize {
        self.memory.sum(Lane::entities)
    }

    /// Takes in a batch of one shard. Lanes fail alone: what others counted is kept.
    pub async fn count(&self, batch: &Batch<'_>, book: &PolicyBook, now: i64) -> Outcome<Tally> {
        let mut tally = Tally::default();
        let lanes = self.sort_by_lane(batch, &mut tally);
        let runs = lanes.into_iter().map(|(lane, parts)| async move {
            let run = self.run_lane(lane, &parts, book, now).await;
            (parts[0].record.sequence, run)
        });
        let mut failed = Vec::new();
        for (first, (run, outcome)) in join_all(runs).await {
            tally.add(run);
            if outcome.is_err() {
                failed.push(first.to_owned());
            }
        }
        Outcome { failed, tally }
    }

    /// The records of each lane. A record's events are all of one lane (CONTRACT §1), that of its first.
    fn sort_by_lane<'a>(
        &self,
        batch: &'a Batch<'_>,
        tally: &mut Tally,
    ) -> BTreeMap<LaneNumber, Vec<Part<'a>>> {
        let mut lanes: BTreeMap<LaneNumber, Vec<Part<'_>>> = BTreeMap::new();
        for record in batch.iter() {
            match self.open(record, tally) {
                Some((lane, part)) => lanes.entry(lane).or_default().push(part),
                None => tally.without_lane += 1,
            }
        }
        lanes
    }

    /// Reads a record as far as its lane shows; `None` where nothing in it has one.
    fn open<'a>(&self, record: Record<'a>, tally: &mut Tally) -> Option<(LaneNumber, Part<'a>)> {
        if wire::is_frame(record.data) {
            let read = clock::read(record.data, self.settings.lanes);
            let (lane, clocks) =
                read.inspect_err(|_| tally.refuse(&Refusal::MalformedJson { at: 0 })).ok()?;
            return Some((lane, Part { record, content: Content::Clocks(clocks) }));
        }
        let mut lines = Lines::new(record.data);
        while let Some(line) = lines.next() {
            if event::is_blank(line) {
                continue;
            }
            match event::read(line) {
                Ok(Event::Market(first)) => {
                    let lane = self.settings.lanes.lane_of(first.what.entity());
                    return Some((lane, Part { record, content: Content::Events { first, rest: lines } }));
                }
                Ok(Event::Unknown) => tally.unknown += 1,
                Err(refusal) => tally.refuse(&refusal),
            }
        }
        None
    }

    async fn run_lane(
        &self,
        number: LaneNumber,
        parts: &[Part<'_>],
        book: &PolicyBook,
        now: i64,
    ) -> (Tally, Result<(), Unavailable>) {
        let mut races_lost = 0;
        loop {
            let mut tally = Tally { races_lost, ..Tally::default() };
            let mut held = match self.hold(number, now, &mut tally).await {
                Ok(held) => held,
                Err(unavailable) => return (tally, Err(unavailable)),
            };
            if held.owes
                && let Err(unavailable) = self.send(&mut held).await
            {
                return (tally, Err(unavailable));
            }
            if held.is_snapshot_due(now) {
                held.state.ask_for_snapshot();
            }
            let lane = &mut held.state;
            let (late, evicted) = (lane.late(), lane.evicted());
            let Some((entry, snapshot)) = self.absorb(lane, parts, book, &mut tally) else {
                self.memory.keep(number, held);
                return (tally, Ok(()));
            };
            tally.late = lane.late() - late;
            tally.evicted = lane.evicted() - evicted;
            let name = LogName::Lane(number);
            match self.checkpoints.append(&name, lane.next_entry() - 1, &entry, snapshot).await {
                Ok(()) => {}
                // What is in memory is not what is stored: it is dropped, and loaded anew.
                Err(AppendError::Taken) => {
                    races_lost += 1;
                    continue;
                }
                Err(AppendError::Unavailable(unavailable)) => return (tally, Err(unavailable)),
            }
            held.written(now, snapshot);
            if let Err(unavailable) = self.send(&mut held).await {
                return (tally, Err(unavailable));
            }
            self.memory.keep(number, held);
            return (tally, Ok(()));
        }
    }

    /// The lane from memory, or from its log; of that nobody knows whether all it owes was sent.
    async fn hold(&self, number: LaneNumber, now: i64, tally: &mut Tally) -> Result<Held<Lane>, Unavailable> {
        if let Some(held) = self.memory.take(&number, now) {
            return Ok(held);
        }
        let entries = self.checkpoints.load(&LogName::Lane(number)).await?;
        let lanes = self.settings.lanes;
        match Lane::load(number, lanes, entries.iter().map(Vec::as_slice)) {
            Ok(lane) => Ok(Held::loaded(lane, now)),
            Err(corrupt) => {
                tally.corrupt.push((number, corrupt));
                Err(Unavailable)
            }
        }
    }

    /// Takes in what the lane does not hold yet; the entry that says so, and whether it is a snapshot.
    fn absorb(
        &self,
        lane: &mut Lane,
        parts: &[Part<'_>],
        book: &PolicyBook,
        tally: &mut Tally,
    ) -> Option<(Vec<u8>, bool)> {
        let mut new: Vec<&Part<'_>> = Vec::with_capacity(parts.len());
        for part in parts {
            let sequence = part.record.sequence;
            if !lane.holds(sequence) && new.last().is_none_or(|last| last.record.sequence < sequence) {
                new.push(part);
            }
        }
        tally.skipped = (parts.len() - new.len()) as u64;
        let reached = new.last()?.record.sequence;
        let snapshot = lane.begin();
        let mut locators = self.locators.lock().unwrap_or_else(PoisonError::into_inner);
        let mut absorber =
            Absorber { lane, lanes: self.settings.lanes, book, locators: &mut locators, city: None };
        for part in new {
            absorber.take_in(part, tally);
        }
        drop(locators);
        Some((lane.entry(snapshot.as_deref(), reached), snapshot.is_some()))
    }

    /// Sends what the newest entry owes.
    async fn send(&self, held: &mut Held<Lane>) -> Result<(), Unavailable> {
        let mut groups: BTreeMap<u32, Vec<report::Section>> = BTreeMap::new();
        for section in held.state.take_reports() {
            groups.entry(group_of(&section.city, self.settings.groups)).or_default().push(section);
        }
        for (group, sections) in groups {
            for record in report::records(held.state.number(), self.settings.lanes, sections) {
                self.counts.send(group, record).await?;
            }
        }
        held.owes = false;
        Ok(())
    }
}

/// Takes records into a lane.
struct Absorber<'a> {
    lane: &'a mut Lane,
    lanes: LaneCount,
    book: &'a PolicyBook,
    locators: &'a mut Locators,
    /// The city of the last event: the next is most likely of the same.
    city: Option<(Vec<u8>, CityIndex)>,
}

impl Absorber<'_> {
    fn take_in(&mut self, part: &Part<'_>, tally: &mut Tally) {
        match &part.content {
            Content::Clocks(clocks) => self.hear(clocks),
            Content::Events { first, rest } => {
                self.count(first, part.record.arrival, tally);
                for line in rest.clone().filter(|line| !event::is_blank(line)) {
                    match event::read(line) {
                        Ok(Event::Market(event)) => self.count(&event, part.record.arrival, tally),
                        Ok(Event::Unknown) => tally.unknown += 1,
                        Err(refusal) => tally.refuse(&refusal),
                    }
                }
            }
        }
    }

    /// Hears the cities' clocks. A city that nobody defines any more has none.
    fn hear(&mut self, clocks: &[(CityId, CityClock)]) {
        for (city, clock) in clocks {
            if let Some(book) = self.book.city(city.as_str()) {
                let index = self.lane.enter(city, &book.rules);
                self.lane.hear(index, clock);
            }
        }
    }

    fn count(&mut self, event: &MarketEvent<'_>, arrival: i64, tally: &mut Tally) {
        if self.is_stray(event) {
            tally.stray += 1;
            return;
        }
        match self.market(event, arrival) {
            Ok(()) => tally.absorbed += 1,
            Err(refusal) => tally.refuse(&refusal),
        }
    }

    /// Whether the event is of another lane: taken in here, its entity would count in two.
    fn is_stray(&self, event: &MarketEvent<'_>) -> bool {
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
        let index = self.lane.enter(&city, &book.rules);
        self.city = Some((name.to_vec(), index));
        Ok(index)
    }
}

impl Tally {
    /// Adds what another batch came to.
    pub fn add(&mut self, other: Self) {
        self.absorbed += other.absorbed;
        self.unknown += other.unknown;
        self.stray += other.stray;
        self.without_lane += other.without_lane;
        self.late += other.late;
        self.skipped += other.skipped;
        self.races_lost += other.races_lost;
        self.evicted += other.evicted;
        self.corrupt.extend(other.corrupt);
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.refused[refusal.index()] += 1;
    }
}
