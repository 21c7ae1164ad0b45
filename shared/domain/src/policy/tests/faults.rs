//! The faults of a policy document: every wrong field, at its own pointer.

use super::*;

#[test]
fn a_missing_required_field_is_reported() {
    assert_eq!(pointers(&json!({})), ["/city", "/currency", "/boundary", "/products"]);
    assert_eq!(pointers(&set(minimal(), "/products/0", json!({}))), ["/products/0/id"]);
    assert_eq!(pointers(&set(minimal(), "/products/0", json!(null))), ["/products/0"]);
    assert_eq!(pointers(&set(minimal(), "/zones", json!([{}, null]))), ["/zones/0/id", "/zones/1"]);
    assert_eq!(
        pointers(&set(minimal(), "/boundary", json!({}))),
        ["/boundary/type", "/boundary/coordinates"]
    );
    assert_eq!(
        pointers(&set(sample(), "/zones/0/polygon", json!({}))),
        ["/zones/0/polygon/type", "/zones/0/polygon/coordinates"]
    );
    assert_eq!(faults(&json!({}))[0].to_string(), "/city: is required");
    for not_an_object in [json!(null), json!([]), json!("nyc"), json!(7)] {
        assert_eq!(pointers(&not_an_object), [""], "{not_an_object}");
    }
}

#[test]
fn every_text_has_a_form() {
    let text = |count| json!("x".repeat(count));
    for (pointer, good, bad) in [
        ("/city", [json!("a"), text(32)], [json!("NYC"), json!(""), text(33)]),
        ("/name", [text(1), json!("é".repeat(200))], [json!(""), text(201), json!("é".repeat(201))]),
        (
            "/timezone",
            [json!("UTC"), json!("Pacific/Fiji")],
            [json!("Mars/Base"), json!(""), json!("+02:00")],
        ),
        ("/currency", [json!("KWD"), json!("EUR")], [json!("usd"), json!("XAU"), json!("")]),
        ("/surge/curve", [json!("linear"), json!("table")], [json!("Linear"), json!("step"), json!("")]),
        (
            "/surge/curve",
            [json!("equilibrium"), json!("exponential")],
            [json!("exp"), json!(" "), json!("1")],
        ),
    ] {
        check(pointer, &good, &bad);
        check(pointer, &[], &[json!(true), json!([]), json!({}), json!(1)]);
    }
    check("/surge/form", &[json!("multiplicative"), json!("additive")], &[json!("other"), json!(1)]);
}

#[test]
fn times_and_the_resolution_are_whole_numbers_in_their_ranges() {
    for (pointer, least, most) in [
        ("/resolution", 0, 15),
        ("/clock/tick_ms", 1, 3_600_000),
        ("/clock/window_ms", 1, 86_400_000),
        ("/clock/driver_ttl_ms", 1, 86_400_000),
        ("/clock/absent_ms", 0, 86_400_000),
        ("/clock/lateness_ms", 0, 86_400_000),
        ("/guard/min_lost", 0, 1_000_000_000),
        ("/guard/hold_ms", 0, 86_400_000),
        ("/max_change/fare_percent", 0, 10_000),
        ("/quote/ttl_ms", 1, 86_400_000),
        ("/surge/half_life_up_ms", 1, 31_536_000_000_i64),
        ("/surge/half_life_down_ms", 1, 31_536_000_000_i64),
    ] {
        check(pointer, &[json!(least), json!(most)], &[json!(least - 1), json!(most + 1)]);
        check(pointer, &[], &[json!(-1), json!(1e300), json!(u64::MAX)]);
        check(pointer, &[], &NOT_NUMBERS.map(|text| text.parse().unwrap()));
    }
    check("/resolution", &[json!(8.0)], &[json!(8.5)]);
    check("/clock/tick_ms", &[json!(5000.0)], &[json!(5000.5)]);
}

/// As JSON.
const NOT_NUMBERS: [&str; 5] = ["true", "[]", "{}", "\"text\"", "\"1\""];

