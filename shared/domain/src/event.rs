//! A market event: one line in, what it says or the reason it is refused out (CONTRACT §1).

pub mod record_batch;
pub mod sequence;
pub mod watermark;

use std::borrow::Cow;

use thiserror::Error;

use crate::id::{is_city_id, is_entity_id};
use crate::time::Timestamp;
use crate::wire::json::{self, Text, Value};

/// Longest line taken, in bytes without its line end (CONTRACT §1).
pub const MAX_EVENT_BYTES: usize = 4096;

/// How far ahead of the receiver's clock a live event may be (CONTRACT §1).
pub const MAX_FUTURE_MS: i64 = 60_000;

/// An event that was read, its city and products not yet looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// One of the five types.
    Market(MarketEvent<'a>),
    /// Any other type: accepted, counted, and moves nothing.
    Unknown,
}

/// An event of one of the five types.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketEvent<'a> {
    /// The event's own time.
    pub time: Timestamp,
    /// City id, well-formed.
    pub city: Cow<'a, [u8]>,
    /// What happened.
    pub what: What<'a>,
}

/// What a market event tells.
#[derive(Clone, Debug, PartialEq)]
pub enum What<'a> {
    /// A driver was seen.
    Driver {
        /// The driver's id.
        driver: Cow<'a, [u8]>,
        /// Where.
        place: Position,
        /// Whether a rider could have them: status `available`.
        available: bool,
        /// The products they can serve; `None` is all of the city's.
        products: Option<ProductList<'a>>,
    },
    /// A rider asked for a ride.
    Request {
        /// The rider's id, or the request's where there is none.
        rider: Cow<'a, [u8]>,
        /// The pickup point.
        place: Position,
        /// The product asked for; `None` is the city's first.
        product: Option<Cow<'a, [u8]>>,
    },
    /// A request was matched, completed or cancelled: it moves the city's clock alone.
    Progress {
        /// The rider's id, or the request's where there is none.
        rider: Cow<'a, [u8]>,
    },
}

impl What<'_> {
    /// The id that chooses the event's lane (CONTRACT §2).
    #[must_use]
    pub fn entity(&self) -> &[u8] {
        match self {
            Self::Driver { driver, .. } => driver,
            Self::Request { rider, .. } | Self::Progress { rider } => rider,
        }
    }
}

/// WGS 84 degrees, within −90..=90 and −180..=180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
}

/// The `products` of a driver: a checked array of strings, still as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductList<'a>(&'a str);

impl<'a> ProductList<'a> {
    /// Calls `product` with each of the products.
    pub fn for_each(self, mut product: impl FnMut(Cow<'a, [u8]>)) {
        let read = json::items(self.0, |item| {
            if let Value::String(text) = item
                && let Some(name) = text.decode()
            {
                product(name);
            }
        });
        read.expect("the list was read once when the event was");
    }
}

/// Why an event is refused; the order of the variants is the order in which they are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The line is longer than [`MAX_EVENT_BYTES`].
    #[error("the event is longer than {MAX_EVENT_BYTES} bytes")]
    TooLarge,
    /// No JSON object, or not UTF-8.
    #[error("no JSON object in UTF-8: it cannot be read on from byte {at}")]
    MalformedJson {
        /// Offset of the first byte that cannot be.
        at: usize,
    },
    /// A field the event's type needs is not there.
    #[error("`{field}` is missing")]
    MissingField {
        /// The first such field.
        field: &'static str,
    },
    /// A field is of another type, range, charset or length.
    #[error("`{field}` is not {expected}")]
    BadField {
        /// The first such field.
        field: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
    /// No policy defines the city.
    #[error("`city` {city} is not known")]
    UnknownCity {
        /// The city's id.
        city: Box<str>,
    },
    /// The city does not have the product.
    #[error("the city has no product {product:?}")]
    UnknownProduct {
        /// The product as written.
        product: Box<str>,
    },
    /// A live event's time is more than [`MAX_FUTURE_MS`] ahead of the receiver's clock.
    #[error("`time` is {ahead_ms} ms ahead of now")]
    TooFarInFuture {
        /// How far, in milliseconds.
        ahead_ms: i64,
    },
}

impl Refusal {
    /// The codes of CONTRACT §1, in their order.
    pub const CODES: [&'static str; 7] = [
        "too_large",
        "malformed_json",
        "missing_field",
        "bad_field",
        "unknown_city",
        "unknown_product",
        "too_far_in_future",
    ];

    /// This refusal's place among [`Self::CODES`].
    #[must_use]
    pub fn index(&self) -> usize {
        match self {
            Self::TooLarge => 0,
            Self::MalformedJson { .. } => 1,
            Self::MissingField { .. } => 2,
            Self::BadField { .. } => 3,
            Self::UnknownCity { .. } => 4,
            Self::UnknownProduct { .. } => 5,
            Self::TooFarInFuture { .. } => 6,
        }
    }

    /// The code of CONTRACT §1.
    #[must_use]
    pub fn code(&self) -> &'static str {
        Self::CODES[self.index()]
    }
}

/// The lines of a record, without their ends (`\n` or `\r\n`); what follows the last end is one, too.
#[derive(Clone, Debug)]
pub struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Lines<'a> {
    /// The lines of `record`.
    #[must_use]
    pub fn new(record: &'a [u8]) -> Self {
        Self(Some(record))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let line = if let Some(end) = memchr::memchr(b'\n', text) {
            self.0 = Some(&text[end + 1..]);
            &text[..end]
        } else {
            self.0 = None;
            text
        };
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Whether a line holds nothing: it is passed over and counts as no event.
#[must_use]
pub fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// Reads one event from `line`, which is without its line end.
///
/// # Errors
/// The first [`Refusal`] that applies, of the first four: what needs a policy or a clock is the
/// caller's to look up.
pub fn read(line: &[u8]) -> Result<Event<'_>, Refusal> {
    if line.len() > MAX_EVENT_BYTES {
        return Err(Refusal::TooLarge);
    }
    let text = simdutf8::compat::from_utf8(line)
        .map_err(|error| Refusal::MalformedJson { at: error.valid_up_to() })?;
    let mut fields = Fields([None; FIELDS]);
    fields.fill(text)?;
    fields.event()
}

#[derive(Clone, Copy)]
enum Field {
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

/// Reads what an event of one type tells.
type ReadWhat<'a> = fn(&Fields<'a>) -> Result<What<'a>, Refusal>;

/// The values of the fields that mean something; of a key given twice the last.
struct Fields<'a>([Option<Value<'a>>; FIELDS]);

impl<'a> Fields<'a> {
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
        let available = match status.as_deref() {
            Some(b"available") => true,
            Some(b"en_route" | b"on_trip" | b"offline") => false,
            _ => return Err(bad(Field::Status, "one of available, en_route, on_trip, offline")),
        };
        let products = match self.optional(Field::Products) {
            None => None,
            Some(Value::Array(list)) if is_list_of_texts(list) => Some(ProductList(list)),
            Some(_) => return Err(bad(Field::Products, "a list of product ids")),
        };
        Ok(What::Driver { driver, place, available, products })
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

    /// A field that may be absent; `null` is absent.
    fn optional(&self, field: Field) -> Option<Value<'a>> {
        self.0[field as usize].filter(|value| *value != Value::Null)
    }

    fn text(&self, field: Field) -> Option<Cow<'a, [u8]>> {
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

fn is_list_of_texts(list: &str) -> bool {
    let mut texts = true;
    let read = json::items(list, |item| {
        texts &= matches!(item, Value::String(text) if text.decode().is_some());
    });
    read.is_ok() && texts
}

#[cfg(test)]
mod tests;
