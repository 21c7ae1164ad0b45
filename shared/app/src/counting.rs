//! Counts the market, lane by lane: the walk of a batch from the log to the counts (HOUSE, "count").

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use equilibrium_domain::clock;
use equilibrium_domain::event::{self, Event, MarketEvent, Refusal};
use equilibrium_domain::id::{CityId, Lane as LaneNumber, LaneCount};
use equilibrium_domain::lane::{CityIndex, Lane};
use equilibrium_domain::locate::Locators;
use equilibrium_domain::report;
use equilibrium_domain::sequence::Sequence;
use equilibrium_domain::wire;
use futures_util::future::join_all;

use crate::batch::{Batch, Record};
use crate::book::PolicyBook;
use crate::delivery::{Held, Memory, group_of};
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

/// What a batch came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first record of each lane that failed: from there on the batch must come again.
    pub failed: Vec<Sequence>,
    /// What was counted.
    pub tally: Tally,
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
    pub async fn count(&self, batch: &Batch, book: &PolicyBook, now: i64) -> Outcome {
        let mut tally = Tally::default();
        let lanes = self.sort_by_lane(batch, &mut tally);
        let runs = lanes.into_iter().map(|(lane, records)| async move {
            let run = self.run_lane(lane, &records, batch, book, now).await;
            (records[0], run)
        });
        let mut failed = Vec::new();
        for (first, (run, outcome)) in join_all(runs).await {
            tally.add(run);
            if outcome.is_err() {
                failed.push(batch.record(first).sequence.clone());
            }
        }
        Outcome { failed, tally }
    }

    /// The records of each lane, by their places in the batch.
    ///
    /// A record's events are all of one lane (CONTRACT §1), that of its first.
    fn sort_by_lane(&self, batch: &Batch, tally: &mut Tally) -> BTreeMap<LaneNumber, Vec<usize>> {
        let mut lanes: BTreeMap<LaneNumber, Vec<usize>> = BTreeMap::new();
        for (index, record) in batch.iter().enumerate() {
            if wire::is_frame(record.data) {
                match clock::read(record.data, self.settings.lanes) {
                    Ok((lane, _)) => lanes.entry(lane).or_default().push(index),
                    Err(_) => tally.refused[Refusal::MalformedJson { at: 0 }.index()] += 1,
                }
                continue;
            }
            let first = event::lines(record.data).find_map(|line| match event::read(line) {
                Ok(Event::Market(event)) => Some(self.settings.lanes.lane_of(event.what.entity())),
                _ => None,
            });
            match first {
                Some(lane) => lanes.entry(lane).or_default().push(index),
                None => tally.add_lines_without_lane(record.data),
            }
        }
        lanes
    }

    async fn run_lane(
        &self,
        number: LaneNumber,
        records: &[usize],
        batch: &Batch,
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
            let Some((entry, snapshot)) = self.absorb(lane, records, batch, book, &mut tally) else {
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
        records: &[usize],
        batch: &Batch,
        book: &PolicyBook,
        tally: &mut Tally,
    ) -> Option<(Vec<u8>, bool)> {
        let new =
            records.iter().map(|index| batch.record(*index)).filter(|record| !lane.holds(record.sequence));
        let new: Vec<Record<'_>> = new.collect();
        tally.skipped = (records.len() - new.len()) as u64;
        let reached = new.last()?.sequence;
        let snapshot = lane.begin();
        let mut locators = self.locators.lock().unwrap_or_else(PoisonError::into_inner);
        let mut absorber =
            Absorber { lane, lanes: self.settings.lanes, book, locators: &mut locators, city: None };
        for record in &new {
            absorber.record(record, tally);
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
    fn record(&mut self, record: &Record<'_>, tally: &mut Tally) {
        if wire::is_frame(record.data) {
            self.clock(record.data);
            return;
        }
        for line in event::lines(record.data) {
            if event::is_blank(line) {
                continue;
            }
            let taken = match event::read(line) {
                Ok(Event::Market(event)) if self.is_stray(&event) => {
                    tally.stray += 1;
                    continue;
                }
                Ok(Event::Market(event)) => self.market(&event, record.arrival),
                Ok(Event::Unknown) => {
                    tally.unknown += 1;
                    continue;
                }
                Err(refusal) => Err(refusal),
            };
            match taken {
                Ok(()) => tally.absorbed += 1,
                Err(refusal) => tally.refused[refusal.index()] += 1,
            }
        }
    }

    /// Hears a clock. A city that nobody defines any more has none.
    fn clock(&mut self, record: &[u8]) {
        let Ok((_, cities)) = clock::read(record, self.lanes) else { return };
        for (city, clock) in cities {
            if let Some(book) = self.book.city(city.as_str()) {
                let index = self.lane.enter(&city, &book.rules);
                self.lane.hear(index, &clock);
            }
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
        self.late += other.late;
        self.skipped += other.skipped;
        self.races_lost += other.races_lost;
        self.evicted += other.evicted;
        self.corrupt.extend(other.corrupt);
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
    }

    /// Counts the lines of a record that holds no market event.
    fn add_lines_without_lane(&mut self, data: &[u8]) {
        for line in event::lines(data).filter(|line| !event::is_blank(line)) {
            match event::read(line) {
                Ok(_) => self.unknown += 1,
                Err(refusal) => self.refused[refusal.index()] += 1,
            }
        }
    }
}