#[test]
fn every_other_number_has_a_range() {
    let other = NOT_NUMBERS.map(|text| text.parse().unwrap());
    for pointer in ["/surge/demand_elasticity", "/surge/supply_elasticity", "/surge/slope", "/surge/k"] {
        check(pointer, &[json!(0), json!(1), json!(1e9)], &[json!(-0.001), json!(1.000_001e9)]);
        check(pointer, &[], &other);
    }
    for pointer in ["/surge/prior", "/surge/balanced_ratio"] {
        check(pointer, &[json!(1e-300), json!(1e9)], &[json!(0), json!(-1), json!(1.000_001e9)]);
        check(pointer, &[], &other);
    }
    for pointer in [
        "/limits/min_multiplier",
        "/limits/max_multiplier",
        "/quote/ack_above",
        "/zones/0/limits/min_multiplier",
        "/zones/0/limits/max_multiplier",
    ] {
        let good = [json!(0.01), json!(1.37), json!(100), json!(100.0)];
        check(
            pointer,
            &good,
            &[json!(0), json!(0.009), json!(-1), json!(100.01), json!(1.375), json!(1e300)],
        );
        check(pointer, &[], &other);
    }
    check(
        "/surge/step",
        &[json!(0.01), json!(0.25), json!(1)],
        &[json!(0), json!(1.01), json!(0.125), json!(-0.1), json!(0.3), json!(0.99)],
    );
    check("/max_change/multiplier", &[json!(0), json!(0.25), json!(100)], &[json!(-1), json!(100.01)]);
    check("/quote/detour", &[json!(1), json!(1.35), json!(10)], &[json!(0.99), json!(11), json!("1")]);
    check("/quote/speed_kmh", &[json!(1), json!(300)], &[json!(0), json!(301)]);
    check("/surge/half_life_ms", &[], &[json!(0), json!("1")]);
}

#[test]
fn elasticities_are_not_both_zero() {
    let none = set(set(sample(), "/surge/demand_elasticity", json!(0)), "/surge/supply_elasticity", json!(0));
    assert_eq!(pointers(&none), ["/surge/demand_elasticity"]);
    check("/surge/demand_elasticity", &[json!(1.2)], &[]);
}

#[test]
fn lists_have_a_length() {
    let products = |count: usize| (0..count).map(|i| json!({"id": format!("p{i}")})).collect::<Value>();
    let zones = |count: usize| (0..count).map(|i| json!({"id": format!("z{i}")})).collect::<Value>();
    let law = |i| json!({"id": format!("l{i}"), "source": "?", "from": "2026-01-01", "rule": {"max_multiplier": 2}});
    let laws = |count: usize| (0..count).map(law).collect::<Value>();
    let hours = |count: usize| json!(vec![1.0; count]);
    let rings = |count: usize| json!(vec![square(0.0, 0.0, 1.0)["coordinates"][0].clone(); count]);
    for (pointer, good, bad) in [
        ("/products", vec![products(1), products(64)], vec![products(0), products(65)]),
        ("/zones", vec![zones(0), zones(1_024)], vec![zones(1_025)]),
        ("/static", vec![hours(0), hours(168)], vec![hours(1), hours(167), hours(169)]),
        ("/surge/ring_weights", vec![hours(1), hours(7)], vec![hours(0), hours(8)]),
        ("/boundary/coordinates", vec![rings(1), rings(1_024)], vec![rings(0), rings(1_025)]),
        ("/zones/0/polygon/coordinates", vec![rings(0), rings(1_024)], vec![rings(1_025)]),
        ("/surge/table", vec![json!([[1, 1]])], vec![json!([])]),
        ("/laws", vec![laws(0), laws(256)], vec![laws(257)]),
    ] {
        for list in good {
            let length = list.as_array().unwrap().len();
            let written = read(&set(sample(), pointer, list)).to_json();
            assert_eq!(written.pointer(pointer).unwrap().as_array().unwrap().len(), length, "{pointer}");
        }
        for list in bad.into_iter().chain([json!({}), json!("text"), json!(1)]) {
            assert_eq!(pointers(&set(sample(), pointer, list)), [pointer]);
        }
    }
}

