//! Parses one line according to CONTRACT §1: an event, or the code of its refusal.

use std::collections::BTreeSet;

use h3o::{CellIndex, LatLng};
use serde_json::{Map, Value};

use super::policy::{Cities, Policy};
use super::time;

/// An accepted event of one of the five types.
pub(super) struct Event {
    pub(super) city: String,
    pub(super) time: i64,
    pub(super) what: What,
}

pub(super) enum What {
    /// `products` are those that the driver serves now: none unless the driver is available. A place outside the
    /// boundary is in no cell.
    Driver {
        driver: String,
        cell: Option<CellIndex>,
        products: BTreeSet<String>,
        is_offline: bool,
    },
    Request {
        rider: String,
        cell: Option<CellIndex>,
        product: String,
    },
    /// Matched, completed or cancelled.
    OtherOfRide,
}

const REQUIRED: [&str; 4] = ["type", "id", "time", "city"];

/// `None` for an event of an unknown type.
pub(super) fn read(line: &[u8], cities: &Cities) -> Result<Option<Event>, &'static str> {
    if line.len() > 4_096 {
        return Err("too_large");
    }
    let text = std::str::from_utf8(line).map_err(|_| "malformed_json")?;
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else { return Err("malformed_json") };
    let fields = Fields(fields);

    // A `type` that is not a string requires no further fields; it is refused as a bad field below.
    let of_type: &[&str] = match fields.0.get("type").map(Value::as_str) {
        Some(Some("driver_location")) => &["driver_id", "lat", "lng", "status"],
        Some(Some("ride_requested")) => &["request_id", "lat", "lng"],
        Some(Some("ride_matched" | "ride_completed" | "ride_cancelled")) => &["request_id"],
        Some(Some(_)) => return Ok(None),
        Some(None) | None => &[],
    };
    if REQUIRED.iter().chain(of_type).any(|field| !fields.0.contains_key(*field)) {
        return Err("missing_field");
    }

    let kind = fields.text("type")?;
    fields.name("id")?;
    let time = time::from_text(&fields.text("time")?).ok_or("bad_field")?;
    let city = fields.city()?;
    let what = match kind.as_str() {
        "driver_location" => driver(&fields, &city, cities)?,
        "ride_requested" => request(&fields, &city, cities)?,
        _ => {
            fields.name("request_id")?;
            fields.optional("rider_id").map(|_| fields.name("rider_id")).transpose()?;
            known(&city, cities)?;
            What::OtherOfRide
        }
    };
    Ok(Some(Event { city, time, what }))
}

fn driver(fields: &Fields, city: &str, cities: &Cities) -> Result<What, &'static str> {
    let driver = fields.name("driver_id")?;
    let at = fields.lat_lng()?;
    let status = fields.text("status")?;
    if !["available", "en_route", "on_trip", "offline"].contains(&status.as_str()) {
        return Err("bad_field");
    }
    let listed = match fields.optional("products") {
        Some(Value::Array(list)) => {
            let list = list.iter().map(|product| product.as_str().map(str::to_owned).ok_or("bad_field"));
            Some(list.collect::<Result<BTreeSet<String>, _>>()?)
        }
        Some(_) => return Err("bad_field"),
        None => None,
    };

    known(city, cities)?;
    let policy = cities.policy(city);
    let all = || policy.products.iter().cloned().collect();
    let mut products = listed.unwrap_or_else(all);
    if products.iter().any(|product| !policy.products.contains(product)) {
        return Err("unknown_product");
    }
    if status != "available" {
        products.clear();
    }
    let is_offline = status == "offline";
    Ok(What::Driver { driver, cell: cell(at, &policy), products, is_offline })
}

fn request(fields: &Fields, city: &str, cities: &Cities) -> Result<What, &'static str> {
    let request = fields.name("request_id")?;
    let at = fields.lat_lng()?;
    let rider = match fields.optional("rider_id") {
        Some(_) => fields.name("rider_id")?,
        None => request,
    };
    let product = fields.optional("product").map(|_| fields.text("product")).transpose()?;
    fields.optional("dropoff_lat").map(|_| fields.degrees("dropoff_lat", 90.0)).transpose()?;
    fields.optional("dropoff_lng").map(|_| fields.degrees("dropoff_lng", 180.0)).transpose()?;

    known(city, cities)?;
    let policy = cities.policy(city);
    let product = product.unwrap_or_else(|| policy.products[0].clone());
    if !policy.products.contains(&product) {
        return Err("unknown_product");
    }
    Ok(What::Request { rider, cell: cell(at, &policy), product })
}

fn cell(at: LatLng, policy: &Policy) -> Option<CellIndex> {
    policy.serves(at.lat(), at.lng()).then(|| at.to_cell(policy.resolution))
}

fn known(city: &str, cities: &Cities) -> Result<(), &'static str> {
    if cities.knows(city) { Ok(()) } else { Err("unknown_city") }
}

/// An event's fields; of duplicate keys the last counts.
struct Fields(Map<String, Value>);

impl Fields {
    /// An optional field; `null` means absent.
    fn optional(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn text(&self, field: &str) -> Result<String, &'static str> {
        self.0[field].as_str().map(str::to_owned).ok_or("bad_field")
    }

    /// 1–64 of `[A-Za-z0-9._:-]`.
    fn name(&self, field: &str) -> Result<String, &'static str> {
        let name = self.text(field)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        let valid = (1..=64).contains(&name.len()) && name.bytes().all(allowed);
        if valid { Ok(name) } else { Err("bad_field") }
    }

    /// 1–32 of `[a-z0-9-]`.
    fn city(&self) -> Result<String, &'static str> {
        let city = self.text("city")?;
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let valid = (1..=32).contains(&city.len()) && city.bytes().all(allowed);
        if valid { Ok(city) } else { Err("bad_field") }
    }

    fn degrees(&self, field: &str, most: f64) -> Result<f64, &'static str> {
        let degrees = self.0[field].as_f64().ok_or("bad_field")?;
        if (-most..=most).contains(&degrees) { Ok(degrees) } else { Err("bad_field") }
    }

    fn lat_lng(&self) -> Result<LatLng, &'static str> {
        let (lat, lng) = (self.degrees("lat", 90.0)?, self.degrees("lng", 180.0)?);
        LatLng::new(lat, lng).map_err(|_| "bad_field")
    }
}
