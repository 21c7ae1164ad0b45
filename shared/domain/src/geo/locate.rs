//! The H3 cell of a position: a fast path where the result is certain, and `h3o` where it is not.
//!
//! H3 projects a position gnomonically onto the nearest face of an icosahedron and rounds it to a hexagonal grid there
//! (H3 documentation, "Coordinate systems used by the H3 core library"). The projection is two dot products divided by
//! a third, so it needs one sine and one cosine of each angle; a cache maps the grid cell to its index. If a position
//! is so close to an edge of its cell, or to the border or the centre of its face, that rounding errors could decide,
//! `h3o` computes the cell. The result is always that of `h3o`, bit for bit.

use std::fmt;

use h3o::{LatLng, Resolution};
use hashbrown::HashMap;
use serde::{Serialize, Serializer};

use crate::event::Position;
use crate::hash::IntHasher;

/// An H3 cell's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(pub u64);

impl Cell {
    /// The cell as a type of the H3 library; `None` if the number is not a cell.
    #[must_use]
    pub fn h3(self) -> Option<h3o::CellIndex> {
        h3o::CellIndex::try_from(self.0).ok()
    }

    /// The cell whose index is `text` in hexadecimal, as [`Cell`]'s `Display` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let cell = Self(u64::from_str_radix(text, 16).ok().filter(|_| is_hex)?);
        cell.h3().map(|_| cell)
    }
}

impl fmt::Display for Cell {
    /// The index in lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The cell that `h3o` finds for a position.
#[must_use]
pub fn cell_at(place: Position, resolution: Resolution) -> Cell {
    let place = LatLng::new(place.lat, place.lng).expect("a position's degrees are finite");
    Cell(place.to_cell(resolution).into())
}

/// Most grid cells in the cache; when it is full it is cleared. A large city has a few thousand.
const MAX_CACHED_CELLS: usize = 1 << 16;

/// How far inside its cell a position must be for the fast path, in cell widths. This projection and that of `h3o`
/// differ by less than 10⁻⁸ cell widths at the finest resolution.
const EDGE: f64 = 1e-5;

/// How far from the centre of its face a position must be for the fast path, as the difference of the cosine from 1:
/// `h3o` computes the distance from the centre by an arc cosine, which is inexact close to it.
const CENTRE: f64 = 1e-6;

/// How much closer to its own face than to the next a position must be for the fast path, as a difference of cosines.
const BORDER: f64 = 1e-9;

/// Finds the cells of many positions of one resolution.
#[derive(Debug)]
pub struct Locator {
    resolution: Resolution,
    faces: [Face; FACES],
    /// The face of the last position, which is most likely the face of the next one.
    face: usize,
    cells: HashMap<u64, Cell, IntHasher>,
}

/// Locators by resolution, created on first use.
#[derive(Debug, Default)]
pub struct Locators([Option<Box<Locator>>; 16]);

impl Locators {
    /// The cell of `resolution` that contains `place`.
    pub fn locate(&mut self, place: Position, resolution: Resolution) -> Cell {
        let locator = &mut self.0[usize::from(u8::from(resolution))];
        locator.get_or_insert_with(|| Box::new(Locator::new(resolution))).locate(place)
    }
}

/// The tangent frame of a face: `centre` is its centre on the unit sphere, `x` and `y` span its plane in cell widths.
#[derive(Clone, Copy, Debug)]
struct Face {
    centre: [f64; 3],
    x: [f64; 3],
    y: [f64; 3],
}

impl Locator {
    /// A locator for cells of `resolution`.
    #[must_use]
    pub fn new(resolution: Resolution) -> Self {
        Self {
            resolution,
            faces: std::array::from_fn(|face| Face::new(face, resolution)),
            face: 0,
            cells: HashMap::default(),
        }
    }

    /// The cell that contains `place`: the same as that of [`cell_at`].
    pub fn locate(&mut self, place: Position) -> Cell {
        let Some(grid) = self.grid_cell(place) else {
            return cell_at(place, self.resolution);
        };
        if let Some(cell) = self.cells.get(&grid) {
            return *cell;
        }
        let cell = cell_at(place, self.resolution);
        if self.cells.len() == MAX_CACHED_CELLS {
            self.cells.clear();
        }
        self.cells.insert(grid, cell);
        cell
    }

