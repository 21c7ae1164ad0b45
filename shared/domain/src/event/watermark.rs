//! Watermark records: a city's watermark, broadcast to every lane.

use hashbrown::HashMap;

use crate::id::{CityId, LaneCount, LaneId};
use crate::time::{tick_at_or_after, tick_at_or_before};
use crate::wire::{self, Corrupt, Kind, put_bytes, put_varint_i64, put_varint_u64};

/// A city's watermark, as a watermark record states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityWatermark {
    /// The greatest time at which an event counts minus the city's lateness, in milliseconds since the epoch.
    pub watermark: i64,
    /// The city's first tick: the first at or after the time of its first event, in milliseconds since the epoch.
    pub first_tick: i64,
}

/// A city's watermark and the tick that it has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReachedTick {
    /// The watermark, and the city's first tick.
    pub watermark: CityWatermark,
    /// The newest tick at or before the watermark, in milliseconds since the epoch.
    pub tick: i64,
}

/// The part of a city's policy from which its watermark follows (CONTRACT §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkConfig {
    /// Milliseconds from tick to tick.
    pub tick_ms: i64,
    /// How far the watermark trails the greatest time, in milliseconds.
    pub lateness_ms: i64,
}

/// Most cities of a watermark record: at no more than 53 bytes each, it fits into a record of Kinesis (1 MiB).
pub const MAX_CITIES: usize = 16_384;

/// Encodes the watermark record of `cities` for `lane`. It is a frame, so a client's event cannot be mistaken for one.
pub fn write<'a>(
    lane: LaneId,
    lanes: LaneCount,
    cities: impl IntoIterator<Item = (&'a CityId, CityWatermark)>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    wire::begin(&mut out, Kind::Watermark);
    put_varint_u64(&mut out, u64::from(lane.0));
    put_varint_u64(&mut out, u64::from(lanes.get()));
    for (city, CityWatermark { watermark, first_tick }) in cities {
        put_bytes(&mut out, city.as_str().as_bytes());
        put_varint_i64(&mut out, watermark);
        put_varint_i64(&mut out, first_tick);
    }
    wire::seal(&mut out);
    out
}

/// A watermark record, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatermarkRecord {
    /// The lane.
    pub lane: LaneId,
    /// The number of lanes of the stream when the record was put.
    pub lanes: LaneCount,
    /// The cities that it names.
    pub cities: Vec<(CityId, CityWatermark)>,
}

/// Decodes a watermark record.
///
/// # Errors
/// [`Corrupt`] if `record` is not a watermark record.
pub fn read(record: &[u8]) -> Result<WatermarkRecord, Corrupt> {
    let mut input = wire::open(record, Kind::Watermark)?;
    let lane = input.varint_u64("a lane")?;
    let lanes =
        LaneCount::new(input.varint_u32("a lane count")?).filter(|lanes| lane < u64::from(lanes.get()));
    let lanes = lanes.ok_or(input.invalid("a lane count"))?;
    let lane = LaneId(u16::try_from(lane).map_err(|_| input.invalid("a lane"))?);
    let mut cities = Vec::new();
    while !input.is_done() {
        let city = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let watermark = input.instant("a watermark")?;
        let first_tick = input.instant("a first tick")?;
        cities.push((city, CityWatermark { watermark, first_tick }));
    }
    Ok(WatermarkRecord { lane, lanes, cities })
}

/// The watermarks of the cities whose events one producer writes.
#[derive(Debug, Default)]
pub struct Watermarks {
    cities: HashMap<CityId, CityWatermarkState>,
}

#[derive(Debug)]
struct CityWatermarkState {
    greatest_ms: i64,
    first_tick: i64,
    config: WatermarkConfig,
    /// The greatest time from which on the next broadcast is due, because the watermark has reached a tick.
    due_ms: i64,
}

impl Watermarks {
    /// Observes an event of `city` that counts at `time_ms`. Returns the city's watermark if a replay broadcasts it after
    /// this event: the watermark has reached a tick, or the event is the city's first. The first one is broadcast at once
    /// so that the first tick survives a producer that fails before reaching it.
    ///
    /// Any other event costs one look-up.
    #[inline]
    pub fn observe(&mut self, city: &CityId, time_ms: i64, config: WatermarkConfig) -> Option<CityWatermark> {
        let Some(state) = self.cities.get_mut(city) else {
            let first_tick = tick_at_or_after(time_ms, config.tick_ms);
            let mut state = CityWatermarkState { greatest_ms: time_ms, first_tick, config, due_ms: i64::MIN };
            let due = state.broadcast_if_due(config);
            self.cities.insert(city.clone(), state);
            return due;
        };
        state.greatest_ms = state.greatest_ms.max(time_ms);
        state.broadcast_if_due(config)
    }

    /// Every city's watermark after the events so far, and the tick that it has reached.
    pub fn reached(&self) -> impl Iterator<Item = (&CityId, ReachedTick)> {
        self.cities.iter().map(|(city, state)| {
            let WatermarkConfig { tick_ms, lateness_ms } = state.config;
            let watermark_ms = state.greatest_ms - lateness_ms;
            let tick = tick_at_or_before(watermark_ms, tick_ms);
            let watermark = CityWatermark { watermark: watermark_ms, first_tick: state.first_tick };
            (city, ReachedTick { watermark, tick })
        })
    }

