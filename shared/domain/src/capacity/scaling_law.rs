//! The universal scalability law, `X(n) = γ·n / (1 + α·(n − 1) + β·n·(n − 1))`, fitted to measured throughputs (N. J. Gunther,
//! "Guerrilla Capacity Planning", 2007).
//!
//! `α` is the share of the work that is serial (contention), `β` the cost of keeping each two of the `n` consistent
//! (coherence): with it throughput has a peak at `√((1 − α) / β)`, and more resources make it worse.

use serde::Serialize;

use super::growth::Scale;

/// The fewest points of which a law is fitted: one more than it has parameters.
pub const MIN_POINTS: usize = 4;

/// How many times beyond the largest measured size a forecast is an extrapolation.
const MAX_MEASURED_MULTIPLE: f64 = 10.0;

/// A measurement: the throughput of so many parallel resources.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScalingPoint {
    /// How many: threads, lanes, shards; at least 1.
    pub size: f64,
    /// The throughput, above 0, in any unit.
    pub throughput: f64,
}

/// A fitted law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Throughput of one resource.
    pub gamma: f64,
    /// Contention, not negative.
    pub alpha: f64,
    /// Coherence, not negative.
    pub beta: f64,
    /// Standard error of `alpha`, by leaving out one point after the other (jackknife).
    pub alpha_error: f64,
    /// Standard error of `beta`, in the same way.
    pub beta_error: f64,
    /// Root of the mean square of the relative differences between law and points.
    pub residual: f64,
    /// The largest measured size.
    #[serde(rename = "measured_n")]
    largest: f64,
}

/// What a scaling law says about a multiple of the throughput at the largest measured size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScalingForecast {
    /// The law.
    #[serde(flatten)]
    pub fit: Fit,
    /// The size with the greatest throughput; `null` if throughput grows with every size.
    pub peak_n: Option<f64>,
    /// The throughput that the scale needs.
    pub needed_throughput: f64,
    /// The size that has it; `null` if none has.
    pub needed_n: Option<f64>,
    /// Whether that size is more than ten times the largest measured one.
    pub extrapolated: bool,
}

impl Fit {
    /// The law of least squares of the relative differences. `None` with fewer than [`MIN_POINTS`] different sizes.
    #[must_use]
    pub fn of(points: &[ScalingPoint]) -> Option<Self> {
        let mut sizes: Vec<f64> = points.iter().map(|point| point.size).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        let largest = *sizes.last()?;
        if sizes.len() < MIN_POINTS {
            return None;
        }
        let [gamma, alpha, beta] = parameters(points)?;
        let mut others = points.to_vec();
        let mut left_out = Vec::with_capacity(points.len());
        for index in 0..points.len() {
            let point = others.swap_remove(index);
            left_out.extend(parameters(&others));
            others.push(point);
            let last = others.len() - 1;
            others.swap(index, last);
        }
        let error = |of: usize| jackknife_error(left_out.iter().map(|parameters| parameters[of]));
        let mut fit =
            Self { gamma, alpha, beta, alpha_error: error(1), beta_error: error(2), residual: 0.0, largest };
        let squares = points.iter().map(|point| {
            let difference = fit.throughput(point.size) / point.throughput - 1.0;
            difference * difference
        });
        fit.residual = libm::sqrt(mean(squares));
        Some(fit)
    }

    /// The throughput at a size.
    #[must_use]
    pub fn throughput(&self, size: f64) -> f64 {
        self.gamma * size / (1.0 + self.alpha * (size - 1.0) + self.beta * size * (size - 1.0))
    }

    /// The size with the greatest throughput, if there is one.
    #[must_use]
    pub fn peak(&self) -> Option<f64> {
        (self.beta > 0.0).then(|| libm::sqrt((1.0 - self.alpha).max(0.0) / self.beta).max(1.0))
    }

    /// The smallest size with this throughput, if any has it.
    #[must_use]
    pub fn size_for(&self, throughput: f64) -> Option<f64> {
        let Self { gamma, alpha, beta, .. } = *self;
        let (a, b, c) = (throughput * beta, throughput * (alpha - beta) - gamma, throughput * (1.0 - alpha));
        let size = if a > 0.0 {
            let discriminant = b * b - 4.0 * a * c;
            if discriminant < 0.0 {
                return None;
            }
            // The smaller root, in the form that does not subtract nearly equal numbers.
            2.0 * c / (-b + libm::sqrt(discriminant))
        } else {
            c / -b
        };
        (size.is_finite() && size > 0.0).then_some(size)
    }

