//! A drive through the grid of streets: down the avenue, then along the street.

use super::geography::Point;
use crate::rounding::{real, whole};

/// Manhattan's avenues run 29° east of north, its streets across them.
const AVENUE: Point = Point { x: 0.484_810, y: 0.874_620 };
const STREET: Point = Point { x: 0.874_620, y: -0.484_810 };

/// Metres a second around the corner, and what each kilometre adds, up to the motorway's: a longer drive
/// takes the faster roads.
const SLOWEST_M_PER_S: f64 = 5.5;
const GAIN_PER_KM: f64 = 0.45;
const FASTEST_M_PER_S: f64 = 14.0;

/// From where to where, over which corner and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    from: Point,
    corner: Point,
    to: Point,
    left_ms: i64,
    corner_ms: i64,
    there_ms: i64,
}

impl Route {
    /// No drive at all: parked at a place.
    pub(super) fn parked(at: Point, now_ms: i64) -> Self {
        Self { from: at, corner: at, to: at, left_ms: now_ms, corner_ms: now_ms, there_ms: now_ms }
    }

    /// A drive that begins now, `pace` times as fast as the roads' usual.
    pub(super) fn drive(from: Point, to: Point, pace: f64, now_ms: i64) -> Self {
        let corner = from.along(AVENUE, from.ahead_m(to, AVENUE));
        let avenue_m = from.distance_m(corner);
        let street_m = corner.ahead_m(to, STREET).abs();
        let gain = (avenue_m + street_m) / 1000.0 * GAIN_PER_KM;
        let m_per_ms = (SLOWEST_M_PER_S + gain).min(FASTEST_M_PER_S) * pace / 1000.0;
        let corner_ms = now_ms + whole((avenue_m / m_per_ms).ceil());
        let there_ms = corner_ms + whole((street_m / m_per_ms).ceil());
        Self { from, corner, to, left_ms: now_ms, corner_ms, there_ms }
    }

    /// The same drive, begun so much earlier that `part` of its time is over.
    pub(super) fn begun(mut self, part: f64) -> Self {
        let over_ms = whole(real(self.there_ms - self.left_ms) * part);
        self.left_ms -= over_ms;
        self.corner_ms -= over_ms;
        self.there_ms -= over_ms;
        self
    }

    /// Where it is now.
    pub(super) fn at(&self, now_ms: i64) -> Point {
        if now_ms >= self.there_ms {
            return self.to;
        }
        if now_ms < self.corner_ms {
            let part = real(now_ms - self.left_ms) / real(self.corner_ms - self.left_ms);
            return self.from.towards(self.corner, part);
        }
        let part = real(now_ms - self.corner_ms) / real(self.there_ms - self.corner_ms);
        self.corner.towards(self.to, part)
    }

    /// When it ends.
    pub(super) fn there_ms(&self) -> i64 {
        self.there_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_turns_once_and_arrives_when_it_says() {
        let (from, to) = (Point { x: 1000.0, y: 2000.0 }, Point { x: 4000.0, y: 9000.0 });
        let route = Route::drive(from, to, 1.0, 500);
        assert_eq!(route.at(500), from);
        assert_eq!(route.at(route.there_ms()), to);
        assert!(route.at(route.corner_ms).distance_m(route.corner) < 1e-6);
        assert!(route.at(route.there_ms() - 1).distance_m(to) < 0.02);
        let m = from.distance_m(route.corner) + route.corner.distance_m(to);
        assert!(m > from.distance_m(to));
        let m_per_s = m * 1000.0 / real(route.there_ms() - 500);
        assert!((SLOWEST_M_PER_S..FASTEST_M_PER_S).contains(&m_per_s), "{m_per_s}");
    }

    #[test]
    fn a_drive_already_begun_is_on_its_way() {
        let (from, to) = (Point { x: 0.0, y: 0.0 }, Point { x: 3000.0, y: 0.0 });
        let route = Route::drive(from, to, 1.0, 0);
        let begun = route.begun(0.5);
        assert_eq!(begun.at(0), route.at(route.there_ms() - begun.there_ms()));
    }
}
