//! Feeds events to the log: checked, packed by lane, with the cities' clocks among them (HOUSE, "Clock
//! records").

use parking_lot::Mutex;
use std::sync::Arc;

use equilibrium_domain::count::config::CountingConfig;
use equilibrium_domain::event::watermark::{self, CityWatermark, Watermarks};
use equilibrium_domain::event::{self, Event, MAX_FUTURE_MS, Refusal};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::time::Timestamp;
use futures_util::future::join_all;
use hashbrown::HashMap;

use crate::ingest::ports::EventLog;
use crate::policy::policy_set::PolicySet;
use crate::unavailable::Unavailable;

/// Most bytes of one record: Kinesis bills a put by payload units of 25 KB, so that a record this large
/// wastes nothing, and a lane's share of a request is rarely larger.
pub const MAX_RECORD_BYTES: usize = 25 * 1024;

/// Where a feeder's records go; those of one lane in the order of the calls.
pub trait RecordSink {
    /// Takes a record of `lane`, behind all others of it.
    fn put(&mut self, lane: LaneId, record: Vec<u8>);
}

/// The time at which an event counts (CONTRACT §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeRule {
    /// Its own.
    Replay,
    /// Its own or that of its arrival, whichever is earlier.
    Live {
        /// The receiver's clock, in milliseconds since the epoch.
        now_ms: i64,
    },
}

impl TimeRule {
    fn counted_ms(self, time: Timestamp) -> Result<i64, Refusal> {
        let Self::Live { now_ms } = self else { return Ok(time.ms()) };
        let ahead_ms = time.ms() - now_ms;
        if ahead_ms > MAX_FUTURE_MS {
            return Err(Refusal::TooFarInFuture { ahead_ms });
        }
        Ok(time.ms().min(now_ms))
    }
}

/// Packs events by lane, and the clock of a city into every lane right behind the event by which its
/// watermark reaches a tick.
#[derive(Debug)]
pub struct RecordPacker<R> {
    records: R,
    lanes: LaneCount,
    book: Arc<PolicySet>,
    clocks: Arc<Mutex<Watermarks>>,
    rule: TimeRule,
    packs: Vec<Vec<u8>>,
    cities: Vec<KnownCity>,
    by_name: HashMap<CityId, usize>,
    /// The city of the last event: the next is most likely of the same.
    last: usize,
}

#[derive(Debug)]
struct KnownCity {
    id: CityId,
    rules: Arc<CountingConfig>,
    /// Whether this feeder has put its clock.
    is_broadcast: bool,
}

impl<R: RecordSink> RecordPacker<R> {
    /// A feeder that has fed nothing yet. Feeders of one log share their `clocks`, so that of two only one
    /// tells of a tick.
    #[must_use]
    pub fn new(
        records: R,
        lanes: LaneCount,
        book: Arc<PolicySet>,
        clocks: Arc<Mutex<Watermarks>>,
        rule: TimeRule,
    ) -> Self {
        let packs = lanes.iter().map(|_| Vec::new()).collect();
        let (cities, by_name) = (Vec::new(), HashMap::new());
        Self { records, lanes, book, clocks, rule, packs, cities, by_name, last: 0 }
    }

    /// A packer of replayed events: an event counts at its own time.
    #[must_use]
    pub fn replay(records: R, lanes: LaneCount, book: Arc<PolicySet>) -> Self {
        Self::new(records, lanes, book, Arc::default(), TimeRule::Replay)
    }

