//! The schema of a policy, and that it agrees with the reader.

use jsonschema::Validator;

use super::*;
use crate::policy::schema;

/// A policy with every field of the contract.
fn full() -> Value {
    let fare = json!({"base": "2.50", "per_km": "1.25", "per_minute": "0.35", "booking_fee": "2.00", "minimum": "7.00"});
    let law = |id: &str, rule: &Value| {
        json!({
            "id": id, "source": "a law", "from": "2026-01-31", "until": "2027-01-31T10:00:00Z", "zone": "jfk",
            "product": "standard", "rule": rule,
        })
    };
    let mut document = sample();
    document["laws"] = json!([
        law("a", &json!({"max_multiplier": 2.5})),
        law("b", &json!({"range": [0.5, 2.0]})),
        law(
            "c",
            &json!({"max_over_baseline_percent": 10, "baseline_from": "2025-01-31", "baseline_until": "2025-02-28"})
        ),
        law("d", &json!({"max_of_prior_days": {"days": 60, "leaving_out": 3}})),
    ]);
    document["static"] = json!(vec![1.25; 168]);
    document["zones"][0]["polygon"] = square(-74.0, 40.5, 0.1);
    document["zones"][0]["fare"] = fare;
    document["zones"][0]["limits"]["min_multiplier"] = json!(1.1);
    document["surge"]["additive_amount"] = json!("3.00");
    document["surge"]["half_life_ms"] = json!(60_000);
    document
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema::policy()).unwrap()
}

/// Values in place of one, and of members and items of it, of which some are valid.
fn values() -> Vec<Value> {
    let texts = [
        "",
        "x",
        "nyc",
        "NYC",
        "UTC",
        "USD",
        "usd",
        "linear",
        "Polygon",
        "additive",
        "2.50",
        "-1",
        "1.",
        ".5",
        ".",
        "1e3",
        "2026-01-31",
        "2026-1-31",
        "2026-01-31T10:00:00Z",
        "2026-01-31T10:00:00",
        "a b",
        "é",
    ];
    let numbers = [
        "0", "-1", "1", "2", "0.01", "0.1", "0.25", "0.125", "0.3", "1.07", "4.35", "8.5", "8.0", "15", "16",
        "59", "60", "100", "100.01", "168", "400", "401", "1e9", "1e10", "86400000", "86400001", "1e300",
        "-0.0",
    ];
    let numbers = numbers.into_iter().map(|text| serde_json::from_str(text).unwrap());
    let other = [
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!([1, 2]),
        json!([[1, 1], [2, 2]]),
        json!({"x": 1}),
    ];
    texts.into_iter().map(|text| json!(text)).chain(numbers).chain(other).collect()
}

/// The pointers of all values of a document. Of items that are numbers or lists of numbers, the first three and the last.
fn all_pointers(document: &Value, at: String, pointers: &mut Vec<String>) {
    match document {
        Value::Object(members) => {
            for (key, value) in members {
                all_pointers(value, format!("{at}/{key}"), pointers);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let is_listed = index < 3 || index + 1 == items.len() || value.is_object();
                if is_listed {
                    all_pointers(value, format!("{at}/{index}"), pointers);
                }
            }
        }
        _ => {}
    }
    pointers.push(at);
}

/// Whether a schema cannot express this fault: it relates fields, or follows from a list of names or a ring's course.
fn is_beyond_a_schema(fault: &Fault) -> bool {
    let message = fault.message.as_str();
    let beyond = [
        "is given twice",
        "must be above 0 where",
        "must be later than",
        "must have the lowest multiplier first",
        "must be less than days",
        "must be the id of a zone of this policy",
        "must be the id of a product of this policy",
        "must be a time zone",
        "must be a currency's code",
        "must have at most",
        "must be at most 1000000000000 of",
        "a ring must end with",
        "the edge from here",
        "the ratio must be above that of",
    ];
    // A text in the form of a time is one only if it is on the calendar.
    let is_time = message.starts_with("must be a date such as");
    is_time || beyond.iter().any(|beyond| message.starts_with(beyond))
}

/// Asserts that the schema takes what the reader takes, and refuses the rest but for what a schema cannot express.
fn assert_agreement(validator: &Validator, document: &Value, change: &str) {
    let is_valid = validator.is_valid(document);
    match Policy::from_json(document) {
        Ok(_) => assert!(
            is_valid,
            "the schema refuses {change}: {:?}",
            validator.iter_errors(document).map(|e| e.to_string()).collect::<Vec<_>>()
        ),
        Err(faults) => assert!(
            !is_valid || faults.iter().all(is_beyond_a_schema),
            "the schema takes {change}, the reader does not: {faults:?}"
        ),
    }
}

