//! The watermark board: what all producers of an event stream know together about its cities' watermarks.
//!
//! A producer sees some of a city's events. It contributes the ticks that these have reached; one producer announces what
//! is pending on the board to every lane, and marks it as announced. Contributions are merged by their greatest watermark
//! and smallest first tick, so they may be repeated and arrive in any order.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::event::watermark::{CityWatermark, ReachedTick};
use crate::id::CityId;
use crate::wire::{self, Corrupt, Kind, put_bytes, put_varint_i64, put_varint_u64};

/// The parts of a board: a contribution rewrites one of them, which is small, and two producers rarely rewrite the same.
pub const BOARD_PARTS: u16 = 16;

/// A city whose announced tick is this much older than the newest one, in milliseconds of event time, is at rest: no
/// announcement waits for it.
const AT_REST_MS: i64 = 20_000;

/// The part of the board that holds `city`.
#[must_use]
pub fn part_of(city: &CityId) -> u16 {
    u16::try_from(xxh3_64(city.as_str().as_bytes()) % u64::from(BOARD_PARTS)).expect("less than 16")
}

/// A city on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardCity {
    /// The greatest watermark and the smallest first tick that were contributed.
    pub newest: CityWatermark,
    /// The greatest watermark that every lane has.
    pub announced: Option<i64>,
}

impl BoardCity {
    /// Whether some lane may lack the newest watermark.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.announced.is_none_or(|announced| announced < self.newest.watermark)
    }

    /// Whether the board lacks what a producer has reached. A first tick matters until it is announced: afterwards every
    /// lane has one.
    fn lacks(&self, reached: ReachedTick) -> bool {
        let ReachedTick { watermark: CityWatermark { first_tick, .. }, tick } = reached;
        self.newest.watermark < tick || self.announced.is_none() && first_tick < self.newest.first_tick
    }
}

/// A part of the board: the cities whose hash selects it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoardPart(BTreeMap<CityId, BoardCity>);

impl BoardPart {
    /// The cities, ordered by id.
    pub fn cities(&self) -> impl Iterator<Item = (&CityId, &BoardCity)> + Clone {
        self.0.iter()
    }

    /// The city called `name`.
    #[must_use]
    pub fn city(&self, name: &CityId) -> Option<&BoardCity> {
        self.0.get(name)
    }

    /// Whether the board lacks what a producer has reached in a city.
    #[must_use]
    pub fn lacks(&self, city: &CityId, reached: ReachedTick) -> bool {
        self.0.get(city).is_none_or(|known| known.lacks(reached))
    }

    /// Merges what a producer has reached in a city.
    pub fn contribute(&mut self, city: &CityId, reached: ReachedTick) {
        let CityWatermark { watermark, first_tick } = reached.watermark;
        let Some(known) = self.0.get_mut(city) else {
            self.0.insert(city.clone(), BoardCity { newest: reached.watermark, announced: None });
            return;
        };
        if known.lacks(reached) {
            known.newest.watermark = known.newest.watermark.max(watermark);
            known.newest.first_tick = known.newest.first_tick.min(first_tick);
        }
    }

    /// Marks that every lane has this watermark of a city; `false` if that was known.
    pub fn mark_announced(&mut self, city: &CityId, watermark: i64) -> bool {
        let Some(known) = self.0.get_mut(city) else { return false };
        let watermark = watermark.min(known.newest.watermark);
        let is_new = known.announced.is_none_or(|announced| announced < watermark);
        if is_new {
            known.announced = Some(watermark);
        }
        is_new
    }

    /// Encodes the part as it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.0.len() * 32);
        wire::begin(&mut out, Kind::BoardPart);
        for (city, BoardCity { newest: CityWatermark { watermark, first_tick }, announced }) in &self.0 {
            put_bytes(&mut out, city.as_str().as_bytes());
            put_varint_i64(&mut out, *watermark);
            put_varint_i64(&mut out, watermark - first_tick);
            // 0 is none; an announced watermark is never greater than the newest.
            let behind = announced.map_or(0, |announced| (watermark - announced).unsigned_abs() + 1);
            put_varint_u64(&mut out, behind);
        }
        wire::seal(&mut out);
        out
    }

    /// Decodes bytes that [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if `bytes` are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::BoardPart)?;
        let mut cities = BTreeMap::new();
        while !input.is_done() {
            let city = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
            if cities.last_key_value().is_some_and(|(last, _)| *last >= city) {
                return Err(input.invalid("a city out of order"));
            }
            let watermark = input.instant("a watermark")?;
            let since_first = input.instant("the time since the first tick")?;
            let behind = input.varint_up_to(1 << 61, "the time since the announced watermark")?;
            let announced = behind.checked_sub(1).map(|behind| watermark.saturating_sub_unsigned(behind));
            let first_tick = watermark - since_first;
            let newest = CityWatermark { watermark, first_tick };
            cities.insert(city, BoardCity { newest, announced });
        }
        Ok(Self(cities))
    }
}