    /// Feeds one line, which is not blank and holds no line feed. An event of an unknown type goes to the
    /// lane of its line's hash.
    ///
    /// # Errors
    /// The line's [`Refusal`]; nothing was fed then.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let Event::Market(event) = event::read(line)? else {
            self.pack(self.lanes.lane_of(line), line);
            return Ok(());
        };
        let at = self.city_index(&event.city)?;
        let KnownCity { id, rules, .. } = &self.cities[at];
        rules.check(&event.what)?;
        let time = self.rule.counted_ms(event.time)?;
        let due = self.clocks.lock().observe(id, time, rules.tick_ms, rules.lateness_ms);
        self.pack(self.lanes.lane_of(event.what.entity()), line);
        if let Some(clock) = due {
            self.cities[at].is_broadcast = true;
            let city = self.cities[at].id.clone();
            self.broadcast(&[(city, clock)]);
        }
        Ok(())
    }

    /// Ends a replay: every tick up to each city's greatest time is to close.
    pub fn end(&mut self) {
        let ends = self.clocks.lock().at_end().map(|(city, clock)| (city.clone(), clock)).collect::<Vec<_>>();
        self.broadcast(&ends);
    }

    /// The place of the city called `name` among those fed.
    fn city_index(&mut self, name: &[u8]) -> Result<usize, Refusal> {
        if self.cities.get(self.last).is_some_and(|city| city.id.as_str().as_bytes() == name) {
            return Ok(self.last);
        }
        let text = String::from_utf8_lossy(name);
        if let Some(at) = self.by_name.get(&*text) {
            self.last = *at;
            return Ok(*at);
        }
        let known = CityId::new(&text).zip(self.book.city(&text));
        let (id, book) = known.ok_or_else(|| Refusal::UnknownCity { city: text.into() })?;
        self.last = self.cities.len();
        self.by_name.insert(id.clone(), self.last);
        self.cities.push(KnownCity { id, rules: book.counting, is_broadcast: false });
        Ok(self.last)
    }

    fn pack(&mut self, lane: LaneId, event: &[u8]) {
        let pack = &mut self.packs[usize::from(lane.0)];
        if !pack.is_empty() && pack.len() + event.len() >= MAX_RECORD_BYTES {
            self.records.put(lane, std::mem::take(pack));
        }
        // At once, for most packs of a request hold a single event.
        pack.reserve(event.len() + 1);
        pack.extend_from_slice(event);
        pack.push(b'\n');
    }

    /// Puts what is packed into every lane, and behind it the cities' clocks.
    fn broadcast(&mut self, cities: &[(CityId, CityWatermark)]) {
        self.flush();
        for lane in self.lanes.iter() {
            let cities = cities.iter().map(|(city, clock)| (city, *clock));
            self.records.put(lane, watermark::write(lane, self.lanes, cities));
        }
    }

    fn flush(&mut self) {
        for lane in self.lanes.iter() {
            let pack = &mut self.packs[usize::from(lane.0)];
            if !pack.is_empty() {
                self.records.put(lane, std::mem::take(pack));
            }
        }
    }
}

/// The live feeder: what it is handed is in the log once [`Self::put`] says so.
///
/// Who is told [`Unavailable`] sends the same again. What was in the log already is then there twice, and
/// counts once: a second sighting of the same entity at the same time and place changes nothing (CONTRACT
/// §3).
#[derive(Debug)]
pub struct Ingester<L> {
    log: L,
    lanes: LaneCount,
    clocks: Arc<Mutex<Watermarks>>,
}

impl<L: EventLog> Ingester<L> {
    /// A feeder of `log` that has heard of no city yet.
    pub fn new(log: L, lanes: LaneCount) -> Self {
        Self { log, lanes, clocks: Arc::default() }
    }

    /// Where one request's events are taken in.
    #[must_use]
    pub fn begin(&self, book: &Arc<PolicySet>, now_ms: i64) -> IngestBatch {
        let queues = Queues(self.lanes.iter().map(|_| Vec::new()).collect());
        let (book, clocks) = (Arc::clone(book), Arc::clone(&self.clocks));
        IngestBatch(RecordPacker::new(queues, self.lanes, book, clocks, TimeRule::Live { now_ms }))
    }

    /// Puts what was taken in into the log, all lanes at once, the records of a lane one after the other.
    ///
    /// # Errors
    /// [`Unavailable`] if a lane failed: of that lane nothing behind the failure was put, of the others
    /// everything that could be.
    pub async fn commit(&self, mut intake: IngestBatch) -> Result<(), Unavailable> {
        intake.0.flush();
        let queues = std::mem::take(&mut intake.0.records.0);
        let queues = self.lanes.iter().zip(queues).filter(|(_, records)| !records.is_empty());
        let puts = queues.map(|(lane, records)| self.put_lane(lane, records));
        for put in join_all(puts).await {
            put?;
        }
        for city in &mut intake.0.cities {
            city.is_broadcast = false;
        }
        Ok(())
    }

    async fn put_lane(&self, lane: LaneId, records: Vec<Vec<u8>>) -> Result<(), Unavailable> {
        for record in records {
            self.log.put(lane, record).await?;
        }
        Ok(())
    }
}

/// One request's events, checked and packed, not yet in the log.
///
/// Dropped before all of it was put, as when the log fails or the client hangs up, it has the clocks that
/// it held told again behind the next event.
#[derive(Debug)]
pub struct IngestBatch(RecordPacker<Queues>);

impl IngestBatch {
    /// Takes in one line, as [`Feeder::line`] does.
    ///
    /// # Errors
    /// The line's [`Refusal`]; nothing was taken in then.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.0.line(line)
    }
}

impl Drop for IngestBatch {
    fn drop(&mut self) {
        for city in self.0.cities.iter().filter(|city| city.is_broadcast) {
            self.0.clocks.lock().rebroadcast(&city.id);
        }
    }
}

/// Each lane's records, in order.
#[derive(Debug)]
struct Queues(Vec<Vec<Vec<u8>>>);

impl RecordSink for Queues {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        self.0[usize::from(lane.0)].push(record);
    }
}