#[test]
fn the_schema_is_one_of_2020_12_and_takes_the_sample_and_the_least_policy() {
    let schema = schema::policy();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = validator();
    for document in [sample(), minimal(), full(), read(&sample()).to_json()] {
        assert!(validator.is_valid(&document));
    }
}

#[test]
fn every_default_is_the_readers() {
    let schema = schema::policy();
    for (place, value) in [
        ("/properties/clock/properties/tick_ms", json!(5_000)),
        ("/properties/limits/properties/max_multiplier", json!(5.0)),
        ("/properties/surge/properties/step", json!(0.1)),
        ("/properties/zones", json!([])),
        ("/properties/products/items/properties/fare/properties/base", json!("2.50")),
    ] {
        assert_eq!(schema.pointer(&format!("{place}/default")), Some(&value), "{place}");
    }
    assert_eq!(schema.pointer("/properties/city/default"), None);
    assert_eq!(schema.pointer("/properties/zones/items/properties/id/default"), None);
}

#[test]
fn the_schema_agrees_with_the_reader_on_every_value_of_every_field() {
    let validator = validator();
    let document = full();
    let (mut pointers, mut documents) = (Vec::new(), 0);
    all_pointers(&document, String::new(), &mut pointers);
    for pointer in pointers {
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        for value in values() {
            assert_agreement(
                &validator,
                &set(document.clone(), &pointer, value.clone()),
                &format!("{value} at {pointer}"),
            );
            documents += 1;
        }
        let mut without = document.clone();
        match without.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.remove(key)),
            Some(Value::Array(items)) if !pointer.is_empty() => drop(items.remove(key.parse().unwrap())),
            _ => {}
        }
        assert_agreement(&validator, &without, &format!("nothing at {pointer}"));
        if document.pointer(&pointer).unwrap().is_object() {
            let unknown = set(document.clone(), &format!("{pointer}/unknown"), json!(1));
            assert_agreement(&validator, &unknown, &format!("an unknown member of {pointer}"));
        }
    }
    assert!(documents > 5_000, "{documents}");
}

#[test]
fn the_schema_agrees_with_the_reader_on_the_lengths_of_lists() {
    let validator = validator();
    let long = |item: Value, length: usize| Value::Array(vec![item; length]);
    let numbered = |length: usize| (0..length).map(|i| json!({"id": format!("n{i}")})).collect::<Value>();
    for (pointer, lists) in [
        ("/static", [0, 1, 167, 168, 169].map(|length| long(json!(1.5), length)).to_vec()),
        ("/surge/ring_weights", [0, 1, 7, 8].map(|length| long(json!(0.5), length)).to_vec()),
        ("/products", [0, 1, 64, 65].map(numbered).to_vec()),
        ("/zones", [0, 1_024, 1_025].map(numbered).to_vec()),
        ("/name", [0, 1, 200, 201].map(|length| json!("é".repeat(length))).to_vec()),
        ("/laws/0/source", [0, 1, 1_000, 1_001].map(|length| json!("é".repeat(length))).to_vec()),
        ("/city", [1, 32, 33].map(|length| json!("x".repeat(length))).to_vec()),
        ("/zones/0/id", [1, 64, 65].map(|length| json!("x".repeat(length))).to_vec()),
        ("/boundary/coordinates/0", [3, 4, 5].map(|length| long(json!([1, 1, 9]), length)).to_vec()),
    ] {
        for (index, list) in lists.into_iter().enumerate() {
            assert_agreement(&validator, &set(full(), pointer, list), &format!("list {index} at {pointer}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_schema_takes_every_policy_and_every_multiplier_of_two_decimals(
        document in any_document(), limit in any_multiplier(), thousandths in 1_u32..=100_000,
    ) {
        let validator = validator();
        prop_assert!(validator.is_valid(&document));
        prop_assert!(validator.is_valid(&read(&document).to_json()));
        for limit in [limit, f64::from(thousandths) / 1_000.0] {
            let limited = set(document.clone(), "/limits/max_multiplier", json!(limit));
            assert_agreement(&validator, &limited, &limit.to_string());
        }
    }
}
