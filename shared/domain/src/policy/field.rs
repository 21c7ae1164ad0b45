//! A value of a JSON document with its JSON pointer, and the list of faults that it adds to.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{Fault, Multiplier};

/// The faults of a document, in reading order.
#[derive(Default)]
pub(crate) struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    pub(crate) fn into_inner(self) -> Vec<Fault> {
        self.0.into_inner()
    }
}

/// A value, or a member that may be absent. A value that cannot be read adds one fault, and reading continues.
pub(crate) struct Field<'a> {
    value: Option<&'a Value>,
    pointer: String,
    faults: &'a Faults,
}

impl<'a> Field<'a> {
    /// The value at `pointer`.
    pub(crate) fn new(value: &'a Value, pointer: String, faults: &'a Faults) -> Self {
        Self { value: Some(value), pointer, faults }
    }

    /// Adds a fault of this field.
    pub(crate) fn fault(&self, message: impl fmt::Display) {
        self.fault_at("", message);
    }

    /// Adds a fault of the value at `path`, a JSON pointer relative to this field.
    pub(crate) fn fault_at(&self, path: &str, message: impl fmt::Display) {
        let pointer = format!("{}{path}", self.pointer);
        self.faults.0.borrow_mut().push(Fault { pointer, message: message.to_string() });
    }

    /// Whether there is a value.
    pub(crate) fn is_given(&self) -> bool {
        self.value.is_some()
    }

    /// Whether there is a value, and it is an object.
    pub(crate) fn is_object(&self) -> bool {
        self.value.is_some_and(Value::is_object)
    }

    /// The result of `read` for the value. A value for which it returns `None` is a fault; an absent value is not.
    pub(crate) fn read<T>(
        &self,
        expected: impl fmt::Display,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let read = read(self.value?);
        if read.is_none() {
            self.fault(format_args!("must be {expected}"));
        }
        read
    }

    /// The members of an object, each of which must be in `known`. There are none if the value is absent or not an
    /// object.
    pub(crate) fn object(&self, known: &[&str]) -> Object<'a> {
        self.object_of(known, "a policy")
    }

    /// See [`Self::object`]; `of` is what the document is called.
    pub(crate) fn object_of(&self, known: &[&str], of: &str) -> Object<'a> {
        let object = self.open_object();
        for key in object.members.into_iter().flat_map(Map::keys) {
            if !known.contains(&key.as_str()) {
                object.get(key).fault(format_args!("is not a field of {of}"));
            }
        }
        object
    }

    /// Whether there is a value.
    pub(crate) fn is_present(&self) -> bool {
        self.value.is_some()
    }

    /// The members of an object that may have unknown ones.
    pub(crate) fn open_object(&self) -> Object<'a> {
        let members = self.read("an object", Value::as_object);
        Object { members, pointer: self.pointer.clone(), faults: self.faults }
    }

    /// The items of an array whose length is valid. `None` if the value is absent or anything else.
    pub(crate) fn items(
        &self,
        expected: impl fmt::Display,
        is_valid_length: impl FnOnce(usize) -> bool,
    ) -> Option<Vec<Field<'a>>> {
        let items =
            self.read(expected, |value| value.as_array().filter(|items| is_valid_length(items.len())))?;
        let item = |(index, value)| Field::new(value, format!("{}/{index}", self.pointer), self.faults);
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A text of 1 to `max` characters.
    pub(crate) fn text(&self, max: usize) -> Option<&'a str> {
        self.read(format_args!("a text of 1 to {max} characters"), |value| {
            value.as_str().filter(|text| (1..=max).contains(&text.chars().count()))
        })
    }

    /// The result of `parse` for a text.
    pub(crate) fn parsed<T>(&self, expected: &str, parse: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        self.read(expected, |value| value.as_str().and_then(parse))
    }

    /// The result of `parse` for a text, with its error as the fault.
    pub(crate) fn try_parsed<T, E: fmt::Display>(
        &self,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.parsed(expected, Some)?;
        parse(text).map_err(|error| self.fault(error)).ok()
    }

    /// A whole number within `range`; `5000.0` is one.
    pub(crate) fn integer(&self, range: &RangeInclusive<i64>) -> Option<i64> {
        let expected = format_args!("a whole number from {} to {}", range.start(), range.end());
        self.read(expected, |value| whole(value).filter(|number| range.contains(number)))
    }

    /// A number within `range`.
    pub(crate) fn number(&self, range: &RangeInclusive<f64>) -> Option<f64> {
        let expected = format_args!("a number from {} to {}", range.start(), range.end());
        self.read(expected, |value| value.as_f64().filter(|number| range.contains(number)))
    }

    /// A number above 0 and within `range`.
    pub(crate) fn positive(&self, range: &RangeInclusive<f64>) -> Option<f64> {
        let expected = format_args!("a number above 0, at most {}", range.end());
        self.read(expected, |value| value.as_f64().filter(|number| *number > 0.0 && range.contains(number)))
    }

    /// A number with at most two decimals, in hundredths within `range`.
    pub(crate) fn hundredths(&self, range: &RangeInclusive<u16>) -> Option<u16> {
        let bound = |hundredths: &u16| f64::from(*hundredths) / 100.0;
        let expected = format_args!(
            "a number from {} to {} with at most two decimals",
            bound(range.start()),
            bound(range.end())
        );
        self.read(expected, |value| hundredths(value.as_f64()?).filter(|number| range.contains(number)))
    }

    /// A multiplier.
    pub(crate) fn multiplier(&self) -> Option<Multiplier> {
        self.hundredths(&super::ranges::MULTIPLIER_HUNDREDTHS).and_then(Multiplier::new)
    }
}

/// The members of an object, or none.
pub(crate) struct Object<'a> {
    members: Option<&'a Map<String, Value>>,
    pointer: String,
    faults: &'a Faults,
}

impl<'a> Object<'a> {
    /// The member `key`. It is absent if it is `null`, or if there is no object.
    pub(crate) fn get(&self, key: &str) -> Field<'a> {
        let value = self.members.and_then(|members| members.get(key)).filter(|value| !value.is_null());
        Field { value, pointer: format!("{}/{}", self.pointer, token(key)), faults: self.faults }
    }

    /// The member `key`; its absence from an object is a fault.
    pub(crate) fn required(&self, key: &str) -> Field<'a> {
        let field = self.get(key);
        if self.members.is_some() && field.value.is_none() {
            field.fault("is required");
        }
        field
    }
}

/// A key as a reference token of a JSON pointer: a slash separates tokens, and a tilde begins an escape (RFC 6901 §3).
pub(crate) fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The number, if it is whole. A float beyond an `i64` becomes the nearest one, which is outside every range.
fn whole(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation)]
    let of_float = |number: f64| (number.fract() == 0.0).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(of_float))
}

/// The number in hundredths, if it is the float nearest to a decimal number with at most two decimals.
fn hundredths(number: f64) -> Option<u16> {
    let hundredths = (number * 100.0).round();
    // Division rounds to the float nearest to the quotient, which is the float that parsing the decimal gives.
    #[expect(clippy::float_cmp)]
    let exact = hundredths / 100.0 == number;
    // The cast saturates: a large number becomes `u16::MAX`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (exact && number >= 0.0).then_some(hundredths as u16)
}
