//! The formula's values, some of them to the bit, and the laws that hold for every curve.

use proptest::prelude::*;

use super::*;
use crate::policy::curve::tests::any_curve;
use crate::policy::curve::{Curve, Formula, Table};

fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-12 * left.abs().max(right.abs())
}

#[test]
fn the_prior_draws_the_pressure_to_balance() {
    assert!(is_close(pressure(0.0, 0.0, 2.0, 0.7), 0.7));
    assert!(is_close(pressure(10.0, 4.0, 2.0, 1.0), 2.0));
    assert!(is_close(pressure(10.0, 4.0, 2.0, 0.5), 11.0 / 6.0));
    assert!(is_close(pressure(0.0, 4.0, 2.0, 1.0), 1.0 / 3.0));
}

#[test]
fn m_covers_half_the_distance_in_a_half_life() {
    assert!(is_close(alpha(30_000, 30_000), 0.5));
    assert!(is_close(alpha(60_000, 30_000), 0.75));
    assert!(is_close(alpha(5_000, 30_000), 0.109_101_281_859_661_07));
}

#[test]
fn alpha_has_these_bits_on_every_machine() {
    for (tick_ms, half_life_ms, bits) in [
        (5_000, 30_000, 0x3fbb_ee0f_c589_f6b8_u64),
        (1_000, 30_000, 0x3f97_6360_9275_4520),
        (5_000, 7_000, 0x3fd8_fdd7_13ba_0ef4),
        (3_600_000, 1_000, 0x3ff0_0000_0000_0000),
    ] {
        assert_eq!(alpha(tick_ms, half_life_ms).to_bits(), bits, "{tick_ms} {half_life_ms}");
    }
}

#[test]
fn curves_have_these_bits_on_every_machine() {
    let curve = |formula| Curve {
        formula,
        balanced_ratio: 1.0,
        demand_elasticity: 0.6,
        supply_elasticity: 1.2,
        slope: 0.5,
        k: 0.3,
        table: Table::new(vec![[1.0, 1.0]]).unwrap(),
    };
    for (r, equilibrium, exponential, linear) in [
        (1.5, 0x3ff4_0ad6_e625_ada8_u64, 0x3ff2_96df_80be_4122_u64, 0x3ff4_0000_0000_0000_u64),
        (2.0, 0x3ff7_8408_50a2_07a0, 0x3ff5_9905_8c8c_1a96, 0x3ff8_0000_0000_0000),
        (6.0, 0x4005_a59c_f529_735f, 0x4011_ed3f_e64f_c541, 0x400c_0000_0000_0000),
        (7.3, 0x4008_2381_8e17_ac3b, 0x401a_7a3b_c894_fc97, 0x4010_9999_9999_999a),
    ] {
        assert_eq!(curve(Formula::Equilibrium).raw(r).to_bits(), equilibrium, "{r}");
        assert_eq!(curve(Formula::Exponential).raw(r).to_bits(), exponential, "{r}");
        assert_eq!(curve(Formula::Linear).raw(r).to_bits(), linear, "{r}");
    }
}

prop_compose! {
    /// `D` or `S`: a weighted count.
    fn any_sum()(count in 0..1_000_000_u32) -> f64 { f64::from(count) * 0.01 }
}

proptest! {
    #[test]
    fn the_multiplier_never_falls_as_demand_rises(curve in any_curve(), d in any_sum(), more in any_sum(), s in any_sum(), prior in 0.01..10.0_f64) {
        let rho = curve.balanced_ratio;
        prop_assert!(curve.raw(pressure(d + more, s, prior, rho)) * (1.0 + 1e-14) >= curve.raw(pressure(d, s, prior, rho)));
    }

    #[test]
    fn the_multiplier_never_rises_as_supply_rises(curve in any_curve(), d in any_sum(), more in any_sum(), s in any_sum(), prior in 0.01..10.0_f64) {
        let rho = curve.balanced_ratio;
        prop_assert!(curve.raw(pressure(d, s + more, prior, rho)) <= curve.raw(pressure(d, s, prior, rho)) * (1.0 + 1e-14));
    }

    #[test]
    fn the_multiplier_is_one_in_balance(curve in any_curve(), s in any_sum(), prior in 0.01..10.0_f64) {
        let rho = curve.balanced_ratio;
        let balanced = curve.raw(pressure(s * rho, s, prior, rho));
        prop_assert!(curve.formula == Formula::Table || (balanced - 1.0).abs() < 1e-9, "{}", balanced);
    }

    #[test]
    fn alpha_is_a_share_that_grows_with_the_tick(tick_ms in 100..3_600_000_i64, half_life_ms in 1..31_536_000_000_i64) {
        let share = alpha(tick_ms, half_life_ms);
        prop_assert!(share > 0.0 && share <= 1.0);
        prop_assert!(alpha(2 * tick_ms, half_life_ms) >= share);
    }
}
