//! The city of health probes, and the events of its one driver and one rider.
//!
//! It is defined here and not in a store, so that nobody changes it and every function knows it. A look posts events that
//! close one tick of it: the tick's map then has the rider and the driver in one cell, whatever other looks have posted.

use h3o::LatLng;
use serde_json::json;

use crate::event::Position;
use crate::geo::polygon::Polygon;
use crate::id::{CityId, PROBE_CITY};
use crate::policy::Policy;
use crate::surge::bounds::Bounds;
use crate::time::Timestamp;

/// The length of its ticks, in milliseconds: between two looks at least one ends.
pub const TICK_MS: i64 = 5_000;

/// How far a tick is over when a look closes it, at least, in milliseconds: clocks differ by less.
const MARGIN_MS: i64 = 1_000;

/// Where driver and rider are: Point Nemo, farther from land than any other place.
pub const PLACE: Position = Position { lat: -48.876, lng: -123.393 };

/// A place outside its boundary.
pub const OUTSIDE: Position = Position { lat: 0.0, lng: 0.0 };

/// Its product. A quote for this product at a place of no other city is one of the probes.
pub const PRODUCT: &str = "_probe";

/// Its policy: ticks without lateness, and a window of one tick, so that a map shows the newest look alone.
///
/// # Panics
/// Never: the document is a policy.
#[must_use]
pub fn policy() -> Policy {
    let ring = [[-124, -49], [-123, -49], [-123, -48], [-124, -48], [-124, -49]];
    let document = json!({
        "city": "probe",
        "name": "Health probes",
        "timezone": "UTC",
        "currency": "USD",
        "boundary": {"type": "Polygon", "coordinates": [ring]},
        "resolution": 8,
        "clock": {
            "tick_ms": TICK_MS,
            "window_ms": TICK_MS,
            "driver_ttl_ms": 60_000,
            "absent_ms": 60_000,
            "lateness_ms": 0,
        },
        "products": [{
            "id": PRODUCT,
            "fare": {"base": "1.00", "per_km": "1.00", "per_minute": "0.10", "booking_fee": "0.00", "minimum": "1.00"},
        }],
        "guard": {"min_lost": 50, "hold_ms": 0},
    });
    let policy = Policy::from_json(&document).expect("the document is a policy");
    Policy { city: CityId::probe(), ..policy }
}

/// The events of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeEvents {
    /// The tick that they close, in milliseconds since the epoch.
    pub tick: i64,
    /// NDJSON: the rider in that tick, and the driver at its end, which closes it and no later one.
    pub body: String,
}

impl ProbeEvents {
    /// The events of a look at `now_ms`, in milliseconds since the epoch.
    #[must_use]
    pub fn at(now_ms: i64) -> Self {
        let tick = now_ms.saturating_sub(MARGIN_MS).div_euclid(TICK_MS) * TICK_MS;
        let time = |ms: i64| Timestamp::from_ms(ms).map(|time| time.to_string()).unwrap_or_default();
        let (before, last) = (time(tick - 1), time(tick));
        let Position { lat, lng } = PLACE;
        let driver = json!({
            "type": "driver_location", "id": "probe", "time": last, "city": PROBE_CITY, "driver_id": "probe-driver",
            "lat": lat, "lng": lng, "status": "available",
        });
        let rider = json!({
            "type": "ride_requested", "id": "probe", "time": before, "city": PROBE_CITY, "request_id": "probe-request",
            "rider_id": "probe-rider", "lat": lat, "lng": lng,
        });
        let body = format!("{rider}\n{driver}\n");
        Self { tick, body }
    }
}

/// Parallels on which a point of a polygon is looked for.
const PARALLELS: u32 = 16;

