//! A quote: a fare that holds until it expires, and the ride that it is for (CONTRACT §8).

pub mod fare_lines;
pub mod quote_request;
pub mod ride;

use crate::fare::money::Currency;
use crate::geo::locate::Cell;
use crate::id::{CityId, ProductId};
use crate::policy::Multiplier;
use crate::quote::fare_lines::FareLines;
use crate::quote::ride::Ride;
use crate::surge::bounds::Decided;
use crate::surge::fallback::Mode;
use crate::surge::feed_guard::Feed;

/// A quote. It names no person.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// Unique: 128 random bits.
    pub id: QuoteId,
    /// The city.
    pub city: CityId,
    /// The product.
    pub product: ProductId,
    /// The cell of the pickup.
    pub cell: Cell,
    /// The currency of the fare.
    pub currency: Currency,
    /// The fare's items.
    pub lines: FareLines,
    /// The multiplier that the fare was worked out with.
    pub multiplier: Multiplier,
    /// The ride.
    pub ride: Ride,
    /// The mode of the city's prices.
    pub mode: Mode,
    /// The state of the feed.
    pub feed: Feed,
    /// The tick of the map, in milliseconds since the epoch; `None` before the first.
    pub as_of: Option<i64>,
    /// The age of the map when the quote was issued, in milliseconds.
    pub age_ms: Option<i64>,
    /// When it was issued, in milliseconds since the epoch.
    pub issued_at: i64,
    /// From when on it cannot be confirmed, in milliseconds since the epoch.
    pub expires_at: i64,
    /// Whether a confirmation must repeat the multiplier.
    pub requires_ack: bool,
    /// The version of the policy.
    pub policy_version: u64,
    /// The version of the map.
    pub map_version: u64,
    /// Why the multiplier is what it is.
    pub reason: Reason,
}

/// The id of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuoteId(pub u128);

impl std::fmt::Display for QuoteId {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl QuoteId {
    /// The id that [`ToString`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self)
    }
}

/// The first of these that holds of a multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The map is too old.
    NotFresh,
    /// The feed guard is on.
    FeedSuspect,
    /// An override decided it.
    Overridden,
    /// A limit or a law decided it.
    AtLimit,
    /// It is above 1.0.
    DemandAboveSupply,
    /// It is at most 1.0.
    Balanced,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::NotFresh,
        Self::FeedSuspect,
        Self::Overridden,
        Self::AtLimit,
        Self::DemandAboveSupply,
        Self::Balanced,
    ];

    /// The reason of a multiplier.
    #[must_use]
    pub fn of(mode: Mode, feed: Feed, (multiplier, decided): (Multiplier, Decided)) -> Self {
        match (mode, feed, decided) {
            (Mode::Cached | Mode::Static | Mode::Degraded, ..) => Self::NotFresh,
            (_, Feed::Suspect, _) => Self::FeedSuspect,
            (.., Decided::Override) => Self::Overridden,
            (.., Decided::Limit) => Self::AtLimit,
            (.., Decided::Published) if multiplier > Multiplier::ONE => Self::DemandAboveSupply,
            (.., Decided::Published) => Self::Balanced,
        }
    }

    /// Its name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFresh => "not_fresh",
            Self::FeedSuspect => "feed_suspect",
            Self::Overridden => "overridden",
            Self::AtLimit => "at_limit",
            Self::DemandAboveSupply => "demand_above_supply",
            Self::Balanced => "balanced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_that_holds_is_given() {
        let of = |mode, feed, hundredths, decided| {
            Reason::of(mode, feed, (Multiplier::new(hundredths).unwrap(), decided)).as_str()
        };
        assert_eq!(of(Mode::Cached, Feed::Suspect, 200, Decided::Override), "not_fresh");
        assert_eq!(of(Mode::Fresh, Feed::Suspect, 200, Decided::Override), "feed_suspect");
        assert_eq!(of(Mode::Fresh, Feed::Ok, 200, Decided::Override), "overridden");
        assert_eq!(of(Mode::Fresh, Feed::Ok, 200, Decided::Limit), "at_limit");
        assert_eq!(of(Mode::Fresh, Feed::Ok, 110, Decided::Published), "demand_above_supply");
        assert_eq!(of(Mode::Fresh, Feed::Ok, 100, Decided::Published), "balanced");
    }

    #[test]
    fn an_id_has_32_digits() {
        for id in [QuoteId(0), QuoteId(u128::MAX), QuoteId(0xab << 64)] {
            assert_eq!((id.to_string().len(), QuoteId::parse(&id.to_string())), (32, Some(id)));
        }
        for text in
            ["", "0", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33), "+0000000000000000000000000000000"]
        {
            assert_eq!(QuoteId::parse(text), None, "{text}");
        }
    }
}
