//! The canonical form of an event: the one form in which `ingest` writes it into the log (CONTRACT §1).
//!
//! One line: the fields of the event's type, in the order of the contract's table, without whitespace. Fields that are
//! absent, `null` or unknown are left out, times are in UTC to the millisecond, numbers have the fewest digits that read
//! back to the same value, a list of products has each once in the city's order, and ids of people are pseudonyms. An
//! event of an unknown type has no canonical form: any of its fields may hold an id of a person.

use std::io::Write;

use super::parse::{Field, Fields};
use super::{MarketEvent, What};
use crate::id::ProductId;
use crate::pseudonym::{Pseudonym, PseudonymKey};
use crate::time::TIME_BYTES;
use crate::wire::json;

/// The most bytes by which a canonical form is longer than the line it was made from: 21 for each of two ids, 4 for a
/// time, 3 for each of four numbers.
pub const MAX_GROWTH_BYTES: usize = 58;

/// The greatest number of digits with which every decimal is the shortest of its `f64`.
const EXACT_DIGITS: usize = 15;

/// An event with its pseudonyms, ready to be written.
#[derive(Debug)]
pub struct CanonicalEvent<'e, 'a> {
    fields: &'e Fields<'a>,
    event: &'e MarketEvent<'a>,
    entity: Pseudonym,
    /// The request's pseudonym, if the entity is a rider.
    request: Option<Pseudonym>,
}

impl<'e, 'a> CanonicalEvent<'e, 'a> {
    /// The event that was read into `fields`, with pseudonyms under `key`.
    #[must_use]
    #[inline]
    pub fn new(fields: &'e Fields<'a>, event: &'e MarketEvent<'a>, key: &PseudonymKey) -> Self {
        let has_rider = fields.optional(Field::RiderId).is_some();
        let request = match event.what {
            What::Request { .. } | What::Progress { .. } if has_rider => fields.text(Field::RequestId),
            _ => None,
        };
        let request = request.map(|id| key.pseudonym(&id));
        Self { fields, event, entity: key.pseudonym(event.what.entity()), request }
    }

    /// The pseudonym that determines the event's lane (CONTRACT §2).
    #[must_use]
    pub fn entity(&self) -> &[u8] {
        self.entity.as_bytes()
    }

    /// Appends the event to `out`, without a line end. `set` holds the products that it names, one bit each as in
    /// `products`.
    #[inline]
    pub fn write(&self, set: u64, products: &[ProductId], out: &mut Vec<u8>) {
        self.write_text(br#"{"type":""#, Field::Type, out);
        self.write_text(br#"","id":""#, Field::Id, out);
        self.write_time(out);
        write_parts(&[br#"","city":""#, &self.event.city], out);
        match &self.event.what {
            What::Driver { products: list, .. } => {
                write_parts(&[br#"","driver_id":""#, self.entity(), b"\""], out);
                self.write_number(br#","lat":"#, Field::Lat, out);
                self.write_number(br#","lng":"#, Field::Lng, out);
                self.write_text(br#","status":""#, Field::Status, out);
                out.push(b'"');
                if list.is_some() {
                    write_products(set, products, out);
                }
            }
            What::Request { product, .. } => {
                out.push(b'"');
                self.write_number(br#","lat":"#, Field::Lat, out);
                self.write_number(br#","lng":"#, Field::Lng, out);
                self.write_rider(br#","request_id":""#, out);
                if let Some(product) = product {
                    write_parts(&[br#","product":""#, product, b"\""], out);
                }
                self.write_number(br#","dropoff_lat":"#, Field::DropoffLat, out);
                self.write_number(br#","dropoff_lng":"#, Field::DropoffLng, out);
            }
            What::Progress { .. } => self.write_rider(br#"","request_id":""#, out),
        }
        out.push(b'}');
    }

    fn write_rider(&self, key: &[u8], out: &mut Vec<u8>) {
        match &self.request {
            None => write_parts(&[key, self.entity(), b"\""], out),
            Some(request) => {
                let parts = [key, request.as_bytes(), br#"","rider_id":""#, self.entity(), b"\""];
                write_parts(&parts, out);
            }
        }
    }

    fn write_time(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"","time":""#);
        match self.fields.text(Field::Time).as_deref().and_then(|text| text.try_into().ok()) {
            Some(text) if is_canonical_time(text) => out.extend_from_slice(text),
            _ => out.extend_from_slice(&self.event.time.to_bytes()),
        }
    }

    /// Writes a text whose characters need no escape: an id, or one of a few words.
    fn write_text(&self, key: &[u8], field: Field, out: &mut Vec<u8>) {
        write_parts(&[key, &self.fields.text(field).unwrap_or_default()], out);
    }

    /// Writes a number, if the event has the field.
    fn write_number(&self, key: &[u8], field: Field, out: &mut Vec<u8>) {
        if let Some(digits) = self.fields.digits(field) {
            out.extend_from_slice(key);
            write_number(digits, out);
        }
    }
}

/// Whether a valid time of this length, which has three digits of a second then, is in its canonical form.
fn is_canonical_time(text: &[u8; TIME_BYTES]) -> bool {
    text[10] == b'T' && text[TIME_BYTES - 1] == b'Z' && text[17] < b'6'
}

#[inline]
fn write_parts(parts: &[&[u8]], out: &mut Vec<u8>) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn write_products(set: u64, products: &[ProductId], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","products":["#);
    let start = out.len();
    for (_, product) in products.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1) {
        if out.len() > start {
            out.push(b',');
        }
        write_parts(&[b"\"", product.as_str().as_bytes(), b"\""], out);
    }
    out.push(b']');
}

/// Writes the value of a number's digits: as a decimal, or from 10⁻⁵ downwards in scientific notation.
fn write_number(digits: &[u8], out: &mut Vec<u8>) {
    if let Some(shortest) = shortest(digits) {
        out.extend_from_slice(shortest);
        return;
    }
    let value = json::number(digits);
    let written =
        if value == 0.0 || value.abs() >= 1e-5 { write!(out, "{value}") } else { write!(out, "{value:e}") };
    written.expect("a vector accepts every write");
}

/// The digits without the zeros that end a fraction, if they are the shortest decimal of their value: they have no
/// exponent and at most [`EXACT_DIGITS`], and are not small.
#[inline]
fn shortest(digits: &[u8]) -> Option<&[u8]> {
    let magnitude = digits.strip_prefix(b"-").unwrap_or(digits);
    if magnitude.len() > EXACT_DIGITS + 1 || magnitude.starts_with(b"0.0000") {
        return None;
    }
    let Some(point) = magnitude.iter().position(|byte| !byte.is_ascii_digit()) else {
        return (magnitude.len() <= EXACT_DIGITS).then_some(digits);
    };
    if magnitude[point] != b'.' || !magnitude[point + 1..].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = magnitude[point + 1..].iter().rev().take_while(|byte| **byte == b'0').count();
    let without_zeros = &digits[..digits.len() - zeros];
    Some(without_zeros.strip_suffix(b".").unwrap_or(without_zeros))
}

#[cfg(test)]
mod tests;