    /// The face and the grid cell on it, packed, if both are certain.
    fn grid_cell(&mut self, place: Position) -> Option<u64> {
        let (sin_lat, cos_lat) = place.lat.to_radians().sin_cos();
        let (sin_lng, cos_lng) = place.lng.to_radians().sin_cos();
        let point = [cos_lng * cos_lat, sin_lng * cos_lat, sin_lat];
        let cosine = self.enter_face(&point)?;
        let face = &self.faces[self.face];
        let (x, y) = (dot(&face.x, &point) / cosine, dot(&face.y, &point) / cosine);
        let grid = round_to_hexagon(x, y)?;
        Some(grid << 5 | self.face as u64)
    }

    /// Makes the face nearest to `point` the current one. Returns the cosine of the angle between `point` and the
    /// face's centre, or `None` if the face is uncertain or its centre too close.
    fn enter_face(&mut self, point: &[f64; 3]) -> Option<f64> {
        // Within 20.9° of a face's centre no other face can be nearer: the inscribed circle of a face has a radius of
        // 20.905°.
        const COS_INSCRIBED: f64 = 0.934_204;
        let cosine = dot(&self.faces[self.face].centre, point);
        let cosine = if cosine > COS_INSCRIBED {
            cosine
        } else {
            let mut best = (f64::NEG_INFINITY, 0);
            let mut second = f64::NEG_INFINITY;
            for (face, frame) in self.faces.iter().enumerate() {
                let cosine = dot(&frame.centre, point);
                if cosine > best.0 {
                    second = best.0;
                    best = (cosine, face);
                } else {
                    second = second.max(cosine);
                }
            }
            if best.0 - second < BORDER {
                return None;
            }
            self.face = best.1;
            best.0
        };
        (1.0 - cosine > CENTRE).then_some(cosine)
    }
}

/// The hexagon that contains a point of the plane, packed, if the point is far enough from its edges. Hexagons are one
/// unit apart along x and at every 60° from it; rounding is done in cube coordinates (R. Patel, "Hexagonal Grids").
#[expect(clippy::many_single_char_names, reason = "a hexagon's cube coordinates are called q, r and s")]
fn round_to_hexagon(x: f64, y: f64) -> Option<u64> {
    let r = y * FRAC_2_SQRT_3;
    let q = x - 0.5 * r;
    let s = -q - r;
    let (mut rq, mut rr, rs) = (round(q), round(r), round(s));
    let (dq, dr, ds) = ((rq - q).abs(), (rr - r).abs(), (rs - s).abs());
    if dq > dr && dq > ds {
        rq = -rr - rs;
    } else if dr > ds {
        rr = -rq - rs;
    }
    let (fq, fr) = (q - rq, r - rr);
    let fs = -fq - fr;
    let reach = (fq - fr).abs().max((fr - fs).abs()).max((fs - fq).abs());
    if reach > 1.0 - EDGE {
        return None;
    }
    // At the finest resolution the grid reaches 2²³ cells from a face's centre: 28 bits with the sign.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let pack = |coordinate: f64| (coordinate as i32 as u32 & 0x0fff_ffff).into();
    let (q, r): (u64, u64) = (pack(rq), pack(rr));
    Some(q << 28 | r)
}

/// Rounds to the nearest integer without a library call: adds 1.5·2⁵², from which on a double has no fraction.
fn round(x: f64) -> f64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (x + SHIFT) - SHIFT
}

const FRAC_2_SQRT_3: f64 = 1.154_700_538_379_251_5;

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

const FACES: usize = 20;

/// The width of a cell at resolution 0, on the plane tangent to a face of the unit sphere (H3 core library).
const RESOLUTION_0_WIDTH: f64 = 0.381_966_011_250_105;

/// The rotation of the axes of odd resolutions relative to even ones, in radians: asin(√(3/28)).
const APERTURE_7_ROTATION: f64 = 0.333_473_172_251_832_1;

