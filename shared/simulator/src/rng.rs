//! `SplitMix64`: one seed gives the same numbers on every machine.

use crate::rounding::whole;

/// A pseudorandom generator (G. Steele, D. Lea, C. Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA
/// 2014; constants as in S. Vigna's `splitmix64.c`).
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator seeded with `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..1`, in steps of 2⁻³².
    pub fn fraction(&mut self) -> f64 {
        f64::from((self.next_u64() >> 32) as u32) / 4_294_967_296.0
    }

    /// A number in `0..1`, in steps of 10⁻⁶: short when written in decimals.
    pub fn millionths(&mut self) -> f64 {
        f64::from(u32::try_from(self.below(1_000_000)).expect("the bound is a million")) / 1e6
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("no platform has wider addresses");
        usize::try_from(self.next_u64() % bound).expect("the remainder is below a `usize`")
    }

    /// A number in `min..=max`.
    pub fn between(&mut self, min: i64, max: i64) -> i64 {
        let choices = (max - min + 1).unsigned_abs();
        min + i64::try_from(self.next_u64() % choices).expect("it is below a difference of two `i64`")
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// True with a probability of `percent` percent.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A number in `-1..1`, most often near 0: the scaled sum of three uniform ones.
    pub fn bell(&mut self) -> f64 {
        (self.fraction() + self.fraction() + self.fraction()) / 1.5 - 1.0
    }

    /// The exponential waiting time, in milliseconds, until the next of independent events at a rate of `per_s`.
    pub fn wait_ms(&mut self, per_s: f64) -> i64 {
        whole(-libm::log(1.0 - self.fraction()) * 1000.0 / per_s)
    }

    /// One of `choices`, which are not empty.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// One of `choices`, which are not empty.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_matches_the_published_generator() {
        // The first numbers of seed 1234567, as printed by `splitmix64.c`.
        let mut rng = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn waiting_times_match_their_rate_on_average() {
        let mut rng = SplitMix64::new(1);
        let total: i64 = (0..20_000).map(|_| rng.wait_ms(2.0)).sum();
        assert!((490..510).contains(&(total / 20_000)), "{total}");
    }
}
