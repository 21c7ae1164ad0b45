//! The changes between two policies, and those that are too large.

use super::*;
use crate::policy::change::{Change, changes};
use crate::policy::large_change::too_large;

/// The document with every change applied to it, as the changes' pointers address it.
fn apply(mut document: Value, changes: &[Change]) -> Value {
    // Items are removed from the end.
    for change in changes.iter().rev() {
        let (parent, key) = change.pointer.rsplit_once('/').unwrap();
        match document.pointer_mut(parent).unwrap() {
            Value::Array(items) => match key.parse::<usize>().unwrap() {
                index if change.after.is_null() => drop(items.remove(index)),
                index if index < items.len() => items[index] = change.after.clone(),
                _ => items.push(change.after.clone()),
            },
            parent => parent[key] = change.after.clone(),
        }
    }
    document
}

fn large(before: &Value, after: &Value) -> Vec<String> {
    too_large(&read(before), &read(after)).into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn each_value_that_differs_is_named_by_its_pointer() {
    let before = read(&sample());
    assert_eq!(changes(Some(&before), &before), []);
    let mut document = set(sample(), "/limits/max_multiplier", json!(3));
    document = set(document, "/surge/table", json!([[1, 1], [3, 2]]));
    document = set(document, "/zones/0/fare", json!({"base": "9.00"}));
    document["products"].as_array_mut().unwrap().push(json!({"id": "xl", "fare": {}}));
    let expected = [
        ("/limits/max_multiplier", json!(5.0), json!(3.0)),
        ("/products/1", Value::Null, read(&document).to_json()["products"][1].clone()),
        ("/surge/table", json!([[1.0, 1.0], [2.0, 1.5]]), json!([[1.0, 1.0], [3.0, 2.0]])),
        ("/zones/0/fare/base", Value::Null, json!("9.00")),
    ]
    .map(|(pointer, before, after)| Change { pointer: pointer.into(), before, after });
    assert_eq!(changes(Some(&before), &read(&document)), expected);
    let whole = Change { pointer: String::new(), before: Value::Null, after: before.to_json() };
    assert_eq!(changes(None, &before), [whole]);
}

#[test]
fn a_limit_or_a_parameter_may_change_by_as_much_as_the_version_in_force_allows() {
    for (pointer, allowed, forbidden) in [
        ("/limits/max_multiplier", json!(4), json!(3.99)),
        ("/limits/max_multiplier", json!(6), json!(6.01)),
        ("/limits/min_multiplier", json!(2), json!(2.01)),
        ("/zones/0/limits/max_multiplier", json!(1.5), json!(1.49)),
        ("/surge/balanced_ratio", json!(2), json!(2.01)),
        ("/surge/prior", json!(3), json!(3.01)),
        ("/surge/demand_elasticity", json!(1.6), json!(1.61)),
        ("/surge/supply_elasticity", json!(2.2), json!(2.21)),
        ("/surge/slope", json!(1.5), json!(1.6)),
        ("/surge/k", json!(1.3), json!(1.4)),
        ("/surge/table", json!([[1, 1], [2, 2.5]]), json!([[1, 1], [2, 2.51]])),
        ("/surge/table", json!([[1, 1], [2, 1.5], [9, 2.5]]), json!([[1, 1], [9, 2.6]])),
    ] {
        assert_eq!(large(&sample(), &set(sample(), pointer, allowed)), [""; 0], "{pointer}");
        assert_eq!(large(&sample(), &set(sample(), pointer, forbidden)), [pointer], "{pointer}");
    }
    let strict = set(sample(), "/max_change/multiplier", json!(0));
    assert_eq!(
        large(&strict, &set(sample(), "/limits/max_multiplier", json!(5.01))),
        ["/limits/max_multiplier"]
    );
    // The new version's own limit does not count.
    assert_eq!(large(&sample(), &set(strict, "/limits/max_multiplier", json!(5.01))), [""; 0]);
}

#[test]
fn another_formula_may_move_multipliers_by_as_much_as_a_parameter() {
    let linear = set(sample(), "/surge/curve", json!("linear"));
    assert_eq!(large(&sample(), &linear), [""; 0], "2.16 and 2.5 at the pressure 4");
    let steep = |curve: &str| set(set(sample(), "/surge/k", json!(1)), "/surge/curve", json!(curve));
    assert_eq!(large(&steep("equilibrium"), &steep("exponential")), ["/surge/curve"], "2.16 and 20");
}

#[test]
fn a_part_of_a_fare_may_change_by_a_share() {
    for (pointer, allowed, forbidden) in [
        ("/products/0/fare/base", json!("3.12"), json!("3.13")),
        ("/products/0/fare/base", json!("1.88"), json!("1.87")),
        ("/products/0/fare/minimum", json!("8.75"), json!("8.76")),
        // In place of the product's.
        ("/zones/0/fare/per_km", json!("1.56"), json!("1.57")),
    ] {
        assert_eq!(large(&sample(), &set(sample(), pointer, allowed)), [""; 0], "{pointer}");
        assert_eq!(large(&sample(), &set(sample(), pointer, forbidden)), [pointer], "{pointer}");
    }
    let free = set(sample(), "/products/0/fare/base", json!("0.00"));
    assert_eq!(
        large(&free, &set(sample(), "/products/0/fare/base", json!("0.01"))),
        ["/products/0/fare/base"]
    );
    assert_eq!(large(&sample(), &set(sample(), "/currency", json!("EUR"))), ["/currency"]);
    let additive = |amount: Value| {
        set(set(sample(), "/surge/form", json!("additive")), "/surge/additive_amount", amount)
    };
    assert_eq!(large(&additive(Value::Null), &additive(json!("8.75"))), [""; 0]);
    assert_eq!(large(&additive(json!("7.00")), &additive(json!("9.00"))), ["/surge/additive_amount"]);
    assert_eq!(large(&additive(json!("9.00")), &additive(Value::Null)), [""; 0], "7.00 is less by 22 %");
}

#[test]
fn products_and_zones_are_compared_by_id() {
    let mut document = sample();
    document["products"].as_array_mut().unwrap().insert(0, json!({"id": "xl", "fare": {"base": "50.00"}}));
    document["zones"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"id": "lga", "limits": {"max_multiplier": 1}}));
    assert_eq!(large(&sample(), &document), [""; 0], "what is new has not changed");
    let dear = set(document.clone(), "/products/1/fare/base", json!("5.00"));
    assert_eq!(large(&sample(), &dear), ["/products/1/fare/base"]);
    let without_cap = set(document, "/zones/1/limits", json!({}));
    assert_eq!(
        large(&sample(), &without_cap),
        ["/zones/1/limits/max_multiplier"],
        "the city's 5 for its 2.5"
    );
}