    /// What `scale` times the throughput at the largest measured size needs.
    #[must_use]
    pub fn forecast(self, scale: Scale) -> ScalingForecast {
        let needed_throughput = self.throughput(self.largest) * scale.factor().to_float();
        let needed_n = self.size_for(needed_throughput);
        let extrapolated = needed_n.is_none_or(|size| size > MAX_MEASURED_MULTIPLE * self.largest);
        ScalingForecast { fit: self, peak_n: self.peak(), needed_throughput, needed_n, extrapolated }
    }
}

/// `γ`, `α` and `β`. The law is linear in `1/γ`, `α/γ` and `β/γ` of `n / X(n)`; of the solutions in which neither `α` nor `β` is
/// negative the one of least squares is the law.
fn parameters(points: &[ScalingPoint]) -> Option<[f64; 3]> {
    // Each row is divided by its right side, so that differences are relative.
    let row = |point: &ScalingPoint| {
        let inverse = point.throughput / point.size;
        [inverse, inverse * (point.size - 1.0), inverse * point.size * (point.size - 1.0)]
    };
    let rows: Vec<[f64; 3]> = points.iter().map(row).collect();
    let choices = [[true, true, true], [true, true, false], [true, false, true], [true, false, false]];
    let solutions = choices.into_iter().filter_map(|columns| least_squares(&rows, columns));
    let valid = solutions.filter(|[first, second, third]| *first > 0.0 && *second >= 0.0 && *third >= 0.0);
    let squares = |solution: &[f64; 3]| {
        let difference = |row: &[f64; 3]| {
            let sum: f64 = row.iter().zip(solution).map(|(cell, factor)| cell * factor).sum();
            (sum - 1.0) * (sum - 1.0)
        };
        rows.iter().map(difference).sum::<f64>()
    };
    let [first, second, third] = valid.min_by(|one, other| squares(one).total_cmp(&squares(other)))?;
    Some([1.0 / first, second / first, third / first])
}

/// The factors of the chosen columns, 0 for the others, whose sums are nearest to 1; `None` if they are not determined.
fn least_squares(rows: &[[f64; 3]], columns: [bool; 3]) -> Option<[f64; 3]> {
    // Columns are scaled to the same size: their squares differ by many powers of ten otherwise.
    let mut scale = [1.0f64; 3];
    for (column, scale) in scale.iter_mut().enumerate() {
        *scale = libm::sqrt(rows.iter().map(|row| row[column] * row[column]).sum());
    }
    let mut matrix = [[0.0f64; 4]; 3];
    for one in 0..3 {
        if !columns[one] || scale[one] <= 0.0 {
            matrix[one][one] = 1.0;
            continue;
        }
        for other in (0..3).filter(|other| columns[*other] && scale[*other] > 0.0) {
            let products = rows.iter().map(|row| row[one] / scale[one] * (row[other] / scale[other]));
            matrix[one][other] = products.sum();
        }
        matrix[one][3] = rows.iter().map(|row| row[one] / scale[one]).sum();
    }
    let mut solution = solve(matrix)?;
    for (column, factor) in solution.iter_mut().enumerate() {
        *factor = if columns[column] && scale[column] > 0.0 { *factor / scale[column] } else { 0.0 };
    }
    Some(solution)
}

/// Solves three linear equations (Gauss–Jordan with pivots); `None` if they have no single solution.
fn solve(mut matrix: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3)
            .max_by(|one, other| matrix[*one][column].abs().total_cmp(&matrix[*other][column].abs()))?;
        matrix.swap(column, pivot);
        let divisor = matrix[column][column];
        if divisor.abs() < 1e-12 {
            return None;
        }
        for cell in &mut matrix[column] {
            *cell /= divisor;
        }
        let pivot = matrix[column];
        for (index, row) in matrix.iter_mut().enumerate() {
            let factor = row[column];
            if index != column {
                row.iter_mut().zip(pivot).for_each(|(cell, other)| *cell -= factor * other);
            }
        }
    }
    Some([matrix[0][3], matrix[1][3], matrix[2][3]])
}