impl Face {
    fn new(face: usize, resolution: Resolution) -> Self {
        let centre = FACE_CENTRES[face];
        let level = i32::from(u8::from(resolution));
        let odd = level % 2 == 1;
        let azimuth = FACE_AZIMUTHS[face] - if odd { APERTURE_7_ROTATION } else { 0.0 };
        let scale = 7_f64.powi(level / 2) * if odd { 7_f64.sqrt() } else { 1.0 } / RESOLUTION_0_WIDTH;
        // North and east on the plane tangent at the centre.
        let flat = centre[0].hypot(centre[1]);
        let north = [-centre[0] * centre[2] / flat, -centre[1] * centre[2] / flat, flat];
        let east = [-centre[1] / flat, centre[0] / flat, 0.0];
        let (sin, cos) = azimuth.sin_cos();
        Self {
            centre,
            x: std::array::from_fn(|i| scale * (cos * north[i] + sin * east[i])),
            y: std::array::from_fn(|i| scale * (sin * north[i] - cos * east[i])),
        }
    }
}

/// The centres of the faces on the unit sphere: H3's icosahedron, in R. Buckminster Fuller's Dymaxion orientation (H3
/// core library, `faceCenterPoint`).
#[rustfmt::skip]
const FACE_CENTRES: [[f64; 3]; FACES] = [
    [ 0.219_930_779_140_460_6,  0.658_369_178_027_499_6,  0.719_847_537_892_618_2],
    [-0.213_923_483_450_142_1,  0.147_817_182_955_070_3,  0.965_601_793_521_420_5],
    [ 0.109_262_527_878_479_7, -0.481_195_157_287_321,  0.869_777_512_128_725_3],
    [ 0.742_856_730_158_679_1, -0.359_394_167_827_802_8,  0.564_800_593_651_703_3],
    [ 0.811_253_470_914_096_9,  0.344_895_323_763_938_4,  0.472_138_773_641_393],
    [-0.105_549_814_961_392_1,  0.979_445_729_641_141_3,  0.171_887_461_000_936_5],
    [-0.807_540_757_997_009_2,  0.153_355_248_589_881_8,  0.569_526_199_488_268_8],
    [-0.284_614_806_978_790_7, -0.864_408_097_265_420_6,  0.414_479_255_247_353_9],
    [ 0.740_562_147_385_448_2, -0.667_329_956_456_552_4, -0.078_983_764_632_673_7],
    [ 0.851_230_398_647_429_3,  0.472_234_378_858_268_1, -0.228_913_738_868_780_8],
    [-0.740_562_147_385_448_1,  0.667_329_956_456_552_4,  0.078_983_764_632_673_7],
    [-0.851_230_398_647_429_2, -0.472_234_378_858_268_2,  0.228_913_738_868_780_8],
    [ 0.105_549_814_961_391_9, -0.979_445_729_641_141_3, -0.171_887_461_000_936_5],
    [ 0.807_540_757_997_009_2, -0.153_355_248_589_881_9, -0.569_526_199_488_268_8],
    [ 0.284_614_806_978_790_8,  0.864_408_097_265_420_4, -0.414_479_255_247_353_9],
    [-0.742_856_730_158_679_1,  0.359_394_167_827_802_7, -0.564_800_593_651_703_3],
    [-0.811_253_470_914_097, -0.344_895_323_763_938_2, -0.472_138_773_641_393],
    [-0.219_930_779_140_460_7, -0.658_369_178_027_499_6, -0.719_847_537_892_618_2],
    [ 0.213_923_483_450_142, -0.147_817_182_955_070_4, -0.965_601_793_521_420_5],
    [-0.109_262_527_878_479_6,  0.481_195_157_287_321, -0.869_777_512_128_725_3],
];

