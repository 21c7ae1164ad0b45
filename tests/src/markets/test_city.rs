//! Cities at difficult places of the globe, each with a policy of its own.

use h3o::{CellIndex, LatLng, Resolution};
use serde_json::{Value, json};

use equilibrium_simulator::rng::SplitMix64;

/// A city of a market, and the values from which its events are drawn.
pub(super) struct TestCity {
    pub(super) id: &'static str,
    pub(super) policy: Value,
    pub(super) products: Vec<&'static str>,
    /// Latitude and longitude of the few points where all events take place.
    pub(super) spots: Vec<(f64, f64)>,
    pub(super) tick_ms: i64,
    pub(super) window_ms: i64,
    pub(super) driver_ttl_ms: i64,
    pub(super) absent_ms: i64,
    pub(super) lateness_ms: i64,
    /// Whether every multiplier returns to 1.00 in an empty cell; if not, its cells are reported for ever.
    pub(super) settles: bool,
}

impl TestCity {
    pub(super) fn draw(rng: &mut SplitMix64, id: &'static str) -> Self {
        let resolution = Resolution::try_from(rng.one_of(&[5_u8, 6, 7, 8, 8, 9, 10])).expect("at most 15");
        let centre = centre(rng, resolution);
        let edge_deg = resolution.edge_length_km() / 111.0;
        let spots = (0..rng.between(4, 7)).map(|_| spot(rng, centre, edge_deg)).collect();

        let clock = [
            ("tick_ms", rng.one_of(&[1_000, 2_000, 3_000, 5_000, 5_000, 7_000, 7_001, 10_000, 30_000])),
            ("window_ms", rng.one_of(&[1_000, 4_000, 12_345, 30_000, 60_000])),
            ("driver_ttl_ms", rng.one_of(&[1_500, 4_000, 12_345, 20_000, 60_000])),
            ("absent_ms", rng.one_of(&[0, 0, 1, 12_345, 30_000, 90_000])),
            ("lateness_ms", rng.one_of(&[0, 0, 1, 2_500, 5_000, 5_000, 45_000])),
        ];
        let [tick_ms, window_ms, driver_ttl_ms, absent_ms, lateness_ms] = clock.map(|(_, ms)| ms);

        let mut products = vec!["standard", "xl", "moto", "a-very.Long_product:id"];
        products.rotate_left(rng.below(4));
        products.truncate(rng.one_of(&[1, 1, 2, 2, 3, 4]));
        let listed: Vec<Value> = products.iter().map(|id| json!({"id": id})).collect();

        let (surge, settles) = surge(rng);
        let boundary = boundary(rng, centre, edge_deg);
        let mut policy = json!({
            "city": id, "name": id, "timezone": "UTC", "currency": "USD",
            "boundary": {"type": "Polygon", "coordinates": boundary},
            "resolution": u8::from(resolution), "products": listed, "surge": surge,
            "clock": clock.map(|(name, ms)| (name.to_owned(), json!(ms))).into_iter().collect::<Value>(),
        });
        if rng.percent(90) {
            policy["guard"] = guard(rng);
        }
        if rng.percent(80) {
            policy["limits"] = limits(rng);
        }
        if rng.percent(50) {
            policy["zones"] = zones(rng, centre, edge_deg);
        }
        Self {
            id,
            policy,
            products,
            spots,
            tick_ms,
            window_ms,
            driver_ttl_ms,
            absent_ms,
            lateness_ms,
            settles,
        }
    }
}

fn centre(rng: &mut SplitMix64, resolution: Resolution) -> (f64, f64) {
    let ordinary = [(40.75, -73.98), (-18.13, 178.45), (-0.17, -78.47), (0.0, 0.0), (51.5, 0.0)];
    match rng.below(8) {
        0 => (-16.8, 180.0),
        1 => (90.0, 0.0),
        2 => (-90.0, 0.0),
        3 | 4 => {
            let pentagons: Vec<CellIndex> = resolution.pentagons().collect();
            let at = LatLng::from(rng.one_of(&pentagons));
            (at.lat(), at.lng())
        }
        5 => on_face_edge(rng),
        _ => rng.one_of(&ordinary),
    }
}

