//! Canonical forms, and what of an event they keep.

use proptest::prelude::*;

use super::*;
use crate::event::{Event, MAX_EVENT_BYTES, read};
use crate::pseudonym::PSEUDONYM_BYTES;

fn key() -> PseudonymKey {
    PseudonymKey::new(*b"a key for a test")
}

fn pseudonym(id: &str) -> String {
    String::from_utf8(key().pseudonym(id.as_bytes()).as_bytes().to_vec()).unwrap()
}

fn products() -> Vec<ProductId> {
    ["standard", "xl", "van"].map(|id| ProductId::new(id).unwrap()).to_vec()
}

/// The bits of the products that an event names.
fn named(event: &MarketEvent<'_>) -> u64 {
    let bit = |name: &[u8]| products().iter().position(|known| known.as_str().as_bytes() == name).unwrap();
    let mut set = 0;
    if let What::Driver { products: Some(list), .. } = &event.what {
        let read: Result<(), ()> = list.try_for_each(|name| {
            set |= 1 << bit(&name);
            Ok(())
        });
        read.unwrap();
    }
    set
}

fn canonical(line: &str) -> String {
    let mut fields = Fields::default();
    let Event::Market(event) = fields.read(line.as_bytes()).expect(line) else { panic!("{line}") };
    let written = CanonicalEvent::new(&fields, &event, &key());
    assert_eq!(written.entity(), key().pseudonym(event.what.entity()).as_bytes());
    let mut out = b"before\n".to_vec();
    written.write(named(&event), &products(), &mut out);
    let text = String::from_utf8(out).unwrap().strip_prefix("before\n").unwrap().to_owned();
    assert!(text.len() <= line.len() + MAX_GROWTH_BYTES, "{line} became {text}");
    text
}

#[test]
fn an_event_has_its_fields_in_the_order_of_the_contract_and_no_others() {
    let ping = r#" { "x" : {"driver_id":"d-1"}, "products":["van","xl","van"] , "status":"en_route","lng":-73.97,
        "rider_id":"u-1","lat":40.75,"driver_id":"d-1","city":"nyc","request_id":7,"product":"xl",
        "time":"2026-03-06T17:00:00.058Z","id":"e-1","type":"driver_location","dropoff_lat":1 } "#;
    let expected = format!(
        r#"{{"type":"driver_location","id":"e-1","time":"2026-03-06T17:00:00.058Z","city":"nyc","driver_id":"{}","lat":40.75,"lng":-73.97,"status":"en_route","products":["xl","van"]}}"#,
        pseudonym("d-1")
    );
    assert_eq!(canonical(&ping.replace('\n', " ")), expected);

    let request = r#"{"dropoff_lng":-73.5,"dropoff_lat":41,"product":"xl","rider_id":"u-1","request_id":"q-1","status":"available","driver_id":"d-1","lng":-73.97,"lat":40.75,"city":"nyc","time":"2026-03-06T17:00:00Z","id":"e-1","type":"ride_requested"}"#;
    let expected = format!(
        r#"{{"type":"ride_requested","id":"e-1","time":"2026-03-06T17:00:00.000Z","city":"nyc","lat":40.75,"lng":-73.97,"request_id":"{}","rider_id":"{}","product":"xl","dropoff_lat":41,"dropoff_lng":-73.5}}"#,
        pseudonym("q-1"),
        pseudonym("u-1")
    );
    assert_eq!(canonical(request), expected);

    for kind in ["ride_matched", "ride_completed", "ride_cancelled"] {
        let expected = format!(
            r#"{{"type":"{kind}","id":"e-1","time":"2026-03-06T17:00:00.000Z","city":"nyc","request_id":"{}","rider_id":"{}"}}"#,
            pseudonym("q-1"),
            pseudonym("u-1")
        );
        assert_eq!(canonical(&request.replace("ride_requested", kind)), expected);
    }
}

/// The canonical form of `field`s written in the way `from`, in an event of `kind`, without the fields before.
fn of(kind: &str, fields: &str) -> String {
    let common = r#""id":"e","time":"2026-03-06T17:00:00Z","city":"nyc""#;
    let own = match kind {
        "driver_location" => r#""driver_id":"d","lat":1,"lng":2,"status":"available""#,
        _ => r#""request_id":"q","lat":1,"lng":2"#,
    };
    canonical(&format!("{{\"type\":\"{kind}\",{common},{own},{fields}}}"))
}