/// A point inside a polygon, far from its edges on its parallel; `None` if it is too thin to have one.
#[must_use]
pub fn point_inside(polygon: &Polygon) -> Option<Position> {
    let points = || polygon.rings().iter().flat_map(|ring| ring.positions());
    let south = points().map(|[_, lat]| *lat).min_by(f64::total_cmp)?;
    let north = points().map(|[_, lat]| *lat).max_by(f64::total_cmp)?;
    let parallels = (1..PARALLELS).map(|n| south + (north - south) * f64::from(n) / f64::from(PARALLELS));
    let found = parallels.filter_map(|lat| widest(polygon, lat));
    let (_, place) = found.max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(place)
}

/// Whether a cell inside each zone of a policy is found in that zone, or in an earlier one of the list, by what bounds its
/// multiplier. A zone without area, or without the centre of its cell, has none.
#[must_use]
pub fn finds_zones(policy: &Policy, bounds: &Bounds) -> bool {
    policy.zones.iter().enumerate().all(|(number, zone)| {
        let Some(cell) = point_inside(&zone.polygon).map(|place| policy.cell_at(place)) else { return true };
        let Some(centre) = cell.h3().map(LatLng::from) else { return false };
        let is_inside = zone.polygon.contains(centre.lng(), centre.lat());
        !is_inside || bounds.zone(cell).is_some_and(|found| found <= number)
    })
}

/// The middle of the longest part of a parallel inside a polygon, and the length of that part in degrees.
fn widest(polygon: &Polygon, lat: f64) -> Option<(f64, Position)> {
    let mut crossings = Vec::new();
    for ring in polygon.rings() {
        for edge in ring.positions().windows(2) {
            let ([from_lng, from_lat], [to_lng, to_lat]) = (edge[0], edge[1]);
            if (from_lat > lat) != (to_lat > lat) {
                crossings.push(from_lng + (to_lng - from_lng) * (lat - from_lat) / (to_lat - from_lat));
            }
        }
    }
    crossings.sort_unstable_by(f64::total_cmp);
    let parts = crossings.as_chunks::<2>().0.iter();
    let (length, lng) = parts
        .map(|[west, east]| (east - west, f64::midpoint(*west, *east)))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    polygon.contains(lng, lat).then_some((length, Position { lat, lng }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_inside_the_boundary() {
        let policy = policy();
        assert!(policy.boundary.contains(PLACE.lng, PLACE.lat));
        assert!(!policy.boundary.contains(OUTSIDE.lng, OUTSIDE.lat));
        assert_eq!(policy.clock.tick_ms, TICK_MS);
    }

    #[test]
    fn a_polygon_has_a_point_inside_unless_it_is_flat() {
        let polygon = |document: serde_json::Value| {
            let mut city = policy().to_json();
            city["city"] = "a".into();
            city["boundary"] = json!({"type": "Polygon", "coordinates": [document]});
            Policy::from_json(&city).unwrap().boundary
        };
        let horseshoe = [[0, 0], [9, 0], [9, 9], [6, 9], [6, 1], [3, 1], [3, 9], [0, 9], [0, 0]];
        let horseshoe = polygon(json!(horseshoe));
        let place = point_inside(&horseshoe).unwrap();
        assert!(horseshoe.contains(place.lng, place.lat), "{place:?}");
        assert_eq!(point_inside(&Polygon::new(Vec::new())), None);
    }

    #[test]
    fn a_log_reads_its_policy_back_and_no_file_defines_it() {
        let document = policy().to_json();
        assert_eq!(Policy::from_json(&document).unwrap().city, CityId::probe());
        for text in [document.to_string(), format!("[{document}]")] {
            let faults = Policy::list_from_json(&text).unwrap_err();
            assert!(faults[0].pointer.ends_with("/city"), "{faults:?}");
        }
    }

    #[test]
    fn a_look_closes_a_tick_that_is_over() {
        for now_ms in [1_772_427_600_000, 1_772_427_600_999, 1_772_427_601_000, 1_772_427_604_999] {
            let events = ProbeEvents::at(now_ms);
            let over_ms = now_ms - events.tick;
            assert!((MARGIN_MS..MARGIN_MS + TICK_MS).contains(&over_ms), "{over_ms}");
            assert_eq!(events.body.lines().count(), 2);
        }
    }
}
