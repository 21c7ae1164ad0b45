//! A city's policy with the defaults of CONTRACT §7, and the formulas that depend on it alone.

use std::collections::BTreeMap;

use h3o::{CellIndex, LatLng, Resolution};
use serde_json::{Value, json};

/// The known cities.
pub(super) struct Cities(Option<BTreeMap<String, Value>>);

impl Cities {
    pub(super) fn read(policies: Option<&Value>) -> Self {
        let list = policies.map(|json| json.as_array().cloned().unwrap_or_else(|| vec![json.clone()]));
        Self(list.map(|list| list.into_iter().map(|policy| (text(&policy, "/city"), policy)).collect()))
    }

    pub(super) fn knows(&self, city: &str) -> bool {
        self.0.as_ref().is_none_or(|cities| cities.contains_key(city))
    }

    /// The policy of a known city.
    pub(super) fn policy(&self, city: &str) -> Policy {
        match &self.0 {
            Some(cities) => Policy::read(&cities[city]),
            None => Policy::read(&json!({"city": city, "products": [{"id": "standard"}]})),
        }
    }
}

pub(super) struct Policy {
    pub(super) resolution: Resolution,
    pub(super) tick_ms: i64,
    pub(super) window_ms: i64,
    pub(super) driver_ttl_ms: i64,
    pub(super) absent_ms: i64,
    pub(super) lateness_ms: i64,
    /// In the policy's order: the first is the default.
    pub(super) products: Vec<String>,
    pub(super) ring_weights: Vec<f64>,
    pub(super) half_life_up_ms: f64,
    pub(super) half_life_down_ms: f64,
    /// The fewest drivers lost for the guard to go on, and the longest time that it stays on.
    pub(super) min_lost: usize,
    pub(super) hold_ms: i64,
    /// In hundredths.
    pub(super) step: f64,
    curve: String,
    balanced_ratio: f64,
    prior: f64,
    demand_elasticity: f64,
    supply_elasticity: f64,
    slope: f64,
    k: f64,
    table: Vec<(f64, f64)>,
    limits: Limits,
    zones: Vec<Zone>,
    boundary: Vec<Ring>,
}

type Ring = Vec<(f64, f64)>;

/// In hundredths.
struct Limits {
    floor: Option<f64>,
    cap: Option<f64>,
}

struct Zone {
    rings: Vec<Ring>,
    limits: Limits,
}

impl Policy {
    fn read(json: &Value) -> Self {
        let surge = |field: &str, default: f64| number(json, &format!("/surge/{field}")).unwrap_or(default);
        let clock = |field: &str, default: i64| whole(json, &format!("/clock/{field}")).unwrap_or(default);
        let resolution = u8::try_from(whole(json, "/resolution").unwrap_or(8)).expect("a small number");
        let curve = text(json, "/surge/curve");
        let weights = list(json, "/surge/ring_weights");
        let table = pairs(json.pointer("/surge/table").unwrap_or(&Value::Null));
        let limits = Limits::read(json);
        Self {
            resolution: Resolution::try_from(resolution).expect("an H3 resolution"),
            tick_ms: clock("tick_ms", 5_000),
            window_ms: clock("window_ms", 120_000),
            driver_ttl_ms: clock("driver_ttl_ms", 60_000),
            absent_ms: clock("absent_ms", 300_000),
            lateness_ms: clock("lateness_ms", 5_000),
            products: list(json, "/products").iter().map(|product| text(product, "/id")).collect(),
            ring_weights: if weights.is_empty() {
                vec![1.0, 0.35, 0.12]
            } else {
                weights.iter().filter_map(Value::as_f64).collect()
            },
            half_life_up_ms: surge("half_life_up_ms", surge("half_life_ms", 60_000.0)),
            half_life_down_ms: surge("half_life_down_ms", surge("half_life_ms", 240_000.0)),
            min_lost: usize::try_from(whole(json, "/guard/min_lost").unwrap_or(50)).expect("not negative"),
            hold_ms: whole(json, "/guard/hold_ms").unwrap_or(900_000),
            step: (100.0 * surge("step", 0.1)).round(),
            curve: if curve.is_empty() { "equilibrium".to_owned() } else { curve },
            balanced_ratio: surge("balanced_ratio", 1.0),
            prior: surge("prior", 2.0),
            demand_elasticity: surge("demand_elasticity", 0.6),
            supply_elasticity: surge("supply_elasticity", 1.2),
            slope: surge("slope", 0.5),
            k: surge("k", 0.3),
            table: if table.is_empty() { vec![(1.0, 1.0), (2.0, 1.5)] } else { table },
            limits: Limits { floor: limits.floor.or(Some(100.0)), cap: limits.cap.or(Some(500.0)) },
            zones: list(json, "/zones").iter().map(Zone::read).collect(),
            boundary: list(json, "/boundary/coordinates").iter().map(pairs).collect(),
        }
    }

    pub(super) fn tick_ms_f64(&self) -> f64 {
        f64::from(i32::try_from(self.tick_ms).expect("a tick is short"))
    }

