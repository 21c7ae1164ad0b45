//! The policy of a city: how it is counted and priced, and within which limits (CONTRACT §7).

pub mod change;
pub mod curve;
pub(crate) mod document;
pub(crate) mod field;
pub mod large_change;
pub mod law;
mod limits;
pub mod overrides;
pub mod ranges;
mod read;
pub mod schema;
mod write;

use std::fmt;

use h3o::Resolution;
use jiff::tz::TimeZone;

use self::curve::Curve;
use self::law::Law;
pub use self::limits::{Limits, Multiplier, Published};
use crate::event::Position;
use crate::fare::money::{Currency, MinorUnits};
use crate::geo::locate::{Cell, cell_at};
use crate::geo::polygon::Polygon;
use crate::id::{CityId, ProductId};

/// Hours of a week, from Monday 00:00 local time.
pub const HOURS_OF_WEEK: usize = 168;

/// The definition of a city. [`Policy::from_json`] checks the range of every field.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The city.
    pub city: CityId,
    /// Its name for people.
    pub name: String,
    /// The time zone of the hours of the static table and of analytics.
    pub timezone: TimeZone,
    /// The currency of its fares.
    pub currency: Currency,
    /// The area that it serves; at least one ring.
    pub boundary: Polygon,
    /// H3 resolution of its cells.
    pub resolution: u8,
    /// The times of its ticks and sightings.
    pub clock: Clock,
    /// 1 to 64 products; a request without a product is for the first.
    pub products: Vec<Product>,
    /// How demand and supply become multipliers.
    pub surge: Surge,
    /// The limits in the whole city; zones tighten them.
    pub limits: Limits,
    /// How fares are quoted.
    pub quote: QuoteTerms,
    /// When the feed of drivers is suspect.
    pub guard: Guard,
    /// By how much a new version may differ.
    pub max_change: MaxChange,
    /// The laws that bind its multipliers.
    pub laws: Vec<Law>,
    /// The multiplier of each hour of the week, used when the map is too old; `None` if the city has no static table.
    pub static_hours: Option<Box<[Multiplier; HOURS_OF_WEEK]>>,
    /// Areas with limits and fares of their own. The first zone that contains a point applies.
    pub zones: Vec<Zone>,
}

/// The times of a city's ticks and sightings, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Ticks are the multiples of this since the Unix epoch.
    pub tick_ms: i64,
    /// How long a request counts as demand.
    pub window_ms: i64,
    /// How long a driver is in touch after a sighting.
    pub driver_ttl_ms: i64,
    /// How long a driver counts as supply who logs off or falls silent, if that is longer; 0 if drivers stop to count
    /// when they log off.
    pub absent_ms: i64,
    /// How far the watermark trails the greatest time.
    pub lateness_ms: i64,
}

impl Clock {
    /// By how much a city whose newest tick is `as_of` is overdue (CONTRACT §6), in milliseconds.
    #[must_use]
    pub fn overdue_ms(self, as_of: i64, now_ms: i64) -> i64 {
        now_ms.saturating_sub(as_of).saturating_sub(self.lateness_ms).saturating_sub(self.tick_ms).max(0)
    }

    /// Whether a city whose newest tick is `as_of` is overdue by two ticks: then it is looked at whether its pipeline failed.
    #[must_use]
    pub fn is_overdue_by_two(self, as_of: i64, now_ms: i64) -> bool {
        self.overdue_ms(as_of, now_ms) > 2 * self.tick_ms
    }
}

/// A product that riders can request.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Unique in its city.
    pub id: ProductId,
    /// Its name for people.
    pub name: String,
    /// `None` if the policy gives none and the city's currency has too few digits for the default fare.
    pub fare: Option<Fare>,
}

/// The parts of a fare before the multiplier, in the city's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fare {
    /// Once per ride.
    pub base: MinorUnits,
    /// Per kilometre.
    pub per_km: MinorUnits,
    /// Per minute.
    pub per_minute: MinorUnits,
    /// Once per ride, not multiplied.
    pub booking_fee: MinorUnits,
    /// The lowest fare of a ride.
    pub minimum: MinorUnits,
}

/// Parts of a fare that replace those of every product in a zone.
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

/// The parameters by which a cell's counts become its published multiplier (CONTRACT §3).
#[derive(Clone, Debug, PartialEq)]
pub struct Surge {
    /// The curve from pressure to the raw multiplier.
    pub curve: Curve,
    /// The prior `a` of the pressure, above 0.
    pub prior: f64,
    /// The weights of the cells at grid distance 0, 1, …; 1 to 7 weights.
    pub ring_weights: Vec<f64>,
    /// The time in which `m` covers half the distance to a higher raw multiplier, in milliseconds.
    pub half_life_up_ms: i64,
    /// The same to a lower one.
    pub half_life_down_ms: i64,
    /// Published multipliers are multiples of this step, in hundredths: 1 to 100.
    pub step_hundredths: u16,
    /// How a multiplier enters a fare.
    pub form: SurgeForm,
}

/// How a multiplier enters a fare (CONTRACT §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurgeForm {
    /// It multiplies the fare without the booking fee.
    Multiplicative,
    /// It multiplies an amount that does not depend on the ride; `None` is the product's minimum.
    Additive(Option<MinorUnits>),
}

/// How fares are quoted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuoteTerms {
    /// How long a quote is valid, in milliseconds.
    pub ttl_ms: i64,
    /// A rider must acknowledge a multiplier above this one.
    pub ack_above: Multiplier,
    /// The length of a ride relative to the great circle, where a request does not give it.
    pub detour: f64,
    /// The speed of a ride in km/h, where a request does not give its duration.
    pub speed_kmh: f64,
}

/// When the feed guard goes on, and for how long (CONTRACT §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The fewest drivers lost for the guard to go on.
    pub min_lost: u64,
    /// How long it stays on at most, in milliseconds; with 0 it never goes on.
    pub hold_ms: i64,
}

/// By how much a new version of a policy may differ unless it is confirmed (CONTRACT §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxChange {
    /// The most that a limit or a curve's parameter may change, in hundredths.
    pub multiplier_hundredths: u16,
    /// The most that a part of a fare may change, in percent.
    pub fare_percent: u16,
}

/// An area with limits and fares of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Unique in its city: 1–64 of `[A-Za-z0-9._:-]`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its area; without rings it contains nothing.
    pub polygon: Polygon,
    /// The lowest multiplier in the zone; the city's floor may be higher.
    pub floor: Option<Multiplier>,
    /// The highest multiplier in the zone; the city's cap may be lower.
    pub cap: Option<Multiplier>,
    /// The parts that differ from every product's fare.
    pub fare: FareOverrides,
}

impl Policy {
    /// The cell of a place.
    ///
    /// # Panics
    /// Never: the resolution of a policy is one of H3's.
    #[must_use]
    pub fn cell_at(&self, place: Position) -> Cell {
        let resolution = Resolution::try_from(self.resolution);
        cell_at(place, resolution.expect("a policy's resolution is one of H3's"))
    }
}

/// One wrong field of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field as a JSON pointer (RFC 6901); `""` is the whole document.
    pub pointer: String,
    /// The fault, for people.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, message } = self;
        if pointer.is_empty() { f.write_str(message) } else { write!(f, "{pointer}: {message}") }
    }
}

#[cfg(test)]
mod tests;
