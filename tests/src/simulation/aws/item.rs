//! Items as DynamoDB stores, orders and measures them ("DynamoDB item sizes and formats").

use serde_json::{Map, Value};

/// An item in DynamoDB's JSON: attributes by name, each an object of its type and value.
pub(super) type Item = Map<String, Value>;

/// A partition key, and a sort key.
pub(super) type Key = (String, SortKey);

/// A sort key; absent in a table without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    Absent,
    Number(u64),
    Text(String),
}

impl SortKey {
    /// The sort key that an attribute holds.
    pub(super) fn of(attribute: &Value) -> Self {
        match (attribute["N"].as_str(), attribute["S"].as_str()) {
            (Some(number), _) => Self::Number(number.parse().expect("keys are whole numbers")),
            (_, Some(text)) => Self::Text(text.to_owned()),
            _ => Self::Absent,
        }
    }
}

/// The size of an item: the bytes of names and values.
pub(super) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let (kind, value) = value.as_object().and_then(|value| value.iter().next()).expect("a typed value");
    let text = value.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => text.len(),
        // Two digits a byte, one for the exponent, one for a sign.
        "N" => text.trim_start_matches('-').len().div_ceil(2) + 1 + usize::from(text.starts_with('-')),
        "B" => decoded_length(text),
        "BOOL" | "NULL" => 1,
        other => panic!("the adapters write no {other}"),
    }
}

/// The number of bytes that Base64 stands for.
fn decoded_length(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_values_make_up_the_size() {
        let item = json!({ "log": { "S": "city/nyc" }, "n": { "N": "1234" }, "entry": { "B": "AAECAw==" } });
        assert_eq!(size(item.as_object().unwrap()), 3 + 8 + 1 + 3 + 5 + 4);
    }
}
