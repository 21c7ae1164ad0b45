//! Points in the city: metres on a flat map, microdegrees in events.

use crate::rounding::whole;

/// Origin of the flat map, the boundary's south-western corner, in degrees.
const WEST: f64 = -74.3;
const SOUTH: f64 = 40.45;

/// Metres of a degree at the city's latitude (WGS 84, 40.7° north).
const M_PER_DEGREE_EAST: f64 = 84_500.0;
const M_PER_DEGREE_NORTH: f64 = 111_045.0;

/// Size of the flat map, in metres.
pub(super) const WIDTH_M: f64 = 0.65 * M_PER_DEGREE_EAST;
pub(super) const HEIGHT_M: f64 = 0.55 * M_PER_DEGREE_NORTH;

/// Metres east and north of the origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    /// The point at a latitude and longitude, in degrees.
    pub(super) fn at(lat: f64, lng: f64) -> Self {
        Self { x: (lng - WEST) * M_PER_DEGREE_EAST, y: (lat - SOUTH) * M_PER_DEGREE_NORTH }
    }

    /// Latitude and longitude in millionths of a degree.
    pub(super) fn microdegrees(self) -> (i64, i64) {
        let lat = SOUTH + self.y / M_PER_DEGREE_NORTH;
        let lng = WEST + self.x / M_PER_DEGREE_EAST;
        (whole(lat * 1e6), whole(lng * 1e6))
    }

    /// Straight-line distance, in metres.
    pub(super) fn distance_m(self, other: Self) -> f64 {
        let (x, y) = (self.x - other.x, self.y - other.y);
        (x * x + y * y).sqrt()
    }

    /// `m` metres from here along a direction of length 1.
    pub(super) fn along(self, direction: Self, m: f64) -> Self {
        Self { x: self.x + direction.x * m, y: self.y + direction.y * m }
    }

    /// Distance to `to` along a direction of length 1, in metres; negative against the direction.
    pub(super) fn ahead_m(self, to: Self, direction: Self) -> f64 {
        (to.x - self.x) * direction.x + (to.y - self.y) * direction.y
    }

    /// The point at the fraction `part` of the way to `to`.
    pub(super) fn towards(self, to: Self, part: f64) -> Self {
        Self { x: self.x + (to.x - self.x) * part, y: self.y + (to.y - self.y) * part }
    }
}
