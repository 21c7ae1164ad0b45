//! Reading a policy from JSON: applies every default, and reports every fault at once.

use std::collections::HashSet;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Value, json};

use super::curve::{Curve, Formula, PARAMETER, Table, TableError};
use super::document;
use super::field::{Faults, Field, Object};
use super::law::{self, Referred};
use super::{
    Clock, Fare, FareOverrides, Fault, Guard, HOURS_OF_WEEK, Limits, MaxChange, Multiplier, Policy, Product,
    QuoteTerms, Surge, SurgeForm, Zone, ranges,
};
use crate::fare::money::{Currency, MinorUnits};
use crate::geo::polygon::{Polygon, Ring, RingError};
use crate::id::{CityId, PROBE_CITY, ProductId, is_entity_id};

const FIELDS: [&str; 16] = [
    "city",
    "name",
    "timezone",
    "currency",
    "boundary",
    "resolution",
    "clock",
    "products",
    "surge",
    "limits",
    "quote",
    "guard",
    "max_change",
    "laws",
    "static",
    "zones",
];
const CLOCK_FIELDS: [&str; 5] = ["tick_ms", "window_ms", "driver_ttl_ms", "absent_ms", "lateness_ms"];
const FARE_FIELDS: [&str; 5] = ["base", "per_km", "per_minute", "booking_fee", "minimum"];
const SURGE_FIELDS: [&str; 15] = [
    "curve",
    "balanced_ratio",
    "prior",
    "demand_elasticity",
    "supply_elasticity",
    "slope",
    "k",
    "table",
    "ring_weights",
    "half_life_ms",
    "half_life_up_ms",
    "half_life_down_ms",
    "step",
    "form",
    "additive_amount",
];

/// Most digits of any currency of ISO 4217; amounts are parsed with them if the currency is unknown.
const MAX_DIGITS: usize = 4;

/// What the id of an operator's city is.
const OPERATORS_CITY: &str = "a city id: 1 to 32 of [a-z0-9-]";

impl Policy {
    /// Reads one policy. A field that is `null` is absent; absent fields have the defaults of CONTRACT §7.
    ///
    /// # Errors
    /// Every wrong field.
    pub fn from_json(document: &Value) -> Result<Self, Vec<Fault>> {
        let faults = Faults::default();
        let policy = read_policy(&Field::new(document, String::new(), &faults));
        let faults = faults.into_inner();
        policy.filter(|_| faults.is_empty()).ok_or(faults)
    }

    /// Reads a city file: one policy, or an array of policies of different cities, of which none is that of health probes.
    ///
    /// # Errors
    /// Every wrong field; in an array the pointers begin with the policy's index.
    pub fn list_from_json(text: &str) -> Result<Vec<Self>, Vec<Fault>> {
        let document = Self::read_document(text)?;
        let Value::Array(items) = &document else {
            let policy = Self::from_json(&document)?;
            let message = format!("must be {OPERATORS_CITY}");
            let fault = Fault { pointer: "/city".to_owned(), message };
            return if policy.city.is_probe() { Err(vec![fault]) } else { Ok(vec![policy]) };
        };

        let faults = Faults::default();
        let mut cities = HashSet::new();
        let mut policies = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let field = Field::new(item, format!("/{index}"), &faults);
            // A duplicate city is reported even if the rest of its policy is wrong.
            if let Some(city) = item.get("city").and_then(Value::as_str)
                && !cities.insert(city)
            {
                field.fault_at("/city", "is given twice");
            }
            if item.get("city").and_then(Value::as_str) == Some(PROBE_CITY) {
                field.fault_at("/city", &format!("must be {OPERATORS_CITY}"));
            }
            policies.extend(read_policy(&field));
        }
        let faults = faults.into_inner();
        if faults.is_empty() { Ok(policies) } else { Err(faults) }
    }

    /// Parses a document whose objects have no key twice.
    ///
    /// # Errors
    /// The whole document if it is not JSON, or every key that an object has twice.
    pub fn read_document(text: &str) -> Result<Value, Vec<Fault>> {
        let (document, faults) = document::read(text)
            .map_err(|error| vec![Fault { pointer: String::new(), message: format!("not JSON: {error}") }])?;
        if faults.is_empty() { Ok(document) } else { Err(faults) }
    }

    /// The policy of a city that has none: the defaults of CONTRACT §3, the whole world as its boundary, and the one
    /// product `standard`.
    ///
    /// # Panics
    /// Never: the document has all required fields.
    #[must_use]
    pub fn open_city(city: &CityId) -> Self {
        let world = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]];
        let document = json!({
            "city": "open",
            "name": city.as_str(),
            "timezone": "UTC",
            "currency": "USD",
            "boundary": {"type": "Polygon", "coordinates": [world]},
            "products": [{"id": "standard"}],
        });
        let policy = Self::from_json(&document).expect("the document has all required fields");
        Self { city: city.clone(), ..policy }
    }
}