/// The midpoint between two neighbouring corners of the icosahedron, which are the coarsest pentagons' centres.
fn on_face_edge(rng: &mut SplitMix64) -> (f64, f64) {
    let corners: Vec<LatLng> = Resolution::Zero.pentagons().map(LatLng::from).collect();
    let one = corners[rng.below(corners.len())];
    let away = |corner: &&LatLng| one.distance_km(**corner);
    let others = corners.iter().filter(|corner| **corner != one);
    let other = others.min_by(|a, b| away(a).total_cmp(&away(b))).expect("an icosahedron has twelve corners");
    let on_sphere = |at: LatLng| {
        let (lat, lng) = (at.lat().to_radians(), at.lng().to_radians());
        let level = libm::cos(lat);
        [level * libm::cos(lng), level * libm::sin(lng), libm::sin(lat)]
    };
    let (one, other) = (on_sphere(one), on_sphere(*other));
    let [x, y, z] = [one[0] + other[0], one[1] + other[1], one[2] + other[2]];
    (libm::atan2(z, libm::hypot(x, y)).to_degrees(), libm::atan2(y, x).to_degrees())
}

/// A point within a few cells of `centre`, possibly across a pole or the antimeridian.
fn spot(rng: &mut SplitMix64, centre: (f64, f64), edge_deg: f64) -> (f64, f64) {
    let distance = rng.millionths() * 4.0 * edge_deg;
    let turn = rng.millionths() * 360.0;
    if centre.0.abs() > 89.9 {
        return (centre.0 - centre.0.signum() * distance, turn - 180.0);
    }
    let lat = centre.0 + distance * libm::sin(turn.to_radians());
    let lng = centre.1 + distance * libm::cos(turn.to_radians()) / libm::cos(centre.0.to_radians());
    let lng = if lng > 180.0 { lng - 360.0 } else { lng };
    (lat, if lng < -180.0 { lng + 360.0 } else { lng })
}

/// The policy's `surge`, and whether its multipliers settle at 1.00.
fn surge(rng: &mut SplitMix64) -> (Value, bool) {
    // The table takes the ratio r itself, which in an empty cell is the balanced ratio.
    let balanced_ratio = rng.one_of(&[0.5, 0.7, 1.0, 1.0, 1.0, 1.5]);
    let tables = [
        json!([[1.0, 1.0], [2.0, 1.5]]),
        json!([[0.9, 1.0], [1.5, 1.3], [4.0, 3.0]]),
        json!([[0.25, 1.0], [0.5, 0.9], [1.5, 1], [2, 4], [3, 1.5]]),
        json!([[0.5, 1.25], [1, 1.25]]),
    ];
    let table = rng.below(tables.len());
    let curve = rng.one_of(&["equilibrium", "linear", "exponential", "table"]);
    let step = rng.one_of(&[0.1, 0.1, 0.1, 0.05, 0.25, 0.5, 0.01]);

    let mut surge = json!({
        "curve": curve,
        "balanced_ratio": balanced_ratio,
        "prior": rng.one_of(&[0.5, 1.0, 2.0, 2.0, 5.0]),
        "demand_elasticity": rng.one_of(&[0.6, 0.1, 1.3]),
        "supply_elasticity": rng.one_of(&[1.2, 0.4]),
        "slope": rng.one_of(&[0.5, 1.0, 0.05]),
        "k": rng.one_of(&[0.3, 0.9]),
        "table": tables[table],
        "ring_weights": rng.one_of(&[
            &[1.0] as &[f64], &[1.0, 0.5], &[1.0, 0.35, 0.12], &[0.3, 0.7, 0.2], &[1.0, 0.6, 0.3, 0.1],
        ]),
        "half_life_ms": rng.one_of(&[1_000, 5_000, 30_000, 30_000, 60_000]),
        "half_life_up_ms": rng.one_of(&[1_000, 10_000, 60_000]),
        "half_life_down_ms": rng.one_of(&[1_000, 7_000, 60_000]),
        "step": step,
        "form": "multiplicative",
    });
    let defaults = [
        ("prior", 15),
        ("demand_elasticity", 15),
        ("supply_elasticity", 15),
        ("slope", 15),
        ("k", 15),
        ("ring_weights", 15),
        ("half_life_ms", 15),
        ("half_life_up_ms", 60),
        ("half_life_down_ms", 60),
    ];
    for (field, percent) in defaults {
        if rng.percent(percent) {
            surge.as_object_mut().expect("an object").remove(field);
        }
    }

    // An empty cell must ask for at most 1.00.
    let empty_is_one = match table {
        0 => balanced_ratio <= 1.0,
        1 => balanced_ratio <= 0.9,
        2 => balanced_ratio <= 1.5,
        _ => false,
    };
    (surge, curve != "table" || empty_is_one)
}

