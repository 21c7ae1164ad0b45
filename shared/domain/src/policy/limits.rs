//! Multipliers in whole hundredths: published ones, and those that are reported within limits.

use serde::{Serialize, Serializer};

use super::ranges::{MULTIPLIER_HUNDREDTHS, PUBLISHED_HUNDREDTHS};

/// Price multiplier in hundredths: 100 is 1.00×; from 0.01× to 100×.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Multiplier(u16);

impl Multiplier {
    /// 1.00×: the price without surge.
    pub const ONE: Self = Self(100);

    /// The least multiplier.
    pub const MIN: Self = Self(*MULTIPLIER_HUNDREDTHS.start());

    /// The greatest multiplier.
    pub const MAX: Self = Self(*MULTIPLIER_HUNDREDTHS.end());

    /// The default of [`QuoteTerms::ack_above`](super::QuoteTerms::ack_above) (CONTRACT §7).
    pub(super) const DEFAULT_ACK: Self = Self(200);

    /// The default cap (CONTRACT §3).
    pub(super) const DEFAULT_CAP: Self = Self(500);

    /// The multiplier, if `hundredths` are from 1 to 10 000.
    #[must_use]
    pub fn new(hundredths: u16) -> Option<Self> {
        MULTIPLIER_HUNDREDTHS.contains(&hundredths).then_some(Self(hundredths))
    }

    /// The multiplier in hundredths.
    #[must_use]
    pub fn hundredths(self) -> u16 {
        self.0
    }
}

impl From<Multiplier> for f64 {
    /// The float nearest to the decimal number: 137 hundredths are 1.37.
    fn from(multiplier: Multiplier) -> Self {
        f64::from(multiplier.0) / 100.0
    }
}

impl Serialize for Multiplier {
    /// A number with at most two decimals.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((*self).into())
    }
}

/// A multiplier as surge publishes it, in hundredths, before limits (CONTRACT §3). Readers apply the limits: these change
/// without a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Published(u16);

impl Published {
    /// 1.00×: the multiplier of a cell that is not reported.
    pub const ONE: Self = Self(100);

    /// The published multiplier, if `hundredths` are from 1 to 12 100.
    #[must_use]
    pub fn new(hundredths: u16) -> Option<Self> {
        PUBLISHED_HUNDREDTHS.contains(&hundredths).then_some(Self(hundredths))
    }

    /// The published multiplier in hundredths.
    #[must_use]
    pub fn hundredths(self) -> u16 {
        self.0
    }
}

impl From<Multiplier> for Published {
    fn from(multiplier: Multiplier) -> Self {
        Self(multiplier.0)
    }
}

/// The limits that a multiplier is clamped to before it is reported (CONTRACT §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The lowest multiplier that is reported.
    pub floor: Multiplier,
    /// The highest multiplier that is reported; if it is below the floor, the cap wins.
    pub cap: Multiplier,
}

impl Limits {
    /// These limits combined with others: the highest floor and the lowest cap.
    #[must_use]
    pub fn tightened(self, floor: Option<Multiplier>, cap: Option<Multiplier>) -> Self {
        Self {
            floor: floor.map_or(self.floor, |floor| floor.max(self.floor)),
            cap: cap.map_or(self.cap, |cap| cap.min(self.cap)),
        }
    }

    /// Raises `published` to the floor, and then lowers it to the cap.
    #[must_use]
    pub fn apply(self, published: Published) -> Multiplier {
        // Both limits are within a multiplier's range, so the result is too.
        Multiplier(published.0.max(self.floor.0).min(self.cap.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(floor: u16, cap: u16) -> Limits {
        Limits { floor: Multiplier(floor), cap: Multiplier(cap) }
    }

    #[test]
    fn a_multiplier_has_a_range() {
        assert_eq!(Multiplier::new(0), None);
        assert_eq!(Multiplier::new(1).unwrap().hundredths(), 1);
        assert_eq!(Multiplier::new(100), Some(Multiplier::ONE));
        assert_eq!(Multiplier::new(10_000).unwrap().hundredths(), 10_000);
        assert_eq!(Multiplier::new(10_001), None);
        assert_eq!(f64::from(Multiplier(137)).to_string(), "1.37");
    }

    #[test]
    fn limits_clamp_the_multipliers_beyond_them() {
        for (published, reported) in
            [(1, 110), (100, 110), (110, 110), (120, 120), (137, 137), (140, 137), (12_100, 137)]
        {
            assert_eq!(limits(110, 137).apply(Published(published)), Multiplier(reported), "{published}");
        }
    }

    #[test]
    fn the_cap_wins_over_a_higher_floor() {
        for published in [100, 150, 250] {
            assert_eq!(limits(200, 120).apply(Published(published)), Multiplier(120), "{published}");
        }
    }

    #[test]
    fn combined_limits_have_the_highest_floor_and_the_lowest_cap() {
        let city = limits(110, 500);
        let some = |hundredths| Some(Multiplier(hundredths));
        assert_eq!(city.tightened(None, None), city);
        assert_eq!(city.tightened(some(120), some(250)), limits(120, 250));
        assert_eq!(city.tightened(some(100), some(600)), city);
        assert_eq!(city.tightened(some(120), None), limits(120, 500));
        assert_eq!(city.tightened(None, some(250)), limits(110, 250));
    }

    proptest! {
        #[test]
        fn limited_multipliers_are_at_most_the_cap_and_at_least_the_lower_limit(floor in 1_u16..=10_000, cap in 1_u16..=10_000, published in PUBLISHED_HUNDREDTHS) {
            let reported = limits(floor, cap).apply(Published(published));
            prop_assert!(reported.0 <= cap && reported.0 >= floor.min(cap));
        }
    }
}
