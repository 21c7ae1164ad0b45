//! Reads the city's lines with a parser other than the product's.

use equilibrium_domain::time::Timestamp;
use serde_json::Value;

/// The fields of one line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) ms: i64,
    /// Latitude and longitude; the middle of the city if the line has none.
    pub(super) at: (f64, f64),
    pub(super) driver_id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) products: Option<Vec<String>>,
    pub(super) rider_id: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) product: Option<String>,
}

/// Every line of a text.
pub(super) fn lines(text: &[u8]) -> Vec<Line> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Line::of(&serde_json::from_slice(line).unwrap())).collect()
}

impl Line {
    fn of(event: &Value) -> Self {
        let text = |name: &str| event.get(name).map(|value| value.as_str().unwrap().to_owned());
        let degrees =
            |name: &str, default: f64| event.get(name).map_or(default, |value| value.as_f64().unwrap());
        let products = event.get("products").and_then(Value::as_array);
        Self {
            id: text("id").unwrap(),
            kind: text("type").unwrap(),
            ms: Timestamp::parse(text("time").unwrap().as_bytes()).unwrap().ms(),
            at: (degrees("lat", 40.75), degrees("lng", -74.0)),
            driver_id: text("driver_id"),
            status: text("status"),
            products: products.map(|all| all.iter().map(|one| one.as_str().unwrap().to_owned()).collect()),
            rider_id: text("rider_id"),
            request_id: text("request_id"),
            product: text("product"),
        }
    }
}