#[test]
fn an_optional_field_that_is_null_or_absent_is_left_out() {
    let bare = of("ride_requested", r#""x":1"#);
    assert!(bare.ends_with(&format!(r#""lng":2,"request_id":"{}"}}"#, pseudonym("q"))));
    let nulls = r#""rider_id":null,"product":null,"dropoff_lat":null,"dropoff_lng":null"#;
    assert_eq!(of("ride_requested", nulls), bare);
    let bare = of("driver_location", r#""x":1"#);
    assert!(bare.ends_with(r#""status":"available"}"#));
    assert_eq!(of("driver_location", r#""products":null"#), bare);
    assert!(of("driver_location", r#""products":[ ]"#).ends_with(r#""status":"available","products":[]}"#));
}

#[test]
fn of_a_key_given_twice_the_last_is_written() {
    let ping = of("driver_location", r#""driver_id":"d-2","lat":3,"l\u0061t":4,"status":"offline""#);
    let person = pseudonym("d-2");
    assert!(
        ping.contains(&format!(r#""driver_id":"{person}","lat":4,"lng":2,"status":"offline""#)),
        "{ping}"
    );
    let request = of("ride_requested", r#""rider_id":"u","rider_id":null"#);
    assert!(!request.contains("rider_id"), "{request}");
}

#[test]
fn escapes_are_resolved() {
    let escaped =
        of("driver_location", r#""driver\u005fid":"d\u002D2","products":["\u0078l"],"city":"\u006eyc""#);
    assert_eq!(escaped, of("driver_location", r#""driver_id":"d-2","products":["xl"]"#));
    let escaped = canonical(
        r#"{"type":"ride_m\u0061tched","id":"\u0065","time":"2026-03-06T17:00:00\u005a","city":"nyc","request_id":"\u0071"}"#,
    );
    assert_eq!(
        escaped,
        canonical(
            r#"{"type":"ride_matched","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","request_id":"q"}"#
        )
    );
}

#[test]
fn times_are_in_utc_to_the_millisecond() {
    for (written, expected) in [
        ("2026-03-06T17:00:00Z", "2026-03-06T17:00:00.000Z"),
        ("2026-03-06t22:30:00.0589999+05:30", "2026-03-06T17:00:00.058Z"),
        ("2016-12-31T23:59:60.25Z", "2017-01-01T00:00:00.250Z"),
        ("0000-01-01T00:00:00-00:01", "0000-01-01T00:01:00.000Z"),
        ("9999-12-31T23:59:59.999z", "9999-12-31T23:59:59.999Z"),
    ] {
        let event = of("driver_location", &format!("\"time\":\"{written}\""));
        assert!(event.contains(&format!("\"time\":\"{expected}\"")), "{written}: {event}");
    }
}

#[test]
fn numbers_have_the_fewest_digits() {
    for (written, expected) in [
        ("40", "40"),
        ("40.0", "40"),
        ("40.7500", "40.75"),
        ("4075e-2", "40.75"),
        ("0.4075E+2", "40.75"),
        ("0", "0"),
        ("0.000000", "0"),
        ("-0", "-0"),
        ("-0.0", "-0"),
        ("-0e5", "-0"),
        ("1e-400", "0"),
        ("0.0001", "0.0001"),
        ("1e-5", "0.00001"),
        ("0.00001000", "0.00001"),
        ("0.00000999", "9.99e-6"),
        ("-9.99E-6", "-9.99e-6"),
        ("1e-300", "1e-300"),
        ("40.123456789012345678", "40.123456789012344"),
        ("40.10000000000000000001", "40.1"),
        ("40.999999999999999999", "41"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("-89.9999999999999", "-89.9999999999999"),
    ] {
        let event = of("driver_location", &format!("\"lat\":{written}"));
        assert!(event.contains(&format!("\"lat\":{expected},")), "{written}: {event}");
        assert_eq!(json::number(written.as_bytes()).to_bits(), json::number(expected.as_bytes()).to_bits());
    }
}

#[test]
fn the_greatest_growth_is_that_of_ids_times_and_numbers() {
    let line = r#"{"type":"ride_requested","id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","lat":1e-5,"lng":1e-5,"request_id":"q","rider_id":"r","dropoff_lat":1e-5,"dropoff_lng":1e-5}"#;
    assert_eq!(canonical(line).len() - line.len(), MAX_GROWTH_BYTES);
}

/// One of `forms`, of which the first is the canonical one.
fn one_of(forms: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(forms)
}

/// A number between −90 and 90 in some form.
fn number() -> impl Strategy<Value = String> {
    let digits = (-89_i64..90, 0_u64..u64::MAX, 1_usize..20).prop_map(|(whole, fraction, length)| {
        let fraction = format!("{fraction:020}");
        format!("{whole}.{}", &fraction[..length])
    });
    prop_oneof![
        digits,
        (-90.0..90.0).prop_map(|value: f64| format!("{value:?}")),
        (-90.0..90.0).prop_map(|value: f64| format!("{value:e}")),
        (-9_i64..10, -320..2).prop_map(|(digit, exponent)| format!("{digit}E{exponent}")),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let id = "[A-Za-z0-9._:-]{1,64}";
    let common = (
        one_of(&["driver_location", "ride_requested", "ride_matched", "ride_completed", "ride_cancelled"]),
        id,
        one_of(&["2026-03-06T17:00:00.058Z", "2026-03-06T17:00:00z", "2026-03-06T12:00:00.1-05:30"]),
    );
    let ids = (id, id, id, one_of(&["", ",\"rider_id\":null"]));
    let numbers = (number(), number(), number(), number());
    let rest = (
        one_of(&["available", "en_route", "on_trip", "offline"]),
        one_of(&["null", "[]", "[\"xl\"]", "[\"van\",\"standard\",\"van\"]", "[ \"\\u0078l\" ]"]),
        one_of(&["null", "\"xl\"", "\"v\\u0061n\""]),
        one_of(&[",", " ,\t", ",\"x\":[{}],"]),
    );
    (common, ids, numbers, rest).prop_map(|(common, ids, numbers, rest)| {
        let (kind, id, time) = common;
        let (driver, request, rider, without_rider) = ids;
        let (lat, lng, to_lat, to_lng) = numbers;
        let (status, products, product, comma) = rest;
        let fields = [
            format!("\"dropoff_lat\":{to_lat}"),
            format!("\"type\":\"{kind}\""),
            format!("\"id\":\"{id}\""),
            format!("\"status\":\"{status}\""),
            format!("\"rider_id\":\"{rider}\"{without_rider}"),
            format!("\"lng\":{lng}"),
            format!("\"products\":{products}"),
            format!("\"time\":\"{time}\""),
            format!("\"driver_id\":\"{driver}\""),
            format!("\"lat\":{lat}"),
            format!("\"request_id\":\"{request}\""),
            format!("\"product\":{product}"),
            "\"city\":\"nyc\"".to_owned(),
            format!("\"dropoff_lng\":{to_lng}"),
        ];
        format!("{{{}}}", fields.join(comma))
    })
}

/// What an event says, but for the ids of people.
fn meaning(line: &str) -> String {
    let Event::Market(event) = read(line.as_bytes()).expect(line) else { panic!("{line}") };
    let what = match &event.what {
        What::Driver { place, status, products, .. } => {
            format!("{place:?} {status:?} {} {}", products.is_some(), named(&event))
        }
        What::Request { place, product, .. } => format!("{place:?} {product:?}"),
        What::Progress { .. } => String::new(),
    };
    format!("{:?} {:?} {what}", event.time, event.city)
}

/// The line with the ids of people masked.
fn masked(line: &str) -> String {
    let mut text = line.to_owned();
    for key in ["\"driver_id\":\"", "\"request_id\":\"", "\"rider_id\":\""] {
        if let Some(at) = text.find(key) {
            let start = at + key.len();
            text.replace_range(start..start + PSEUDONYM_BYTES, "*");
        }
    }
    text
}

proptest! {
    #[test]
    fn a_canonical_form_means_the_same_but_for_ids(line in line()) {
        prop_assume!(line.len() <= MAX_EVENT_BYTES);
        let written = canonical(&line);
        prop_assert_eq!(meaning(&written), meaning(&line));
    }

    #[test]
    fn a_canonical_form_is_its_own_but_for_ids(line in line()) {
        let once = canonical(&line);
        prop_assert_eq!(masked(&canonical(&once)), masked(&once));
    }

    #[test]
    fn a_number_reads_back_bit_for_bit_from_no_longer_text(digits in number()) {
        let mut out = Vec::new();
        write_number(digits.as_bytes(), &mut out);
        let value = json::number(digits.as_bytes());
        prop_assert_eq!(json::number(&out).to_bits(), value.to_bits());
        prop_assert!(out.len() <= digits.len() + 3);
        // One form for each value, whatever the digits were.
        let mut other = Vec::new();
        write_number(format!("{value:e}").as_bytes(), &mut other);
        prop_assert_eq!(out, other);
    }
}
