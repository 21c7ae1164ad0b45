//! Policies that are read from JSON, and written back.

mod changes;
mod faults;
mod laws;
mod schema;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::geo::polygon::{Position, Ring};
use crate::policy::curve::{Formula, Table};

/// The document of CONTRACT §7.
const SAMPLE: &str = r#"
{"city": "nyc", "name": "New York", "timezone": "America/New_York", "currency": "USD",
 "boundary": {"type": "Polygon", "coordinates": [[[-74.3,40.45],[-73.65,40.45],[-73.65,41.0],[-74.3,41.0],[-74.3,40.45]]]},
 "resolution": 8,
 "clock": {"tick_ms": 5000, "window_ms": 120000, "driver_ttl_ms": 60000, "absent_ms": 300000, "lateness_ms": 5000},
 "products": [{"id": "standard", "name": "Standard",
   "fare": {"base": "2.50", "per_km": "1.25", "per_minute": "0.35", "booking_fee": "2.00", "minimum": "7.00"}}],
 "surge": {"curve": "equilibrium", "balanced_ratio": 1.0, "prior": 2.0,
   "demand_elasticity": 0.6, "supply_elasticity": 1.2, "slope": 0.5, "k": 0.3, "table": [[1.0, 1.0], [2.0, 1.5]],
   "ring_weights": [1.0, 0.35, 0.12], "half_life_up_ms": 60000, "half_life_down_ms": 240000, "step": 0.1, "form": "multiplicative", "additive_amount": null},
 "limits": {"min_multiplier": 1.0, "max_multiplier": 5.0},
 "quote": {"ttl_ms": 120000, "ack_above": 2.0, "detour": 1.3, "speed_kmh": 24.0},
 "guard": {"min_lost": 50, "hold_ms": 900000},
 "max_change": {"multiplier": 1.0, "fare_percent": 25},
 "laws": [],
 "static": [],
 "zones": [{"id": "jfk", "name": "JFK", "polygon": {"type": "Polygon", "coordinates": []},
   "limits": {"max_multiplier": 2.5}, "fare": {}}]}
"#;

fn sample() -> Value {
    serde_json::from_str(SAMPLE).unwrap()
}

/// A policy of the required fields only.
fn minimal() -> Value {
    json!({
        "city": "nyc",
        "currency": "USD",
        "boundary": sample()["boundary"],
        "products": [{"id": "standard"}],
    })
}

/// `document` with `value` at `pointer`; absent parents become objects.
fn set(mut document: Value, pointer: &str, value: Value) -> Value {
    let mut place = &mut document;
    for key in pointer.split('/').skip(1) {
        place = match key.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[key],
        };
    }
    *place = value;
    document
}

fn read(document: &Value) -> Policy {
    Policy::from_json(document).unwrap()
}

fn faults(document: &Value) -> Vec<Fault> {
    Policy::from_json(document).unwrap_err()
}

/// The pointers of the faults.
fn pointers(document: &Value) -> Vec<String> {
    faults(document).into_iter().map(|fault| fault.pointer).collect()
}

