//! Parsing of a JSON document that names the keys which an object has twice: of those, a `serde_json::Value` keeps one
//! without a word.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Fault;
use super::field::token;

/// Reads a document, and the keys that are given twice as faults.
pub(crate) fn read(text: &str) -> Result<(Value, Vec<Fault>), serde_json::Error> {
    let faults = RefCell::new(Vec::new());
    let mut input = serde_json::Deserializer::from_str(text);
    let document = At { pointer: String::new(), faults: &faults }.deserialize(&mut input)?;
    input.end()?;
    Ok((document, faults.into_inner()))
}

/// The value at a JSON pointer (RFC 6901).
struct At<'a> {
    pointer: String,
    faults: &'a RefCell<Vec<Fault>>,
}

impl At<'_> {
    fn child(&self, token: &str) -> Self {
        Self { pointer: format!("{}/{token}", self.pointer), faults: self.faults }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.child(&list.len().to_string()))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let member = self.child(&token(&key));
            let pointer = member.pointer.clone();
            let value = members.next_value_seed(member)?;
            if object.insert(key, value).is_some() {
                let message = "is given twice".to_owned();
                self.faults.borrow_mut().push(Fault { pointer, message });
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_read_as_serde_json_does() {
        let text = r#"{"a": [1, -2, 3.5, null, true, "x\u00e9"], "b": {"c": {}, "d": 18446744073709551615}}"#;
        let (document, faults) = read(text).unwrap();
        assert_eq!(document, serde_json::from_str::<Value>(text).unwrap());
        assert!(faults.is_empty());
        for text in ["", "{", "[1,]", "{} {}", "1e999", "\"\\ud800\""] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_key_that_is_given_twice_is_named_by_its_pointer() {
        let (document, faults) = read(r#"{"a": 1, "b/c": [{"d": 1, "d": 2, "d": 3}], "a": 4}"#).unwrap();
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/b~1c/0/d", "/b~1c/0/d", "/a"]);
        assert_eq!(document, json!({"a": 4, "b/c": [{"d": 3}]}));
    }
}
