//! Which lines are events, and with which code the others are refused.

use super::*;

fn parsed(line: &str) -> MarketEvent<'_> {
    match read(line.as_bytes()).unwrap() {
        Event::Market(event) => event,
        Event::Unknown => panic!("unknown type: {line}"),
    }
}

fn refusal(line: &str) -> (&'static str, String) {
    let refusal = read(line.as_bytes()).expect_err(line);
    (refusal.code(), refusal.to_string())
}

const DRIVER: &str = r#"{"type":"driver_location","id":"e1","time":"2026-03-06T17:00:00.058Z","city":"nyc","driver_id":"d1","lat":40.75,"lng":-73.97,"status":"available"}"#;
const REQUEST: &str = r#"{"type":"ride_requested","id":"e1","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"q1","lat":90,"lng":-180.0}"#;

/// `line` with `field` set to the JSON `value`, or without it.
fn with(line: &str, field: &str, value: Option<&str>) -> String {
    let mut event: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    match value {
        Some(_) => event.insert(field.into(), "@".into()),
        None => event.remove(field),
    };
    serde_json::to_string(&event).unwrap().replace("\"@\"", value.unwrap_or_default())
}

#[test]
fn a_driver_ping_is_read() {
    let event = parsed(DRIVER);
    assert_eq!(event.time.to_string(), "2026-03-06T17:00:00.058Z");
    assert_eq!(&*event.city, b"nyc");
    assert_eq!(event.what.entity(), b"d1");
    let What::Driver { place, status, products, .. } = event.what else { panic!() };
    assert_eq!(place, Position { lat: 40.75, lng: -73.97 });
    assert_eq!(status, DriverStatus::Available);
    assert_eq!(products, None);
}

#[test]
fn a_driver_is_available_busy_or_offline() {
    for (text, expected) in [
        ("available", DriverStatus::Available),
        ("en_route", DriverStatus::Busy),
        ("on_trip", DriverStatus::Busy),
        ("offline", DriverStatus::Offline),
    ] {
        let line = with(DRIVER, "status", Some(&format!("\"{text}\"")));
        let What::Driver { status, .. } = parsed(&line).what else { panic!() };
        assert_eq!(status, expected, "{text}");
    }
}