/// Mostly a guard that a few drivers trigger.
fn guard(rng: &mut SplitMix64) -> Value {
    json!({
        "min_lost": rng.one_of(&[0, 1, 1, 2, 3]),
        "hold_ms": rng.one_of(&[0, 1, 10_000, 30_000, 900_000]),
    })
}

/// The whole world, or an area that has a part of the spots.
fn boundary(rng: &mut SplitMix64, (lat, lng): (f64, f64), edge_deg: f64) -> Value {
    if rng.percent(50) {
        return json!([rectangle([-180.0, -90.0], [180.0, 90.0])]);
    }
    let height = rng.one_of(&[0.5, 1.0, 3.0]) * edge_deg;
    let width = (height / libm::cos(lat.to_radians()).max(0.01)).min(80.0);
    let (south, north) = ((lat - height).max(-90.0), (lat + height).min(90.0));
    let (west, east) = (lng - width, lng + width);
    if lat.abs() > 89.9 {
        return json!([rectangle([-180.0, south], [180.0, north])]);
    }
    // A ring that crosses the antimeridian is cut there (RFC 7946 §3.1.9).
    if east > 180.0 {
        return json!([
            rectangle([west, south], [180.0, north]),
            rectangle([-180.0, south], [east - 360.0, north])
        ]);
    }
    json!([rectangle([west.max(-180.0), south], [east, north])])
}

fn rectangle([west, south]: [f64; 2], [east, north]: [f64; 2]) -> Value {
    json!([[west, south], [east, south], [east, north], [west, north], [west, south]])
}

fn limits(rng: &mut SplitMix64) -> Value {
    let limits = [
        json!({"min_multiplier": 1.0, "max_multiplier": 5.0}),
        json!({"min_multiplier": 1.0, "max_multiplier": 1.37}),
        json!({"min_multiplier": 1.1, "max_multiplier": 2.5}),
        json!({"min_multiplier": 1.25}),
        json!({"max_multiplier": 2}),
        json!({"min_multiplier": 0.5, "max_multiplier": 0.9}),
        json!({"max_multiplier": 9.99}),
        json!({}),
    ];
    limits[rng.below(limits.len())].clone()
}

/// Zones around `centre` that overlap, have a hole, have no limits, or are empty.
fn zones(rng: &mut SplitMix64, centre: (f64, f64), edge_deg: f64) -> Value {
    let (lat, lng) = centre;
    let wide = edge_deg / libm::cos(lat.to_radians()).max(0.01);
    let at = |east: f64, north: f64| {
        let (lng, lat) = (lng + east * wide, lat + north * edge_deg);
        json!([lng.clamp(-180.0, 180.0), lat.clamp(-90.0, 90.0)])
    };
    let square = |half: f64| {
        json!([at(-half, -half), at(half, -half), at(half, half), at(-half, half), at(-half, -half)])
    };
    // Away from the antimeridian and towards the equator.
    let (east, north) = (-6.0_f64.copysign(lng), -6.0_f64.copysign(lat));
    let triangle = json!([at(0.0, 0.0), at(east, 0.0), at(0.0, north), at(0.0, 0.0)]);
    let shapes = [
        json!([square(1.5)]),
        json!([square(4.0), square(2.0)]),
        json!([square(9.0)]),
        json!([triangle]),
        json!([]),
    ];
    let rules = [
        json!({"max_multiplier": 1.2}),
        json!({"min_multiplier": 1.6}),
        json!({"min_multiplier": 3.0, "max_multiplier": 4.5}),
        json!({}),
    ];
    let ids = ["airport", "stadium", "harbour"];
    ids[..=rng.below(3)]
        .iter()
        .map(|id| {
            let shape = &shapes[rng.below(shapes.len())];
            let mut zone =
                json!({"id": id, "name": id, "polygon": {"type": "Polygon", "coordinates": shape}});
            if rng.percent(85) {
                zone["limits"] = rules[rng.below(rules.len())].clone();
            }
            zone
        })
        .collect()
}
