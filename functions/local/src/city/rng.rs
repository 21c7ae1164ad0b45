//! The city's chance, a stream of numbers that a seed decides: the same on every machine, for ever.

use super::rounding::whole;

/// `SplitMix64` (G. Steele, D. Lea, C. Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA
/// 2014; constants as in S. Vigna's `splitmix64.c`).
#[derive(Clone, Debug)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 and below 1, in steps of 2⁻³².
    pub(super) fn part(&mut self) -> f64 {
        f64::from((self.roll() >> 32) as u32) / 4_294_967_296.0
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        let choices = (most - least + 1).unsigned_abs();
        least + i64::try_from(self.roll() % choices).expect("it is below a difference of two `i64`")
    }

    pub(super) fn chance(&mut self, chance: f64) -> bool {
        self.part() < chance
    }

    /// A number from −1 to 1, most often near 0: the sum of three even ones.
    pub(super) fn bell(&mut self) -> f64 {
        (self.part() + self.part() + self.part()) / 1.5 - 1.0
    }

    /// How long until the next of things that happen `per_s` times a second on average, each whenever it
    /// likes: an exponential wait.
    pub(super) fn wait_ms(&mut self, per_s: f64) -> i64 {
        whole(-libm::log(1.0 - self.part()) * 1000.0 / per_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // The first of seed 1234567, as printed by `splitmix64.c`.
        let mut dice = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| dice.roll()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn waits_are_as_long_as_their_rate_says() {
        let mut dice = SplitMix64::new(1);
        let total: i64 = (0..20_000).map(|_| dice.wait_ms(2.0)).sum();
        assert!((490..510).contains(&(total / 20_000)), "{total}");
    }
}
