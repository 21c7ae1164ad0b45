//! A fast hash of integer keys.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`IntHash`] hashers.
pub type IntHasher = BuildHasherDefault<IntHash>;

/// Spreads an integer over 64 bits: a folded multiplication by 2⁶⁴ divided by the golden ratio (D. Knuth, "The Art of
/// Computer Programming", volume 3, section 6.4).
#[derive(Clone, Copy, Debug, Default)]
pub struct IntHash(u64);

/// The hash of a number.
#[must_use]
pub fn spread(number: u64) -> u64 {
    let product = u128::from(number ^ 0x5851_f42d_4c95_7f2d) * 0x9e37_79b9_7f4a_7c15;
    // Both halves, folded: the low bits choose the bucket, the high ones the tag.
    #[expect(clippy::cast_possible_truncation)]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

impl Hasher for IntHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = spread(self.0 ^ number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn neighbours_are_spread_over_low_and_high_bits() {
        let low: HashSet<u64> = (0..4096).map(|n| spread(n << 20) & 0xfff).collect();
        let high: HashSet<u64> = (0..4096).map(|n| spread(n << 20) >> 57).collect();
        assert!(low.len() > 2_000, "{}", low.len());
        assert_eq!(high.len(), 128);
    }

    #[test]
    fn every_number_written_counts() {
        let hash = |parts: &[u64]| {
            let mut hash = IntHash::default();
            parts.iter().for_each(|part| hash.write_u64(*part));
            hash.finish()
        };
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[1, 2]), hash(&[1]));
        let mut bytes = IntHash::default();
        bytes.write(&[1, 2]);
        assert_eq!(bytes.finish(), hash(&[1, 2]));
    }
}
