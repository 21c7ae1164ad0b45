//! Packs checked events into one record per lane. A replay also puts a watermark record into every lane after each event
//! by which a city's watermark reaches a tick (ARCHITECTURE, "Watermark records").

use std::sync::Arc;

use equilibrium_domain::count::config::CountingConfig;
use equilibrium_domain::event::canonical::{CanonicalEvent, MAX_GROWTH_BYTES};
use equilibrium_domain::event::watermark::{self, CityWatermark, Watermarks};
use equilibrium_domain::event::{Event, Fields, MAX_EVENT_BYTES, Refusal};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::pseudonym::PseudonymKey;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::ingest::time_rule::TimeRule;
use crate::policy::policy_set::PolicySet;

/// The largest record of packed events, in bytes. Kinesis bills a put by payload units of 25 KB, so a record of this
/// size wastes nothing, and a lane's events of one request are rarely more.
pub const MAX_RECORD_BYTES: usize = 25 * 1024;

/// Where a packer's records go; the sink keeps the order of the calls within a lane.
pub trait RecordSink {
    /// Appends a record to `lane`.
    fn put(&mut self, lane: LaneId, record: Vec<u8>);
}

/// Packs events by lane into the records of `sink`.
#[derive(Debug)]
pub struct RecordPacker<S> {
    sink: S,
    lanes: LaneCount,
    policies: Arc<PolicySet>,
    watermarks: Arc<Mutex<Watermarks>>,
    rule: TimeRule,
    key: Arc<PseudonymKey>,
    /// Accepted events of an unknown type, which are in no record.
    unknown: u64,
    /// Each lane's record that is not full yet.
    open_records: Vec<Vec<u8>>,
    cities: Vec<KnownCity>,
    by_name: HashMap<CityId, usize>,
    /// The index of the last event's city: the next event is most likely of the same.
    last: usize,
}

#[derive(Debug)]
struct KnownCity {
    id: CityId,
    config: Arc<CountingConfig>,
}

impl<S: RecordSink> RecordPacker<S> {
    /// A packer without events, which observes them in `watermarks`. Packers of one log share `key`, so that each
    /// entity has one lane.
    #[must_use]
    pub fn new(
        sink: S,
        lanes: LaneCount,
        policies: Arc<PolicySet>,
        watermarks: Arc<Mutex<Watermarks>>,
        rule: TimeRule,
        key: Arc<PseudonymKey>,
    ) -> Self {
        let open_records = lanes.iter().map(|_| Vec::new()).collect();
        let (cities, by_name) = (Vec::new(), HashMap::new());
        Self {
            sink,
            lanes,
            policies,
            watermarks,
            rule,
            key,
            unknown: 0,
            open_records,
            cities,
            by_name,
            last: 0,
        }
    }

    /// A packer of replayed events, which count at their own time.
    #[must_use]
    pub fn replay(sink: S, lanes: LaneCount, policies: Arc<PolicySet>, key: Arc<PseudonymKey>) -> Self {
        Self::new(sink, lanes, policies, Arc::default(), TimeRule::Replay, key)
    }

    /// Checks and packs one line, which is not blank and has no line feed.
    ///
    /// # Errors
    /// The line's [`Refusal`]: nothing was packed.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let mut fields = Fields::default();
        let Event::Market(event) = fields.read(line)? else {
            self.unknown += 1;
            return Ok(());
        };
        let index = self.city_index(&event.city)?;
        let KnownCity { id, config } = &self.cities[index];
        let named = config.products_of(&event.what)?;
        let counted_ms = self.rule.counted_ms(event.time)?;
        let event = CanonicalEvent::new(&fields, &event, &self.key);
        let lane = self.lanes.lane_of(event.entity());
        let open = &mut self.open_records[usize::from(lane.0)];
        let start = open.len();
        // Enough at once: most records of a request hold a single event.
        open.reserve(line.len() + MAX_GROWTH_BYTES + 1);
        event.write(named, &config.products, open);
        end_event(open, start, |record| self.sink.put(lane, record))?;
        let due = self.watermarks.lock().observe(id, counted_ms, config.watermark_config());
        if let (Some(due), TimeRule::Replay) = (due, self.rule) {
            let city = self.cities[index].id.clone();
            self.broadcast(&[(&city, due)]);
        }
        Ok(())
    }

    /// Packs for `lanes` after the records so far, and returns the sink.
    pub fn set_lanes(&mut self, lanes: LaneCount) -> &mut S {
        self.flush();
        self.lanes = lanes;
        self.open_records = lanes.iter().map(|_| Vec::new()).collect();
        &mut self.sink
    }

    /// Ends a replay: broadcasts watermarks by which every tick up to each city's greatest time closes.
    pub fn end(&mut self) {
        let watermarks = Arc::clone(&self.watermarks);
        self.broadcast(&watermarks.lock().at_end().collect::<Vec<_>>());
    }

    /// Puts the open records into the sink, and returns it.
    pub(super) fn flush(&mut self) -> &mut S {
        for lane in self.lanes.iter() {
            let open = &mut self.open_records[usize::from(lane.0)];
            if !open.is_empty() {
                self.sink.put(lane, std::mem::take(open));
            }
        }
        &mut self.sink
    }

    /// Accepted events of an unknown type, which are in no record.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown
    }

    /// The index of the city called `name`.
    fn city_index(&mut self, name: &[u8]) -> Result<usize, Refusal> {
        if self.cities.get(self.last).is_some_and(|city| city.id.as_str().as_bytes() == name) {
            return Ok(self.last);
        }
        let text = String::from_utf8_lossy(name);
        if let Some(index) = self.by_name.get(&*text) {
            self.last = *index;
            return Ok(*index);
        }
        let known = CityId::new(&text).zip(self.policies.city(&text));
        let (id, config) = known.ok_or_else(|| Refusal::UnknownCity { city: text.into() })?;
        self.last = self.cities.len();
        self.by_name.insert(id.clone(), self.last);
        self.cities.push(KnownCity { id, config: config.counting });
        Ok(self.last)
    }

    /// Puts the open records and after them watermark records of `cities` into every lane.
    fn broadcast(&mut self, cities: &[(&CityId, CityWatermark)]) {
        let lanes = self.lanes;
        let sink = self.flush();
        for cities in cities.chunks(watermark::MAX_CITIES) {
            for lane in lanes.iter() {
                sink.put(lane, watermark::write(lane, lanes, cities.iter().copied()));
            }
        }
    }
}

/// Ends the event that was written at `start` of a lane's open record; if the record is then too large, `put`s what it
/// held before.
///
/// # Errors
/// [`Refusal::TooLarge`] if the event became too large for a line of the log, by its pseudonyms and its time: one that
/// names nearly 4 KiB of products. The record is as before.
fn end_event(open: &mut Vec<u8>, start: usize, put: impl FnOnce(Vec<u8>)) -> Result<(), Refusal> {
    if open.len() - start > MAX_EVENT_BYTES {
        open.truncate(start);
        return Err(Refusal::TooLarge);
    }
    open.push(b'\n');
    if start > 0 && open.len() > MAX_RECORD_BYTES {
        let next = open.split_off(start);
        put(std::mem::replace(open, next));
    }
    Ok(())
}
