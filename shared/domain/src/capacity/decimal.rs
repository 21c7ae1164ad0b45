//! Decimal numbers of 18 significant digits: a comparison with a threshold never fails by the rounding of a float.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer};

/// Significant digits that a number keeps. A product of two such mantissas, and a tenfold of it, fit an `i128`.
const DIGITS: u32 = 18;

/// The greatest exponent of a number that is read: beyond it is no figure of a computer system.
const MAX_EXPONENT: i32 = 30;

/// Significant digits of what floating-point arithmetic gives: the last digits of a float are its errors.
const FLOAT_DIGITS: usize = 12;

/// A number that is not negative: `mantissa · 10^exponent`, of at most 18 significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    exponent: i32,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };
    /// One.
    pub const ONE: Self = Self { mantissa: 1, exponent: 0 };

    /// Ten.
    pub const TEN: Self = Self { mantissa: 1, exponent: 1 };
    /// 10¹².
    pub const TRILLION: Self = Self { mantissa: 1, exponent: 12 };
    /// 10¹⁵.
    pub const QUADRILLION: Self = Self { mantissa: 1, exponent: 15 };

    /// `mantissa · 10^exponent`: `Decimal::new(11, -1)` is 1.1. Digits after the 18th are rounded.
    #[must_use]
    pub fn new(mantissa: u64, exponent: i32) -> Self {
        Self::rounded(mantissa.into(), exponent)
    }

    /// A whole number.
    #[must_use]
    pub fn whole(number: u64) -> Self {
        Self::new(number, 0)
    }

    /// Reads a number as JSON writes it (RFC 8259 §6). `None` if it is negative, or beyond 10³⁰.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse().ok()?),
            None => (text, 0i32),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) || number.ends_with('.') {
            return None;
        }
        let mut mantissa: i128 = 0;
        let mut shift: i32 = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if mantissa < 10i128.pow(DIGITS + 1) {
                mantissa = mantissa * 10 + i128::from(digit - b'0');
            } else {
                shift = shift.checked_add(1)?;
            }
        }
        let number = Self::rounded(mantissa, shift);
        if number.magnitude() < -MAX_EXPONENT {
            return Some(Self::ZERO);
        }
        (number.magnitude() <= MAX_EXPONENT).then_some(number)
    }

    /// The number nearest to a result of floating-point arithmetic, by its first 12 digits. `None` if it is negative or not
    /// finite.
    #[must_use]
    pub fn of_float(number: f64) -> Option<Self> {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        Self::parse(&format!("{number:.*e}", FLOAT_DIGITS - 1))
    }

    /// The nearest float, for formulas and for people.
    #[must_use]
    pub fn to_float(self) -> f64 {
        // A decimal text is always a float.
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(f64::INFINITY)
    }

    /// The product, rounded to 18 digits.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self::rounded(self.mantissa * other.mantissa, self.exponent.saturating_add(other.exponent))
    }

    /// The sum, rounded to 18 digits.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.mantissa == 0 || other.mantissa == 0 {
            return if self.mantissa == 0 { other } else { self };
        }
        let (large, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // Digits that do not fit beside those of the larger number would be rounded away.
        let shift = large.exponent.abs_diff(small.exponent);
        if shift > DIGITS {
            let whole = small.to_float() >= large.to_float();
            return if whole { small } else { large };
        }
        Self::rounded(large.mantissa * 10i128.pow(shift) + small.mantissa, small.exponent)
    }

    /// How `self / of` compares with `other / other_of`; no divisor is 0.
    #[must_use]
    pub fn compare_ratios((number, of): (Self, Self), (other, other_of): (Self, Self)) -> Ordering {
        let left = (number.mantissa * other_of.mantissa, number.exponent + other_of.exponent);
        let right = (other.mantissa * of.mantissa, other.exponent + of.exponent);
        compare(left, right)
    }

    /// The number in text with at most `digits` digits after the point, rounded half up: `0.0441`.
    #[must_use]
    pub fn to_text(self, digits: usize) -> String {
        let exponent = -i32::try_from(digits).unwrap_or(i32::MAX);
        let shift = self.exponent - exponent;
        let units = match u32::try_from(shift) {
            Ok(shift) => self.mantissa.saturating_mul(10i128.saturating_pow(shift)),
            Err(_) => divided(self.mantissa, shift.unsigned_abs()),
        };
        let text = format!("{units:0width$}", width = digits + 1);
        match text.split_at(text.len() - digits) {
            (whole, "") => whole.to_owned(),
            (whole, fraction) => format!("{whole}.{fraction}"),
        }
    }

    /// The number with all its digits: `2.5`.
    #[must_use]
    pub fn to_shortest(self) -> String {
        self.to_text(usize::try_from(-self.exponent).unwrap_or(0))
    }

    /// The exponent of the first digit.
    fn magnitude(self) -> i32 {
        self.exponent.saturating_add(i32::try_from(digits(self.mantissa)).unwrap_or(i32::MAX)) - 1
    }

    fn rounded(mantissa: i128, exponent: i32) -> Self {
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        if let Some(excess) = digits(mantissa).checked_sub(DIGITS) {
            mantissa = divided(mantissa, excess);
            exponent = exponent.saturating_add(i32::try_from(excess).unwrap_or(i32::MAX));
        }
        if mantissa == 0 {
            return Self::ZERO;
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent = exponent.saturating_add(1);
        }
        Self { mantissa, exponent }
    }
}

/// `number / 10^shift`, rounded half up.
fn divided(number: i128, shift: u32) -> i128 {
    let Some(divisor) = 10i128.checked_pow(shift) else { return 0 };
    let (quotient, rest) = (number / divisor, number % divisor);
    quotient + i128::from(rest >= divisor - rest)
}

