//! Polygons on the map, and whether they contain a point: the even-odd rule on longitude and latitude.

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

/// Fewest positions of a ring: a triangle with its first corner repeated (RFC 7946 §3.1.6).
pub const MIN_POSITIONS: usize = 4;

/// Most positions of one ring: a cell's centre is compared with every edge, and the most detailed administrative
/// boundaries of cities have some thousands.
pub const MAX_POSITIONS: usize = 65_536;

/// Longitude and latitude in WGS 84 degrees, in the order of GeoJSON.
pub type Position = [f64; 2];

/// A closed line of four or more positions, the last equal to the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring(Box<[Position]>);

impl Ring {
    /// The ring of `positions`.
    ///
    /// # Errors
    /// Every fault, if `positions` are not a ring.
    pub fn new(positions: Vec<Position>) -> Result<Self, Vec<RingError>> {
        let mut faults = Vec::new();
        if !(MIN_POSITIONS..=MAX_POSITIONS).contains(&positions.len()) {
            faults.push(RingError::Length);
        }
        if positions.first() != positions.last() {
            faults.push(RingError::Open);
        }
        for (index, edge) in positions.windows(2).enumerate() {
            let span = (edge[1][0] - edge[0][0]).abs();
            // From one side of the antimeridian to the other along a whole parallel there is one way.
            if span > 180.0 && span < 360.0 {
                faults.push(RingError::LongEdge { index });
            }
        }
        for (index, [lng, lat]) in positions.iter().enumerate() {
            if !(-180.0..=180.0).contains(lng) || !(-90.0..=90.0).contains(lat) {
                faults.push(RingError::OffTheGlobe { index });
            }
        }

        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self(positions.into()))
    }

    /// The positions in order; the last equals the first.
    #[must_use]
    pub fn positions(&self) -> &[Position] {
        &self.0
    }

    /// The edges from south to north, without those along a parallel.
    fn edges(&self) -> impl Iterator<Item = Edge> {
        self.0.windows(2).filter_map(|edge| match (edge[0], edge[1]) {
            (from, to) if from[1] < to[1] => Some([from, to]),
            (from, to) if from[1] > to[1] => Some([to, from]),
            _ => None,
        })
    }
}

/// Why positions are not a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RingError {
    /// Too few positions or too many.
    #[error("a ring must have {MIN_POSITIONS} to {MAX_POSITIONS} positions")]
    Length,
    /// The last position is not the first.
    #[error("a ring must end with its first position")]
    Open,
    /// An edge over more than 180° of longitude, which could go either way around the globe.
    #[error(
        "the edge from here spans more than 180° of longitude: a ring that crosses the antimeridian is cut there \
         (RFC 7946 §3.1.9)"
    )]
    LongEdge {
        /// The index in the ring of the position at which the edge begins, from 0.
        index: usize,
    },
    /// A position outside the ranges of longitude and latitude.
    #[error("longitude must be from -180 to 180 and latitude from -90 to 90")]
    OffTheGlobe {
        /// Its index in the ring, from 0.
        index: usize,
    },
}

/// A polygon of any number of rings, outer ones and holes alike; without rings it contains nothing. A clone shares the
/// rings.
#[derive(Clone, Debug)]
pub struct Polygon(Arc<Shape>);

#[derive(Debug)]
struct Shape {
    rings: Box<[Ring]>,
    bounds: BoundingBox,
    bands: Bands,
}

impl PartialEq for Polygon {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.rings == other.0.rings
    }
}

impl Polygon {
    /// The polygon of these rings.
    #[must_use]
    pub fn new(rings: Vec<Ring>) -> Self {
        let bounds = BoundingBox::of(&rings);
        let bands = Bands::of(&rings, &bounds);
        Self(Arc::new(Shape { rings: rings.into(), bounds, bands }))
    }

    /// The rings as given.
    #[must_use]
    pub fn rings(&self) -> &[Ring] {
        &self.0.rings
    }