/// The policy, with defaults in place of wrong fields. `None` if a required field is wrong.
fn read_policy(field: &Field) -> Option<Policy> {
    let policy = field.object(&FIELDS);
    let city = policy.required("city").parsed(OPERATORS_CITY, CityId::new);
    let name = policy.get("name").text(ranges::NAME_CHARS);
    let timezone = policy.get("timezone").parsed("a time zone of the IANA database", zone_of);
    let currency = policy.required("currency").parsed("a currency's code of ISO 4217", Currency::new);
    let digits = currency.map_or(MAX_DIGITS, Currency::digits);
    let boundary = read_polygon(&policy.required("boundary"), 1);
    let resolution = policy.get("resolution").integer(&ranges::RESOLUTION);
    let clock = read_clock(&policy.get("clock").object(&CLOCK_FIELDS));
    let products = read_products(&policy.required("products"), digits);
    let surge = read_surge(&policy.get("surge").object(&SURGE_FIELDS), digits);
    let (floor, cap) = read_limits(&policy.get("limits"));
    let quote = read_quote(&policy.get("quote").object(&["ttl_ms", "ack_above", "detour", "speed_kmh"]));
    let guard = read_guard(&policy.get("guard").object(&["min_lost", "hold_ms"]));
    let max_change = read_max_change(&policy.get("max_change").object(&["multiplier", "fare_percent"]));
    let static_hours = read_static(&policy.get("static"));
    let zones = read_zones(&policy.get("zones"), digits);
    let timezone = timezone.or_else(|| zone_of("America/New_York"))?;
    let laws =
        law::read(&policy.get("laws"), &Referred { timezone: &timezone, products: &products, zones: &zones });

    Some(Policy {
        city: city?,
        name: name.unwrap_or("New York").to_owned(),
        timezone,
        currency: currency?,
        boundary: boundary?,
        resolution: resolution.and_then(|resolution| u8::try_from(resolution).ok()).unwrap_or(8),
        clock,
        products,
        surge,
        limits: Limits {
            floor: floor.unwrap_or(Multiplier::ONE),
            cap: cap.unwrap_or(Multiplier::DEFAULT_CAP),
        },
        quote,
        guard,
        max_change,
        laws,
        static_hours,
        zones,
    })
}

