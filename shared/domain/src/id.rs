//! Identifiers: cities, products, entities, and the lanes that entities are spread over.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::hash::spread;

/// Longest id of an event, a driver, a rider or a request, in bytes (CONTRACT §1).
pub const MAX_ENTITY_ID_BYTES: usize = 64;

/// Longest city id, in bytes (CONTRACT §1).
pub const MAX_CITY_ID_BYTES: usize = 32;

/// Most lanes of a stream: a lane number fits two bytes.
pub const MAX_LANES: u32 = 1 << 16;

/// Whether `text` is a valid id of an event, a driver, a rider, a request or a product: `[A-Za-z0-9._:-]{1,64}`.
#[must_use]
pub fn is_entity_id(text: &[u8]) -> bool {
    (1..=MAX_ENTITY_ID_BYTES).contains(&text.len())
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// The id of the city of health probes: no city of an operator can have it, for its underscore is in no other id.
pub const PROBE_CITY: &str = "_probe";

/// Whether `text` is a valid city id: `[a-z0-9-]{1,32}`, or [`PROBE_CITY`].
#[must_use]
pub fn is_city_id(text: &[u8]) -> bool {
    (1..=MAX_CITY_ID_BYTES).contains(&text.len())
        && text.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        || text == PROBE_CITY.as_bytes()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $is_valid:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id, if `text` is well-formed.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                $is_valid(text.as_bytes()).then(|| Self(text.into()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A city: `[a-z0-9-]{1,32}`, or [`PROBE_CITY`].
    CityId, is_city_id
}

impl CityId {
    /// The city of health probes.
    #[must_use]
    pub fn probe() -> Self {
        Self(PROBE_CITY.into())
    }

    /// Whether it is the city of health probes, which is in no list, history or stream.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.as_str() == PROBE_CITY
    }

    /// The id of a city that an operator may define, if `text` is one.
    #[must_use]
    pub fn of_operator(text: &str) -> Option<Self> {
        Self::new(text).filter(|city| !city.is_probe())
    }
}

id! {
    /// A product within a city: `[A-Za-z0-9._:-]{1,64}`, like the contract's other ids.
    ProductId, is_entity_id
}

/// The number of lanes of a stream: a power of two, fixed for the life of the stream (CONTRACT §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneCount(u32);

impl LaneCount {
    /// One lane: all events in order.
    pub const ONE: Self = Self(1);

    /// The count, if `lanes` is a power of two of at most [`MAX_LANES`].
    #[must_use]
    pub fn new(lanes: u32) -> Option<Self> {
        (lanes.is_power_of_two() && lanes <= MAX_LANES).then_some(Self(lanes))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Half as many lanes, if there are two at least.
    #[must_use]
    pub fn halved(self) -> Option<Self> {
        Self::new(self.0 / 2)
    }

    /// The lane of the entity with this id: `⌊xxh3_64(id, seed 0) · L / 2⁶⁴⌋`, so that lane `i` becomes `2i` and `2i + 1`
    /// when the lanes double (CONTRACT §2).
    #[must_use]
    pub fn lane_of(self, entity: &[u8]) -> LaneId {
        self.lane_of_hash(xxh3_64(entity))
    }

    fn lane_of_hash(self, hash: u64) -> LaneId {
        let product = u128::from(hash) * u128::from(self.0);
        // The quotient is below the number of lanes.
        #[expect(clippy::cast_possible_truncation)]
        let lane = (product >> 64) as u16;
        LaneId(lane)
    }

    /// Every lane, in order.
    pub fn iter(self) -> impl Iterator<Item = LaneId> {
        (0..=u16::MAX).take(self.0 as usize).map(LaneId)
    }
}

impl LaneId {
    /// The lanes that this one, of a stream that had `before`, is among `lanes`: those that it became where the lanes
    /// have doubled since, the one that it became a part of where they had not.
    pub fn among(self, before: LaneCount, lanes: LaneCount) -> impl Iterator<Item = Self> {
        let lane = u32::from(self.0);
        let (first, count) = if before <= lanes {
            let became = lanes.get() / before.get();
            (lane * became, became)
        } else {
            (lane / (before.get() / lanes.get()), 1)
        };
        #[expect(clippy::cast_possible_truncation)]
        let id = |lane: u32| Self(lane as u16);
        (first..first + count).map(id)
    }
}

/// A lane of a stream: all events of one driver or rider have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u16);

impl LaneId {
    /// The first hash key of the lane in the stream: `lane·2¹²⁸/L` (CONTRACT §2).
    #[must_use]
    pub fn hash_key(self, lanes: LaneCount) -> u128 {
        // 2^128 does not fit, but `L` is a power of two, so a shift replaces the division.
        match lanes.0.trailing_zeros() {
            0 => 0,
            bits => u128::from(self.0) << (128 - bits),
        }
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of an entity within one lane, city and role: a 64-bit digest of its id as the log has it.
///
/// Among a million entities of one lane, the probability that any two share a digest is 3·10⁻⁸; a collision makes a
/// count one too low. In return no id is stored, and an entity's key takes 8 bytes. The id is a pseudonym, 128 bits of a
/// keyed hash, of which no client can choose two with one digest; ids of other producers can be chosen so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityKey(pub u64);

/// The bits of a key that no product changes: the greatest lane count takes as many.
const LANE_BITS: u64 = !(u64::MAX >> 16);

impl EntityKey {
    /// The key of a driver.
    #[must_use]
    pub fn driver(id: &[u8]) -> Self {
        Self(xxh3_64(id))
    }

    /// The key of a rider who requests one product, given by its bit in the city's product table: demand is counted per
    /// product (CONTRACT §3).
    #[must_use]
    pub fn rider(id: &[u8], product: u8) -> Self {
        Self(xxh3_64(id) ^ (spread(u64::from(product)) & !LANE_BITS))
    }

    /// The lane of the entity among `lanes`, which the high bits of its key determine, as those of its id's hash do.
    #[must_use]
    pub fn lane(self, lanes: LaneCount) -> LaneId {
        lanes.lane_of_hash(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn lanes_divide_the_hash_keys_evenly() {
        let lanes = LaneCount::new(4).unwrap();
        let keys: Vec<u128> = lanes.iter().map(|lane| lane.hash_key(lanes)).collect();
        assert_eq!(keys, [0, 1 << 126, 2 << 126, 3 << 126]);
        assert_eq!(LaneId(0).hash_key(LaneCount::ONE), 0);
    }

    #[test]
    fn a_lane_displays_its_number() {
        assert_eq!(LaneId(65_535).to_string(), "65535");
    }

    #[test]
    fn a_lane_is_the_high_bits_of_xxh3() {
        // XXH3 of the empty string with seed 0 is 2d06800538d394c2 (xxHash specification).
        assert_eq!(LaneCount::new(64).unwrap().lane_of(b""), LaneId(0x2d >> 2));
        assert_eq!(LaneCount::new(65_536).unwrap().lane_of(b""), LaneId(0x2d06));
        assert_eq!(LaneCount::ONE.lane_of(b"anyone"), LaneId(0));
    }

    #[test]
    fn a_lane_becomes_two_neighbours_when_the_lanes_double() {
        let (lanes, doubled) = (LaneCount::new(64).unwrap(), LaneCount::new(128).unwrap());
        for entity in 0..1_000_u32 {
            let entity = entity.to_string();
            let (lane, half) = (lanes.lane_of(entity.as_bytes()), doubled.lane_of(entity.as_bytes()));
            assert_eq!(half.0 / 2, lane.0);
            assert!(half.hash_key(doubled) - lane.hash_key(lanes) < 1 << 122, "{entity}");
        }
    }

    #[test]
    fn a_lane_is_found_among_more_and_fewer_lanes() {
        let lanes = |count| LaneCount::new(count).unwrap();
        let among = |lane, before, now| -> Vec<u16> {
            LaneId(lane).among(lanes(before), lanes(now)).map(|lane| lane.0).collect()
        };
        assert_eq!(among(3, 64, 64), [3]);
        assert_eq!(among(3, 64, 256), [12, 13, 14, 15]);
        assert_eq!(among(13, 256, 64), [3]);
        assert_eq!(among(65_535, 65_536, 1), [0]);
    }

    #[test]
    fn a_lane_count_is_a_power_of_two_within_its_limit() {
        for lanes in [0, 3, 6, 131_072] {
            assert_eq!(LaneCount::new(lanes), None, "{lanes}");
        }
        for lanes in [1, 2, 64, 65_536] {
            assert_eq!(LaneCount::new(lanes).unwrap().iter().count(), lanes as usize);
        }
    }

    #[test]
    fn ids_have_a_charset_and_a_length() {
        assert!(is_entity_id(b"aZ09._:-"));
        assert!(is_entity_id(&[b'x'; 64]));
        for bad in [&b""[..], &[b'x'; 65], b"a b", b"a/b", "é".as_bytes()] {
            assert!(!is_entity_id(bad), "{bad:?}");
        }
        assert_eq!(CityId::new("new-york-2").unwrap().to_string(), "new-york-2");
        assert!(is_city_id(&[b'x'; 32]));
        for bad in ["", "NYC", "a_b", "a.b", &"x".repeat(33)] {
            assert_eq!(CityId::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_city_of_probes_is_no_operators() {
        assert_eq!(CityId::new(PROBE_CITY), Some(CityId::probe()));
        assert!(CityId::probe().is_probe());
        assert_eq!(CityId::of_operator(PROBE_CITY), None);
        assert_eq!(CityId::of_operator("nyc"), CityId::new("nyc"));
    }

    #[test]
    fn a_rider_has_one_key_per_product_and_none_is_a_drivers() {
        let keys = [
            EntityKey::driver(b"x"),
            EntityKey::rider(b"x", 0),
            EntityKey::rider(b"x", 1),
            EntityKey::rider(b"x", 255),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn a_key_has_the_lane_of_its_id() {
        let lanes = LaneCount::new(65_536).unwrap();
        for entity in (0..100_u32).map(|number| number.to_string()) {
            let id = entity.as_bytes();
            for key in [EntityKey::driver(id), EntityKey::rider(id, 0), EntityKey::rider(id, 63)] {
                assert_eq!(key.lane(lanes), lanes.lane_of(id), "{entity}");
            }
        }
    }

    #[test]
    fn short_ids_of_several_products_do_not_collide() {
        let mut keys = HashSet::new();
        for number in 0..1000 {
            let id = format!("r{number}");
            keys.insert(EntityKey::driver(id.as_bytes()).0);
            keys.extend((0..64).map(|product| EntityKey::rider(id.as_bytes(), product).0));
        }
        assert_eq!(keys.len(), 65_000);
    }
}
