//! A fare to the last minor unit, item by item (CONTRACT §8).

use crate::fare::money::MinorUnits;
use crate::policy::{Fare, FareOverrides, Multiplier, SurgeForm};
use crate::quote::ride::Ride;

/// An item of a fare, in the order in which items are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FareItem {
    /// Once per ride.
    Base,
    /// By the distance.
    Distance,
    /// By the duration.
    Time,
    /// What the items so far lack of the lowest fare.
    MinimumAdjustment,
    /// By the multiplier; negative below 1.0.
    Surge,
    /// Once per ride, not multiplied.
    BookingFee,
}

impl FareItem {
    /// All items.
    pub const ALL: [Self; 6] =
        [Self::Base, Self::Distance, Self::Time, Self::MinimumAdjustment, Self::Surge, Self::BookingFee];

    /// Its name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Distance => "distance",
            Self::Time => "time",
            Self::MinimumAdjustment => "minimum_adjustment",
            Self::Surge => "surge",
            Self::BookingFee => "booking_fee",
        }
    }
}

/// The amounts of a fare's items, in minor units: those of [`FareItem::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FareLines(pub [i64; 6]);

impl FareLines {
    /// The fare of a ride: every line is rounded half away from zero, and the next is worked out from the rounded ones.
    #[must_use]
    pub fn new(fare: &Fare, form: SurgeForm, multiplier: Multiplier, ride: Ride) -> Self {
        let base = fare.base.get();
        let distance = share(fare.per_km, ride.distance_m, 1_000);
        let time = share(fare.per_minute, ride.duration_s, 60);
        let before_minimum = base + distance + time;
        let minimum_adjustment = (fare.minimum.get() - before_minimum).max(0);
        let surged = match form {
            SurgeForm::Multiplicative => before_minimum + minimum_adjustment,
            SurgeForm::Additive(amount) => amount.unwrap_or(fare.minimum).get(),
        };
        let surge = divide(i128::from(surged) * (i128::from(multiplier.hundredths()) - 100), 100);
        Self([base, distance, time, minimum_adjustment, surge, fare.booking_fee.get()])
    }

    /// The sum: what the rider pays.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// The lines that are not 0, in order.
    pub fn items(&self) -> impl Iterator<Item = (FareItem, i64)> {
        FareItem::ALL.into_iter().zip(self.0).filter(|(_, amount)| *amount != 0)
    }
}

impl Fare {
    /// This fare with the parts that a zone replaces.
    #[must_use]
    pub fn replaced(self, zone: &FareOverrides) -> Self {
        Self {
            base: zone.base.unwrap_or(self.base),
            per_km: zone.per_km.unwrap_or(self.per_km),
            per_minute: zone.per_minute.unwrap_or(self.per_minute),
            booking_fee: zone.booking_fee.unwrap_or(self.booking_fee),
            minimum: zone.minimum.unwrap_or(self.minimum),
        }
    }
}

/// `rate` for `count` of a unit that has `parts` of them.
fn share(rate: MinorUnits, count: u32, parts: i128) -> i64 {
    divide(i128::from(rate.get()) * i128::from(count), parts)
}

