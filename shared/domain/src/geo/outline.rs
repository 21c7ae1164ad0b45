//! The outline of a cell in the form that GeoJSON requires (RFC 7946 §3.1.6, §3.1.9).

use crate::geo::locate::Cell;
use crate::geo::polygon::Position;

/// The cell's outer rings, closed and anticlockwise: one, or one on each side of the antimeridian.
///
/// The ring of a cell that contains a pole runs to the pole along the antimeridian. Empty if the number is not a cell.
#[must_use]
pub fn outline(cell: Cell) -> Vec<Vec<Position>> {
    let Some(cell) = cell.h3() else { return Vec::new() };
    let boundary = cell.boundary();
    let ring = unrolled(boundary.iter().map(|corner| [corner.lng(), corner.lat()]));
    let mut rings = Vec::with_capacity(1);
    for turn in [0.0, -360.0, 360.0] {
        let turned = ring.iter().map(|[lng, lat]| [lng + turn, *lat]).collect();
        let mut part = east_of(turned, -180.0);
        mirror(&mut part);
        let mut part = east_of(part, -180.0);
        mirror(&mut part);
        if area(&part).abs() > 1e-12 {
            rings.push(closed(part));
        }
    }
    rings
}

/// The ring with continuous longitudes; a ring around a pole is closed over the pole.
fn unrolled(corners: impl Iterator<Item = Position>) -> Vec<Position> {
    let mut ring: Vec<Position> = Vec::with_capacity(10);
    for [lng, lat] in corners {
        let lng = ring.last().map_or(lng, |[last, _]| nearest_turn(lng, *last));
        ring.push([lng, lat]);
    }
    if let (Some([first, lat]), Some([last, _])) = (ring.first().copied(), ring.last()) {
        let end = nearest_turn(first, *last);
        if (end - first).abs() > 180.0 {
            let pole = 90.0_f64.copysign(lat);
            // In two halves: an edge over more than 180° could go either way around the globe.
            ring.extend([[end, lat], [end, pole], [f64::midpoint(first, end), pole], [first, pole]]);
        }
    }
    ring
}

/// `lng` shifted by whole turns to be as close to `last` as possible.
fn nearest_turn(lng: f64, last: f64) -> f64 {
    lng - 360.0 * ((lng - last) / 360.0).round()
}

/// The part of the ring east of a meridian (I. Sutherland and G. Hodgman, "Reentrant Polygon Clipping").
fn east_of(ring: Vec<Position>, meridian: f64) -> Vec<Position> {
    if ring.iter().all(|[lng, _]| *lng >= meridian) {
        return ring;
    }
    let mut kept = Vec::with_capacity(ring.len() + 2);
    for (at, to) in ring.iter().enumerate() {
        let from = ring[(at + ring.len() - 1) % ring.len()];
        if (from[0] >= meridian) != (to[0] >= meridian) {
            let share = (meridian - from[0]) / (to[0] - from[0]);
            kept.push([meridian, from[1] + share * (to[1] - from[1])]);
        }
        if to[0] >= meridian {
            kept.push(*to);
        }
    }
    kept
}

fn mirror(ring: &mut [Position]) {
    for [lng, _] in ring {
        *lng = -*lng;
    }
}

/// The signed area of the ring, positive if it runs anticlockwise.
fn area(ring: &[Position]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>() / 2.0
}