    /// Whether the polygon contains the point, by the even-odd rule over all rings (CONTRACT §7). Edges are straight in
    /// longitude and latitude.
    ///
    /// The western and southern edges of a rectangle are inside and the others are not, so exactly one of the polygons
    /// that tile the plane contains a point. The antimeridian is the western edge of the map, at −180°, also for points
    /// at 180°; the north pole belongs to the polygons that reach 90° there.
    #[must_use]
    pub fn contains(&self, lng: f64, lat: f64) -> bool {
        let lng = if lng >= 180.0 { -180.0 } else { lng };
        let lat = if lat >= 90.0 { BELOW_NORTH_POLE } else { lat };
        let Shape { bounds, bands, .. } = &*self.0;
        bounds.contains(lng, lat) && bands.crossings_east_of(lng, lat) % 2 == 1
    }
}

/// The latitude next to the north pole.
const BELOW_NORTH_POLE: f64 = 90.0_f64.next_down();

/// The edges that cross each of a number of bands of latitude, so that a test of a point visits a few edges only.
#[derive(Debug)]
struct Bands {
    south: f64,
    /// Bands per degree.
    density: f64,
    edges: Vec<Edge>,
    /// The end of each band's edges in `edges`.
    ends: Vec<usize>,
}

/// An edge from south to north.
type Edge = [Position; 2];

impl Bands {
    /// Most bands of a polygon; an edge is listed in each band that it crosses.
    const MAX: usize = 1 << 12;

    /// Most bands that an edge crosses on average: a polygon whose edges all go from its south to its north has fewer
    /// bands, and no more memory than this for each edge.
    const MAX_CROSSED: usize = 16;

    #[expect(clippy::cast_precision_loss, reason = "at most 2^12")]
    fn of(rings: &[Ring], bounds: &BoundingBox) -> Self {
        let edges: Vec<Edge> = rings.iter().flat_map(Ring::edges).collect();
        let height = bounds.lat.end - bounds.lat.start;
        let mut count = if height > 0.0 { (edges.len() / 4).clamp(1, Self::MAX) } else { 1 };
        let mut bands = Self { south: bounds.lat.start, density: 0.0, edges: Vec::new(), ends: Vec::new() };
        loop {
            bands.density = if height > 0.0 { count as f64 / height } else { 0.0 };
            let crossed: usize = edges.iter().map(|edge| bands.crossed_by(edge, count).count()).sum();
            if count == 1 || crossed <= edges.len() * Self::MAX_CROSSED {
                break;
            }
            count /= 2;
        }
        let mut by_band = vec![Vec::new(); count];
        for edge in edges {
            by_band[bands.crossed_by(&edge, count)].iter_mut().for_each(|it| it.push(edge));
        }
        for edges in by_band {
            bands.edges.extend(edges);
            bands.ends.push(bands.edges.len());
        }
        bands
    }

    /// The bands that an edge crosses, of `count`. `band` is monotonic, so that of each latitude on the edge is between
    /// those of its ends.
    fn crossed_by(&self, edge: &Edge, count: usize) -> Range<usize> {
        let [first, last] = [edge[0][1], edge[1][1]].map(|lat| self.band(lat).min(count - 1));
        first..last + 1
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    fn band(&self, lat: f64) -> usize {
        ((lat - self.south) * self.density) as usize
    }

    /// The number of edges that a line eastward from the point crosses.
    ///
    /// An edge includes its southern end but not its northern one, so that a corner counts once. It is always evaluated
    /// from south to north, so that polygons that share it agree to the last bit.
    fn crossings_east_of(&self, lng: f64, lat: f64) -> usize {
        let band = self.band(lat).min(self.ends.len() - 1);
        let start = band.checked_sub(1).map_or(0, |before| self.ends[before]);
        let is_crossed = |[south, north]: &&Edge| {
            south[1] <= lat
                && lat < north[1]
                && lng < south[0] + (north[0] - south[0]) * (lat - south[1]) / (north[1] - south[1])
        };
        self.edges[start..self.ends[band]].iter().filter(is_crossed).count()
    }
}

/// The smallest rectangle around a polygon. It answers most tests: most cells of a city are outside most zones.
#[derive(Clone, Debug, PartialEq)]
struct BoundingBox {
    lng: Range<f64>,
    lat: Range<f64>,
}

impl BoundingBox {
    fn of(rings: &[Ring]) -> Self {
        let mut lng = f64::INFINITY..f64::NEG_INFINITY;
        let mut lat = lng.clone();
        for [x, y] in rings.iter().flat_map(Ring::positions) {
            lng = lng.start.min(*x)..lng.end.max(*x);
            lat = lat.start.min(*y)..lat.end.max(*y);
        }
        Self { lng, lat }
    }