/// The quotient, rounded half away from zero. Amounts, distances, durations and multipliers are bounded, so that it is an
/// `i64`: 10¹² minor units for each of 10⁴ km, and a hundredfold of that, are 10¹⁸.
fn divide(dividend: i128, divisor: i128) -> i64 {
    let rounded = (2 * dividend.abs() + divisor) / (2 * divisor) * dividend.signum();
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fare::money::MAX_MINOR_UNITS;
    use crate::quote::ride::{MAX_DISTANCE_M, MAX_DURATION_S};

    fn units(amount: i64) -> MinorUnits {
        MinorUnits::new(amount).unwrap()
    }

    fn fare([base, per_km, per_minute, booking_fee, minimum]: [i64; 5]) -> Fare {
        let [base, per_km, per_minute] = [base, per_km, per_minute].map(units);
        Fare { base, per_km, per_minute, booking_fee: units(booking_fee), minimum: units(minimum) }
    }

    /// The default fare of CONTRACT §7 in US dollars.
    fn default_fare() -> Fare {
        fare([250, 125, 35, 200, 700])
    }

    fn times(hundredths: u16) -> Multiplier {
        Multiplier::new(hundredths).unwrap()
    }

    fn lines(form: SurgeForm, hundredths: u16, distance_m: u32, duration_s: u32) -> [i64; 6] {
        FareLines::new(&default_fare(), form, times(hundredths), Ride { distance_m, duration_s }).0
    }

    #[test]
    fn each_line_is_rounded_and_the_next_is_worked_out_from_the_rounded_ones() {
        use SurgeForm::{Additive, Multiplicative};
        for (form, hundredths, distance_m, duration_s, expected) in [
            (Multiplicative, 100, 5_000, 900, [250, 625, 525, 0, 0, 200]),
            (Multiplicative, 240, 5_000, 900, [250, 625, 525, 0, 1_960, 200]),
            // 5 004 m are 625.5 cents, 901 s are 525.58.
            (Multiplicative, 150, 5_004, 901, [250, 626, 526, 0, 701, 200]),
            // Below the minimum: 250 + 125 + 35 lack 290 of 700.
            (Multiplicative, 150, 1_000, 60, [250, 125, 35, 290, 350, 200]),
            (Multiplicative, 85, 1_000, 60, [250, 125, 35, 290, -105, 200]),
            // 0.15 · 703 = 105.45, and 0.5 · 701 = 350.5 away from zero.
            (Multiplicative, 50, 3_608, 0, [250, 451, 0, 0, -351, 200]),
            (Additive(None), 240, 50_000, 900, [250, 6_250, 525, 0, 980, 200]),
            (Additive(Some(units(100))), 240, 50_000, 900, [250, 6_250, 525, 0, 140, 200]),
            (Additive(Some(units(0))), 240, 0, 0, [250, 0, 0, 450, 0, 200]),
        ] {
            assert_eq!(lines(form, hundredths, distance_m, duration_s), expected, "{form:?} {hundredths}");
        }
    }

    #[test]
    fn lines_of_0_are_left_out_and_the_fare_is_the_sum() {
        let fare = FareLines([250, 625, 0, 0, -131, 200]);
        let items: Vec<_> = fare.items().map(|(item, amount)| (item.as_str(), amount)).collect();
        assert_eq!(items, [("base", 250), ("distance", 625), ("surge", -131), ("booking_fee", 200)]);
        assert_eq!(fare.total(), 944);
        assert_eq!(FareItem::ALL.map(FareItem::as_str)[3], "minimum_adjustment");
    }

    #[test]
    fn a_zone_replaces_any_part() {
        let zone =
            FareOverrides { minimum: Some(units(1_500)), per_km: Some(units(0)), ..FareOverrides::default() };
        assert_eq!(default_fare().replaced(&zone), fare([250, 0, 35, 200, 1_500]));
        assert_eq!(default_fare().replaced(&FareOverrides::default()), default_fare());
    }

    #[test]
    fn the_greatest_fare_is_exact() {
        let most = fare([MAX_MINOR_UNITS; 5]);
        let ride = Ride { distance_m: MAX_DISTANCE_M, duration_s: MAX_DURATION_S };
        let FareLines(lines) = FareLines::new(&most, SurgeForm::Multiplicative, Multiplier::MAX, ride);
        let before = MAX_MINOR_UNITS + MAX_MINOR_UNITS * 10_000 + MAX_MINOR_UNITS * 10_080;
        assert_eq!(lines[4], before * 99);
        assert_eq!(FareLines(lines).total(), before * 100 + MAX_MINOR_UNITS);
    }

    fn any_fare() -> impl Strategy<Value = Fare> {
        prop::array::uniform5(prop_oneof![0..2_000_i64, 0..=MAX_MINOR_UNITS]).prop_map(fare)
    }

    fn any_form() -> impl Strategy<Value = SurgeForm> {
        let amount = prop::option::of((0..5_000_i64).prop_map(units));
        prop_oneof![Just(SurgeForm::Multiplicative), amount.prop_map(SurgeForm::Additive)]
    }

    proptest! {
        #[test]
        fn every_line_is_the_exact_amount_rounded(fare in any_fare(), form in any_form(), hundredths in 1_u16..=10_000, distance_m in 0..=MAX_DISTANCE_M, duration_s in 0..=MAX_DURATION_S) {
            let FareLines(lines) = FareLines::new(&fare, form, times(hundredths), Ride { distance_m, duration_s });
            // |line − exact| ≤ ½, as fractions of whole numbers.
            let is_rounded = |line: i64, dividend: i128, divisor: i128| {
                2 * (i128::from(line) * divisor - dividend).abs() <= divisor
            };
            let wide = |amount: MinorUnits| i128::from(amount.get());
            prop_assert!(is_rounded(lines[1], wide(fare.per_km) * i128::from(distance_m), 1_000));
            prop_assert!(is_rounded(lines[2], wide(fare.per_minute) * i128::from(duration_s), 60));
            let ride: i128 = lines[..4].iter().copied().map(i128::from).sum();
            prop_assert!(ride >= wide(fare.minimum));
            let surged = match form {
                SurgeForm::Multiplicative => ride,
                SurgeForm::Additive(amount) => wide(amount.unwrap_or(fare.minimum)),
            };
            prop_assert!(is_rounded(lines[4], surged * (i128::from(hundredths) - 100), 100));
            prop_assert_eq!(FareLines(lines).items().map(|(_, amount)| amount).sum::<i64>(), FareLines(lines).total());
        }

        #[test]
        fn a_longer_ride_or_a_higher_multiplier_never_costs_less(form in any_form(), hundredths in 100_u16..5_000, distance_m in 0..100_000_u32, duration_s in 0..10_000_u32, more in 0..1_000_u32) {
            let total = |hundredths, distance_m, duration_s| {
                FareLines(lines(form, hundredths, distance_m, duration_s)).total()
            };
            let fare = total(hundredths, distance_m, duration_s);
            prop_assert!(total(hundredths, distance_m + more, duration_s) >= fare);
            prop_assert!(total(hundredths, distance_m, duration_s + more) >= fare);
            prop_assert!(total(hundredths + 1, distance_m, duration_s) >= fare);
        }

        #[test]
        fn what_is_added_above_one_is_taken_below_it(hundredths in 1_u16..100, distance_m in 0..100_000_u32, duration_s in 0..10_000_u32, form in any_form()) {
            let above = lines(form, 200 - hundredths, distance_m, duration_s);
            let below = lines(form, hundredths, distance_m, duration_s);
            prop_assert_eq!(above[4], -below[4]);
        }
    }
}
