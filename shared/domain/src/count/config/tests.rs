//! A counting config follows its city's policy, and reads back as it was written.

use serde_json::json;

use super::*;
use crate::event::{self, Event};

fn names(products: &[&str]) -> Vec<ProductId> {
    products.iter().map(|product| ProductId::new(product).unwrap()).collect()
}

fn config() -> CountingConfig {
    CountingConfig {
        resolution: Resolution::Nine,
        tick_ms: 4_000,
        window_ms: 86_400_000,
        driver_ttl_ms: 61_000,
        absent_ms: 90_000,
        lateness_ms: 0,
        products: names(&["standard", "xl"]),
        max_entities: 7,
        boundary: None,
    }
}

#[test]
fn a_policy_defines_the_config() {
    let policy = json!({
        "city": "nyc",
        "currency": "USD",
        "boundary": {"type": "Polygon", "coordinates": [[[-75, 40], [-73, 40], [-73, 42], [-75, 42], [-75, 40]]]},
        "resolution": 9,
        "clock": {"tick_ms": 4_000, "window_ms": 86_400_000, "driver_ttl_ms": 61_000, "absent_ms": 90_000, "lateness_ms": 0},
        "products": [{"id": "standard"}, {"id": "xl"}],
    });
    let of_policy = CountingConfig::of(&Policy::from_json(&policy).unwrap(), 7);
    assert!(of_policy.replays_like(&config()));
    assert_ne!(of_policy, config());
    for (lng, is_outside) in [(-74.0, false), (-75.1, true)] {
        let place = Position { lat: 41.0, lng };
        assert_eq!(of_policy.is_outside(place), is_outside, "{lng}");
        assert!(!config().is_outside(place));
    }
    assert!(!of_policy.replays_like(&CountingConfig { absent_ms: 0, ..config() }));
}

#[test]
fn a_config_reads_back() {
    let mut bytes = Vec::new();
    config().write(&mut bytes);
    let mut input = Reader::new(&bytes);
    assert_eq!(CountingConfig::read(&mut input), Ok(config()));
    assert!(input.is_done());
    for cut in 0..bytes.len() {
        assert!(CountingConfig::read(&mut Reader::new(&bytes[..cut])).is_err());
    }
}

#[test]
fn a_config_that_no_policy_defines_is_refused() {
    let read = |parts: [u64; 7], products: &[&str]| {
        let mut bytes = Vec::new();
        for part in parts {
            put_varint_u64(&mut bytes, part);
        }
        write_products(&mut bytes, &names(products));
        match CountingConfig::read(&mut Reader::new(&bytes)) {
            Ok(_) => "",
            Err(Corrupt::Invalid { what, .. }) => what,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(read([15, 1, 0, 0, 0, 0, 0], &["a"]), "");
    assert_eq!(read([16, 1, 0, 0, 0, 0, 0], &["a"]), "a resolution");
    assert_eq!(read([256, 1, 0, 0, 0, 0, 0], &["a"]), "a resolution");
    assert_eq!(read([8, 86_400_000, 0, 0, 0, 86_400_000, 0], &["a"]), "");
    assert_eq!(read([8, 1, 86_400_001, 0, 0, 0, 0], &["a"]), "a duration");
    assert_eq!(read([8, 1, 0, 0, 86_400_001, 0, 0], &["a"]), "a duration");
    assert_eq!(read([8, 1, 0, 0, 0, 0, 1 << 32], &["a"]), "a limit of entities");
    assert_eq!(read([8, 0, 0, 0, 0, 0, 0], &["a"]), "a config without ticks or products");
    assert_eq!(read([8, 1, 0, 0, 0, 0, 0], &[]), "a config without ticks or products");
}

#[test]
fn a_product_has_the_index_that_the_policy_gives_it() {
    assert_eq!(config().product(b"standard"), Ok(0));
    assert_eq!(config().product(b"xl"), Ok(1));
    let unknown = |product: &str| Err(Refusal::UnknownProduct { product: product.into() });
    assert_eq!(config().product(b"x"), unknown("x"));
    assert_eq!(config().product(&[b'x', 0xff]), unknown("x\u{fffd}"));
}

#[test]
fn an_event_may_name_only_the_products_of_its_city() {
    let named = |line: &str| {
        let line =
            format!(r#"{{"id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","lat":1,"lng":2,{line}}}"#);
        let Event::Market(event) = event::read(line.as_bytes()).unwrap() else { panic!("{line}") };
        config().products_of(&event.what)
    };
    let driver = |products: &str| {
        named(&format!(r#""type":"driver_location","driver_id":"d","status":"available"{products}"#))
    };
    let request = |product: &str| named(&format!(r#""type":"ride_requested","request_id":"q"{product}"#));
    assert_eq!((driver(""), driver(r#","products":[]"#)), (Ok(0), Ok(0)));
    assert_eq!(driver(r#","products":["xl"]"#), Ok(0b10));
    assert_eq!(driver(r#","products":["xl","standard","xl"]"#), Ok(0b11));
    let unknown = |product: &str| Err(Refusal::UnknownProduct { product: product.into() });
    assert_eq!(driver(r#","products":["xl","boat","ship"]"#), unknown("boat"));
    assert_eq!(driver(r#","products":["boat","xl"]"#), unknown("boat"));
    assert_eq!(request(""), Ok(0));
    assert_eq!(request(r#","product":"xl""#), Ok(0b10));
    assert_eq!(request(r#","product":"boat""#), unknown("boat"));
    assert_eq!(named(r#""type":"ride_matched","request_id":"q","product":"boat""#), Ok(0));
}