#[test]
fn an_item_is_reported_by_its_index() {
    let mut hours = vec![json!(1.5); 168];
    hours[7] = json!(1.375);
    hours[9] = Value::Null;
    for (pointer, list, places) in [
        ("/static", json!(hours), vec!["/7", "/9"]),
        ("/surge/ring_weights", json!([1, -1, null, "x", 1e10]), vec!["/1", "/2", "/3", "/4"]),
        ("/surge/table", json!([[1, 1], [1, 2], [1, 1]]), vec!["/1", "/2"]),
        (
            "/surge/table",
            json!([[1, -1], [2], [3, 1, 1], 4, ["x", 1e10], [null, 1]]),
            vec!["/0/1", "/1", "/2", "/3", "/4/0", "/4/1", "/5/0"],
        ),
        ("/products", json!([1, {"id": "A b"}, {"id": "a"}, {"id": "a"}]), vec!["/0", "/1/id", "/3/id"]),
        (
            "/zones",
            json!([1, {"id": "a b"}, {"id": "a"}, {"id": "a"}, {"id": "x".repeat(65)}]),
            vec!["/0", "/1/id", "/3/id", "/4/id"],
        ),
    ] {
        let places: Vec<_> = places.into_iter().map(|place| format!("{pointer}{place}")).collect();
        let found = pointers(&set(minimal(), pointer, list.clone()));
        assert_eq!(found, places);
    }
}

#[test]
fn a_polygon_is_checked_to_the_last_position() {
    let boundary = |rings: Value| set(minimal(), "/boundary/coordinates", rings);
    let closed = json!([[0, 0], [1, 0, 12.5], [1, 1, null], [0, 0]]);
    assert!(Policy::from_json(&boundary(json!([closed]))).is_ok());
    for (rings, place) in [
        (json!([closed, [[0, 0], [1, 0], [1, 1], [0, 1]]]), "/1"),
        (json!([[[0, 0], [1, 0], [0, 0]]]), "/0"),
        (json!([closed, 7]), "/1"),
        (json!([closed, null]), "/1"),
        (json!([[[0, 0], [1, 0], null, [0, 0]]]), "/0/2"),
        (json!([[[0, 0], [1, 0], [1, null], [0, 0]]]), "/0/2/1"),
        (json!([[[0, 0], [1, 0], [1], [0, 0]]]), "/0/2"),
        (json!([[[0, 0], [1, 0], "x", [0, 0]]]), "/0/2"),
        (json!([[[0, 0], [1, 0], [1, "x"], [0, 0]]]), "/0/2/1"),
        (json!([[[0, 0], [181, 0], [1, 1], [0, 0]]]), "/0/1/0"),
        (json!([[[0, 0], [1, -91], [1, 1], [0, 0]]]), "/0/1/1"),
        (json!([[[100, 0], [-100, 0], [0, 1], [100, 0]]]), "/0/0"),
    ] {
        assert_eq!(pointers(&boundary(rings)), [format!("/boundary/coordinates{place}")]);
    }
    assert_eq!(pointers(&set(minimal(), "/boundary/type", json!("Point"))), ["/boundary/type"]);
    assert_eq!(pointers(&set(minimal(), "/boundary", json!(7))), ["/boundary"]);
    assert!(Policy::from_json(&set(minimal(), "/boundary/bbox", json!([0, 0, 1, 1]))).is_ok());
}

