//! The city's clock: its watermark, kept by whoever feeds the log and told to every lane.

use hashbrown::HashMap;

use crate::id::{CityId, LaneCount, LaneId};
use crate::time::{tick_at_or_after, tick_at_or_before};
use crate::wire::{self, Corrupt, Kind, put_bytes, put_varint_i64, put_varint_u64};

/// How far a city's time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityWatermark {
    /// The greatest counted time less the city's lateness, in milliseconds since the epoch.
    pub watermark: i64,
    /// The city's first tick: the first at or after the time of its first event.
    pub first_tick: i64,
}

/// Writes the record that tells `lane` the clocks of `cities`: an envelope of its own, so that no
/// user's event can pose as one.
pub fn write<'a>(
    lane: LaneId,
    lanes: LaneCount,
    cities: impl IntoIterator<Item = (&'a CityId, CityWatermark)>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    wire::begin(&mut out, Kind::Watermark);
    put_varint_u64(&mut out, u64::from(lane.0));
    put_varint_u64(&mut out, u64::from(lanes.get()));
    for (city, clock) in cities {
        put_bytes(&mut out, city.as_str().as_bytes());
        put_varint_i64(&mut out, clock.watermark);
        put_varint_i64(&mut out, clock.first_tick);
    }
    wire::seal(&mut out);
    out
}

/// Reads a clock record: its lane, and the cities it names.
///
/// # Errors
/// [`Corrupt`] where it is none, or one of a stream with another number of lanes.
pub fn read(record: &[u8], lanes: LaneCount) -> Result<(LaneId, Vec<(CityId, CityWatermark)>), Corrupt> {
    let mut input = wire::open(record, Kind::Watermark)?;
    let lane = input.varint_u64("a lane")?;
    if input.varint_u64("a lane count")? != u64::from(lanes.get()) || lane >= u64::from(lanes.get()) {
        return Err(input.invalid("a lane of another stream"));
    }
    let lane = LaneId(u16::try_from(lane).map_err(|_| input.invalid("a lane"))?);
    let mut cities = Vec::new();
    while !input.is_done() {
        let city = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let watermark = input.instant("a watermark")?;
        let first_tick = input.instant("a first tick")?;
        cities.push((city, CityWatermark { watermark, first_tick }));
    }
    Ok((lane, cities))
}

/// The watermarks of the cities that one feeder feeds.
#[derive(Debug, Default)]
pub struct Watermarks {
    cities: HashMap<CityId, CityWatermarkState>,
}

#[derive(Debug)]
struct CityWatermarkState {
    greatest: i64,
    first_tick: i64,
    /// The greatest time from which on lanes must be told, because the watermark has reached a tick.
    due: i64,
}

impl Watermarks {
    /// Takes note of an event of `city` at `time`; the city's clock where it must be told right behind
    /// this event, because the watermark has reached a tick, or because it is the first that this feeder
    /// sees of the city: a feeder that is lost before the first tick takes nothing with it.
    ///
    /// An event of this or any other city that brings nothing new costs one look-up.
    pub fn observe(
        &mut self,
        city: &CityId,
        time: i64,
        tick_ms: i64,
        lateness_ms: i64,
    ) -> Option<CityWatermark> {
        let Some(fed) = self.cities.get_mut(city) else {
            let first_tick = tick_at_or_after(time, tick_ms);
            let mut fed = CityWatermarkState { greatest: time, first_tick, due: i64::MIN };
            let told = fed.broadcast_if_due(tick_ms, lateness_ms);
            self.cities.insert(city.clone(), fed);
            return told;
        };
        fed.greatest = fed.greatest.max(time);
        fed.broadcast_if_due(tick_ms, lateness_ms)
    }

    /// Has `city`'s clock told anew behind its next event, whatever its time: nobody can say whether every
    /// lane heard it.
    pub fn rebroadcast(&mut self, city: &CityId) {
        if let Some(fed) = self.cities.get_mut(city) {
            fed.due = i64::MIN;
        }
    }