/// Whether no announcement could name more cities by waiting: every city that is not at rest is pending.
pub fn is_complete<'a>(cities: impl Iterator<Item = &'a BoardCity> + Clone) -> bool {
    let newest = cities.clone().filter_map(|city| city.announced).max();
    let earliest = newest.unwrap_or(0).saturating_sub(AT_REST_MS);
    let is_awaited = |city: &BoardCity| !city.is_pending() && city.announced.is_some_and(|at| at >= earliest);
    !cities.into_iter().any(is_awaited)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn city(name: &str) -> CityId {
        CityId::new(name).unwrap()
    }

    fn reached(tick: i64, first_tick: i64) -> ReachedTick {
        ReachedTick { watermark: CityWatermark { watermark: tick + 37, first_tick }, tick }
    }

    #[test]
    fn a_lower_tick_never_replaces_a_higher_one() {
        let mut part = BoardPart::default();
        part.contribute(&city("nyc"), reached(10_000, 5_000));
        part.contribute(&city("nyc"), reached(5_000, 5_000));
        assert_eq!(part.city(&city("nyc")).unwrap().newest.watermark, 10_037);
        assert!(!part.lacks(&city("nyc"), reached(10_000, 5_000)), "the tick is there");
        assert!(part.lacks(&city("nyc"), reached(15_000, 5_000)));
        assert!(part.lacks(&city("oslo"), reached(0, 0)));
    }

    #[test]
    fn the_first_tick_is_the_smallest_that_was_contributed_before_it_was_announced() {
        let mut part = BoardPart::default();
        part.contribute(&city("nyc"), reached(10_000, 10_000));
        assert!(part.lacks(&city("nyc"), reached(0, 5_000)));
        part.contribute(&city("nyc"), reached(0, 5_000));
        let newest = CityWatermark { watermark: 10_037, first_tick: 5_000 };
        assert_eq!(part.city(&city("nyc")).unwrap().newest, newest);
        assert!(part.mark_announced(&city("nyc"), 10_037));
        assert!(!part.lacks(&city("nyc"), reached(0, 0)), "every lane has a first tick");
    }

    #[test]
    fn cities_out_of_order_are_refused() {
        let mut part = BoardPart::default();
        part.contribute(&city("nyc"), reached(10_000, 5_000));
        let encoded = part.encode();
        let mut twice = Vec::new();
        wire::begin(&mut twice, Kind::BoardPart);
        let content = &encoded[twice.len()..encoded.len() - wire::SEAL];
        twice.extend([content, content].concat());
        wire::seal(&mut twice);
        assert!(BoardPart::decode(&encoded).is_ok() && BoardPart::decode(&twice).is_err());
    }

    #[test]
    fn a_city_is_pending_until_its_newest_watermark_is_announced() {
        let mut part = BoardPart::default();
        part.contribute(&city("nyc"), reached(10_000, 10_000));
        assert!(part.city(&city("nyc")).unwrap().is_pending());
        assert!(part.mark_announced(&city("nyc"), 10_037));
        assert!(!part.mark_announced(&city("nyc"), 10_037));
        assert!(!part.mark_announced(&city("oslo"), 10_037));
        assert!(!part.city(&city("nyc")).unwrap().is_pending());
        part.contribute(&city("nyc"), reached(15_000, 10_000));
        assert!(part.city(&city("nyc")).unwrap().is_pending());
    }

    #[test]
    fn an_announcement_is_complete_once_every_city_that_is_not_at_rest_is_pending() {
        let mut part = BoardPart::default();
        for (name, announced) in [("nyc", 100_000), ("oslo", 95_000), ("lima", 80_000 - 1)] {
            part.contribute(&city(name), reached(announced, 0));
            part.mark_announced(&city(name), announced + 37);
        }
        let complete = |part: &BoardPart| is_complete(part.0.values());
        part.contribute(&city("nyc"), reached(105_000, 0));
        assert!(!complete(&part), "oslo is not pending");
        part.contribute(&city("oslo"), reached(105_000, 0));
        assert!(complete(&part), "lima is at rest");
        part.contribute(&city("suva"), reached(105_000, 0));
        assert!(complete(&part), "a new city is pending");
    }

    #[test]
    fn a_city_takes_few_bytes() {
        let mut part = BoardPart::default();
        let bytes = |part: &BoardPart| part.encode().len();
        let empty = bytes(&part);
        part.contribute(&city("new-york"), reached(1_772_816_405_000, 1_772_000_000_000));
        part.mark_announced(&city("new-york"), 1_772_816_405_037);
        assert!(bytes(&part) - empty <= 24, "{}", bytes(&part) - empty);
    }

    proptest! {
        #[test]
        fn a_part_reads_back(cities in prop::collection::vec(("[a-z]{1,12}", -1_000_000_000_000..2_000_000_000_000_i64, -1_000_000_000_000..2_000_000_000_000_i64, any::<bool>()), 0..40)) {
            let mut part = BoardPart::default();
            for (name, tick, first, is_announced) in cities {
                part.contribute(&city(&name), reached(tick, first));
                if is_announced {
                    part.mark_announced(&city(&name), tick + 37);
                }
            }
            prop_assert_eq!(BoardPart::decode(&part.encode()), Ok(part));
        }

        #[test]
        fn contributions_may_be_repeated_and_arrive_in_any_order(mut ticks in prop::collection::vec((0..9_i64, 0..9_i64), 1..9), seed in any::<u64>()) {
            let merged = |ticks: &[(i64, i64)]| {
                let mut part = BoardPart::default();
                for (tick, first) in ticks {
                    part.contribute(&city("nyc"), reached(tick * 5_000, first * 5_000));
                }
                part
            };
            let once = merged(&ticks);
            let repeated = ticks[usize::try_from(seed % ticks.len() as u64).unwrap()];
            ticks.push(repeated);
            ticks.reverse();
            prop_assert_eq!(merged(&ticks), once);
        }

        #[test]
        fn any_content_is_decoded_or_an_error(content in any::<Vec<u8>>()) {
            let mut frame = Vec::new();
            wire::begin(&mut frame, Kind::BoardPart);
            frame.extend_from_slice(&content);
            wire::seal(&mut frame);
            let _ = BoardPart::decode(&frame);
        }
    }
}