    /// The multiplier for smoothed demand and supply, before smoothing over time.
    pub(super) fn raw_multiplier(&self, demand: f64, supply: f64) -> f64 {
        let balanced = self.balanced_ratio;
        let r = (demand + self.prior * balanced) / (supply + self.prior);
        let raw = match self.curve.as_str() {
            "equilibrium" => libm::pow(r / balanced, 1.0 / (self.demand_elasticity + self.supply_elasticity)),
            "linear" => 1.0 + self.slope * (r / balanced - 1.0),
            "exponential" => libm::exp(self.k * (r / balanced - 1.0)),
            // The points are values of r itself, as `balanced_ratio` is.
            "table" => on_table(&self.table, r),
            other => panic!("no such curve: {other}"),
        };
        raw.max(1.0).min(4.0 * self.greatest())
    }

    /// `M`: the greater of 1 and the city's own cap.
    pub(super) fn greatest(&self) -> f64 {
        (self.limits.cap.expect("a city has a cap") / 100.0).max(1.0)
    }

    /// Whether a place is inside the boundary. A city without a policy has none.
    pub(super) fn serves(&self, lat: f64, lng: f64) -> bool {
        // 180° is −180°, where the map begins; the north pole is the end of the northernmost parallel.
        let lng = if lng >= 180.0 { -180.0 } else { lng };
        let lat = if lat >= 90.0 { 89.999_999_999 } else { lat };
        self.boundary.is_empty() || contains(&self.boundary, lng, lat)
    }

    /// The reported hundredths for `published` hundredths in `cell`.
    pub(super) fn limited(&self, published: f64, cell: CellIndex) -> f64 {
        let centre = LatLng::from(cell);
        let zone = self.zones.iter().find(|zone| contains(&zone.rings, centre.lng(), centre.lat()));
        let in_force = || [Some(&self.limits), zone.map(|zone| &zone.limits)].into_iter().flatten();
        let floor = in_force().filter_map(|limits| limits.floor).fold(f64::NEG_INFINITY, f64::max);
        let cap = in_force().filter_map(|limits| limits.cap).fold(f64::INFINITY, f64::min);
        published.max(floor).min(cap)
    }
}

impl Limits {
    fn read(json: &Value) -> Self {
        let hundredths = |pointer: &str| number(json, pointer).map(|limit| (100.0 * limit).round());
        Self { floor: hundredths("/limits/min_multiplier"), cap: hundredths("/limits/max_multiplier") }
    }
}

impl Zone {
    fn read(json: &Value) -> Self {
        let rings = list(json, "/polygon/coordinates").iter().map(pairs).collect();
        Self { rings, limits: Limits::read(json) }
    }
}

/// The zones of a policy.
pub(super) struct ZonesOf(Vec<(String, Zone)>);

impl ZonesOf {
    pub(super) fn read(json: &Value) -> Self {
        Self(list(json, "/zones").iter().map(|zone| (text(zone, "/id"), Zone::read(zone))).collect())
    }

    /// The id of the first zone that contains the centre of a cell.
    pub(super) fn zone(&self, cell: CellIndex) -> Option<String> {
        let centre = LatLng::from(cell);
        let found = self.0.iter().find(|(_, zone)| contains(&zone.rings, centre.lng(), centre.lat()));
        found.map(|(id, _)| id.clone())
    }
}

/// Even-odd: a ray to the east from a point inside crosses an odd number of edges.
fn contains(rings: &[Ring], lng: f64, lat: f64) -> bool {
    let mut inside = false;
    for ring in rings {
        for (index, &(lng_a, lat_a)) in ring.iter().enumerate() {
            let (lng_b, lat_b) = ring[(index + 1) % ring.len()];
            let spans = (lat_a > lat) != (lat_b > lat);
            if spans && lng < lng_a + (lat - lat_a) / (lat_b - lat_a) * (lng_b - lng_a) {
                inside = !inside;
            }
        }
    }
    inside
}

/// Linear between the points, flat outside them.
fn on_table(table: &[(f64, f64)], ratio: f64) -> f64 {
    let (first, last) = (table[0], table[table.len() - 1]);
    if ratio <= first.0 {
        return first.1;
    }
    for pair in table.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if ratio < x1 {
            return y0 + (y1 - y0) * (ratio - x0) / (x1 - x0);
        }
    }
    last.1
}

fn number(json: &Value, pointer: &str) -> Option<f64> {
    json.pointer(pointer).and_then(Value::as_f64)
}

fn whole(json: &Value, pointer: &str) -> Option<i64> {
    json.pointer(pointer).and_then(Value::as_i64)
}

fn text(json: &Value, pointer: &str) -> String {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list(json: &Value, pointer: &str) -> Vec<Value> {
    json.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn pairs(json: &Value) -> Vec<(f64, f64)> {
    let number = |value: &Value| value.as_f64().expect("a pair of numbers");
    json.as_array().into_iter().flatten().map(|pair| (number(&pair[0]), number(&pair[1]))).collect()
}
