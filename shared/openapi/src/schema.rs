//! The parts that schemas are made of (JSON Schema 2020-12).

use serde_json::{Map, Value, json};

/// A member of an object: its name and schema.
pub(crate) type Member = (&'static str, Value);

/// An object of these members and no others. The members of `optional` can be absent.
pub(crate) fn object(
    description: &str,
    required: impl IntoIterator<Item = Member>,
    optional: impl IntoIterator<Item = Member>,
) -> Value {
    let mut schema = open_object(description, required, optional);
    schema["additionalProperties"] = false.into();
    schema
}

/// The same, with members that are ignored.
pub(crate) fn open_object(
    description: &str,
    required: impl IntoIterator<Item = Member>,
    optional: impl IntoIterator<Item = Member>,
) -> Value {
    let (mut names, mut properties) = (Vec::new(), Map::new());
    for (name, schema) in required {
        names.push(name);
        properties.insert(name.to_owned(), schema);
    }
    properties.extend(optional.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    json!({"type": "object", "description": description, "required": names, "properties": properties})
}

/// The schema called `name` among the document's components.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The same, with a description of this use.
pub(crate) fn described(name: &str, description: &str) -> Value {
    let mut schema = reference(name);
    schema["description"] = description.into();
    schema
}

/// The schema called `name`, or null.
pub(crate) fn nullable(name: &str, description: &str) -> Value {
    json!({"description": description, "anyOf": [reference(name), {"type": "null"}]})
}

/// A schema of a request that takes null for an absent member.
pub(crate) fn or_null(mut schema: Value) -> Value {
    if schema.get("$ref").is_some() {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut either = json!({"anyOf": [schema, {"type": "null"}]});
        if let Some(description) = description {
            either["description"] = description;
        }
        return either;
    }
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

/// A text.
pub(crate) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A text of this form.
pub(crate) fn pattern(pattern: &str, description: &str) -> Value {
    json!({"type": "string", "pattern": pattern, "description": description})
}

/// One of these texts.
pub(crate) fn one_of(values: &[&str], description: &str) -> Value {
    json!({"type": "string", "enum": values, "description": description})
}

/// This text.
pub(crate) fn constant(value: &str) -> Value {
    json!({"type": "string", "const": value})
}

/// A whole number from `minimum` on.
pub(crate) fn from(minimum: i64, description: &str) -> Value {
    json!({"type": "integer", "minimum": minimum, "description": description})
}

/// A whole number.
pub(crate) fn within(minimum: i64, maximum: i64, description: &str) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": maximum, "description": description})
}

/// A number.
pub(crate) fn number(description: &str) -> Value {
    json!({"type": "number", "description": description})
}

/// A number between two others, or one of them.
pub(crate) fn number_within(minimum: f64, maximum: f64, description: &str) -> Value {
    json!({"type": "number", "minimum": minimum, "maximum": maximum, "description": description})
}

/// A boolean.
pub(crate) fn boolean(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

/// An array.
pub(crate) fn array(items: Value, description: &str) -> Value {
    let mut array = json!({"type": "array", "description": description});
    array["items"] = items;
    array
}

/// A page of a list, whose array is the member `name`.
pub(crate) fn page(name: &'static str, items: &str, description: &str, longest: u32) -> Value {
    let mut list = array(reference(items), description);
    list["maxItems"] = longest.into();
    let next = described("PageToken", "The token of the next page; absent on the last page.");
    object("A page of a list.", [(name, list)], [("next", next)])
}
