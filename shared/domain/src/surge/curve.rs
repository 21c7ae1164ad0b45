//! From demand and supply to the raw multiplier, exactly as CONTRACT §3 says.
//!
//! `pow` and `exp` are libm's, and nothing is fused, so every machine gives the same bits.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Largest raw multiplier. `exp` and `pow` overflow, and an `m` that was once infinite could never come
/// down again; from here it can, and `100·m` is still finite.
pub const MAX_RAW: f64 = 1e300;

/// What any number of a curve or a table may be: beyond every market, and small enough that sums and
/// products of two of them stay finite.
pub const PARAMETER: RangeInclusive<f64> = 0.0..=1e9;

/// Most points of a table: each cell and tick searches it.
pub const MAX_POINTS: usize = 1_024;

/// Pressure `r = (D + a·ρ) / (S + a)`: how demand stands to supply, drawn towards the balanced ratio ρ by
/// the prior `a` > 0 where little is known.
#[must_use]
pub fn pressure(demand: f64, supply: f64, prior: f64, balanced_ratio: f64) -> f64 {
    (demand + prior * balanced_ratio) / (supply + prior)
}

/// The share `α = 1 − 2^(−tick_ms/half_life_ms)` by which `m` follows the raw multiplier each tick.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a policy are below 2^53")]
pub fn alpha(tick_ms: i64, half_life_ms: i64) -> f64 {
    1.0 - libm::pow(2.0, -(tick_ms as f64 / half_life_ms as f64))
}

/// Which formula turns pressure into a raw multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// `(r/ρ)^(1/(εd+εs))`: the price at which the demand it keeps equals the supply it draws.
    Equilibrium,
    /// `1 + slope·(r/ρ − 1)`.
    Linear,
    /// `exp(k·(r/ρ − 1))`.
    Exponential,
    /// Linear between the points of a [`Table`].
    Table,
}

/// A city's curve: the formula in force, and the parameters of all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The formula in force.
    pub formula: Formula,
    /// ρ, above 0: the pressure at which the market is in balance.
    pub balanced_ratio: f64,
    /// εd: by how many percent demand falls where the price rises by one.
    pub demand_elasticity: f64,
    /// εs: by how many percent supply grows where the price rises by one. εd + εs is above 0.
    pub supply_elasticity: f64,
    /// Steepness of [`Formula::Linear`].
    pub slope: f64,
    /// Steepness of [`Formula::Exponential`].
    pub k: f64,
    /// Points of [`Formula::Table`].
    pub table: Table,
}

impl Curve {
    /// The raw multiplier at pressure `r`: at least 1, at most [`MAX_RAW`], whatever `r` is.
    #[must_use]
    pub fn raw(&self, r: f64) -> f64 {
        let x = r / self.balanced_ratio;
        let multiplier = match self.formula {
            // Below balance the power is below 1, and 1 is the least: no need to work it out.
            Formula::Equilibrium if x <= 1.0 => 1.0,
            Formula::Equilibrium => libm::pow(x, 1.0 / (self.demand_elasticity + self.supply_elasticity)),
            Formula::Linear => 1.0 + self.slope * (x - 1.0),
            Formula::Exponential => libm::exp(self.k * (x - 1.0)),
            // A table's ratios are pressures, like the balanced ratio itself.
            Formula::Table => self.table.at(r),
        };
        #[expect(
            clippy::manual_clamp,
            reason = "a slope of 0 under infinite pressure is NaN: `max` takes the 1"
        )]
        let raw = multiplier.max(1.0).min(MAX_RAW);
        raw
    }
}

/// A point of a table: a ratio and the multiplier there.
pub type Point = [f64; 2];

/// Points with rising ratios, and the multiplier at each.
#[derive(Clone, Debug, PartialEq)]
pub struct Table(Box<[Point]>);

impl Table {
    /// Takes 1 to [`MAX_POINTS`] points that rise and lie within [`PARAMETER`].
    ///
    /// # Errors
    /// Every fault of the table.
    pub fn new(points: Vec<Point>) -> Result<Self, Vec<TableError>> {
        let mut faults = Vec::new();
        if !(1..=MAX_POINTS).contains(&points.len()) {
            faults.push(TableError::Length);
        }
        for (index, point) in points.iter().enumerate() {
            if !point.iter().all(|number| PARAMETER.contains(number)) {
                faults.push(TableError::OutOfRange { index });
            }
        }
        for (index, pair) in points.windows(2).enumerate() {
            if pair[1][0] <= pair[0][0] {
                faults.push(TableError::NotRising { index: index + 1 });
            }
        }

        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self(points.into()))
    }

    /// The points in order.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// The multiplier at `x`: exact at a point, linear between two, flat outside them.
    fn at(&self, x: f64) -> f64 {
        let after = self.0.partition_point(|point| point[0] <= x);
        let Some(&[x1, y1]) = self.0.get(after) else {
            return self.0.last().expect("a table has a point")[1];
        };
        let Some(&[x0, y0]) = after.checked_sub(1).and_then(|before| self.0.get(before)) else {
            return y1;
        };
        y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    }
}

