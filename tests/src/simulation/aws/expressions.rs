//! The expressions that the adapters use: conditions of terms joined by `AND` or by `OR`, and `SET` of attributes.

use serde_json::Value;

use super::item::{Item, SortKey};

/// Whether the condition of a request holds for an item, `None` where there is none.
pub(super) fn holds(condition: &str, request: &Value, item: Option<&Item>) -> bool {
    if condition.contains(" OR ") {
        return condition.split(" OR ").any(|term| holds(term, request, item));
    }
    let mut terms = condition.split(" AND ").map(str::trim);
    while let Some(term) = terms.next() {
        let is_true = match term.split_once(" BETWEEN ") {
            Some((name, least)) => {
                let most = terms.next().expect("BETWEEN has two values");
                term_holds(&format!("{name} >= {least}"), request, item)
                    && term_holds(&format!("{name} <= {most}"), request, item)
            }
            None => term_holds(term, request, item),
        };
        if !is_true {
            return false;
        }
    }
    true
}

fn term_holds(term: &str, request: &Value, item: Option<&Item>) -> bool {
    let attribute = |name: &str| item.and_then(|item| item.get(name_of(name, request)));
    if let Some(name) = argument(term, "attribute_not_exists") {
        return attribute(name).is_none();
    }
    if let Some(name) = argument(term, "attribute_exists") {
        return attribute(name).is_some();
    }
    let mut words = term.split(' ');
    let (Some(name), Some(operator), Some(value), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        panic!("not a term: {term}");
    };
    let Some(left) = attribute(name) else { return false };
    let (left, right) = (SortKey::of(left), SortKey::of(value_of(value, request)));
    match operator {
        "=" => left == right,
        "<>" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">=" => left >= right,
        other => panic!("no such operator: {other}"),
    }
}

/// Applies an update expression.
pub(super) fn update(expression: &str, request: &Value, item: &mut Item) {
    let assignments = expression.strip_prefix("SET ").expect("the adapters only set");
    for assignment in assignments.split(", ") {
        let (name, value) = assignment.split_once(" = ").expect("an assignment");
        item.insert(name_of(name, request).to_owned(), value_of(value, request).clone());
    }
}

fn argument<'a>(term: &'a str, function: &str) -> Option<&'a str> {
    term.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')
}

fn name_of<'a>(placeholder: &'a str, request: &'a Value) -> &'a str {
    request["ExpressionAttributeNames"][placeholder].as_str().unwrap_or(placeholder)
}

/// The value that a placeholder stands for.
pub(super) fn value_of<'a>(placeholder: &str, request: &'a Value) -> &'a Value {
    &request["ExpressionAttributeValues"][placeholder]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_hold_for_items() {
        let request = json!({
            "ExpressionAttributeNames": { "#log": "log", "#at": "expires" },
            "ExpressionAttributeValues": { ":now": { "N": "10" }, ":end": { "N": "20" }, ":x": { "S": "x" } },
        });
        let holds = |condition: &str, item: Value| holds(condition, &request, item.as_object());
        let free = "attribute_not_exists(#log) OR #at <= :now";
        assert!(holds(free, Value::Null));
        assert!(holds(free, json!({ "log": { "S": "x" }, "expires": { "N": "9" } })));
        assert!(!holds(free, json!({ "log": { "S": "x" }, "expires": { "N": "11" } })));
        let range = "#log = :x AND #at BETWEEN :now AND :end";
        for (log, at, expected) in
            [("x", "9", false), ("x", "10", true), ("x", "20", true), ("x", "21", false), ("y", "10", false)]
        {
            assert_eq!(
                holds(range, json!({ "log": { "S": log }, "expires": { "N": at } })),
                expected,
                "{log} {at}"
            );
        }
        let both = "attribute_exists(#log) AND attribute_not_exists(#at)";
        assert!(holds(both, json!({ "log": { "S": "x" } })));
        assert!(!holds(both, Value::Null));
    }
}