    /// Whether the point may be inside; like the rings, it excludes the eastern and northern edges.
    fn contains(&self, lng: f64, lat: f64) -> bool {
        self.lng.contains(&lng) && self.lat.contains(&lat)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(positions: &[Position]) -> Ring {
        Ring::new(positions.to_vec()).unwrap()
    }

    fn square(west: f64, south: f64, side: f64) -> Ring {
        let (east, north) = (west + side, south + side);
        ring(&[[west, south], [east, south], [east, north], [west, north], [west, south]])
    }

    #[test]
    fn a_polygon_contains_the_points_inside_it() {
        let polygon = Polygon::new(vec![square(10.0, 20.0, 4.0)]);
        assert!(polygon.contains(12.0, 22.0));
        for (lng, lat) in
            [(9.0, 22.0), (15.0, 22.0), (12.0, 19.0), (12.0, 25.0), (f64::NAN, 22.0), (12.0, f64::NAN)]
        {
            assert!(!polygon.contains(lng, lat), "{lng} {lat}");
        }
    }

    #[test]
    fn edges_from_south_to_north_take_no_more_memory_than_others() {
        let zigzag = (0..20_000_u32).map(|i| [f64::from(i) / 1_000.0, f64::from(i % 2)]);
        let positions: Vec<Position> = zigzag.chain([[20.0, -1.0], [0.0, -1.0], [0.0, 0.0]]).collect();
        let polygon = Polygon::new(vec![ring(&positions)]);
        assert!(polygon.0.bands.edges.len() <= positions.len() * Bands::MAX_CROSSED);
        // Below a peak, above a valley, below a valley.
        for (lng, lat, is_inside) in
            [(0.001, 0.9, true), (0.002, 0.9, false), (7.002, -0.5, true), (7.001, 1.1, false)]
        {
            assert_eq!(polygon.contains(lng, lat), is_inside, "{lng} {lat}");
        }
    }

    #[test]
    fn the_west_and_south_edges_of_a_square_are_inside() {
        let polygon = Polygon::new(vec![square(10.0, 20.0, 4.0)]);
        for (lng, lat) in [(10.0, 20.0), (10.0, 22.0), (12.0, 20.0)] {
            assert!(polygon.contains(lng, lat), "{lng} {lat}");
        }
        for (lng, lat) in [(14.0, 22.0), (12.0, 24.0), (14.0, 24.0), (10.0, 24.0), (14.0, 20.0)] {
            assert!(!polygon.contains(lng, lat), "{lng} {lat}");
        }
    }

    #[test]
    fn the_slope_of_an_edge_counts() {
        // The slanting edge runs from (0, 0) to (4, 8), so at latitude 2 it is at longitude 1.
        let triangle = Polygon::new(vec![ring(&[[0.0, 0.0], [4.0, 8.0], [0.0, 8.0], [0.0, 0.0]])]);
        assert!(triangle.contains(0.9, 2.0));
        assert!(!triangle.contains(1.1, 2.0));
        let off_origin = Polygon::new(vec![ring(&[[10.0, 50.0], [14.0, 58.0], [10.0, 58.0], [10.0, 50.0]])]);
        assert!(off_origin.contains(10.9, 52.0));
        assert!(!off_origin.contains(11.1, 52.0));
        assert!(off_origin.contains(12.9, 56.0));
        assert!(!off_origin.contains(13.1, 56.0));
    }

    #[test]
    fn a_corner_counts_once() {
        // The line eastward from the centre crosses the corner at (2, 0).
        let diamond =
            Polygon::new(vec![ring(&[[0.0, -2.0], [2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]])]);
        assert!(diamond.contains(0.0, 0.0));
        assert!(diamond.contains(-1.0, 0.0));
        assert!(!diamond.contains(2.5, 0.0));
        assert!(!diamond.contains(-2.5, 0.0));
    }

    #[test]
    fn a_hole_is_outside_and_an_island_in_it_inside() {
        let polygon =
            Polygon::new(vec![square(0.0, 0.0, 10.0), square(2.0, 2.0, 6.0), square(4.0, 4.0, 2.0)]);
        assert!(polygon.contains(1.0, 5.0));
        assert!(!polygon.contains(3.0, 5.0));
        assert!(polygon.contains(5.0, 5.0));
        assert!(!polygon.contains(7.0, 5.0));
        assert!(polygon.contains(9.0, 5.0));
        assert_eq!(polygon.rings().len(), 3);
    }

    #[test]
    fn separate_rings_are_all_inside() {
        let polygon = Polygon::new(vec![square(0.0, 0.0, 1.0), square(5.0, 5.0, 1.0)]);
        assert!(polygon.contains(0.5, 0.5));
        assert!(polygon.contains(5.5, 5.5));
        assert!(!polygon.contains(3.0, 3.0));
    }

    #[test]
    fn the_antimeridian_is_one_line_and_the_poles_are_on_the_map() {
        let box_of = |west: f64, east: f64| {
            ring(&[[west, -20.0], [east, -20.0], [east, -15.0], [west, -15.0], [west, -20.0]])
        };
        let suva = Polygon::new(vec![box_of(176.5, 180.0), box_of(-180.0, -178.0)]);
        for lng in [180.0, -180.0, 179.9999, -179.9999] {
            assert!(suva.contains(lng, -17.0), "{lng}");
        }
        assert!(!Polygon::new(vec![box_of(176.5, 180.0)]).contains(180.0, -17.0), "an eastern edge");
        let corners = [[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0], [-180.0, -90.0]];
        let world = Polygon::new(vec![ring(&corners)]);
        for (lng, lat) in [(180.0, 90.0), (-180.0, -90.0), (0.0, 90.0), (12.0, -90.0), (180.0, 0.0)] {
            assert!(world.contains(lng, lat), "{lng} {lat}");
        }
    }

    #[test]
    fn an_edge_over_more_than_half_of_the_globe_is_refused() {
        let long = vec![[170.0, 0.0], [-170.0, 0.0], [-170.0, 5.0], [170.0, 0.0]];
        let faults = Ring::new(long).unwrap_err();
        assert_eq!(faults, [RingError::LongEdge { index: 0 }, RingError::LongEdge { index: 2 }]);
        assert!(Ring::new(vec![[0.0, 0.0], [180.0, 0.0], [180.0, 5.0], [0.0, 0.0]]).is_ok());
    }

    #[test]
    fn a_polygon_of_many_edges_contains_the_points_inside_it() {
        let corners = 5_000;
        let corner = |number: i32| {
            let angle = f64::from(number) / f64::from(corners) * std::f64::consts::TAU;
            [10.0 + angle.cos(), 50.0 + angle.sin()]
        };
        let mut circle: Vec<Position> = (0..corners).map(corner).collect();
        circle.push(circle[0]);
        let polygon = Polygon::new(vec![ring(&circle)]);
        for step in -60..=60 {
            for other in -60..=60 {
                let (x, y) = (f64::from(step) / 50.0, f64::from(other) / 50.0);
                let distance = x.hypot(y);
                if (distance - 1.0).abs() > 1e-6 {
                    assert_eq!(polygon.contains(10.0 + x, 50.0 + y), distance < 1.0, "{x} {y}");
                }
            }
        }
    }

    #[test]
    fn a_polygon_without_rings_contains_nothing() {
        assert!(!Polygon::new(Vec::new()).contains(0.0, 0.0));
    }

    #[test]
    fn the_bounding_box_is_the_smallest_rectangle() {
        let bounds = BoundingBox::of(&[square(10.0, 20.0, 1.0), square(-3.0, 22.0, 1.0)]);
        assert_eq!(bounds, BoundingBox { lng: -3.0..11.0, lat: 20.0..23.0 });
        assert!(bounds.contains(-3.0, 20.0));
        assert!(bounds.contains(10.9, 22.9));
        for (lng, lat) in [(-3.1, 21.0), (11.0, 21.0), (0.0, 19.9), (0.0, 23.0)] {
            assert!(!bounds.contains(lng, lat), "{lng} {lat}");
        }
    }

    #[test]
    fn a_ring_has_four_positions_and_more() {
        let triangle = vec![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]];
        assert_eq!(Ring::new(triangle.clone()).unwrap().positions(), triangle);
        assert_eq!(Ring::new(vec![[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), Err(vec![RingError::Length]));
        assert_eq!(Ring::new(Vec::new()), Err(vec![RingError::Length]));
        assert!(Ring::new(vec![[1.0, 1.0]; MAX_POSITIONS]).is_ok());
        assert_eq!(Ring::new(vec![[1.0, 1.0]; MAX_POSITIONS + 1]), Err(vec![RingError::Length]));
    }

    #[test]
    fn a_ring_must_close() {
        let open = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        assert_eq!(Ring::new(open), Err(vec![RingError::Open]));
    }

    #[test]
    fn the_ranges_of_longitude_and_latitude_include_both_ends() {
        let globe = [[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0], [-180.0, -90.0]];
        assert!(Ring::new(globe.to_vec()).is_ok());
        for off in [
            [180.1, 0.0],
            [-180.1, 0.0],
            [0.0, 90.1],
            [0.0, -90.1],
            [f64::INFINITY, 0.0],
            [f64::NAN, 0.0],
            [0.0, f64::NAN],
        ] {
            let mut positions = globe.to_vec();
            positions[2] = off;
            assert_eq!(Ring::new(positions), Err(vec![RingError::OffTheGlobe { index: 2 }]), "{off:?}");
        }
    }

    #[test]
    fn all_faults_of_a_ring_are_reported() {
        let faults = Ring::new(vec![[0.0, 91.0], [0.0, 0.0], [200.0, 0.0]]).unwrap_err();
        assert_eq!(
            faults,
            [
                RingError::Length,
                RingError::Open,
                RingError::LongEdge { index: 1 },
                RingError::OffTheGlobe { index: 0 },
                RingError::OffTheGlobe { index: 2 }
            ]
        );
    }

    proptest! {
        #[test]
        fn one_of_two_triangles_that_share_an_edge_contains_a_point(
            a in (-10.0..10.0, -10.0..10.0_f64), b in (-10.0..10.0, -10.0..10.0_f64),
            west in -60.0..-51.0_f64, east in 51.0..60.0_f64, share in 0.01..0.99_f64,
        ) {
            // A quadrangle cut along a-b. Such a steep edge has the far corners on opposite sides of its line.
            prop_assume!((a.1 - b.1).abs() > 5.0);
            let (a, b) = ([a.0, a.1], [b.0, b.1]);
            let left = Polygon::new(vec![ring(&[a, b, [west, 0.0], a])]);
            let right = Polygon::new(vec![ring(&[b, a, [east, 0.0], b])]);
            let (lng, lat) = (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]));
            prop_assert!(left.contains(lng, lat) != right.contains(lng, lat));
        }

        #[test]
        fn a_rectangle_contains_the_points_between_its_sides(
            west in -170.0..0.0_f64, south in -80.0..0.0_f64, side in 1.0..50.0_f64,
            lng in -180.0..180.0_f64, lat in -90.0..90.0_f64,
        ) {
            let between = (west..west + side).contains(&lng) && (south..south + side).contains(&lat);
            prop_assert_eq!(Polygon::new(vec![square(west, south, side)]).contains(lng, lat), between);
        }
    }
}
