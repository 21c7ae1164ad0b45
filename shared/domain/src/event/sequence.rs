//! Kinesis sequence numbers: a record's position in its shard.

use std::cmp::Ordering;
use std::fmt;

/// Longest sequence number, in digits: the API's pattern is `0|([1-9]\d{0,128})` (Kinesis API reference, `Record`).
pub const MAX_SEQUENCE_DIGITS: usize = 129;

/// A Kinesis sequence number: decimal digits, ordered by value. Leading zeros are dropped.
///
/// Sequence numbers of Kinesis have 56 digits and more, which exceeds 128 bits, so they are compared as text: first by
/// length, then by digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sequence(Box<str>);

impl Sequence {
    /// The sequence number of these digits, if they are a number of at most [`MAX_SEQUENCE_DIGITS`].
    #[must_use]
    pub fn new(digits: &str) -> Option<Self> {
        SequenceRef::new(digits).map(SequenceRef::to_owned)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A borrowed form of the same number.
    #[must_use]
    pub fn borrowed(&self) -> SequenceRef<'_> {
        SequenceRef(&self.0)
    }
}

/// A [`Sequence`] that borrows its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceRef<'a>(&'a str);

impl<'a> SequenceRef<'a> {
    /// The sequence number of these digits, if they are a number of at most [`MAX_SEQUENCE_DIGITS`].
    #[must_use]
    pub fn new(digits: &'a str) -> Option<Self> {
        let significant = digits.trim_start_matches('0');
        let digits =
            if significant.is_empty() { digits.get(digits.len().checked_sub(1)?..)? } else { significant };
        let is_number = digits.len() <= MAX_SEQUENCE_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some(Self(digits))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// An owned copy.
    #[must_use]
    pub fn to_owned(self) -> Sequence {
        Sequence(self.0.into())
    }
}

impl Ord for SequenceRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for SequenceRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<u64> for Sequence {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        self.borrowed().cmp(&other.borrowed())
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_compare_by_value_beyond_128_bits() {
        let long = Sequence::new("49590338271490256608559692538361571095921575989136588898").unwrap();
        let next = Sequence::new("49590338271490256608559692538361571095921575989136588899").unwrap();
        assert!(long < next);
        assert!(Sequence::from(9) < Sequence::from(10));
        assert!(Sequence::from(u64::MAX) < long);
    }

    #[test]
    fn a_sequence_displays_its_digits() {
        let digits = "49590338271490256608559692538361571095921575989136588898";
        let sequence = Sequence::new(digits).unwrap();
        assert_eq!(sequence.as_str(), digits);
        assert_eq!((sequence.to_string(), format!("{sequence:?}")), (digits.to_owned(), digits.to_owned()));
    }

    #[test]
    fn decimal_numbers_are_sequences() {
        for bad in ["", "-1", "1a", "1.0", "é", &"9".repeat(130)] {
            assert_eq!(Sequence::new(bad), None, "{bad}");
        }
        for zero in ["0", "00", &"0".repeat(300)] {
            assert_eq!(Sequence::new(zero).unwrap().to_string(), "0");
        }
        assert_eq!(Sequence::new("0012"), Sequence::new("12"));
        assert!(Sequence::new(&"9".repeat(129)).is_some());
    }
}
