//! The JSON reader of the hot path against a general-purpose one.

use equilibrium_domain::wire::json::{self, Scan, Text, Value};
use serde::de::IgnoredAny;

/// Both readers accept the same texts, and find the same members, texts and numbers.
pub fn target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut scan = Scan::new(text);
    let read = scan.value().and_then(|value| scan.end().map(|()| value));
    let general = serde_json::from_str::<IgnoredAny>(text);
    assert_eq!(read.is_ok(), general.is_ok(), "{read:?} {general:?}");
    assert_eq!(json::members(text, |_, _| ()).is_ok(), matches!(read, Ok(Value::Object(_))));
    assert_eq!(json::items(text, |_| ()).is_ok(), matches!(read, Ok(Value::Array(_))));
    let Ok(value) = read else { return };
    agree(value, serde_json::from_str(text).ok().as_ref());
}

/// `general` is the same value; `None` if the general reader has limits that exclude it.
fn agree(value: Value<'_>, general: Option<&serde_json::Value>) {
    match value {
        Value::Null => assert!(general.is_none_or(serde_json::Value::is_null)),
        Value::Bool => assert!(general.is_none_or(serde_json::Value::is_boolean)),
        Value::Number(digits) => number(digits, general),
        Value::String(text) => string(text, general),
        Value::Array(array) => {
            let Some(general) = general else { return };
            let general = general.as_array().expect("both are arrays");
            let mut count = 0;
            let read = json::items(array, |item| {
                agree(item, Some(&general[count]));
                count += 1;
            });
            assert!(read.is_ok() && general.len() == count);
        }
        Value::Object(object) => {
            let Some(general) = general else { return };
            let mut members = Vec::new();
            let read = json::members(object, |key, value| members.push((key, value)));
            assert!(read.is_ok());
            // Of a key that is given twice, both keep the last.
            for (at, (key, value)) in members.iter().enumerate() {
                let key = key.decode().expect("the general reader has decoded it");
                let is_last =
                    members[at + 1..].iter().all(|(later, _)| later.decode().as_ref() != Some(&key));
                let key = std::str::from_utf8(&key).expect("a decoded text is UTF-8");
                agree(*value, is_last.then(|| &general[key]));
            }
        }
    }
}

fn number(digits: &[u8], general: Option<&serde_json::Value>) {
    let text = std::str::from_utf8(digits).expect("a number is ASCII");
    let expected: f64 = text.parse().expect("a number");
    let number = json::number(digits);
    assert_eq!(number.to_bits(), expected.to_bits(), "{text}");
    if let Some(general) = general {
        assert_eq!(general.as_f64(), Some(number), "{text}");
    }
}

fn string(text: Text<'_>, general: Option<&serde_json::Value>) {
    let decoded = text.decode();
    assert_eq!(decoded.is_some(), text.is_decodable());
    if let Some(general) = general {
        assert_eq!(decoded.as_deref(), general.as_str().map(str::as_bytes));
    }
    assert!(text.plain().is_none_or(|plain| Some(plain) == decoded.as_deref()));
}
