//! Market events as lines of NDJSON (CONTRACT §1).

use std::io::Write;

use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::time::Timestamp;

use super::fleet::{Sight, Status};
use super::geography::Point;
use super::riders::Rider;

/// What becomes of a request once it was made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Progress {
    Matched,
    Completed,
    Cancelled,
}

/// Writes one event after the other, each with an id of its own.
#[derive(Debug)]
pub(super) struct Lines {
    city: CityId,
    products: Vec<ProductId>,
    start_ms: i64,
    events: u64,
    /// The second of the last event as RFC 3339 writes it, without what follows: most share it.
    second: i64,
    second_text: String,
}

impl Lines {
    pub(super) fn new(city: CityId, products: Vec<ProductId>, start_ms: i64) -> Self {
        Self { city, products, start_ms, events: 0, second: i64::MIN, second_text: String::new() }
    }

    /// Events written so far.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn driver_location(&mut self, now_ms: i64, driver: u32, sight: &Sight, out: &mut Vec<u8>) {
        let status = match sight.status {
            Status::Available => "available",
            Status::EnRoute => "en_route",
            Status::OnTrip => "on_trip",
            Status::Offline => "offline",
        };
        self.open("driver_location", now_ms, out);
        put(out, format_args!(",\"driver_id\":\"d{driver}\""));
        place(out, "", sight.at);
        put(out, format_args!(",\"status\":\"{status}\""));
        if !sight.serves_all && self.products.len() > 1 {
            put(out, format_args!(",\"products\":[\"{}\"]", self.products[0]));
        }
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn ride_requested(&mut self, now_ms: i64, rider: &Rider, out: &mut Vec<u8>) {
        self.open("ride_requested", now_ms, out);
        request(out, rider);
        place(out, "", rider.pickup);
        put(out, format_args!(",\"product\":\"{}\"", self.products[rider.product]));
        place(out, "dropoff_", rider.dropoff);
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn ride(&mut self, now_ms: i64, progress: Progress, rider: &Rider, out: &mut Vec<u8>) {
        let kind = match progress {
            Progress::Matched => "ride_matched",
            Progress::Completed => "ride_completed",
            Progress::Cancelled => "ride_cancelled",
        };
        self.open(kind, now_ms, out);
        request(out, rider);
        out.extend_from_slice(b"}\n");
    }

    /// What every event begins with.
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

fn request(out: &mut Vec<u8>, rider: &Rider) {
    put(out, format_args!(",\"request_id\":\"q{}\",\"rider_id\":\"r{}\"", rider.request, rider.number));
}

fn place(out: &mut Vec<u8>, prefix: &str, at: Point) {
    let (lat, lng) = at.microdegrees();
    degrees(out, prefix, "lat", lat);
    degrees(out, prefix, "lng", lng);
}

fn degrees(out: &mut Vec<u8>, prefix: &str, name: &str, microdegrees: i64) {
    let sign = if microdegrees < 0 { "-" } else { "" };
    let (whole, part) = (microdegrees.unsigned_abs() / 1_000_000, microdegrees.unsigned_abs() % 1_000_000);
    put(out, format_args!(",\"{prefix}{name}\":{sign}{whole}.{part:06}"));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a `Vec` takes all");
}
