//! Reading a market event from its JSON (CONTRACT §1).

use std::borrow::Cow;

use super::{DriverStatus, Event, MAX_EVENT_BYTES, MarketEvent, Position, ProductList, Refusal, What};
use crate::id::{is_city_id, is_entity_id};
use crate::time::Timestamp;
use crate::wire::json::{self, Text, Value};

/// Reads one event from `line`, which has no line end.
///
/// # Errors
/// The first of the first four [`Refusal`]s that applies. The others need a policy or a clock, so the caller checks
/// them.
pub fn read(line: &[u8]) -> Result<Event<'_>, Refusal> {
    Fields::default().read(line)
}

/// Refuses a line that is too large, or does not begin as an object: at once, for a body can have half a million.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::MalformedJson`].
#[inline]
pub fn check_start(line: &[u8]) -> Result<(), Refusal> {
    if line.len() > MAX_EVENT_BYTES {
        return Err(Refusal::TooLarge);
    }
    let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    let at = start.unwrap_or(line.len());
    if line.get(at) == Some(&b'{') { Ok(()) } else { Err(Refusal::MalformedJson { at }) }
}

#[derive(Clone, Copy)]
pub(super) enum Field {
    Type,
    Id,
    Time,
    City,
    DriverId,
    RequestId,
    RiderId,
    Lat,
    Lng,
    Status,
    Products,
    Product,
    DropoffLat,
    DropoffLng,
}

const FIELDS: usize = 14;

impl Field {
    fn named(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"type" => Self::Type,
            b"id" => Self::Id,
            b"time" => Self::Time,
            b"city" => Self::City,
            b"driver_id" => Self::DriverId,
            b"request_id" => Self::RequestId,
            b"rider_id" => Self::RiderId,
            b"lat" => Self::Lat,
            b"lng" => Self::Lng,
            b"status" => Self::Status,
            b"products" => Self::Products,
            b"product" => Self::Product,
            b"dropoff_lat" => Self::DropoffLat,
            b"dropoff_lng" => Self::DropoffLng,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        [
            "type",
            "id",
            "time",
            "city",
            "driver_id",
            "request_id",
            "rider_id",
            "lat",
            "lng",
            "status",
            "products",
            "product",
            "dropoff_lat",
            "dropoff_lng",
        ][self as usize]
    }
}

/// Reads the fields of one type of event.
type ReadWhat<'a> = fn(&Fields<'a>) -> Result<What<'a>, Refusal>;

/// The values of the known fields of one line. If a key occurs more than once, the last value counts.
#[derive(Debug, Default)]
pub struct Fields<'a>([Option<Value<'a>>; FIELDS]);

impl<'a> Fields<'a> {
    /// Reads one event as [`read`] does, and keeps its fields for its canonical form.
    ///
    /// # Errors
    /// See [`read`].
    #[inline]
    pub fn read(&mut self, line: &'a [u8]) -> Result<Event<'a>, Refusal> {
        check_start(line)?;
        let text = simdutf8::compat::from_utf8(line)
            .map_err(|error| Refusal::MalformedJson { at: error.valid_up_to() })?;
        self.fill(text)?;
        self.event()
    }

    fn fill(&mut self, text: &'a str) -> Result<(), Refusal> {
        let read = json::members(text, |key, value| {
            let field = match key.plain() {
                Some(key) => Field::named(key),
                None => key.decode().and_then(|key| Field::named(&key)),
            };
            if let Some(field) = field {
                self.0[field as usize] = Some(value);
            }
        });
        read.map_err(|malformed| Refusal::MalformedJson { at: malformed.at })
    }

    fn event(&self) -> Result<Event<'a>, Refusal> {
        const COMMON: &[Field] = &[Field::Type, Field::Id, Field::Time, Field::City];
        let type_text = match self.0[Field::Type as usize] {
            Some(Value::String(text)) => Some(text.decode().unwrap_or_default()),
            _ => None,
        };
        let (own, read): (&[Field], ReadWhat<'a>) = match type_text.as_deref() {
            Some(b"driver_location") => {
                (&[Field::DriverId, Field::Lat, Field::Lng, Field::Status], Self::driver)
            }
            Some(b"ride_requested") => (&[Field::RequestId, Field::Lat, Field::Lng], Self::request),
            Some(b"ride_matched" | b"ride_completed" | b"ride_cancelled") => {
                (&[Field::RequestId], Self::progress)
            }
            Some(_) => return Ok(Event::Unknown),
            None => (&[], |_| Err(bad(Field::Type, "a string"))),
        };
        if let Some(missing) = COMMON.iter().chain(own).find(|field| self.0[**field as usize].is_none()) {
            return Err(Refusal::MissingField { field: missing.name() });
        }
        if type_text.is_none() {
            return read(self).map(|_| Event::Unknown);
        }
        self.entity_id(Field::Id)?;
        let time = self
            .text(Field::Time)
            .and_then(|text| Timestamp::parse(&text))
            .ok_or(bad(Field::Time, "an RFC 3339 time with its zone"))?;
        let city = self
            .text(Field::City)
            .filter(|text| is_city_id(text))
            .ok_or(bad(Field::City, "a city id of 1 to 32 bytes of a-z, 0-9 and -"))?;
        Ok(Event::Market(MarketEvent { time, city, what: read(self)? }))
    }