/// Digits of a mantissa; 0 has none.
fn digits(mantissa: i128) -> u32 {
    mantissa.checked_ilog10().map_or(0, |digits| digits + 1)
}

/// How two numbers compare, each a mantissa of at most 36 digits and an exponent.
fn compare((mut left, left_exponent): (i128, i32), (mut right, right_exponent): (i128, i32)) -> Ordering {
    if left == 0 || right == 0 {
        return left.cmp(&right);
    }
    let magnitude = |mantissa, exponent: i32| i64::from(digits(mantissa)) + i64::from(exponent);
    let by_magnitude = magnitude(left, left_exponent).cmp(&magnitude(right, right_exponent));
    by_magnitude.then_with(|| {
        // Of equal magnitude, the one with the greater exponent has as many digits fewer.
        let shift = 10i128.pow(left_exponent.abs_diff(right_exponent));
        if left_exponent > right_exponent {
            left *= shift;
        } else {
            right *= shift;
        }
        left.cmp(&right)
    })
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        compare((self.mantissa, self.exponent), (other.mantissa, other.exponent))
    }
}

impl fmt::Display for Decimal {
    /// As people read it: four significant digits at least, and all of a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::try_from((3 - self.magnitude()).max(0)).unwrap_or(0);
        let text = self.to_text(places.min(12));
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        f.pad(text)
    }
}

impl Serialize for Decimal {
    /// A whole number as an integer, every other as the nearest float.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = u32::try_from(self.exponent).ok().and_then(|shift| 10u64.checked_pow(shift));
        let whole = whole.and_then(|power| u64::try_from(self.mantissa).ok()?.checked_mul(power));
        match whole {
            // Beyond 2^53 readers take numbers for floats (RFC 8259 §6).
            Some(number) if number < 1 << 53 => serializer.serialize_u64(number),
            _ => serializer.serialize_f64(self.to_float()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a number")
    }

    #[test]
    fn numbers_are_read_as_json_writes_them() {
        for (text, expected) in [
            ("0", (0, 0)),
            ("0.0", (0, 0)),
            ("80", (8, 1)),
            ("0.1", (1, -1)),
            ("1.5e3", (15, 2)),
            ("2E-2", (2, -2)),
            ("1e+3", (1, 3)),
            ("33.333333333333336", (33_333_333_333_333_336, -15)),
            ("1234567890123456789012", (123_456_789_012_345_679, 4)),
        ] {
            let (mantissa, exponent) = expected;
            assert_eq!(Decimal::parse(text), Some(Decimal { mantissa, exponent }), "{text}");
        }
        for text in ["", "-1", "-0.1", "1e31", "1e999999999999", "x", "1.", ".5", "NaN", "0x1", "1 "] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_tenth_more_is_exact() {
        let limit = decimal("0.1").times(decimal("1.1"));
        assert_eq!(limit, decimal("0.11"));
        assert_eq!(decimal("0.3").times(decimal("1.1")), decimal("0.33"));
    }

    #[test]
    fn powers_of_floats_become_the_number_that_was_meant() {
        assert_eq!(Decimal::of_float(libm::pow(1_000.0, 1.0 / 3.0)), Some(Decimal::whole(10)));
        assert_eq!(Decimal::of_float(libm::pow(10.0, 0.0)), Some(Decimal::ONE));
        assert_eq!(Decimal::of_float(f64::NAN), None);
        assert_eq!(Decimal::of_float(-1.0), None);
    }

    #[test]
    fn numbers_are_printed_for_people() {
        for (text, expected) in [
            ("0", "0"),
            ("100", "100"),
            ("123456", "123456"),
            ("12.3456", "12.35"),
            ("0.000123456", "0.0001235"),
            ("2.50", "2.5"),
        ] {
            assert_eq!(decimal(text).to_string(), expected);
        }
        assert_eq!(decimal("0.00445").to_text(4), "0.0045");
        assert_eq!(decimal("12.345").to_text(2), "12.35");
        assert_eq!(decimal("7").to_text(2), "7.00");
    }

    #[test]
    fn whole_numbers_are_written_as_integers() {
        let json = serde_json::to_string(&["100", "0.5", "1e20", "0"].map(decimal)).expect("it is written");
        assert_eq!(json, "[100,0.5,1e+20,0]");
    }

    proptest! {
        #[test]
        fn numbers_compare_as_the_fractions_they_are(a in 0u64..1 << 53, b in 0u64..1 << 53, x in 0i32..6, y in 0i32..6) {
            let (left, right) = (Decimal::new(a, -x), Decimal::new(b, -y));
            let cross = (u128::from(a) * 10u128.pow(y.unsigned_abs()))
                .cmp(&(u128::from(b) * 10u128.pow(x.unsigned_abs())));
            prop_assert_eq!(left.cmp(&right), cross);
            prop_assert_eq!(Decimal::compare_ratios((left, Decimal::ONE), (right, Decimal::ONE)), cross);
        }

        #[test]
        fn sums_and_products_are_those_of_whole_numbers(a in 0u32.., b in 0u32..) {
            let (left, right) = (Decimal::whole(a.into()), Decimal::whole(b.into()));
            prop_assert_eq!(left.plus(right), Decimal::whole(u64::from(a) + u64::from(b)));
            if a < 1 << 29 && b < 1 << 29 {
                prop_assert_eq!(left.times(right), Decimal::whole(u64::from(a) * u64::from(b)));
            }
        }

        #[test]
        fn a_float_reads_back(number in 0f64..1e15) {
            let read = decimal(&number.to_string()).to_float();
            prop_assert!((read - number).abs() <= number * 1e-15);
        }
    }
}
