//! Tests of reading and writing overrides.

use super::*;

/// 2026-03-02T05:00:00Z.
const NOW: i64 = 1_772_427_600_000;

fn policy() -> Policy {
    let square = json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]});
    Policy::from_json(&json!({
        "city": "test", "currency": "USD", "boundary": square, "products": [{"id": "standard"}, {"id": "xl"}],
    }))
    .unwrap()
}

fn read(document: &Value) -> Result<Override, Vec<String>> {
    let request = OverrideRequest::read(&document.to_string(), &policy(), NOW);
    let creation = Creation { id: "o1", author: "ops@example.com", now_ms: NOW };
    request.map(|request| request.create(creation)).map_err(|faults| {
        faults.into_iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect()
    })
}

fn cap() -> Value {
    json!({"kind": "cap", "multiplier": 1.5, "ends_at": "2026-03-02T06:00:00+00:00", "reason": "flood"})
}

#[test]
fn an_override_without_a_start_is_in_force_from_its_creation_to_its_end() {
    let created = read(&cap()).unwrap();
    assert_eq!((created.starts_at, created.ends_at), (NOW, NOW + 3_600_000));
    for (now_ms, state) in [
        (NOW - 1, OverrideState::Scheduled),
        (NOW, OverrideState::Active),
        (NOW + 3_599_999, OverrideState::Active),
        (NOW + 3_600_000, OverrideState::Ended),
    ] {
        assert_eq!(created.state(now_ms), state);
    }
    let ended = Override { ended_at: Some(NOW + 1_000), ..created };
    assert_eq!(ended.state(NOW + 1_000), OverrideState::Ended);
}

#[test]
fn a_stored_override_reads_back() {
    let polygon =
        json!({"type": "Polygon", "coordinates": [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.0]]]});
    for (kind, multiplier) in
        [("cap", json!(1.5)), ("floor", json!(0.75)), ("freeze", json!(null)), ("kill", json!(null))]
    {
        let mut document = cap();
        document["kind"] = kind.into();
        document["multiplier"] = multiplier;
        document["polygon"] = polygon.clone();
        document["product"] = "xl".into();
        document["starts_at"] = "2026-03-02T05:30:00.250Z".into();
        let created = read(&document).unwrap();
        let created = Override { ended_at: (kind == "kill").then_some(NOW + 1), ..created };
        assert_eq!(Override::from_stored(&created.to_json().to_string()).unwrap(), created);
        assert_eq!(created.to_view(NOW + 1)["state"], if kind == "kill" { "ended" } else { "scheduled" });
        assert_eq!(created.to_json()["starts_at"], "2026-03-02T05:30:00.250Z");
    }
}

#[test]
fn every_wrong_field_is_named() {
    let with = |key: &str, value: Value| {
        let mut document = cap();
        document[key] = value;
        read(&document).unwrap_err().join("; ")
    };
    assert_eq!(with("kind", "lid".into()), "/kind: must be one of cap, floor, freeze, kill");
    assert_eq!(with("kind", "kill".into()), "/multiplier: belongs to a cap or floor alone");
    assert_eq!(with("multiplier", Value::Null), "/multiplier: is required for a cap or floor");
    assert!(with("multiplier", 1.234.into()).starts_with("/multiplier: must be a number from 0.01 to 100"));
    assert_eq!(with("product", "van".into()), "/product: must be a product of the city");
    assert_eq!(with("ends_at", "2026-03-02".into()), "/ends_at: must be a time of RFC 3339 with a zone");
    assert_eq!(
        with("ends_at", "2026-03-02T05:00:00Z".into()),
        "/ends_at: must be later than now and than starts_at"
    );
    assert_eq!(
        with("starts_at", "2026-03-02T07:00:00Z".into()),
        "/ends_at: must be later than now and than starts_at"
    );
    assert_eq!(with("ends_at", "2026-04-01T05:00:00.001Z".into()), "/ends_at: must be at most 30 days away");
    assert_eq!(with("reason", "".into()), "/reason: must be a text of 1 to 1000 characters");
    assert_eq!(with("note", 1.into()), "/note: is not a field of an override");
    assert_eq!(
        with("polygon", json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]})),
        "/polygon/coordinates/0: a ring must end with its first position"
    );
    let kill = json!({"kind": "kill", "ends_at": "2026-03-03T05:00:00.001Z", "reason": "x"});
    assert_eq!(read(&kill).unwrap_err(), ["/ends_at: must be at most 24 hours away"]);
    assert_eq!(
        read(&json!({"multiplier": 2})).unwrap_err(),
        ["/kind: is required", "/ends_at: is required", "/reason: is required"]
    );
    assert_eq!(read(&json!([])).unwrap_err(), [": must be an object"]);
}