/// The time zone of that name in the compiled-in database: the one of the machine must not change a price.
fn zone_of(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

pub(super) fn read_polygon(field: &Field, fewest_rings: usize) -> Option<Polygon> {
    // RFC 7946 §6.1: GeoJSON may have foreign members.
    let polygon = field.open_object();
    polygon.required("type").parsed("\"Polygon\"", |name| (name == "Polygon").then_some(()));
    let expected = format_args!("an array of {fewest_rings} to {} rings", ranges::MAX_RINGS);
    let rings = polygon
        .required("coordinates")
        .items(expected, |count| (fewest_rings..=ranges::MAX_RINGS).contains(&count))?;
    Some(Polygon::new(rings.iter().filter_map(read_ring).collect()))
}

fn read_ring(field: &Field) -> Option<Ring> {
    let items = field.items("an array of positions", |_| true)?;
    let positions: Vec<_> = items.iter().filter_map(read_position).collect();
    if positions.len() < items.len() {
        return None;
    }
    let add_fault = |error| match error {
        RingError::Length | RingError::Open => field.fault(error),
        RingError::OffTheGlobe { index } | RingError::LongEdge { index } => {
            field.fault_at(&format!("/{index}"), error);
        }
    };
    Ring::new(positions).map_err(|errors| errors.into_iter().for_each(add_fault)).ok()
}

/// Longitude and latitude; further numbers, such as an altitude, are ignored.
fn read_position(field: &Field) -> Option<[f64; 2]> {
    let numbers = field.items("an array of longitude and latitude", |count| count >= 2)?;
    let lng = numbers[0].number(&(-180.0..=180.0));
    let lat = numbers[1].number(&(-90.0..=90.0));
    Some([lng?, lat?])
}

fn read_clock(clock: &Object) -> Clock {
    Clock {
        tick_ms: clock.get("tick_ms").integer(&ranges::TICK_MS).unwrap_or(5_000),
        window_ms: clock.get("window_ms").integer(&ranges::WINDOW_MS).unwrap_or(120_000),
        driver_ttl_ms: clock.get("driver_ttl_ms").integer(&ranges::DRIVER_TTL_MS).unwrap_or(60_000),
        absent_ms: clock.get("absent_ms").integer(&ranges::ABSENT_MS).unwrap_or(300_000),
        lateness_ms: clock.get("lateness_ms").integer(&ranges::LATENESS_MS).unwrap_or(5_000),
    }
}

fn read_products(field: &Field, digits: usize) -> Vec<Product> {
    let expected = format_args!("an array of 1 to {} products", ranges::MAX_PRODUCTS);
    let items = field.items(expected, |count| (1..=ranges::MAX_PRODUCTS).contains(&count));
    let mut ids = HashSet::new();
    let mut products = Vec::new();
    for item in items.unwrap_or_default() {
        let product = item.object(&["id", "name", "fare"]);
        let id = product.required("id");
        let name = product.get("name").text(ranges::NAME_CHARS).unwrap_or("Standard").to_owned();
        let fare = read_fare(&product.get("fare"), digits);
        let Some(read) = id.parsed("a product id: 1 to 64 of [A-Za-z0-9._:-]", ProductId::new) else {
            continue;
        };
        if !ids.insert(read.clone()) {
            id.fault("is given twice");
        }
        products.push(Product { id: read, name, fare });
    }
    products
}

/// The fare, with the defaults of CONTRACT §7 for absent parts. In a currency with fewer digits than the defaults, a
/// fare must give all parts, or the product has none.
fn read_fare(field: &Field, digits: usize) -> Option<Fare> {
    let fare = field.object(&FARE_FIELDS);
    let part = |key, default| {
        let default = MinorUnits::parse(default, digits).ok();
        let part = if default.is_some() { fare.get(key) } else { fare.required(key) };
        read_amount(&part, digits).or(default)
    };
    let [base, per_km, per_minute] =
        [part("base", "2.50"), part("per_km", "1.25"), part("per_minute", "0.35")];
    let [booking_fee, minimum] = [part("booking_fee", "2.00"), part("minimum", "7.00")];
    Some(Fare {
        base: base?,
        per_km: per_km?,
        per_minute: per_minute?,
        booking_fee: booking_fee?,
        minimum: minimum?,
    })
}

fn read_amount(field: &Field, digits: usize) -> Option<MinorUnits> {
    field.try_parsed("a decimal number in quotes, such as \"2.50\"", |text| MinorUnits::parse(text, digits))
}

fn read_surge(surge: &Object, digits: usize) -> Surge {
    let half_life = |key| surge.get(key).integer(&ranges::HALF_LIFE_MS);
    // One half life stands for whichever of the two is not given (CONTRACT §7).
    let both = half_life("half_life_ms");
    Surge {
        prior: surge.get("prior").positive(&PARAMETER).unwrap_or(2.0),
        ring_weights: read_weights(&surge.get("ring_weights")).unwrap_or_else(|| vec![1.0, 0.35, 0.12]),
        half_life_up_ms: half_life("half_life_up_ms").or(both).unwrap_or(60_000),
        half_life_down_ms: half_life("half_life_down_ms").or(both).unwrap_or(240_000),
        step_hundredths: read_step(&surge.get("step")).unwrap_or(10),
        form: read_form(surge, digits),
        curve: read_curve(surge),
    }
}

fn read_step(field: &Field) -> Option<u16> {
    let step = field.hundredths(&ranges::STEP_HUNDREDTHS)?;
    if 100 % step != 0 {
        field.fault("must divide 1, as 0.1 and 0.25 do");
    }
    Some(step)
}

fn read_form(surge: &Object, digits: usize) -> SurgeForm {
    let amount = read_amount(&surge.get("additive_amount"), digits);
    let form = |name: &str| match name {
        "multiplicative" => Some(SurgeForm::Multiplicative),
        "additive" => Some(SurgeForm::Additive(amount)),
        _ => None,
    };
    let form = surge.get("form").parsed("one of multiplicative, additive", form);
    form.unwrap_or(SurgeForm::Multiplicative)
}

fn read_curve(surge: &Object) -> Curve {
    let formula = |name: &str| match name {
        "equilibrium" => Some(Formula::Equilibrium),
        "linear" => Some(Formula::Linear),
        "exponential" => Some(Formula::Exponential),
        "table" => Some(Formula::Table),
        _ => None,
    };
    let curve = Curve {
        formula: surge
            .get("curve")
            .parsed("one of equilibrium, linear, exponential, table", formula)
            .unwrap_or(Formula::Equilibrium),
        balanced_ratio: surge.get("balanced_ratio").positive(&PARAMETER).unwrap_or(1.0),
        demand_elasticity: surge.get("demand_elasticity").number(&PARAMETER).unwrap_or(0.6),
        supply_elasticity: surge.get("supply_elasticity").number(&PARAMETER).unwrap_or(1.2),
        slope: surge.get("slope").number(&PARAMETER).unwrap_or(0.5),
        k: surge.get("k").number(&PARAMETER).unwrap_or(0.3),
        table: read_table(&surge.get("table")),
    };
    if curve.demand_elasticity + curve.supply_elasticity == 0.0 {
        surge.get("demand_elasticity").fault("must be above 0 where supply_elasticity is 0");
    }
    curve
}

fn read_table(field: &Field) -> Table {
    read_points(field).unwrap_or_else(|| Table::new(vec![[1.0, 1.0], [2.0, 1.5]]).expect("the ratios ascend"))
}

fn read_points(field: &Field) -> Option<Table> {
    let items = field.items("an array of points [ratio, multiplier]", |_| true)?;
    let points: Vec<_> = items.iter().filter_map(read_point).collect();
    if points.len() < items.len() {
        return None;
    }
    let add_fault = |error| match error {
        TableError::Length => field.fault(error),
        TableError::OutOfRange { index } | TableError::NotRising { index } => {
            field.fault_at(&format!("/{index}"), error);
        }
    };
    Table::new(points).map_err(|errors| errors.into_iter().for_each(add_fault)).ok()
}

fn read_point(field: &Field) -> Option<[f64; 2]> {
    let numbers = field.items("a point [ratio, multiplier]", |count| count == 2)?;
    let (ratio, multiplier) = (numbers[0].number(&PARAMETER), numbers[1].number(&PARAMETER));
    Some([ratio?, multiplier?])
}

fn read_weights(field: &Field) -> Option<Vec<f64>> {
    let expected = format_args!("an array of 1 to {} weights", ranges::MAX_RING_WEIGHTS);
    let items = field.items(expected, |count| (1..=ranges::MAX_RING_WEIGHTS).contains(&count))?;
    Some(items.into_iter().filter_map(|item| item.number(&PARAMETER)).collect())
}

/// Floor and cap.
fn read_limits(field: &Field) -> (Option<Multiplier>, Option<Multiplier>) {
    let limits = field.object(&["min_multiplier", "max_multiplier"]);
    (limits.get("min_multiplier").multiplier(), limits.get("max_multiplier").multiplier())
}

fn read_quote(quote: &Object) -> QuoteTerms {
    QuoteTerms {
        ttl_ms: quote.get("ttl_ms").integer(&ranges::QUOTE_TTL_MS).unwrap_or(120_000),
        ack_above: quote.get("ack_above").multiplier().unwrap_or(Multiplier::DEFAULT_ACK),
        detour: quote.get("detour").number(&ranges::DETOUR).unwrap_or(1.3),
        speed_kmh: quote.get("speed_kmh").number(&ranges::SPEED_KMH).unwrap_or(24.0),
    }
}

fn read_guard(guard: &Object) -> Guard {
    let min_lost = guard.get("min_lost").integer(&ranges::MIN_LOST).unwrap_or(50);
    let hold_ms = guard.get("hold_ms").integer(&ranges::HOLD_MS).unwrap_or(900_000);
    Guard { min_lost: min_lost.unsigned_abs(), hold_ms }
}

fn read_max_change(max_change: &Object) -> MaxChange {
    let multiplier = max_change.get("multiplier").hundredths(&ranges::CHANGE_HUNDREDTHS);
    let fare_percent = max_change.get("fare_percent").integer(&ranges::CHANGE_PERCENT);
    MaxChange {
        multiplier_hundredths: multiplier.unwrap_or(100),
        fare_percent: fare_percent.and_then(|percent| u16::try_from(percent).ok()).unwrap_or(25),
    }
}

fn read_static(field: &Field) -> Option<Box<[Multiplier; HOURS_OF_WEEK]>> {
    let expected = format_args!("empty or an array of {HOURS_OF_WEEK} multipliers");
    let items = field.items(expected, |count| count == 0 || count == HOURS_OF_WEEK)?;
    let hours: Box<[_]> = items.into_iter().filter_map(|item| item.multiplier()).collect();
    hours.try_into().ok()
}

fn read_zones(field: &Field, digits: usize) -> Vec<Zone> {
    let expected = format_args!("an array of at most {} zones", ranges::MAX_ZONES);
    let items = field.items(expected, |count| count <= ranges::MAX_ZONES);
    let mut ids = HashSet::new();
    let mut zones = Vec::new();
    for item in items.unwrap_or_default() {
        let zone = item.object(&["id", "name", "polygon", "limits", "fare"]);
        let id = zone.required("id");
        let name = zone.get("name").text(ranges::NAME_CHARS);
        let polygon = read_polygon(&zone.get("polygon"), 0);
        let (floor, cap) = read_limits(&zone.get("limits"));
        let fare = read_overrides(&zone.get("fare"), digits);
        let expected = "a zone id: 1 to 64 of [A-Za-z0-9._:-]";
        let read = id.parsed(expected, |id| is_entity_id(id.as_bytes()).then_some(id));
        let Some(read) = read else { continue };
        if !ids.insert(read) {
            id.fault("is given twice");
        }
        zones.push(Zone {
            id: read.to_owned(),
            name: name.unwrap_or(read).to_owned(),
            polygon: polygon.unwrap_or_else(|| Polygon::new(Vec::new())),
            floor,
            cap,
            fare,
        });
    }
    zones
}

fn read_overrides(field: &Field, digits: usize) -> FareOverrides {
    let fare = field.object(&FARE_FIELDS);
    let part = |key| read_amount(&fare.get(key), digits);
    FareOverrides {
        base: part("base"),
        per_km: part("per_km"),
        per_minute: part("per_minute"),
        booking_fee: part("booking_fee"),
        minimum: part("minimum"),
    }
}