#[test]
fn a_driver_serves_the_products_listed() {
    let line = with(DRIVER, "products", Some(r#"["xl","a\u0062"]"#));
    let What::Driver { products: Some(products), .. } = parsed(&line).what else { panic!() };
    let first = |most: usize| {
        let mut seen = Vec::new();
        let read = products.try_for_each(|product| {
            seen.push(product.into_owned());
            if seen.len() < most { Ok(()) } else { Err("enough") }
        });
        (seen, read)
    };
    assert_eq!(first(3), (vec![b"xl".to_vec(), b"ab".to_vec()], Ok(())));
    assert_eq!(first(1), (vec![b"xl".to_vec()], Err("enough")));
}

#[test]
fn the_entity_of_a_request_is_its_rider_or_itself_without_one() {
    assert_eq!(parsed(REQUEST).what.entity(), b"q1");
    assert_eq!(parsed(&with(REQUEST, "rider_id", Some("\"u1\""))).what.entity(), b"u1");
    for kind in ["\"ride_matched\"", "\"ride_completed\"", "\"ride_cancelled\""] {
        let line = with(&with(REQUEST, "type", Some(kind)), "lat", None);
        assert_eq!(parsed(&line).what, What::Progress { rider: Cow::Borrowed(b"q1") });
        let line = with(&line, "rider_id", Some("\"u1\""));
        assert_eq!(parsed(&line).what.entity(), b"u1");
    }
    let What::Request { product, place, .. } = parsed(REQUEST).what else { panic!() };
    assert_eq!((product, place), (None, Position { lat: 90.0, lng: -180.0 }));
    let line = with(REQUEST, "product", Some("\"xl\""));
    let What::Request { product, .. } = parsed(&line).what else { panic!() };
    assert_eq!(product.as_deref(), Some(&b"xl"[..]));
}

#[test]
fn an_unknown_type_is_accepted_whatever_its_other_fields() {
    assert_eq!(read(br#"{"type":"weather","time":3}"#), Ok(Event::Unknown));
    assert_eq!(read(br#"{"type":""}"#), Ok(Event::Unknown));
    assert_eq!(read(br#"{"type":"\ud800"}"#), Ok(Event::Unknown));
}

#[test]
fn an_optional_null_is_absent() {
    for field in ["rider_id", "product", "dropoff_lat", "dropoff_lng", "products", "status"] {
        assert!(read(with(REQUEST, field, Some("null")).as_bytes()).is_ok(), "{field}");
    }
    let line = with(DRIVER, "products", Some("null"));
    let What::Driver { products, .. } = parsed(&line).what else { panic!() };
    assert_eq!(products, None);
}

#[test]
fn the_last_value_of_a_repeated_key_counts() {
    let line = DRIVER.replace("\"lat\":", "\"l\\u0061t\":\"x\",\"lat\":");
    assert!(read(line.as_bytes()).is_ok());
    let line = DRIVER.replace("\"lng\":", "\"l\\u0061t\":\"x\",\"lng\":");
    assert_eq!(refusal(&line).0, "bad_field");
}

#[test]
fn a_missing_required_field_is_named() {
    for (line, fields) in [
        (DRIVER, &["type", "id", "time", "city", "driver_id", "lat", "lng", "status"][..]),
        (REQUEST, &["type", "id", "time", "city", "request_id", "lat", "lng"]),
    ] {
        for field in fields {
            let (code, message) = refusal(&with(line, field, None));
            assert_eq!((code, message), ("missing_field", format!("`{field}` is missing")));
        }
    }
    assert_eq!(refusal("{}").1, "`type` is missing");
    let matched = with(&with(REQUEST, "type", Some("\"ride_matched\"")), "request_id", None);
    assert_eq!(refusal(&matched).1, "`request_id` is missing");
}

#[test]
fn a_field_of_the_wrong_type_or_range_is_named() {
    let long = format!("\"{}\"", "x".repeat(65));
    let cases: &[(&str, &str, &[&str])] = &[
        (DRIVER, "type", &["null", "3", "[]"]),
        (DRIVER, "id", &["null", "3", "\"\"", "\"a b\"", &long]),
        (DRIVER, "time", &["null", "3", "\"yesterday\""]),
        (DRIVER, "city", &["null", "\"NYC\"", "\"\"", "{}"]),
        (DRIVER, "driver_id", &["null", "true", "\"é\""]),
        (DRIVER, "lat", &["null", "\"40\"", "90.0001", "-90.0001", "1e400", "[]"]),
        (DRIVER, "lng", &["null", "\"40\"", "180.0001", "-180.0001"]),
        (DRIVER, "status", &["null", "\"idle\"", "1"]),
        (DRIVER, "products", &["\"xl\"", "[1]", "[\"xl\",null]", "{}"]),
        (REQUEST, "request_id", &["null", "7", "\"/\""]),
        (REQUEST, "rider_id", &["7", "\"\""]),
        (REQUEST, "product", &["7", "[]"]),
        (REQUEST, "dropoff_lat", &["91", "\"1\""]),
        (REQUEST, "dropoff_lng", &["181", "{}"]),
    ];
    for (line, field, values) in cases {
        for value in *values {
            let (code, message) = refusal(&with(line, field, Some(value)));
            assert_eq!(code, "bad_field", "{field} {value}");
            assert!(message.starts_with(&format!("`{field}` is not ")), "{message}");
        }
    }
    assert!(refusal(&with(DRIVER, "lat", Some("91"))).1.ends_with("from -90 to 90"));
    assert!(refusal(&with(DRIVER, "lng", Some("181"))).1.ends_with("from -180 to 180"));
}

#[test]
fn half_a_surrogate_pair_is_refused_as_a_product() {
    let request = REQUEST.replace("\"lat\"", "\"product\":\"\\ud800\",\"lat\"");
    assert_eq!(refusal(&request).0, "bad_field");
    let driver = DRIVER.replace("\"lat\"", "\"products\":[\"\\ud800\"],\"lat\"");
    assert_eq!(refusal(&driver).0, "bad_field");
}

#[test]
fn ranges_of_degrees_include_both_ends() {
    for (lat, lng) in [("90", "180"), ("-90", "-180"), ("9e1", "1.8E2"), ("-0.0", "0")] {
        assert!(read(with(&with(DRIVER, "lat", Some(lat)), "lng", Some(lng)).as_bytes()).is_ok());
    }
}

#[test]
fn a_missing_field_is_reported_before_a_bad_one() {
    let line = with(&with(DRIVER, "id", Some("5")), "status", None);
    assert_eq!(refusal(&line), ("missing_field", "`status` is missing".into()));
    let line = with(&with(DRIVER, "type", Some("5")), "city", None);
    assert_eq!(refusal(&line), ("missing_field", "`city` is missing".into()));
}

#[test]
fn a_line_that_is_not_an_object_is_malformed() {
    for line in
        ["[]", "3", "null", "\"x\"", "{", "{\"type\":\"weather\"", "{\"type\":\"weather\"}}", "\u{feff}{}"]
    {
        assert_eq!(refusal(line).0, "malformed_json", "{line}");
    }
    assert_eq!(read(b"{\"a\":\"\xff\"}"), Err(Refusal::MalformedJson { at: 6 }));
}

#[test]
fn a_line_of_4096_bytes_is_accepted_and_a_longer_one_is_not() {
    let padded = |length: usize| {
        let base = DRIVER.len() + ",\"pad\":\"\"".len();
        DRIVER.replace("\"type\"", &format!("\"pad\":\"{}\",\"type\"", "x".repeat(length - base)))
    };
    assert_eq!(padded(4096).len(), 4096);
    assert!(read(padded(4096).as_bytes()).is_ok());
    assert_eq!(refusal(&padded(4097)).0, "too_large");
}
