//! The differences of two policies, as the values of their documents that differ.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::Policy;
use super::field::token;

/// A value that differs between two policies' documents ([`Policy::to_json`]).
///
/// The items of products, zones and laws are compared by index, as a JSON pointer addresses them. Other lists, such as the
/// positions of a polygon, are compared as one value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The value as a JSON pointer (RFC 6901); `""` is the whole document.
    pub pointer: String,
    /// The value before; `null` if there was none.
    pub before: Value,
    /// The value after; `null` if there is none.
    pub after: Value,
}

/// The changes from `before`, which is `None` for a city without a policy, to `after`, in the order of their pointers'
/// members.
#[must_use]
pub fn changes(before: Option<&Policy>, after: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    let before = before.map_or(Value::Null, Policy::to_json);
    add(&mut changes, String::new(), &before, &after.to_json());
    changes
}

fn add(changes: &mut Vec<Change>, pointer: String, before: &Value, after: &Value) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let [before, after] = [before, after].map(|object| object.get(key).unwrap_or(&Value::Null));
                add(changes, format!("{pointer}/{}", token(key)), before, after);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.iter().chain(after).all(Value::is_object) => {
            for index in 0..before.len().max(after.len()) {
                let [before, after] = [before, after].map(|items| items.get(index).unwrap_or(&Value::Null));
                add(changes, format!("{pointer}/{index}"), before, after);
            }
        }
        _ => changes.push(Change { pointer, before: before.clone(), after: after.clone() }),
    }
}