/// The azimuth of each face's i-axis at even resolutions, in radians (H3 core library, `faceAxesAzRadsCII`).
#[rustfmt::skip]
const FACE_AZIMUTHS: [f64; FACES] = [
    5.619_958_268_523_939_5, 5.760_339_081_714_187_5, 0.780_213_654_393_43, 0.430_469_363_979_999_9,
    6.130_269_123_335_111, 2.692_877_706_530_643, 2.982_963_003_477_244, 3.532_912_002_790_141,
    3.494_305_004_259_568, 3.003_214_169_499_538_2, 5.930_472_956_509_812, 0.138_378_484_090_254_86,
    0.448_714_947_059_150_4, 0.158_629_650_112_549_37, 5.891_865_957_979_238, 2.711_123_289_609_793,
    3.294_508_837_434_268, 3.804_819_692_245_44, 3.664_438_879_055_192_3, 2.361_378_999_196_363,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_agrees(locator: &mut Locator, lat: f64, lng: f64) {
        let place = Position { lat, lng };
        assert_eq!(
            locator.locate(place),
            cell_at(place, locator.resolution),
            "{lat} {lng} {:?}",
            locator.resolution
        );
    }

    proptest! {
        #[test]
        fn locator_and_h3o_agree_anywhere(
            lat in -90.0..=90.0_f64, lng in -180.0..=180.0_f64, resolution in 0_u8..=15,
        ) {
            let mut locator = Locator::new(Resolution::try_from(resolution).unwrap());
            assert_agrees(&mut locator, lat, lng);
            assert_agrees(&mut locator, lat, lng);
        }

        #[test]
        fn locator_and_h3o_agree_within_a_city(
            lat in 40.45..41.0_f64, lng in -74.3..-73.65_f64, resolution in 5_u8..=11, seed in any::<u64>(),
        ) {
            let mut locator = Locator::new(Resolution::try_from(resolution).unwrap());
            let mut state = seed;
            for _ in 0..200 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (a, b) = (f64::from((state >> 40) as u32), f64::from(((state >> 16) & 0x00ff_ffff) as u32));
                assert_agrees(&mut locator, lat + a * 1e-9, lng + b * 1e-9);
            }
        }
    }

    #[test]
    fn locator_and_h3o_agree_at_edges_corners_centres_and_borders() {
        for resolution in [0, 1, 5, 8, 9, 12, 15] {
            let resolution = Resolution::try_from(resolution).unwrap();
            let mut locator = Locator::new(resolution);
            for centre in FACE_CENTRES {
                let (lat, lng) = (centre[2].asin().to_degrees(), centre[1].atan2(centre[0]).to_degrees());
                for step in [0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1] {
                    assert_agrees(&mut locator, lat + step, lng - step);
                }
                let cell = cell_at(Position { lat, lng }, resolution).h3().unwrap();
                for corner in cell.boundary().iter() {
                    assert_agrees(&mut locator, corner.lat(), corner.lng());
                    assert_agrees(
                        &mut locator,
                        f64::midpoint(corner.lat(), lat),
                        f64::midpoint(corner.lng(), lng),
                    );
                }
            }
            for pentagon in resolution.pentagons() {
                let centre = LatLng::from(pentagon);
                assert_agrees(&mut locator, centre.lat(), centre.lng());
                for corner in pentagon.boundary().iter() {
                    assert_agrees(&mut locator, corner.lat(), corner.lng());
                }
            }
        }
    }

    /// Positions spread evenly over the globe.
    fn spread(count: u32) -> impl Iterator<Item = Position> {
        (0..count).map(move |i| {
            let height = 1.0 - (2.0 * f64::from(i) + 1.0) / f64::from(count);
            let turns = f64::from(i) * 0.618_033_988_749_894_9;
            Position { lat: height.asin().to_degrees(), lng: turns.fract() * 360.0 - 180.0 }
        })
    }

    fn vector(lat: f64, lng: f64) -> [f64; 3] {
        let (lat, lng) = (lat.to_radians(), lng.to_radians());
        [lng.cos() * lat.cos(), lng.sin() * lat.cos(), lat.sin()]
    }

    /// The position at `share` of the way from one vector to the other.
    fn between(from: &[f64; 3], to: &[f64; 3], share: f64) -> Position {
        let [x, y, z] = std::array::from_fn(|i| from[i] + share * (to[i] - from[i]));
        Position { lat: z.atan2(x.hypot(y)).to_degrees(), lng: y.atan2(x).to_degrees() }
    }

    /// The centre of a cell, and the middle of each of its edges.
    fn centre_and_edges(cell: Cell) -> ([f64; 3], Vec<[f64; 3]>) {
        let cell = cell.h3().unwrap();
        let centre = LatLng::from(cell);
        let corners: Vec<_> =
            cell.boundary().iter().map(|corner| vector(corner.lat(), corner.lng())).collect();
        let next = corners.iter().cycle().skip(1);
        let middles =
            corners.iter().zip(next).map(|(a, b)| std::array::from_fn(|i| f64::midpoint(a[i], b[i])));
        (vector(centre.lat(), centre.lng()), middles.collect())
    }

    #[test]
    fn locator_and_h3o_agree_on_every_face() {
        for resolution in [0, 1, 2, 3, 6, 9, 12, 15] {
            let resolution = Resolution::try_from(resolution).unwrap();
            let mut locator = Locator::new(resolution);
            for place in spread(300) {
                let (centre, edges) = centre_and_edges(cell_at(place, resolution));
                for edge in edges {
                    for share in [0.0, 0.97, 1.03] {
                        let Position { lat, lng } = between(&centre, &edge, share);
                        assert_agrees(&mut locator, lat, lng);
                    }
                }
            }
        }
    }

    /// Locates positions `step` of a cell's width apart, exactly where `h3o` switches from the cell at `place` to its
    /// neighbours.
    fn assert_agrees_along_the_edges(locator: &mut Locator, place: Position, step: f64) {
        let resolution = locator.resolution;
        let cell = cell_at(place, resolution);
        let (centre, edges) = centre_and_edges(cell);
        for edge in edges {
            let (mut inside, mut outside) = (0.9, 1.1);
            for share in [inside, outside] {
                let Position { lat, lng } = between(&centre, &edge, share);
                assert_agrees(locator, lat, lng);
            }
            for _ in 0..50 {
                let share = f64::midpoint(inside, outside);
                let within = cell_at(between(&centre, &edge, share), resolution) == cell;
                *(if within { &mut inside } else { &mut outside }) = share;
            }
            for away in -10..=10 {
                let Position { lat, lng } = between(&centre, &edge, inside + f64::from(away) * step);
                assert_agrees(locator, lat, lng);
            }
        }
    }

    #[test]
    fn locator_and_h3o_round_alike_on_an_edge() {
        let mut locator = Locator::new(Resolution::Fifteen);
        for place in spread(60) {
            assert_agrees_along_the_edges(&mut locator, place, 1e-9);
        }
    }

    #[test]
    fn locator_and_h3o_agree_close_to_a_faces_centre() {
        let mut locator = Locator::new(Resolution::Fifteen);
        for centre in FACE_CENTRES {
            let place = between(&centre, &centre, 0.0);
            for away in [1e-5, 1e-4] {
                let place = Position { lat: place.lat + away, lng: place.lng - away };
                assert_agrees_along_the_edges(&mut locator, place, 1e-4);
            }
        }
    }

    #[test]
    fn nearly_every_position_anywhere_takes_the_fast_path() {
        let mut locator = Locator::new(Resolution::Eight);
        let certain = spread(10_000).filter(|place| locator.grid_cell(*place).is_some()).count();
        assert!(certain > 9_990, "{certain}");
    }

    #[test]
    fn nearly_every_position_of_a_city_takes_the_fast_path() {
        let mut locator = Locator::new(Resolution::Eight);
        let certain = (0..10_000)
            .filter(|i| {
                let at = f64::from(*i) * 1e-5;
                locator.grid_cell(Position { lat: 40.7 + at, lng: -74.0 + at * 0.7 }).is_some()
            })
            .count();
        assert!(certain > 9_990, "{certain}");
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut locator = Locator::new(Resolution::Fifteen);
        let mut most = 0;
        for i in 0..70_000 {
            locator.locate(Position { lat: 40.0 + f64::from(i) * 1e-5, lng: -74.0 });
            most = most.max(locator.cells.len());
        }
        assert_eq!(most, 1 << 16);
        assert!(locator.cells.len() < 5_000);
    }
}