fn square(west: f64, south: f64, side: f64) -> Value {
    let (east, north) = (west + side, south + side);
    json!({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
}

fn hundredths(hundredths: u16) -> Multiplier {
    Multiplier::new(hundredths).unwrap()
}

fn units(units: i64) -> MinorUnits {
    MinorUnits::new(units).unwrap()
}

/// Asserts that every `good` value at `pointer` is read, and that every `bad` one is the only fault of the document.
fn check(pointer: &str, good: &[Value], bad: &[Value]) {
    for value in good {
        let policy = read(&set(sample(), pointer, value.clone()));
        let written = policy.to_json().pointer(pointer).cloned().unwrap();
        match value.as_f64() {
            Some(number) => assert_eq!(written.as_f64(), Some(number), "{pointer}"),
            None => assert_eq!(written, *value, "{pointer}"),
        }
    }
    for value in bad {
        assert_eq!(pointers(&set(sample(), pointer, value.clone())), [pointer], "{value}");
    }
}

#[test]
fn the_sample_of_the_contract_is_read_exactly() {
    let policy = read(&sample());
    assert_eq!(policy.city.as_str(), "nyc");
    assert_eq!(policy.name, "New York");
    assert_eq!(policy.timezone.iana_name(), Some("America/New_York"));
    assert_eq!(policy.currency.code(), "USD");
    assert!(policy.boundary.contains(-74.0, 40.7));
    assert_eq!(policy.resolution, 8);
    assert_eq!(
        policy.clock,
        Clock {
            tick_ms: 5_000,
            window_ms: 120_000,
            driver_ttl_ms: 60_000,
            absent_ms: 300_000,
            lateness_ms: 5_000
        }
    );
    let fare = Fare {
        base: units(250),
        per_km: units(125),
        per_minute: units(35),
        booking_fee: units(200),
        minimum: units(700),
    };
    assert_eq!(policy.products.len(), 1);
    assert_eq!(policy.products[0].id.as_str(), "standard");
    assert_eq!(policy.products[0].name, "Standard");
    assert_eq!(policy.products[0].fare, Some(fare));
    let surge = &policy.surge;
    assert_eq!(surge.curve.formula, Formula::Equilibrium);
    assert_eq!(surge.curve.table, Table::new(vec![[1.0, 1.0], [2.0, 1.5]]).unwrap());
    let curve = &surge.curve;
    assert_eq!(
        json!([curve.balanced_ratio, surge.prior, curve.demand_elasticity, curve.supply_elasticity]),
        json!([1.0, 2.0, 0.6, 1.2])
    );
    assert_eq!(json!([curve.slope, curve.k]), json!([0.5, 0.3]));
    assert_eq!(surge.ring_weights, [1.0, 0.35, 0.12]);
    assert_eq!((surge.half_life_up_ms, surge.half_life_down_ms), (60_000, 240_000));
    assert_eq!((surge.step_hundredths, surge.form), (10, SurgeForm::Multiplicative));
    assert_eq!(policy.limits, Limits { floor: Multiplier::ONE, cap: hundredths(500) });
    let ack_above = hundredths(200);
    assert_eq!(policy.quote, QuoteTerms { ttl_ms: 120_000, ack_above, detour: 1.3, speed_kmh: 24.0 });
    assert_eq!(policy.guard, Guard { min_lost: 50, hold_ms: 900_000 });
    assert_eq!(policy.max_change, MaxChange { multiplier_hundredths: 100, fare_percent: 25 });
    assert_eq!(policy.static_hours, None);
    assert_eq!(policy.zones.len(), 1);
    assert_eq!((policy.zones[0].id.as_str(), policy.zones[0].name.as_str()), ("jfk", "JFK"));
    assert_eq!((policy.zones[0].floor, policy.zones[0].cap), (None, Some(hundredths(250))));
    assert_eq!(policy.zones[0].fare, FareOverrides::default());
    assert!(!policy.zones[0].polygon.contains(-73.8, 40.6));
}

#[test]
fn an_absent_field_has_the_default_of_the_contract() {
    let shown = set(sample(), "/zones", json!([]));
    assert_eq!(read(&minimal()), read(&shown));
    for object in ["/clock", "/surge", "/limits", "/quote", "/guard", "/max_change", "/products/0/fare"] {
        assert_eq!(read(&set(sample(), object, json!({}))), read(&sample()), "{object}");
    }
}

#[test]
fn null_is_absent() {
    for field in [
        "name",
        "timezone",
        "resolution",
        "clock",
        "surge",
        "limits",
        "quote",
        "guard",
        "max_change",
        "laws",
        "static",
        "zones",
    ] {
        let pointer = format!("/{field}");
        assert_eq!(read(&set(minimal(), &pointer, Value::Null)), read(&minimal()), "{field}");
    }
    assert_eq!(pointers(&set(minimal(), "/city", Value::Null)), ["/city"]);
}

#[test]
fn one_half_life_stands_for_each_that_is_not_given() {
    for (given, up, down) in [
        (json!({"half_life_ms": 7}), 7, 7),
        (json!({"half_life_ms": 7, "half_life_up_ms": 5}), 5, 7),
        (json!({"half_life_ms": 7, "half_life_down_ms": 5}), 7, 5),
        (json!({"half_life_down_ms": 5}), 60_000, 5),
    ] {
        let surge = read(&set(minimal(), "/surge", given)).surge;
        assert_eq!((surge.half_life_up_ms, surge.half_life_down_ms), (up, down));
    }
}

#[test]
fn surge_may_be_an_amount_of_its_own() {
    let additive = set(minimal(), "/surge/form", json!("additive"));
    assert_eq!(read(&additive).surge.form, SurgeForm::Additive(None));
    let amount = set(additive, "/surge/additive_amount", json!("3.50"));
    assert_eq!(read(&amount).surge.form, SurgeForm::Additive(Some(units(350))));
    assert_eq!(pointers(&set(amount, "/surge/additive_amount", json!("3.505"))), ["/surge/additive_amount"]);
}

#[test]
fn equal_policies_have_equal_fingerprints() {
    assert_eq!(read(&minimal()).fingerprint(), read(&read(&minimal()).to_json()).fingerprint());
    let other = set(minimal(), "/static", json!(vec![1.5; 168]));
    assert_ne!(read(&other).fingerprint(), read(&minimal()).fingerprint());
}

#[test]
fn money_is_read_in_the_citys_currency() {
    let kuwait = set(minimal(), "/currency", json!("KWD"));
    assert_eq!(read(&kuwait).products[0].fare.unwrap().base, units(2_500));
    let fare = read(&set(kuwait, "/products/0/fare/per_km", json!("1.005"))).products[0].fare.unwrap();
    assert_eq!((fare.per_km, fare.minimum), (units(1_005), units(7_000)));

    for part in ["base", "per_km", "per_minute", "booking_fee", "minimum"] {
        for place in ["/products/0/fare", "/zones/0/fare"] {
            let pointer = format!("{place}/{part}");
            check(
                &pointer,
                &[json!("0.00"), json!("12.35")],
                &[json!("1.005"), json!("-1"), json!(2.5), json!("")],
            );
        }
    }
    let expected = set(set(minimal(), "/currency", json!("?")), "/products/0/fare/base", json!("x"));
    assert_eq!(pointers(&expected), ["/currency", "/products/0/fare/base"]);
    let finest = set(set(minimal(), "/currency", json!("?")), "/products/0/fare/base", json!("1.0005"));
    assert_eq!(pointers(&finest), ["/currency"]);
}

#[test]
fn a_currency_without_two_digits_needs_a_complete_fare() {
    let tokyo = set(minimal(), "/currency", json!("JPY"));
    assert_eq!(read(&tokyo).products[0].fare, None);
    let fare =
        json!({"base": "500", "per_km": "400", "per_minute": "50", "booking_fee": "100", "minimum": "700"});
    let whole = read(&set(tokyo.clone(), "/products/0/fare", fare));
    assert_eq!(whole.products[0].fare.unwrap().minimum, units(700));
    assert_eq!(read(&whole.to_json()), whole);
    assert_eq!(
        pointers(&set(tokyo, "/products/0/fare", json!({"base": "500", "per_km": "4.5"}))),
        ["per_km", "per_minute", "booking_fee", "minimum"].map(|part| format!("/products/0/fare/{part}"))
    );
}

#[test]
fn a_city_file_holds_one_policy_or_several() {
    assert_eq!(Policy::list_from_json(SAMPLE), Ok(vec![read(&sample())]));
    let suva = set(minimal(), "/city", json!("suva"));
    let both = json!([sample(), suva]).to_string();
    assert_eq!(Policy::list_from_json(&both), Ok(vec![read(&sample()), read(&suva)]));
    assert_eq!(Policy::list_from_json("[]"), Ok(Vec::new()));
}

#[test]
fn an_open_city_has_the_defaults_and_the_whole_world() {
    let policy = Policy::open_city(&CityId::new("quito").unwrap());
    assert_eq!(policy.city.as_str(), "quito");
    assert_eq!(policy.name, "quito");
    assert_eq!(policy.timezone.iana_name(), Some("UTC"));
    assert!(policy.boundary.contains(-78.5, -0.2) && policy.boundary.contains(178.4, -18.1));
    assert_eq!(policy.products.len(), 1);
    assert_eq!(policy.products[0].id.as_str(), "standard");
    let defaults = read(&minimal());
    assert_eq!(
        (policy.clock, policy.surge, policy.limits),
        (defaults.clock, defaults.surge, defaults.limits)
    );
    assert_eq!(policy.resolution, 8);
}

#[test]
fn the_sample_is_written_exactly_as_in_the_contract() {
    assert_eq!(read(&sample()).to_json(), sample());
}

#[test]
fn rings_are_written_as_they_were_read() {
    let corners: [Position; 4] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]];
    let boundary = json!({"type": "Polygon", "coordinates": [corners]});
    let policy = read(&set(minimal(), "/boundary", boundary.clone()));
    assert_eq!(policy.boundary.rings(), [Ring::new(corners.to_vec()).unwrap()]);
    assert_eq!(policy.to_json()["boundary"], boundary);
}

