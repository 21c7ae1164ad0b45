//! The curves from pressure to the raw multiplier (CONTRACT §3).
//!
//! `pow` and `exp` are those of libm, and no operations are fused, so every machine computes the same bits.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Largest raw multiplier. `exp` and `pow` overflow, and an infinite `m` could never decrease again; from this value it
/// can, and `100·m` is still finite.
pub const MAX_RAW: f64 = 1e300;

/// The range of the numbers of curves and tables: beyond any real value, and small enough that sums and products of two
/// of them are finite.
pub const PARAMETER: RangeInclusive<f64> = 0.0..=1e9;

/// Most points of a table: it is searched whenever the counts around a cell change.
pub const MAX_POINTS: usize = 1_024;

/// A formula from pressure to the raw multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// `(r/ρ)^(1/(εd+εs))`: the price at which the demand that remains equals the supply that it attracts.
    Equilibrium,
    /// `1 + slope·(r/ρ − 1)`.
    Linear,
    /// `exp(k·(r/ρ − 1))`.
    Exponential,
    /// Linear between the points of a [`Table`].
    Table,
}

/// A city's curve: the formula in force, and the parameters of all formulas.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The formula in force.
    pub formula: Formula,
    /// ρ, above 0: the pressure at which demand and supply are in balance.
    pub balanced_ratio: f64,
    /// εd: the percentage by which demand falls when the price rises by one percent.
    pub demand_elasticity: f64,
    /// εs: the percentage by which supply grows when the price rises by one percent. εd + εs is above 0.
    pub supply_elasticity: f64,
    /// Steepness of [`Formula::Linear`].
    pub slope: f64,
    /// Steepness of [`Formula::Exponential`].
    pub k: f64,
    /// Points of [`Formula::Table`].
    pub table: Table,
}

impl Curve {
    /// The raw multiplier at pressure `r`: from 1 to [`MAX_RAW`] for every `r`.
    #[must_use]
    pub fn raw(&self, r: f64) -> f64 {
        let x = r / self.balanced_ratio;
        let multiplier = match self.formula {
            // Below balance the power is below 1, and 1 is the minimum.
            Formula::Equilibrium if x <= 1.0 => 1.0,
            Formula::Equilibrium => libm::pow(x, 1.0 / (self.demand_elasticity + self.supply_elasticity)),
            Formula::Linear => 1.0 + self.slope * (x - 1.0),
            Formula::Exponential => libm::exp(self.k * (x - 1.0)),
            // The ratios of a table are pressures, not multiples of the balanced ratio.
            Formula::Table => self.table.at(r),
        };
        #[expect(
            clippy::manual_clamp,
            reason = "a slope of 0 at infinite pressure gives NaN, of which `max` makes 1"
        )]
        let raw = multiplier.max(1.0).min(MAX_RAW);
        raw
    }
}

/// A point of a table: a ratio and its multiplier.
pub type Point = [f64; 2];

/// Points with ascending ratios.
#[derive(Clone, Debug, PartialEq)]
pub struct Table(Box<[Point]>);

impl Table {
    /// The table of 1 to [`MAX_POINTS`] points with ascending ratios, all numbers within [`PARAMETER`].
    ///
    /// # Errors
    /// Every fault, if the points are not that.
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

    /// The multiplier at `x`: exact at a point, linear between two points, flat outside them.
    pub(super) fn at(&self, x: f64) -> f64 {
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

/// Why points are not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TableError {
    /// No points, or too many.
    #[error("a table must have 1 to {MAX_POINTS} points")]
    Length,
    /// A point outside [`PARAMETER`].
    #[error("ratio and multiplier must be from {} to {}", PARAMETER.start(), PARAMETER.end())]
    OutOfRange {
        /// Its index in the table, from 0.
        index: usize,
    },
    /// A point whose ratio is not above that of the previous point.
    #[error("the ratio must be above that of the previous point")]
    NotRising {
        /// Its index in the table, from 0.
        index: usize,
    },
}

#[cfg(test)]
pub(crate) mod tests {
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
    fn a_tables_ratios_do_not_depend_on_the_balanced_ratio() {
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
    fn the_multiplier_is_finite_at_any_pressure() {
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
    fn the_ratios_of_a_table_ascend() {
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
    fn a_table_has_1_to_1024_points() {
        let ascending = |count: u32| (0..count).map(|i| [f64::from(i), 1.0]).collect::<Vec<_>>();
        assert_eq!(Table::new(ascending(0)), Err(vec![TableError::Length]));
        assert!(Table::new(ascending(1)).is_ok());
        assert!(Table::new(ascending(1_024)).is_ok());
        assert_eq!(Table::new(ascending(1_025)), Err(vec![TableError::Length]));
    }

    #[test]
    fn the_numbers_of_a_table_have_a_range() {
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
        /// Any table with up to seven points.
        fn any_table()(steps in prop::collection::vec((0.01..3.0_f64, 0.0..2.0_f64), 1..8)) -> Table {
            let mut last = [0.0, 0.5];
            let points = steps.iter().map(|(right, up)| { last = [last[0] + right, last[1] + up]; last });
            Table::new(points.collect()).unwrap()
        }
    }

    prop_compose! {
        /// Any curve.
        pub(crate) fn any_curve()(
            formula in prop::sample::select(FORMULAS.to_vec()), balanced_ratio in 0.01..10.0_f64,
            demand_elasticity in 0.0..5.0_f64, supply_elasticity in 0.01..5.0_f64,
            slope in 0.0..5.0_f64, k in 0.0..5.0_f64, table in any_table(),
        ) -> Curve {
            Curve { formula, balanced_ratio, demand_elasticity, supply_elasticity, slope, k, table }
        }
    }

    proptest! {

        #[test]
        fn the_multiplier_is_finite_and_at_least_one(curve in any_curve(), r in prop::num::f64::ANY) {
            prop_assert!((1.0..=MAX_RAW).contains(&curve.raw(r)));
        }


        #[test]
        fn a_table_is_exact_at_its_points(table in any_table()) {
            for &[x, y] in table.points() {
                prop_assert_eq!(table.at(x).to_bits(), y.to_bits());
            }
        }

    }
}
