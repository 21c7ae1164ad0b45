//! The formula of surge: from the demand and supply around a cell to the multiplier that is reported (CONTRACT §3).
//!
//! The steps, each a function below: counts per ring become `D` and `S` by the ring weights, those the pressure `r` by
//! the prior, that the raw multiplier by the curve, that `m` by the half lives, and that the published multiplier by the
//! step; limits bound what is reported.
//!
//! Every sum and product is rounded on its own, and `pow` is that of libm, so every machine computes the same bits.

use crate::policy::curve::Curve;
use crate::policy::{Policy, Published};
use crate::surge::feed_guard::Feed;

/// 1.00× in hundredths: the published multiplier of a cell before its first tick.
pub const BASE_HUNDREDTHS: f64 = 100.0;

/// The greatest published multiplier, in hundredths.
const MAX_PUBLISHED: f64 = 12_100.0;

/// The formula with the parameters of one policy.
#[derive(Debug)]
pub struct SurgeFormula {
    ring_weights: Box<[f64]>,
    prior: f64,
    curve: Curve,
    alpha_up: f64,
    alpha_down: f64,
    /// The greatest raw multiplier: four times `M`, the greater of 1 and the city's cap.
    max_raw: f64,
    /// The greatest smoothed multiplier: 1.2 times `M`, so that no cell stays at its cap long after its crowd has left.
    max_smoothed: f64,
    /// The step of published multipliers, in hundredths.
    step: f64,
}

/// The multiplier of one cell and product, as it moves from tick to tick.
#[derive(Clone, Copy, Debug)]
pub struct MultiplierState {
    /// The curve's value for the demand and supply when they last changed.
    pub raw: f64,
    /// The smoothed multiplier `m`.
    pub smoothed: f64,
    /// The published multiplier in hundredths, before limits.
    pub published: f64,
}

/// The pressure `r = (D + a·ρ) / (S + a)`: demand relative to supply, drawn to the balanced ratio ρ where both are small
/// by the prior `a`, which is above 0.
#[must_use]
#[inline]
pub fn pressure(demand: f64, supply: f64, prior: f64, balanced_ratio: f64) -> f64 {
    (demand + prior * balanced_ratio) / (supply + prior)
}

/// The share `α = 1 − 2^(−tick_ms/half_life_ms)` of its distance to the raw multiplier that `m` covers in a tick.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a policy are below 2^53")]
pub fn alpha(tick_ms: i64, half_life_ms: i64) -> f64 {
    1.0 - libm::pow(2.0, -(tick_ms as f64 / half_life_ms as f64))
}

impl SurgeFormula {
    /// The formula with the parameters of `policy`.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let surge = &policy.surge;
        let tick_ms = policy.clock.tick_ms;
        let max = f64::from(policy.limits.cap).max(1.0);
        Self {
            ring_weights: surge.ring_weights.as_slice().into(),
            prior: surge.prior,
            curve: surge.curve.clone(),
            alpha_up: alpha(tick_ms, surge.half_life_up_ms),
            alpha_down: alpha(tick_ms, surge.half_life_down_ms),
            max_raw: 4.0 * max,
            max_smoothed: 1.2 * max,
            step: f64::from(surge.step_hundredths),
        }
    }

    /// The number of rings around a cell that affect it, the cell itself included.
    #[must_use]
    #[inline]
    pub fn rings(&self) -> usize {
        self.ring_weights.len()
    }

    /// `D` or `S`: the weighted sum of the counts per ring, added in the order of the rings.
    #[must_use]
    #[inline]
    pub fn smooth_over_space(&self, counts: &[u32]) -> f64 {
        let rings = self.ring_weights.iter().zip(counts);
        rings.fold(0.0, |sum, (weight, count)| sum + weight * f64::from(*count))
    }

    /// The raw multiplier of demand `D` and supply `S`.
    #[must_use]
    #[inline]
    pub fn raw(&self, demand: f64, supply: f64) -> f64 {
        self.curve.raw(pressure(demand, supply, self.prior, self.curve.balanced_ratio)).min(self.max_raw)
    }

    /// Moves `m` towards the raw multiplier by one tick, and the published multiplier after it. While the feed is
    /// suspect both may fall, but not rise.
    #[inline]
    pub fn advance(&self, state: &mut MultiplierState, feed: Feed) {
        let before = *state;
        let alpha = if state.raw > state.smoothed { self.alpha_up } else { self.alpha_down };
        state.smoothed = (state.smoothed + alpha * (state.raw - state.smoothed)).min(self.max_smoothed);
        state.published = self.publish(state.smoothed, state.published);
        if feed == Feed::Suspect {
            state.smoothed = state.smoothed.min(before.smoothed);
            state.published = state.published.min(before.published);
        }
    }

    /// The published multiplier: it moves in whole steps, once `m` is three quarters of a step away.
    #[inline]
    fn publish(&self, smoothed: f64, published: f64) -> f64 {
        let hundredths = 100.0 * smoothed;
        if (hundredths - published).abs() >= 0.75 * self.step {
            self.step * (hundredths / self.step + 0.5).floor()
        } else {
            published
        }
    }
}

impl MultiplierState {
    /// The state of a cell before its first tick.
    pub const BASE: Self = Self { raw: 1.0, smoothed: 1.0, published: BASE_HUNDREDTHS };

    /// The published multiplier, before limits.
    ///
    /// # Panics
    /// Never: `m` is positive and at most 1.2 times the greatest cap of a policy.
    #[must_use]
    #[inline]
    pub fn published(&self) -> Published {
        // A snapshot that another build wrote may hold any number.
        let hundredths = self.published.clamp(1.0, MAX_PUBLISHED);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Published::new(hundredths as u16).expect("clamped to its range")
    }

    /// Whether the published multiplier is 1.00×.
    #[must_use]
    #[inline]
    pub fn is_base(&self) -> bool {
        self.published == BASE_HUNDREDTHS
    }

    /// Whether both states are the same to the bit.
    #[must_use]
    #[inline]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let bits = |state: &Self| [state.raw, state.smoothed, state.published].map(f64::to_bits);
        bits(self) == bits(other)
    }

    /// Forgets the smoothed and the published multiplier. The raw one depends on the counts only.
    #[inline]
    pub fn forget(&mut self) {
        *self = Self { raw: self.raw, ..Self::BASE };
    }
}

#[cfg(test)]
mod tests;
