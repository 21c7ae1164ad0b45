//! A drive through the grid of streets: down the avenue, then along the street.

use super::geography::Point;
use crate::rounding::{real, whole};

/// Manhattan's avenues run 29° east of north, its streets across them.
const AVENUE: Point = Point { x: 0.484_810, y: 0.874_620 };
const STREET: Point = Point { x: 0.874_620, y: -0.484_810 };

/// Speed of the shortest drives, what each kilometre adds, and the limit: longer drives use faster roads.
const MIN_M_PER_S: f64 = 5.5;
const GAIN_PER_KM: f64 = 0.45;
const MAX_M_PER_S: f64 = 14.0;

/// A drive with one corner, and the times at which it starts, turns and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    from: Point,
    corner: Point,
    to: Point,
    start_ms: i64,
    corner_ms: i64,
    end_ms: i64,
}

impl Route {
    /// A route of a parked car.
    pub(super) fn parked(at: Point, now_ms: i64) -> Self {
        Self { from: at, corner: at, to: at, start_ms: now_ms, corner_ms: now_ms, end_ms: now_ms }
    }

    /// A drive that starts at `now_ms`, at `pace` times the usual speed.
    pub(super) fn drive(from: Point, to: Point, pace: f64, now_ms: i64) -> Self {
        let corner = from.along(AVENUE, from.ahead_m(to, AVENUE));
        let avenue_m = from.distance_m(corner);
        let street_m = corner.ahead_m(to, STREET).abs();
        let gain = (avenue_m + street_m) / 1000.0 * GAIN_PER_KM;
        let m_per_ms = (MIN_M_PER_S + gain).min(MAX_M_PER_S) * pace / 1000.0;
        let corner_ms = now_ms + whole((avenue_m / m_per_ms).ceil());
        let end_ms = corner_ms + whole((street_m / m_per_ms).ceil());
        Self { from, corner, to, start_ms: now_ms, corner_ms, end_ms }
    }

    /// The same drive, shifted into the past so that the fraction `part` of its time has passed.
    pub(super) fn in_progress(mut self, part: f64) -> Self {
        let passed_ms = whole(real(self.end_ms - self.start_ms) * part);
        self.start_ms -= passed_ms;
        self.corner_ms -= passed_ms;
        self.end_ms -= passed_ms;
        self
    }

    /// The position at `now_ms`.
    pub(super) fn at(&self, now_ms: i64) -> Point {
        if now_ms >= self.end_ms {
            return self.to;
        }
        if now_ms < self.corner_ms {
            let part = real(now_ms - self.start_ms) / real(self.corner_ms - self.start_ms);
            return self.from.towards(self.corner, part);
        }
        let part = real(now_ms - self.corner_ms) / real(self.end_ms - self.corner_ms);
        self.corner.towards(self.to, part)
    }

    /// The time of arrival.
    pub(super) fn end_ms(&self) -> i64 {
        self.end_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_turns_once_and_arrives_on_time() {
        let (from, to) = (Point { x: 1000.0, y: 2000.0 }, Point { x: 4000.0, y: 9000.0 });
        let route = Route::drive(from, to, 1.0, 500);
        assert_eq!(route.at(500), from);
        assert_eq!(route.at(route.end_ms()), to);
        assert!(route.at(route.corner_ms).distance_m(route.corner) < 1e-6);
        assert!(route.at(route.end_ms() - 1).distance_m(to) < 0.02);
        let m = from.distance_m(route.corner) + route.corner.distance_m(to);
        assert!(m > from.distance_m(to));
        let m_per_s = m * 1000.0 / real(route.end_ms() - 500);
        assert!((MIN_M_PER_S..MAX_M_PER_S).contains(&m_per_s), "{m_per_s}");
    }

    #[test]
    fn a_drive_in_progress_is_partway_at_its_start() {
        let (from, to) = (Point { x: 0.0, y: 0.0 }, Point { x: 3000.0, y: 0.0 });
        let route = Route::drive(from, to, 1.0, 0);
        let moving = route.in_progress(0.5);
        assert_eq!(moving.at(0), route.at(route.end_ms() - moving.end_ms()));
    }
}
