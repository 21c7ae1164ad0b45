//! Market events: their model, and how a line of JSON becomes one or is refused (CONTRACT §1).

pub mod canonical;
mod lines;
mod parse;
pub mod record_batch;
mod refusal;
pub mod sequence;
pub mod watermark;
pub mod watermark_board;

use std::borrow::Cow;

pub use self::lines::{Lines, is_blank};
pub use self::parse::{Fields, check_start, read};
pub use self::refusal::Refusal;
use crate::time::Timestamp;
use crate::wire::json::{self, Value};

/// Longest event in bytes, line end not counted (CONTRACT §1).
pub const MAX_EVENT_BYTES: usize = 4096;

/// How far ahead of the receiver's clock a live event may be (CONTRACT §1).
pub const MAX_FUTURE_MS: i64 = 60_000;

/// An event whose fields are valid; its city and products are not looked up yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// One of the five types.
    Market(MarketEvent<'a>),
    /// Any other type: accepted and counted, without any other effect.
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

/// What happened, by type of event.
#[derive(Clone, Debug, PartialEq)]
pub enum What<'a> {
    /// A driver reported a position.
    Driver {
        /// The driver's id.
        driver: Cow<'a, [u8]>,
        /// The driver's position.
        place: Position,
        /// Whether the driver can take a rider.
        status: DriverStatus,
        /// The products that the driver serves; `None` is all of the city's.
        products: Option<ProductList<'a>>,
    },
    /// A rider requested a ride.
    Request {
        /// The rider's id, or the request's if the event has none.
        rider: Cow<'a, [u8]>,
        /// The pickup point.
        place: Position,
        /// The product requested; `None` is the city's first.
        product: Option<Cow<'a, [u8]>>,
    },
    /// A request was matched, completed or cancelled: it only advances the city's watermark.
    Progress {
        /// The rider's id, or the request's if the event has none.
        rider: Cow<'a, [u8]>,
    },
}

/// The status of a driver, as far as counting distinguishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverStatus {
    /// `available`: the driver can take a rider.
    Available,
    /// `en_route` or `on_trip`: the driver works, but cannot take another rider.
    Busy,
    /// `offline`: the driver has logged off.
    Offline,
}

impl What<'_> {
    /// The id that determines the event's lane (CONTRACT §2).
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

/// The `products` of a driver: the JSON text of an array that holds strings only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductList<'a>(&'a str);

impl<'a> ProductList<'a> {
    /// The list, if `array` is the JSON text of an array of strings that can be decoded.
    fn new(array: &'a str) -> Option<Self> {
        let mut are_strings = true;
        let read = json::items_while(array, |item| {
            are_strings = matches!(item, Value::String(text) if text.is_decodable());
            are_strings
        });
        (read.is_ok() && are_strings).then_some(Self(array))
    }

    /// Calls `product` with each product, in order, up to the first error.
    ///
    /// # Errors
    /// That of `product`.
    pub fn try_for_each<E>(self, mut product: impl FnMut(Cow<'a, [u8]>) -> Result<(), E>) -> Result<(), E> {
        let mut result = Ok(());
        let read = json::items_while(self.0, |item| {
            if let Value::String(text) = item
                && let Some(name) = text.decode()
            {
                result = product(name);
            }
            result.is_ok()
        });
        read.expect("the constructor has read the same text");
        result
    }
}