    /// Every city's clock at the end of all events: its watermark is its greatest time.
    pub fn at_end(&self) -> impl Iterator<Item = (&CityId, CityWatermark)> {
        self.cities
            .iter()
            .map(|(city, fed)| (city, CityWatermark { watermark: fed.greatest, first_tick: fed.first_tick }))
    }
}

impl CityWatermarkState {
    fn broadcast_if_due(&mut self, tick_ms: i64, lateness_ms: i64) -> Option<CityWatermark> {
        if self.greatest < self.due {
            return None;
        }
        let watermark = self.greatest - lateness_ms;
        // Also before what this feeder takes for the first tick: the city may have begun under another.
        self.due = tick_at_or_before(watermark, tick_ms) + tick_ms + lateness_ms;
        Some(CityWatermark { watermark, first_tick: self.first_tick })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nyc() -> CityId {
        CityId::new("nyc").unwrap()
    }

    #[test]
    fn a_clock_record_reads_back() {
        let lanes = LaneCount::new(64).unwrap();
        let clock = CityWatermark { watermark: 1_772_000_000_123, first_tick: -5000 };
        let bytes = write(LaneId(63), lanes, [(&nyc(), clock)]);
        assert_eq!(read(&bytes, lanes), Ok((LaneId(63), vec![(nyc(), clock)])));
        assert!(read(&bytes, LaneCount::ONE).is_err());
        assert!(read(&bytes[..bytes.len() - 1], lanes).is_err());
        assert!(read(&write(LaneId(64), lanes, []), lanes).is_err());
        assert_eq!(read(&write(LaneId(0), lanes, []), lanes), Ok((LaneId(0), vec![])));
    }

    #[test]
    fn lanes_are_told_once_for_each_tick_reached() {
        let mut clocks = Watermarks::default();
        let mut at = |time| clocks.observe(&nyc(), time, 5000, 5000).map(|clock| clock.watermark);
        assert_eq!(at(31_926), Some(26_926), "the first event names the first tick");
        assert_eq!(at(34_999), None);
        assert_eq!(at(39_999), Some(34_999), "the city may have begun under another feeder");
        assert_eq!(at(26_000), None);
        assert_eq!(at(40_000), Some(35_000));
        assert_eq!(at(40_000), None);
        assert_eq!(at(44_999), None);
        assert_eq!(at(60_001), Some(55_001));
        assert_eq!(at(45_000), None);
        let (_, end) = clocks.at_end().next().unwrap();
        assert_eq!(end, CityWatermark { watermark: 60_001, first_tick: 35_000 });
    }

    #[test]
    fn without_lateness_the_first_event_may_reach_its_own_tick() {
        let mut clocks = Watermarks::default();
        let clock = clocks.observe(&nyc(), 35_000, 5000, 0).unwrap();
        assert_eq!(clock, CityWatermark { watermark: 35_000, first_tick: 35_000 });
    }

    #[test]
    fn a_clock_that_may_not_have_been_heard_is_told_behind_the_next_event() {
        let mut clocks = Watermarks::default();
        clocks.observe(&nyc(), 35_000, 5000, 5000);
        let told = clocks.observe(&nyc(), 41_000, 5000, 5000);
        assert_eq!(told, Some(CityWatermark { watermark: 36_000, first_tick: 35_000 }));
        clocks.rebroadcast(&nyc());
        assert_eq!(clocks.observe(&nyc(), 20_000, 5000, 5000), told);
        assert_eq!(clocks.observe(&nyc(), 44_999, 5000, 5000), None);
        assert!(clocks.observe(&nyc(), 45_000, 5000, 5000).is_some());
    }

    #[test]
    fn every_city_has_its_own_clock() {
        let mut clocks = Watermarks::default();
        let suva = CityId::new("suva").unwrap();
        assert!(clocks.observe(&nyc(), 1_000_000, 5000, 5000).is_some());
        assert!(clocks.observe(&suva, 1000, 5000, 5000).is_some());
        assert_eq!(clocks.observe(&suva, 4999, 5000, 5000), None);
        assert!(clocks.observe(&suva, 10_000, 5000, 5000).is_some());
        assert_eq!(clocks.at_end().count(), 2);
    }
}