    /// Every city's watermark at the end of all events, which is its greatest time, ordered by city id.
    pub fn at_end(&self) -> impl Iterator<Item = (&CityId, CityWatermark)> {
        let mut cities: Vec<_> = self.cities.iter().collect();
        cities.sort_unstable_by_key(|(city, _)| *city);
        cities.into_iter().map(|(city, state)| (city, state.at_end()))
    }
}

impl CityWatermarkState {
    #[inline]
    fn broadcast_if_due(&mut self, config: WatermarkConfig) -> Option<CityWatermark> {
        if self.greatest_ms < self.due_ms {
            return None;
        }
        let WatermarkConfig { tick_ms, lateness_ms } = config;
        let watermark = self.greatest_ms - lateness_ms;
        // Also due before this producer's first tick: the city may have begun with another producer's events.
        self.due_ms = tick_at_or_before(watermark, tick_ms) + tick_ms + lateness_ms;
        Some(CityWatermark { watermark, first_tick: self.first_tick })
    }

    fn at_end(&self) -> CityWatermark {
        CityWatermark { watermark: self.greatest_ms, first_tick: self.first_tick }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: WatermarkConfig = WatermarkConfig { tick_ms: 5_000, lateness_ms: 5_000 };

    fn nyc() -> CityId {
        CityId::new("nyc").unwrap()
    }

    #[test]
    fn a_watermark_record_reads_back() {
        let lanes = LaneCount::new(64).unwrap();
        let watermark = CityWatermark { watermark: 1_772_000_000_123, first_tick: -5000 };
        let bytes = write(LaneId(63), lanes, [(&nyc(), watermark)]);
        let record = |lane, cities| Ok(WatermarkRecord { lane, lanes, cities });
        assert_eq!(read(&bytes), record(LaneId(63), vec![(nyc(), watermark)]));
        assert!(read(&bytes[..bytes.len() - 1]).is_err());
        assert!(read(&write(LaneId(64), lanes, [])).is_err());
        assert_eq!(read(&write(LaneId(0), lanes, [])), record(LaneId(0), vec![]));
    }

    #[test]
    fn a_watermark_is_due_once_for_each_tick_that_it_reaches() {
        let mut watermarks = Watermarks::default();
        let mut at = |time_ms| watermarks.observe(&nyc(), time_ms, CONFIG).map(|due| due.watermark);
        assert_eq!(at(31_926), Some(26_926), "the first event names the first tick");
        assert_eq!(at(34_999), None);
        assert_eq!(at(39_999), Some(34_999), "the city may have begun with another producer's events");
        assert_eq!(at(26_000), None);
        assert_eq!(at(40_000), Some(35_000));
        assert_eq!(at(40_000), None);
        assert_eq!(at(44_999), None);
        assert_eq!(at(60_001), Some(55_001));
        assert_eq!(at(45_000), None);
        let (_, end) = watermarks.at_end().next().unwrap();
        assert_eq!(end, CityWatermark { watermark: 60_001, first_tick: 35_000 });
    }

    #[test]
    fn without_lateness_the_first_event_may_reach_its_own_tick() {
        let mut watermarks = Watermarks::default();
        let due = watermarks.observe(&nyc(), 35_000, WatermarkConfig { lateness_ms: 0, ..CONFIG });
        assert_eq!(due, Some(CityWatermark { watermark: 35_000, first_tick: 35_000 }));
    }

    #[test]
    fn a_reached_tick_is_the_newest_at_or_before_the_watermark() {
        let mut watermarks = Watermarks::default();
        for time_ms in [31_926, 44_999, 20_000] {
            watermarks.observe(&nyc(), time_ms, CONFIG);
        }
        let watermark = CityWatermark { watermark: 39_999, first_tick: 35_000 };
        let reached: Vec<_> = watermarks.reached().collect();
        assert_eq!(reached, [(&nyc(), ReachedTick { watermark, tick: 35_000 })]);
        watermarks.observe(&nyc(), 45_000, CONFIG);
        assert_eq!(watermarks.reached().next().unwrap().1.tick, 40_000);
    }

    #[test]
    fn every_city_has_its_own_watermark() {
        let mut watermarks = Watermarks::default();
        let suva = CityId::new("suva").unwrap();
        assert!(watermarks.observe(&nyc(), 1_000_000, CONFIG).is_some());
        assert!(watermarks.observe(&suva, 1000, CONFIG).is_some());
        assert_eq!(watermarks.observe(&suva, 4999, CONFIG), None);
        assert!(watermarks.observe(&suva, 10_000, CONFIG).is_some());
        assert_eq!(watermarks.at_end().count(), 2);
    }

    #[test]
    fn final_watermarks_are_ordered_by_city() {
        let mut ids: Vec<CityId> = (0..50).map(|n| CityId::new(&format!("city-{n}")).unwrap()).collect();
        let record = |ids: &[CityId]| {
            let mut watermarks = Watermarks::default();
            for id in ids {
                watermarks.observe(id, 1_000, CONFIG);
            }
            assert!(watermarks.at_end().is_sorted_by_key(|(city, _)| city));
            write(LaneId(0), LaneCount::ONE, watermarks.at_end())
        };
        let bytes = record(&ids);
        ids.reverse();
        assert_eq!(record(&ids), bytes);
    }
}