prop_compose! {
    fn any_multiplier()(hundredths in 1_u16..=10_000) -> f64 { f64::from(hundredths) / 100.0 }
}

prop_compose! {
    fn any_document()(
        city in "[a-z0-9-]{1,32}", name in "\\PC{1,200}", currency in prop::sample::select(vec!["USD", "KWD", "JPY", "CLF"]),
        timezone in prop::sample::select(vec!["UTC", "Asia/Kathmandu", "America/Santiago"]),
        resolution in 0..=15, tick in 1..=3_600_000, day in 1..=86_400_000, half_life in 1..=31_536_000_000_i64,
        numbers in prop::collection::vec(1e-6..1e9, 6),
    )(
        minimum in any_multiplier(), maximum in any_multiplier(), hours in prop::collection::vec(any_multiplier(), 168),
        weights in prop::collection::vec(0.0..1e9, 1..=7), step in prop::sample::select(vec![1_u16, 2, 4, 5, 10, 20, 25, 50, 100]), cap in prop::option::of(any_multiplier()),
        curve in prop::sample::select(vec!["equilibrium", "linear", "exponential", "table"]),
        amount in prop::option::of(0..1_000_000_u32), (west, south) in (-180.0..170.0, -90.0..80.0), side in 0.1..10.0,
        fields in Just(json!({
            "city": city, "name": name, "currency": currency, "timezone": timezone, "resolution": resolution,
            "clock": {"tick_ms": tick, "window_ms": day, "driver_ttl_ms": day, "absent_ms": day - 1, "lateness_ms": day - 1},
        })),
        half_life in Just(half_life), numbers in Just(numbers),
    ) -> Value {
        let mut document = fields;
        document["boundary"] = square(west, south, side);
        document["products"] = json!([{"id": "a"}, {"id": "b", "name": "B"}]);
        document["limits"] = json!({"min_multiplier": minimum, "max_multiplier": maximum});
        document["quote"] = json!({"ack_above": maximum});
        document["static"] = json!(hours);
        document["surge"] = json!({
            "curve": curve, "balanced_ratio": numbers[0], "prior": numbers[1], "demand_elasticity": numbers[2],
            "supply_elasticity": numbers[3], "slope": numbers[4], "k": numbers[5], "ring_weights": weights,
            "half_life_ms": half_life, "half_life_down_ms": 7, "step": f64::from(step) / 100.0,
            "form": if step > 10 { "additive" } else { "multiplicative" },
            "additive_amount": amount.map(|amount| amount.to_string()),
        });
        document["zones"] = json!([{
            "id": "z", "polygon": square(south, 0.0, side), "limits": {"max_multiplier": cap},
            "fare": {"base": amount.map(|amount| amount.to_string())},
        }]);
        document
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_written_policy_reads_back(document in any_document()) {
        let policy = read(&document);
        let written = policy.to_json();
        prop_assert_eq!(read(&written), policy);
        prop_assert_eq!(read(&written).to_json().to_string(), written.to_string());
        // Every given field is written.
        for pointer in ["/city", "/name", "/timezone", "/currency", "/clock", "/limits", "/static", "/boundary", "/surge/curve", "/surge/step", "/surge/k", "/surge/slope"] {
            prop_assert_eq!(written.pointer(pointer), document.pointer(pointer));
        }
    }

    #[test]
    fn every_multiplier_of_two_decimals_is_read_exactly(hundredths in 1_u16..=10_000) {
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let document = set(minimal(), "/limits/max_multiplier", serde_json::from_str(&text).unwrap());
        prop_assert_eq!(read(&document).limits.cap.hundredths(), hundredths);
        let finer = set(minimal(), "/limits/max_multiplier", serde_json::from_str(&format!("{text}5")).unwrap());
        prop_assert_eq!(pointers(&finer), ["/limits/max_multiplier"]);
    }
}
