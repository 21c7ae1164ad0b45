//! The policy of a city: what it counts, how it prices, and within which limits (CONTRACT §7).

mod field;
mod limits;
pub mod ranges;
mod read;
mod write;

use std::fmt;

use jiff::tz::TimeZone;

pub use self::limits::{Limits, Multiplier};
use crate::fare::money::{Currency, MinorUnits};
use crate::geo::polygon::Polygon;
use crate::id::{CityId, ProductId};
use crate::surge::curve::Curve;

/// Hours of a week, from Monday 00:00 local time.
pub const HOURS_OF_WEEK: usize = 168;

/// What defines a city. Made by [`Policy::from_json`], which holds every field to its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The city.
    pub city: CityId,
    /// Its name for people.
    pub name: String,
    /// What the hours of the static table and of reports are counted in.
    pub timezone: TimeZone,
    /// What its fares are paid in.
    pub currency: Currency,
    /// Where it serves; at least one ring.
    pub boundary: Polygon,
    /// H3 resolution of its cells.
    pub resolution: u8,
    /// Its times.
    pub clock: Clock,
    /// 1 to 64 products; an event that names none means the first.
    pub products: Vec<Product>,
    /// From demand and supply to what is published.
    pub surge: Surge,
    /// Limits everywhere in the city; zones tighten them.
    pub limits: Limits,
    /// How fares are quoted.
    pub quote: QuoteTerms,
    /// The multiplier of each hour of the week for when nothing newer is known; `None` where the city
    /// has no such table.
    pub static_hours: Option<Box<[Multiplier; HOURS_OF_WEEK]>>,
    /// Places with rules of their own; of several that hold a point the first counts.
    pub zones: Vec<Zone>,
}

/// The times of a city's ticks and sightings, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Ticks are the multiples of this since the Unix epoch.
    pub tick_ms: i64,
    /// For how long a request is demand.
    pub window_ms: i64,
    /// For how long a sighting of a driver is supply.
    pub driver_ttl_ms: i64,
    /// How far the watermark stays behind the newest event.
    pub lateness_ms: i64,
}

/// What riders can ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Unique in its city.
    pub id: ProductId,
    /// Its name for people.
    pub name: String,
    /// `None` where none was given and the city's currency has too few digits for the default one.
    pub fare: Option<Fare>,
}

/// The parts of a fare, before any multiplier, in the city's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fare {
    /// Once a ride.
    pub base: MinorUnits,
    /// Each kilometre.
    pub per_km: MinorUnits,
    /// Each minute.
    pub per_minute: MinorUnits,
    /// Once a ride, never multiplied.
    pub booking_fee: MinorUnits,
    /// The least a ride costs.
    pub minimum: MinorUnits,
}

/// Parts of a fare that replace a product's own in a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FareOverrides {
    /// In place of [`Fare::base`].
    pub base: Option<MinorUnits>,
    /// In place of [`Fare::per_km`].
    pub per_km: Option<MinorUnits>,
    /// In place of [`Fare::per_minute`].
    pub per_minute: Option<MinorUnits>,
    /// In place of [`Fare::booking_fee`].
    pub booking_fee: Option<MinorUnits>,
    /// In place of [`Fare::minimum`].
    pub minimum: Option<MinorUnits>,
}

/// From a cell's counts to its published multiplier (CONTRACT §3).
#[derive(Clone, Debug, PartialEq)]
pub struct Surge {
    /// From pressure to the raw multiplier.
    pub curve: Curve,
    /// The prior `a` of the pressure, above 0.
    pub prior: f64,
    /// What a cell at grid distance 0, 1, … weighs; 1 to 7 of them.
    pub ring_weights: Vec<f64>,
    /// In what time `m` goes half the way to the raw multiplier.
    pub half_life_ms: i64,
    /// Published multipliers move in multiples of this, in hundredths: 1 to 100.
    pub step_hundredths: u16,
}

/// How fares are quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteTerms {
    /// For how long a quote holds.
    pub ttl_ms: i64,
    /// Above this multiplier a rider must say they have seen it.
    pub ack_above: Multiplier,
}

/// A place with rules of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Unique in its city: 1–64 of `[A-Za-z0-9._:-]`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Where it is; without rings it is nowhere.
    pub polygon: Polygon,
    /// The lowest multiplier here; the city's may be higher.
    pub floor: Option<Multiplier>,
    /// The highest multiplier here; the city's may be lower.
    pub cap: Option<Multiplier>,
    /// What differs here in every product's fare.
    pub fare: FareOverrides,
}

impl Policy {
    /// The limits in force at a point: the city's, tightened by those of the first zone that holds it.
    #[must_use]
    pub fn limits_at(&self, lng: f64, lat: f64) -> Limits {
        match self.zones.iter().find(|zone| zone.polygon.contains(lng, lat)) {
            Some(zone) => self.limits.tightened(zone.floor, zone.cap),
            None => self.limits,
        }
    }
}

/// One wrong field of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is: a JSON pointer (RFC 6901), `""` being the whole document.
    pub pointer: String,
    /// What to correct, for people.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

#[cfg(test)]
mod tests;
