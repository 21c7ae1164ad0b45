//! Writes market events as lines of NDJSON (CONTRACT §1).

use std::io::Write;

use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::time::Timestamp;

use super::fleet::{Ping, Status};
use super::geography::Frame;
use super::riders::Rider;

/// What happens to a request after it was made.
#[derive(Clone, Copy, Debug)]
pub(super) enum RideEvent {
    Matched,
    Completed,
    Cancelled,
}

/// Writes events and numbers their ids.
#[derive(Debug)]
pub(super) struct EventWriter {
    city: CityId,
    products: Vec<ProductId>,
    start_ms: i64,
    frame: Frame,
    events: u64,
    /// The second of the last event, and its RFC 3339 form without fraction and `Z`: most events share it.
    second: i64,
    second_text: String,
}

impl EventWriter {
    pub(super) fn new(city: CityId, products: Vec<ProductId>, start_ms: i64, frame: Frame) -> Self {
        Self { city, products, start_ms, frame, events: 0, second: i64::MIN, second_text: String::new() }
    }

    /// Number of events written so far.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn driver_location(&mut self, now_ms: i64, driver: u32, ping: &Ping, out: &mut Vec<u8>) {
        let status = match ping.status {
            Status::Available => "available",
            Status::EnRoute => "en_route",
            Status::OnTrip => "on_trip",
            Status::Offline => "offline",
        };
        self.open("driver_location", now_ms, out);
        put(out, format_args!(",\"driver_id\":\"d{driver}\""));
        put_point(out, "", self.frame.microdegrees(ping.at));
        put(out, format_args!(",\"status\":\"{status}\""));
        if !ping.serves_all && self.products.len() > 1 {
            put(out, format_args!(",\"products\":[\"{}\"]", self.products[0]));
        }
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn ride_requested(&mut self, now_ms: i64, rider: &Rider, out: &mut Vec<u8>) {
        self.open("ride_requested", now_ms, out);
        put_request(out, rider);
        put_point(out, "", self.frame.microdegrees(rider.pickup));
        put(out, format_args!(",\"product\":\"{}\"", self.products[rider.product]));
        put_point(out, "dropoff_", self.frame.microdegrees(rider.dropoff));
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn ride(&mut self, now_ms: i64, event: RideEvent, rider: &Rider, out: &mut Vec<u8>) {
        let kind = match event {
            RideEvent::Matched => "ride_matched",
            RideEvent::Completed => "ride_completed",
            RideEvent::Cancelled => "ride_cancelled",
        };
        self.open(kind, now_ms, out);
        put_request(out, rider);
        out.extend_from_slice(b"}\n");
    }

    /// Writes the fields common to all events.
    fn open(&mut self, kind: &str, now_ms: i64, out: &mut Vec<u8>) {
        let ms = self.start_ms + now_ms;
        if ms.div_euclid(1000) != self.second {
            self.second = ms.div_euclid(1000);
            self.second_text = Timestamp::from_ms(self.second * 1000)
                .map(|time| time.to_string())
                .expect("a city's day is within the years 0 to 9999");
            self.second_text.truncate("2026-03-06T17:00:00".len());
        }
        let (second, ms) = (&self.second_text, ms.rem_euclid(1000));
        put(out, format_args!("{{\"type\":\"{kind}\",\"id\":\"e{}\"", self.events));
        put(out, format_args!(",\"time\":\"{second}.{ms:03}Z\",\"city\":\"{}\"", self.city));
        self.events += 1;
    }
}

fn put_request(out: &mut Vec<u8>, rider: &Rider) {
    put(out, format_args!(",\"request_id\":\"q{}\",\"rider_id\":\"r{}\"", rider.request, rider.number));
}

fn put_point(out: &mut Vec<u8>, prefix: &str, (lat, lng): (i64, i64)) {
    put_degrees(out, prefix, "lat", lat);
    put_degrees(out, prefix, "lng", lng);
}

fn put_degrees(out: &mut Vec<u8>, prefix: &str, name: &str, microdegrees: i64) {
    let sign = if microdegrees < 0 { "-" } else { "" };
    let (whole, part) = (microdegrees.unsigned_abs() / 1_000_000, microdegrees.unsigned_abs() % 1_000_000);
    put(out, format_args!(",\"{prefix}{name}\":{sign}{whole}.{part:06}"));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a `Vec` does not fail");
}