    fn driver(&self) -> Result<What<'a>, Refusal> {
        let driver = self.entity_id(Field::DriverId)?;
        let place = self.position()?;
        let status = self.text(Field::Status);
        let status = match status.as_deref() {
            Some(b"available") => DriverStatus::Available,
            Some(b"en_route" | b"on_trip") => DriverStatus::Busy,
            Some(b"offline") => DriverStatus::Offline,
            _ => return Err(bad(Field::Status, "one of available, en_route, on_trip, offline")),
        };
        let expected = bad(Field::Products, "a list of product ids");
        let products = match self.optional(Field::Products) {
            None => None,
            Some(Value::Array(array)) => Some(ProductList::new(array).ok_or(expected)?),
            Some(_) => return Err(expected),
        };
        Ok(What::Driver { driver, place, status, products })
    }

    fn request(&self) -> Result<What<'a>, Refusal> {
        let rider = self.rider()?;
        let place = self.position()?;
        let product = match self.optional(Field::Product) {
            None => None,
            Some(Value::String(text)) => Some(text.decode().ok_or(bad(Field::Product, "a product id"))?),
            Some(_) => return Err(bad(Field::Product, "a product id")),
        };
        for (field, limit) in [(Field::DropoffLat, 90.0), (Field::DropoffLng, 180.0)] {
            if self.optional(field).is_some() {
                self.degrees(field, limit)?;
            }
        }
        Ok(What::Request { rider, place, product })
    }

    fn progress(&self) -> Result<What<'a>, Refusal> {
        Ok(What::Progress { rider: self.rider()? })
    }

    fn rider(&self) -> Result<Cow<'a, [u8]>, Refusal> {
        let request = self.entity_id(Field::RequestId)?;
        if self.optional(Field::RiderId).is_none() {
            return Ok(request);
        }
        self.entity_id(Field::RiderId)
    }

    fn position(&self) -> Result<Position, Refusal> {
        Ok(Position { lat: self.degrees(Field::Lat, 90.0)?, lng: self.degrees(Field::Lng, 180.0)? })
    }

    fn degrees(&self, field: Field, limit: f64) -> Result<f64, Refusal> {
        if let Some(Value::Number(digits)) = self.0[field as usize] {
            let degrees = json::number(digits);
            if degrees.abs() <= limit {
                return Ok(degrees);
            }
        }
        let expected = if limit > 90.0 { "a number from -180 to 180" } else { "a number from -90 to 90" };
        Err(bad(field, expected))
    }

    /// The digits of a number, if the line has the field.
    pub(super) fn digits(&self, field: Field) -> Option<&'a [u8]> {
        match self.0[field as usize] {
            Some(Value::Number(digits)) => Some(digits),
            _ => None,
        }
    }

    /// An optional field: `null` is absent.
    pub(super) fn optional(&self, field: Field) -> Option<Value<'a>> {
        self.0[field as usize].filter(|value| *value != Value::Null)
    }

    pub(super) fn text(&self, field: Field) -> Option<Cow<'a, [u8]>> {
        match self.0[field as usize] {
            Some(Value::String(text)) => Text::decode(text),
            _ => None,
        }
    }

    fn entity_id(&self, field: Field) -> Result<Cow<'a, [u8]>, Refusal> {
        self.text(field)
            .filter(|text| is_entity_id(text))
            .ok_or(bad(field, "an id of 1 to 64 bytes of A-Z, a-z, 0-9 and . _ : -"))
    }
}

fn bad(field: Field, expected: &'static str) -> Refusal {
    Refusal::BadField { field: field.name(), expected }
}

#[cfg(test)]
mod tests;
