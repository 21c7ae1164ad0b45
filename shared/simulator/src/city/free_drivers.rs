//! The free drivers by square kilometre, so that a search visits only those near a place.

use super::geography::{HEIGHT_M, Point, WIDTH_M};
use crate::rounding::whole;

/// The side of a square: each holds a few free drivers, and a search visits at most [`MAX_RING`] squares in each
/// direction.
const SIDE_M: f64 = 1000.0;

/// A driver farther away than this many squares is not dispatched.
const MAX_RING: i64 = 4;

/// The free drivers, by the square of their last ping.
#[derive(Debug)]
pub(super) struct FreeDrivers {
    columns: i64,
    rows: i64,
    squares: Vec<Vec<u32>>,
    /// By driver: the square, and the index in its list.
    positions: Vec<Option<(usize, usize)>>,
}

impl FreeDrivers {
    /// An index of `drivers` drivers, none of them free.
    pub(super) fn new(drivers: u32) -> Self {
        let (columns, rows) = (whole((WIDTH_M / SIDE_M).ceil()), whole((HEIGHT_M / SIDE_M).ceil()));
        let squares = usize::try_from(columns * rows).expect("a city has thousands of squares");
        Self { columns, rows, squares: vec![Vec::new(); squares], positions: vec![None; drivers as usize] }
    }

    /// Marks a driver as free and at `at`.
    pub(super) fn insert(&mut self, driver: u32, at: Point) {
        let (column, row) = self.square_of(at);
        let square = self.index(column, row).expect("a point is moved into the nearest square");
        if self.positions[driver as usize].is_some_and(|(old, _)| old == square) {
            return;
        }
        self.remove(driver);
        self.positions[driver as usize] = Some((square, self.squares[square].len()));
        self.squares[square].push(driver);
    }

    /// Marks a driver as not free.
    pub(super) fn remove(&mut self, driver: u32) {
        let Some((square, index)) = self.positions[driver as usize].take() else { return };
        let list = &mut self.squares[square];
        list.swap_remove(index);
        if let Some(moved) = list.get(index) {
            self.positions[*moved as usize] = Some((square, index));
        }
    }

    /// Number of free drivers in the square that holds `at`.
    pub(super) fn count_in_square(&self, at: Point) -> u32 {
        let (column, row) = self.square_of(at);
        let free = self.index(column, row).map_or(0, |square| self.squares[square].len());
        u32::try_from(free).expect("drivers are numbered by `u32`")
    }

    /// The free driver nearest to `to`, among those for which `distance_m` returns a distance. Squares are as
    /// of each driver's last ping, so the result may be the second nearest of two at about the same distance.
    pub(super) fn nearest(&self, to: Point, distance_m: impl Fn(u32) -> Option<f64>) -> Option<u32> {
        let (column, row) = self.square_of(to);
        let mut best: Option<(f64, u32)> = None;
        for ring in 0..=MAX_RING {
            // Every driver of this ring is at least one square less than the ring's number away.
            let min_m = SIDE_M * f64::from(i32::try_from(ring).expect("a few") - 1);
            if best.is_some_and(|(m, _)| m <= min_m) {
                break;
            }
            for (x, y) in squares_of_ring(column, row, ring) {
                let Some(square) = self.index(x, y) else { continue };
                for &driver in &self.squares[square] {
                    if let Some(m) = distance_m(driver)
                        && best.is_none_or(|(best_m, _)| m < best_m)
                    {
                        best = Some((m, driver));
                    }
                }
            }
        }
        best.map(|(_, driver)| driver)
    }

    fn square_of(&self, at: Point) -> (i64, i64) {
        let (column, row) = (whole((at.x / SIDE_M).floor()), whole((at.y / SIDE_M).floor()));
        (column.clamp(0, self.columns - 1), row.clamp(0, self.rows - 1))
    }

    fn index(&self, column: i64, row: i64) -> Option<usize> {
        let inside = (0..self.columns).contains(&column) && (0..self.rows).contains(&row);
        inside.then(|| usize::try_from(row * self.columns + column).expect("both are inside"))
    }
}

/// The squares at distance `ring` from one, with diagonal steps allowed.
fn squares_of_ring(column: i64, row: i64, ring: i64) -> impl Iterator<Item = (i64, i64)> {
    (-ring..=ring).flat_map(move |y| {
        let step = if y.abs() == ring || ring == 0 { 1 } else { 2 * ring };
        let step = usize::try_from(step).expect("a ring is not negative");
        (-ring..=ring).step_by(step).map(move |x| (column + x, row + y))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SplitMix64;

    #[test]
    fn the_nearest_driver_is_the_same_as_in_a_full_scan() {
        let mut rng = SplitMix64::new(3);
        let random_point = |rng: &mut SplitMix64| Point {
            x: rng.fraction() * WIDTH_M * 0.3,
            y: rng.fraction() * HEIGHT_M * 0.3,
        };
        let mut free = FreeDrivers::new(200);
        let mut at: Vec<Option<Point>> = vec![None; 200];
        for step in 0..4_000 {
            let driver = u32::try_from(rng.between(0, 199)).unwrap();
            if rng.chance(0.3) {
                free.remove(driver);
                at[driver as usize] = None;
            } else {
                let place = random_point(&mut rng);
                free.insert(driver, place);
                at[driver as usize] = Some(place);
            }
            let from = random_point(&mut rng);
            let distance_m = |driver: u32| at[driver as usize].map(|place| place.distance_m(from));
            let found = free.nearest(from, distance_m).and_then(distance_m);
            let all = (0..200).filter_map(distance_m).min_by(f64::total_cmp);
            let near = all.filter(|m| *m <= 4.0 * SIDE_M);
            assert!(near.is_none() || found == near, "step {step}: {found:?}, {near:?}");
        }
    }
}