/// `√((n − 1) / n · Σ (x − x̄)²)` over the estimates without one point each.
fn jackknife_error(estimates: impl Iterator<Item = f64> + Clone) -> f64 {
    let middle = mean(estimates.clone());
    let squares = estimates.clone().map(|estimate| (estimate - middle) * (estimate - middle));
    let count = estimates.count().saturating_sub(1);
    libm::sqrt(mean(squares) * f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(law: [f64; 3], sizes: &[f64]) -> Vec<ScalingPoint> {
        let [gamma, alpha, beta] = law;
        let throughput = |n: f64| gamma * n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0));
        sizes.iter().map(|&size| ScalingPoint { size, throughput: throughput(size) }).collect()
    }

    fn is_near(number: f64, expected: f64) -> bool {
        (number - expected).abs() <= 1e-6 * expected.abs().max(1e-6)
    }

    #[test]
    fn a_law_is_found_in_its_own_points() {
        let fit = Fit::of(&points([995.0, 0.027, 0.0011], &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0])).unwrap();
        assert!(is_near(fit.gamma, 995.0), "{fit:?}");
        assert!(is_near(fit.alpha, 0.027), "{fit:?}");
        assert!(is_near(fit.beta, 0.0011), "{fit:?}");
        assert!(fit.residual < 1e-9 && fit.alpha_error < 1e-9 && fit.beta_error < 1e-9, "{fit:?}");
        let peak = fit.peak().unwrap();
        assert!(is_near(peak, (0.973f64 / 0.0011).sqrt()), "{peak}");
    }

    #[test]
    fn throughput_that_grows_as_the_size_has_no_peak() {
        let fit = Fit::of(&points([10.0, 0.0, 0.0], &[1.0, 2.0, 3.0, 4.0])).unwrap();
        assert!(fit.alpha < 1e-9 && fit.beta < 1e-12, "{fit:?}");
        let forecast = fit.forecast(Scale::TEN);
        assert!(is_near(forecast.needed_n.unwrap(), 40.0), "{forecast:?}");
    }

    #[test]
    fn fewer_than_four_sizes_fit_no_law() {
        assert_eq!(Fit::of(&points([10.0, 0.1, 0.0], &[1.0, 2.0, 4.0])), None);
        assert_eq!(Fit::of(&points([10.0, 0.1, 0.0], &[1.0, 2.0, 4.0, 4.0, 4.0])), None);
        assert_eq!(Fit::of(&[]), None);
    }

    #[test]
    fn points_that_disagree_have_a_residual_and_errors() {
        let mut points = points([100.0, 0.05, 0.001], &[1.0, 2.0, 4.0, 8.0, 16.0]);
        points[2].throughput *= 1.1;
        let fit = Fit::of(&points).unwrap();
        assert!(fit.residual > 0.01 && fit.alpha_error > 0.001, "{fit:?}");
    }

    #[test]
    fn no_size_has_more_than_the_throughput_of_the_peak() {
        let fit = Fit::of(&points([100.0, 0.1, 0.01], &[1.0, 2.0, 4.0, 8.0])).unwrap();
        let most = fit.throughput(fit.peak().unwrap());
        assert!(fit.size_for(most * 0.999).unwrap() <= fit.peak().unwrap());
        assert_eq!(fit.size_for(most * 1.001), None);
        let forecast = fit.forecast(Scale::TEN);
        assert!(forecast.needed_n.is_none() && forecast.extrapolated, "{forecast:?}");
    }

    #[test]
    fn a_size_beyond_ten_times_the_measured_ones_is_an_extrapolation() {
        let fit = Fit::of(&points([100.0, 0.01, 0.0], &[1.0, 2.0, 3.0, 4.0])).unwrap();
        assert!(!fit.forecast(Scale::parse("5").unwrap()).extrapolated);
        let far = fit.forecast(Scale::parse("20").unwrap());
        assert!(far.needed_n.unwrap() > 40.0 && far.extrapolated, "{far:?}");
    }

    proptest! {
        #[test]
        fn any_law_is_found_and_inverted(gamma in 1.0f64..1e6, alpha in 0.0f64..0.5, beta in 0.0f64..0.01, scale in 1u32..5) {
            let sizes = [1.0, 2.0, 3.0, 5.0, 8.0, 16.0];
            let fit = Fit::of(&points([gamma, alpha, beta], &sizes)).unwrap();
            prop_assert!(fit.residual < 1e-6);
            prop_assert!((fit.alpha - alpha).abs() < 1e-4 && (fit.beta - beta).abs() < 1e-4);
            if let Some(size) = fit.size_for(gamma * f64::from(scale)) {
                let throughput = fit.throughput(size);
                prop_assert!((throughput / (gamma * f64::from(scale)) - 1.0).abs() < 1e-6);
            }
        }

        #[test]
        fn any_points_give_a_law_of_numbers(throughputs in prop::collection::vec(1e-6f64..1e12, 4..20)) {
            let sizes = (1..).map(f64::from);
            let points: Vec<_> = sizes.zip(throughputs).map(|(size, throughput)| ScalingPoint { size, throughput }).collect();
            if let Some(fit) = Fit::of(&points) {
                prop_assert!(fit.gamma > 0.0 && fit.alpha >= 0.0 && fit.beta >= 0.0);
                prop_assert!(fit.gamma.is_finite() && fit.residual.is_finite() && fit.alpha_error.is_finite());
            }
        }
    }
}
