//! Feeds events to the log as `ingest` does: checked, packed by lane, with the cities' clocks among them.

use std::sync::Arc;

use equilibrium_app::book::PolicyBook;
use equilibrium_domain::clock::{self, CityClock, Watermarks};
use equilibrium_domain::event::{self, Event, Refusal};
use equilibrium_domain::id::{CityId, Lane, LaneCount};
use equilibrium_domain::rules::Rules;
use equilibrium_domain::time::Timestamp;

/// Most bytes of one record: Kinesis bills a put by units of 25 KB.
const RECORD_BYTES: usize = 25 * 1024;

/// Where records go.
pub trait Log {
    /// Puts a record of `lane` behind all others of it.
    fn put(&self, lane: Lane, record: Vec<u8>);
}

/// A feeder of replayed events: their own time is all that counts.
#[derive(Debug)]
pub struct Feed<L> {
    log: L,
    lanes: LaneCount,
    book: Arc<PolicyBook>,
    clocks: Watermarks,
    packs: Vec<Vec<u8>>,
    /// The city of the last event: the next is most likely of the same.
    city: Option<(CityId, Arc<Rules>)>,
}

impl<L: Log> Feed<L> {
    /// A feeder that has fed nothing yet.
    pub fn new(log: L, lanes: LaneCount, book: Arc<PolicyBook>) -> Self {
        let packs = lanes.iter().map(|_| Vec::new()).collect();
        Self { log, lanes, book, clocks: Watermarks::default(), packs, city: None }
    }

    /// Feeds one line, which is not blank.
    ///
    /// # Errors
    /// The line's [`Refusal`]; nothing was fed then.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let Event::Market(event) = event::read(line)? else {
            self.pack(self.lanes.lane_of(line), line);
            return Ok(());
        };
        let known = self.city.as_ref().is_some_and(|(city, _)| city.as_str().as_bytes() == &*event.city);
        if !known {
            self.enter(&event.city)?;
        }
        let Some((city, rules)) = &self.city else { return Ok(()) };
        rules.check(&event.what)?;
        let due = self.clocks.observe(city, event.time.ms(), rules.tick_ms, rules.lateness_ms);
        let due = due.map(|clock| (city.clone(), clock));
        self.pack(self.lanes.lane_of(event.what.entity()), line);
        if let Some((city, clock)) = due {
            self.tell(&[(city, clock)]);
        }
        Ok(())
    }

    /// Ends the replay: every tick up to each city's greatest time is to close.
    pub fn end(&mut self) {
        let cities: Vec<_> = self.clocks.at_end().map(|(city, clock)| (city.clone(), clock)).collect();
        self.tell(&cities);
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), Refusal> {
        let text = String::from_utf8_lossy(name);
        let known = CityId::new(&text).zip(self.book.city(&text));
        let (city, book) = known.ok_or_else(|| Refusal::UnknownCity { city: text.into() })?;
        self.city = Some((city, book.rules));
        Ok(())
    }

    fn pack(&mut self, lane: Lane, line: &[u8]) {
        let pack = &mut self.packs[usize::from(lane.0)];
        if !pack.is_empty() && pack.len() + line.len() >= RECORD_BYTES {
            self.log.put(lane, std::mem::take(pack));
        }
        pack.extend_from_slice(line);
        pack.push(b'\n');
    }

    /// Puts what is packed, and then the cities' clocks, into every lane.
    fn tell(&mut self, cities: &[(CityId, CityClock)]) {
        for lane in self.lanes.iter() {
            let pack = &mut self.packs[usize::from(lane.0)];
            if !pack.is_empty() {
                self.log.put(lane, std::mem::take(pack));
            }
            let cities = cities.iter().map(|(city, clock)| (city, *clock));
            self.log.put(lane, clock::write(lane, self.lanes, cities));
        }
    }
}

/// When a replayed record arrives: so late that nothing is ever held back by it.
#[must_use]
pub fn arrival() -> i64 {
    Timestamp::END_OF_TIME.ms()
}