prop_compose! {
    /// Two policies of one city: the second has some of the members of another document.
    fn two_policies()(before in any_document(), other in any_document(), members in prop::collection::vec(any::<bool>(), 32)) -> (Value, Value) {
        let mut after = before.clone();
        for (take, (key, value)) in members.into_iter().zip(other.as_object().unwrap()) {
            if take && key != "currency" && key != "surge" && key != "zones" {
                after[key] = value.clone();
            }
        }
        after["zones"] = json!([other["zones"][0], {"id": "y"}]);
        after["zones"][0]["fare"] = json!({});
        (before, after)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_changes_applied_to_the_first_policy_give_the_second((before, after) in two_policies()) {
        let [before, after] = [before, after].map(|document| read(&document));
        for (before, after) in [(&before, &after), (&after, &before)] {
            let changes = changes(Some(before), after);
            prop_assert_eq!(&read(&apply(before.to_json(), &changes)), after);
            for change in &changes {
                let value = |policy: &Policy| policy.to_json().pointer(&change.pointer).cloned().unwrap_or_default();
                prop_assert_eq!(&value(before), &change.before);
                prop_assert_eq!(&value(after), &change.after);
                prop_assert_ne!(&change.before, &change.after);
            }
        }
    }

    #[test]
    fn a_limit_is_too_large_exactly_where_it_moves_further_than_allowed(
        before in any_multiplier(), after in any_multiplier(), allowed in 0_u16..=10_000,
    ) {
        let limit = |limit: f64| set(set(sample(), "/limits/max_multiplier", json!(limit)), "/max_change/multiplier", json!(f64::from(allowed) / 100.0));
        let expected = ((after - before) * 100.0).round().abs() > f64::from(allowed);
        prop_assert_eq!(!large(&limit(before), &limit(after)).is_empty(), expected);
        prop_assert_eq!(large(&limit(before), &limit(before)).len(), 0);
    }
}
