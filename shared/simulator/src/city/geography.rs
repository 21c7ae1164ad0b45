//! Points in the city: metres on a flat map, which lies in New York or elsewhere, and microdegrees in events.

use crate::rounding::whole;

/// Origin of the flat map, the boundary's south-western corner, in degrees.
const WEST: f64 = -74.3;
const SOUTH: f64 = 40.45;

/// Metres of a degree at the city's latitude (WGS 84, 40.7° north).
const M_PER_DEGREE_EAST: f64 = 84_500.0;
const M_PER_DEGREE_NORTH: f64 = 111_045.0;

/// Least cosine of a latitude that a frame computes with.
const MIN_COSINE: f64 = 0.1;

/// Size of the flat map, in metres.
pub(super) const WIDTH_M: f64 = 0.65 * M_PER_DEGREE_EAST;
pub(super) const HEIGHT_M: f64 = 0.55 * M_PER_DEGREE_NORTH;

/// Metres east and north of the origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Where the flat map lies on the globe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Latitude and longitude of its origin, in degrees.
    south: f64,
    west: f64,
    m_per_degree_east: f64,
}

impl Frame {
    /// New York's.
    pub(super) const NEW_YORK: Self = Self { south: SOUTH, west: WEST, m_per_degree_east: M_PER_DEGREE_EAST };

    /// The frame in which `point` is at this latitude and longitude, in degrees.
    pub(super) fn with(point: Point, (lat, lng): (f64, f64)) -> Self {
        // Near a pole a degree of longitude has almost no length: there the map is narrower than its metres say.
        let m_per_degree_east = M_PER_DEGREE_NORTH * libm::cos(lat.to_radians()).max(MIN_COSINE);
        Self {
            south: lat - point.y / M_PER_DEGREE_NORTH,
            west: lng - point.x / m_per_degree_east,
            m_per_degree_east,
        }
    }

    /// Latitude and longitude of a point in millionths of a degree, within the ranges of an event.
    pub(super) fn microdegrees(&self, point: Point) -> (i64, i64) {
        let lat = whole((self.south + point.y / M_PER_DEGREE_NORTH) * 1e6).clamp(-90_000_000, 90_000_000);
        let lng = whole((self.west + point.x / self.m_per_degree_east) * 1e6);
        (
            lat,
            if lng.abs() > 180_000_000 {
                (lng + 180_000_000).rem_euclid(360_000_000) - 180_000_000
            } else {
                lng
            },
        )
    }
}

impl Point {
    /// The point at a latitude and longitude of New York, in degrees.
    pub(super) fn at(lat: f64, lng: f64) -> Self {
        Self { x: (lng - WEST) * M_PER_DEGREE_EAST, y: (lat - SOUTH) * M_PER_DEGREE_NORTH }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_puts_a_point_where_it_belongs_and_keeps_distances() {
        let (centre, other) = (Point { x: 30_000.0, y: 40_000.0 }, Point { x: 31_000.0, y: 41_000.0 });
        for (lat, lng) in [(-18.14, 178.44), (0.0, -179.999), (60.17, 24.94), (89.9, 0.0)] {
            let frame = Frame::with(centre, (lat, lng));
            assert_eq!(frame.microdegrees(centre), (whole(lat * 1e6), whole(lng * 1e6)));
            let (north, east) = frame.microdegrees(other);
            assert!(north <= 90_000_000 && (-180_000_000..=180_000_000).contains(&east), "{north} {east}");
            if lat < 80.0 {
                assert!((north - whole(lat * 1e6) - 9_005).abs() <= 1, "a kilometre north: {north}");
            }
        }
    }
}