/// Why points make no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TableError {
    /// No point, or too many.
    #[error("a table must have 1 to {MAX_POINTS} points")]
    Length,
    /// A point outside [`PARAMETER`].
    #[error("ratio and multiplier must be from {} to {}", PARAMETER.start(), PARAMETER.end())]
    OutOfRange {
        /// Its place in the table, from 0.
        index: usize,
    },
    /// A point that does not follow the one before it.
    #[error("the ratio must be above that of the point before")]
    NotRising {
        /// Its place in the table, from 0.
        index: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(points: &[Point]) -> Table {
        Table::new(points.to_vec()).unwrap()
    }

    /// The defaults of CONTRACT §3.
    fn curve(formula: Formula) -> Curve {
        Curve {
            formula,
            balanced_ratio: 1.0,
            demand_elasticity: 0.6,
            supply_elasticity: 1.2,
            slope: 0.5,
            k: 0.3,
            table: table(&[[1.0, 1.0], [2.0, 1.5]]),
        }
    }

    fn same(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-12 * left.abs().max(right.abs())
    }

    const FORMULAS: [Formula; 4] =
        [Formula::Equilibrium, Formula::Linear, Formula::Exponential, Formula::Table];

    #[test]
    fn pressure_is_drawn_to_balance_by_its_prior() {
        assert!(same(pressure(0.0, 0.0, 2.0, 0.7), 0.7));
        assert!(same(pressure(10.0, 4.0, 2.0, 1.0), 2.0));
        assert!(same(pressure(10.0, 4.0, 2.0, 0.5), 11.0 / 6.0));
        assert!(same(pressure(0.0, 4.0, 2.0, 1.0), 1.0 / 3.0));
    }

    #[test]
    fn m_goes_half_the_way_in_a_half_life() {
        assert!(same(alpha(30_000, 30_000), 0.5));
        assert!(same(alpha(60_000, 30_000), 0.75));
        assert!(same(alpha(5_000, 30_000), 0.109_101_281_859_661_07));
    }

    #[test]
    fn equilibrium_is_a_power_of_the_pressure() {
        // At 1.8 the exponent is 5/9; 2^9 is 512 and 2^5 is 32.
        assert!(same(curve(Formula::Equilibrium).raw(512.0), 32.0));
        let halved = Curve { balanced_ratio: 0.5, ..curve(Formula::Equilibrium) };
        assert!(same(halved.raw(256.0), 32.0));
    }

    #[test]
    fn linear_rises_by_its_slope() {
        assert!(same(curve(Formula::Linear).raw(3.0), 2.0));
        assert!(same(Curve { balanced_ratio: 0.5, ..curve(Formula::Linear) }.raw(3.0), 3.5));
    }

    #[test]
    fn exponential_rises_by_its_k() {
        assert!(same(curve(Formula::Exponential).raw(11.0), std::f64::consts::E.powi(3)));
        let halved = Curve { balanced_ratio: 0.5, ..curve(Formula::Exponential) };
        assert!(same(halved.raw(5.5), std::f64::consts::E.powi(3)));
    }

    #[test]
    fn a_table_is_linear_between_its_points_and_flat_outside() {
        let points = table(&[[0.9, 1.0], [1.5, 1.3], [4.0, 3.0]]);
        for (x, y) in
            [(0.0, 1.0), (0.5, 1.0), (1.2, 1.15), (2.75, 2.15), (3.5, 2.66), (5.0, 3.0), (1e300, 3.0)]
        {
            assert!(same(points.at(x), y), "{x}: {}", points.at(x));
        }
        assert!(same(table(&[[2.0, 3.0]]).at(1.0), 3.0));
        assert!(same(table(&[[2.0, 3.0]]).at(3.0), 3.0));
        assert!(same(points.at(f64::INFINITY), 3.0));
    }

    #[test]
    fn a_tables_ratios_are_pressures_whatever_the_balanced_ratio() {
        let halved = Curve { balanced_ratio: 0.5, ..curve(Formula::Table) };
        assert!(same(halved.raw(1.5), curve(Formula::Table).raw(1.5)));
        assert!(!same(halved.raw(1.5), halved.raw(3.0)));
    }

    #[test]
    fn below_balance_every_curve_is_one() {
        for formula in FORMULAS {
            assert!(same(curve(formula).raw(0.5), 1.0), "{formula:?}");
            assert!(same(curve(formula).raw(0.0), 1.0), "{formula:?}");
        }
        let below = Curve { table: table(&[[1.0, 0.5]]), ..curve(Formula::Table) };
        assert!(same(below.raw(1.0), 1.0));
    }

    #[test]
    fn however_hard_it_is_pressed_the_market_stays_finite() {
        for formula in [Formula::Equilibrium, Formula::Linear, Formula::Exponential] {
            let steep = Curve {
                slope: 1e9,
                k: 1e9,
                demand_elasticity: 1e-9,
                supply_elasticity: 0.0,
                ..curve(formula)
            };
            for r in [1e305, f64::INFINITY] {
                assert!(same(steep.raw(r), MAX_RAW), "{formula:?}");
            }
            let flat = Curve { slope: 0.0, k: 0.0, demand_elasticity: 1e9, ..curve(formula) };
            assert!(flat.raw(1e300) < 1.000_01, "{formula:?}");
        }
        let flat = Curve { slope: 0.0, ..curve(Formula::Linear) };
        assert!(same(flat.raw(f64::INFINITY), 1.0));
        let m = curve(Formula::Exponential).raw(f64::INFINITY);
        assert!((100.0 * m).is_finite() && m + 0.5 * (1.0 - m) < m);
    }

    #[test]
    fn a_table_must_rise() {
        let points = vec![[1.0, 1.0], [2.0, 1.0], [3.0, 2.0]];
        assert_eq!(table(&points).points(), points);
        for (points, index) in [
            ([[1.0, 1.0], [1.0, 2.0], [3.0, 3.0]], 1),
            ([[1.0, 1.0], [0.5, 2.0], [3.0, 3.0]], 1),
            ([[1.0, 1.0], [2.0, 2.0], [2.0, 3.0]], 2),
        ] {
            assert_eq!(Table::new(points.to_vec()), Err(vec![TableError::NotRising { index }]), "{points:?}");
        }
    }

    #[test]
    fn a_table_has_points_and_not_too_many() {
        let rising = |count: u32| (0..count).map(|i| [f64::from(i), 1.0]).collect::<Vec<_>>();
        assert_eq!(Table::new(rising(0)), Err(vec![TableError::Length]));
        assert!(Table::new(rising(1)).is_ok());
        assert!(Table::new(rising(1_024)).is_ok());
        assert_eq!(Table::new(rising(1_025)), Err(vec![TableError::Length]));
    }

    #[test]
    fn a_tables_numbers_are_in_range() {
        assert!(Table::new(vec![[0.0, 0.0], [1e9, 1e9]]).is_ok());
        for point in [[-0.1, 1.0], [0.5, -0.1], [1.1e9, 1.0], [0.5, 1.1e9], [0.5, f64::NAN], [f64::NAN, 0.5]]
        {
            assert_eq!(Table::new(vec![point]), Err(vec![TableError::OutOfRange { index: 0 }]), "{point:?}");
        }
        assert_eq!(
            Table::new(vec![[1.0, 1.0], [2.0, -1.0], [1.5, 1.0]]),
            Err(vec![TableError::OutOfRange { index: 1 }, TableError::NotRising { index: 2 }])
        );
        assert_eq!(
            TableError::OutOfRange { index: 0 }.to_string(),
            "ratio and multiplier must be from 0 to 1000000000"
        );
    }

    prop_compose! {
        fn any_table()(steps in prop::collection::vec((0.01..3.0_f64, 0.0..2.0_f64), 1..8)) -> Table {
            let mut last = [0.0, 0.5];
            let points = steps.iter().map(|(right, up)| { last = [last[0] + right, last[1] + up]; last });
            Table::new(points.collect()).unwrap()
        }
    }

    prop_compose! {
        fn any_curve()(
            formula in prop::sample::select(FORMULAS.to_vec()), balanced_ratio in 0.01..10.0_f64,
            demand_elasticity in 0.0..5.0_f64, supply_elasticity in 0.01..5.0_f64,
            slope in 0.0..5.0_f64, k in 0.0..5.0_f64, table in any_table(),
        ) -> Curve {
            Curve { formula, balanced_ratio, demand_elasticity, supply_elasticity, slope, k, table }
        }
    }

    prop_compose! {
        /// Sums over the rings are a count and its weights.
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
        fn the_multiplier_is_finite_and_at_least_one(curve in any_curve(), r in prop::num::f64::ANY) {
            prop_assert!((1.0..=MAX_RAW).contains(&curve.raw(r)));
        }

        #[test]
        fn in_balance_the_multiplier_is_one(curve in any_curve(), s in any_sum(), prior in 0.01..10.0_f64) {
            let rho = curve.balanced_ratio;
            let balanced = curve.raw(pressure(s * rho, s, prior, rho));
            prop_assert!(curve.formula == Formula::Table || (balanced - 1.0).abs() < 1e-9, "{}", balanced);
        }

        #[test]
        fn a_table_is_exact_at_its_points(table in any_table()) {
            for &[x, y] in table.points() {
                prop_assert_eq!(table.at(x).to_bits(), y.to_bits());
            }
        }

        #[test]
        fn alpha_is_a_share_that_grows_with_the_tick(tick in 100..3_600_000_i64, half in 1..31_536_000_000_i64) {
            let share = alpha(tick, half);
            prop_assert!(share > 0.0 && share <= 1.0);
            prop_assert!(alpha(2 * tick, half) >= share);
        }
    }
}