#[test]
fn an_unknown_field_is_reported_at_any_level() {
    for place in [
        "",
        "/clock",
        "/products/0",
        "/products/0/fare",
        "/surge",
        "/limits",
        "/quote",
        "/guard",
        "/max_change",
        "/zones/0",
        "/zones/0/limits",
        "/zones/0/fare",
    ] {
        let pointer = format!("{place}/surprise");
        for value in [json!(1), Value::Null] {
            assert_eq!(pointers(&set(sample(), &pointer, value)), [pointer.as_str()]);
        }
    }
    let mut odd = minimal();
    odd["a/b~c"] = json!(1);
    assert_eq!(pointers(&odd), ["/a~1b~0c"]);
}

#[test]
fn all_wrong_fields_are_reported_at_once() {
    let wrong = json!({
        "city": "New York", "name": "", "timezone": "Mars/Base", "currency": "?", "boundary": 1, "resolution": 16,
        "clock": {"tick_ms": 0, "lateness_ms": -1}, "products": [{"id": "A b", "name": 1, "fare": {"base": 1}}],
        "surge": {"curve": "x", "prior": 0, "table": [], "step": 0}, "limits": {"min_multiplier": 0},
        "quote": {"ttl_ms": 0}, "static": [1], "zones": [{"id": "", "polygon": 1, "limits": 1, "fare": 1}], "x": 1,
    });
    let mut found = pointers(&wrong);
    found.sort_unstable();
    let mut expected = [
        "/city",
        "/name",
        "/timezone",
        "/currency",
        "/boundary",
        "/resolution",
        "/clock/tick_ms",
        "/clock/lateness_ms",
        "/products/0/id",
        "/products/0/name",
        "/products/0/fare/base",
        "/surge/curve",
        "/surge/prior",
        "/surge/table",
        "/surge/step",
        "/limits/min_multiplier",
        "/quote/ttl_ms",
        "/static",
        "/zones/0/id",
        "/zones/0/polygon",
        "/zones/0/limits",
        "/zones/0/fare",
        "/x",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_fault_says_what_is_expected() {
    for (pointer, value, message) in [
        ("/clock/tick_ms", json!(0), "must be a whole number from 1 to 3600000"),
        ("/surge/k", json!(-1), "must be a number from 0 to 1000000000"),
        ("/surge/prior", json!(0), "must be a number above 0, at most 1000000000"),
        ("/limits/max_multiplier", json!(0), "must be a number from 0.01 to 100 with at most two decimals"),
        ("/name", json!(""), "must be a text of 1 to 200 characters"),
        ("/products", json!([]), "must be an array of 1 to 64 products"),
        ("/boundary/coordinates", json!([]), "must be an array of 1 to 1024 rings"),
        ("/products/0/fare/base", json!("2.505"), "must have at most 2 digits after the point"),
        ("/clock", json!(1), "must be an object"),
        ("/x", json!(1), "is not a field of a policy"),
    ] {
        let fault = Fault { pointer: pointer.to_owned(), message: message.to_owned() };
        assert_eq!(faults(&set(minimal(), pointer, value)), [fault]);
    }
}

#[test]
fn faults_of_a_city_file_begin_with_the_policys_index() {
    let pointers = |text: &str| -> Vec<_> {
        Policy::list_from_json(text).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
    };
    let wrong = json!([minimal(), set(minimal(), "/clock/tick_ms", json!(0)), 7, null]).to_string();
    assert_eq!(pointers(&wrong), ["/1/city", "/1/clock/tick_ms", "/2", "/3"]);
    assert_eq!(pointers(&json!({"city": 1}).to_string()), ["/city", "/currency", "/boundary", "/products"]);
    for invalid in ["", "{", "[1,]", "{\"city\": 1e999}", &"[".repeat(100_000)] {
        assert_eq!(pointers(invalid), [""]);
    }
    let not_json = Policy::list_from_json("{").unwrap_err()[0].to_string();
    assert!(not_json.starts_with("not JSON: ") && not_json.ends_with("line 1 column 1"), "{not_json}");
    let twice = r#"[{"city": "nyc", "clock": {"tick_ms": 1, "tick_ms": 2}}]"#;
    assert_eq!(pointers(twice), ["/0/clock/tick_ms"]);
}