/// The ring anticlockwise, with its first position repeated at the end, rounded to seven decimals: a centimetre.
fn closed(mut ring: Vec<Position>) -> Vec<Position> {
    if area(&ring) < 0.0 {
        ring.reverse();
    }
    let rounded = |degrees: f64| (degrees * 1e7).round() / 1e7;
    let mut ring: Vec<Position> = ring.into_iter().map(|[lng, lat]| [rounded(lng), rounded(lat)]).collect();
    ring.dedup();
    if ring.first() != ring.last() {
        ring.extend(ring.first().copied());
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;
    use crate::geo::locate::cell_at;
    use crate::geo::polygon::{Polygon, Ring};
    use h3o::Resolution;
    use proptest::prelude::*;

    fn rings_around(lat: f64, lng: f64, resolution: Resolution) -> Vec<Vec<Position>> {
        outline(cell_at(event::Position { lat, lng }, resolution))
    }

    fn assert_valid(rings: &[Vec<Position>]) {
        assert!(!rings.is_empty());
        for ring in rings {
            assert!(Ring::new(ring.clone()).is_ok(), "{ring:?}");
            assert!(area(&ring[1..]) > 0.0, "clockwise: {ring:?}");
            // Only an edge along a pole spans half the globe.
            for edge in ring.windows(2) {
                let along_a_pole = edge.iter().all(|[_, lat]| lat.abs() >= 89.9);
                assert!((edge[0][0] - edge[1][0]).abs() < 180.0 || along_a_pole, "{ring:?}");
            }
        }
    }

    #[test]
    fn the_ring_of_a_hexagon_repeats_its_first_of_six_corners() {
        let rings = rings_around(40.7, -74.0, Resolution::Eight);
        assert_valid(&rings);
        assert_eq!((rings.len(), rings[0].len()), (1, 7));
        assert!(Polygon::new(vec![Ring::new(rings[0].clone()).unwrap()]).contains(-74.0, 40.7));
    }

    #[test]
    fn a_hexagon_far_east_or_west_has_no_more_corners() {
        for lng in [139.7, -157.8] {
            assert_eq!(rings_around(35.0, lng, Resolution::Eight)[0].len(), 7, "{lng}");
        }
    }

    #[test]
    fn an_area_is_positive_anticlockwise() {
        let square = [[1.0, 1.0], [3.0, 1.0], [3.0, 3.0], [1.0, 3.0]];
        let clockwise = [square[0], square[3], square[2], square[1]];
        assert!((area(&square) - 4.0).abs() < 1e-12);
        assert!((area(&clockwise) + 4.0).abs() < 1e-12);
        assert!(area(&closed(clockwise.to_vec())) > 0.0);
    }

    #[test]
    fn the_parts_of_a_cell_over_the_antimeridian_have_its_area() {
        for (lat, level) in [(-18.1, 5), (66.0, 3), (66.1, 7), (0.3, 4)] {
            let cell = cell_at(event::Position { lat, lng: 180.0 }, Resolution::try_from(level).unwrap());
            let whole = cell.h3().unwrap().boundary();
            let whole = unrolled(whole.iter().map(|corner| [corner.lng(), corner.lat()]));
            let rings = outline(cell);
            assert_eq!(rings.len(), 2);
            let parts: f64 = rings.iter().map(|ring| area(ring)).sum();
            assert!((parts / area(&whole) - 1.0).abs() < 1e-4, "{parts} of {whole:?}");
        }
    }

    #[test]
    fn a_cell_over_the_antimeridian_is_split_there() {
        let rings = rings_around(-18.1, 180.0, Resolution::Five);
        assert_valid(&rings);
        assert_eq!(rings.len(), 2);
        let reaches =
            |lng: f64| rings.iter().any(|ring| ring.iter().any(|[x, _]| x.to_bits() == lng.to_bits()));
        assert!(reaches(180.0) && reaches(-180.0));
        assert!(rings.iter().flatten().all(|[lng, _]| lng.abs() > 179.0));
    }

    #[test]
    fn a_cell_around_a_pole_reaches_it() {
        for pole in [90.0, -90.0] {
            let rings = rings_around(pole, 0.0, Resolution::Three);
            assert_valid(&rings);
            let polygon = Polygon::new(rings.iter().map(|ring| Ring::new(ring.clone()).unwrap()).collect());
            for lng in [-179.0, -60.0, 0.0, 120.0, 179.0] {
                assert!(polygon.contains(lng, pole - 0.01_f64.copysign(pole)), "{lng} {pole}");
            }
        }
    }

    #[test]
    fn a_number_that_is_not_a_cell_has_no_outline() {
        assert!(outline(Cell(0)).is_empty());
    }

    proptest! {
        #[test]
        fn outlines_are_valid_and_contain_their_cells_centre(lat in -89.0..89.0_f64, lng in -180.0..180.0_f64, level in 2_u8..12) {
            let resolution = Resolution::try_from(level).unwrap();
            let cell = cell_at(event::Position { lat, lng }, resolution);
            let rings = outline(cell);
            assert_valid(&rings);
            let polygon = Polygon::new(rings.into_iter().map(|ring| Ring::new(ring).unwrap()).collect());
            let centre = h3o::LatLng::from(cell.h3().unwrap());
            prop_assert!(polygon.contains(centre.lng(), centre.lat()));
        }
    }
}
