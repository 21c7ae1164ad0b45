//! Groups of cities: the counts of a group's cities share the records of the counts stream.

use std::fmt;
use std::num::NonZeroU32;

use xxhash_rust::xxh3::xxh3_64;

use crate::id::CityId;

/// The number of groups of a counts stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupCount(NonZeroU32);

/// A group of cities: a number below the stream's [`GroupCount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CityGroup(pub u32);

impl GroupCount {
    /// One group for all cities.
    pub const ONE: Self = Self(NonZeroU32::MIN);

    /// `count` groups, of which there is at least one.
    #[must_use]
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The group of a city, by a hash of its id.
    #[must_use]
    pub fn group_of(self, city: &CityId) -> CityGroup {
        let group = xxh3_64(city.as_str().as_bytes()) % u64::from(self.get());
        CityGroup(u32::try_from(group).expect("a remainder of 32 bits"))
    }
}

impl CityGroup {
    /// The first hash key of the group in a stream: `group·2¹²⁸/groups`, or a few keys after it, never before. A shard
    /// that begins there takes the group.
    #[must_use]
    pub fn hash_key(self, groups: GroupCount) -> u128 {
        // The width of a single group does not fit, and its key is 0.
        let width = (u128::MAX / u128::from(groups.get())).wrapping_add(1);
        width * u128::from(self.0 % groups.get())
    }
}

impl fmt::Display for CityGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(count: u32) -> GroupCount {
        GroupCount::new(count).unwrap()
    }

    #[test]
    fn a_city_stays_in_its_group() {
        let group = |count, city| groups(count).group_of(&CityId::new(city).unwrap()).0;
        let all = ["nyc", "suva", "quito", "oslo"].map(|city| group(16, city));
        assert!(all.iter().all(|group| *group < 16));
        assert!(all.iter().any(|group| *group != all[0]));
        assert_eq!(group(1, "nyc"), 0);
    }

    #[test]
    fn groups_divide_the_hash_keys_evenly() {
        let key = |group, count| CityGroup(group).hash_key(groups(count));
        assert_eq!([0, 1, 2, 3].map(|group| key(group, 4)), [0, 1 << 126, 2 << 126, 3 << 126]);
        assert_eq!(key(0, 1), 0);
        for count in [3, 7, 1000, u32::MAX] {
            assert!(u128::MAX - key(count - 1, count) < u128::MAX / u128::from(count) + 1, "of {count}");
        }
    }
}
