//! A quote as clients see it (CONTRACT §8).

use equilibrium_app::quote::ports::Confirmation;
use equilibrium_domain::fare::money::Currency;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::quote::Quote;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::time::Timestamp;
use serde::Serialize;

/// A quote.
#[derive(Serialize)]
pub(crate) struct QuoteView<'a> {
    quote_id: &'a str,
    status: &'static str,
    city: &'a str,
    product: &'a str,
    cell: Cell,
    fare: Money,
    breakdown: Vec<Item>,
    multiplier: Multiplier,
    distance_m: u32,
    duration_s: u32,
    mode: Mode,
    feed: Feed,
    as_of: Option<Timestamp>,
    age_ms: Option<i64>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Timestamp>,
    requires_ack: bool,
    policy_version: u64,
    map_version: u64,
    explanation: Explanation,
}

#[derive(Serialize)]
struct Item {
    item: &'static str,
    amount: Money,
}

/// An amount (CONTRACT §5).
#[derive(Serialize)]
struct Money {
    amount: String,
    currency: &'static str,
}

#[derive(Serialize)]
struct Explanation {
    reason: &'static str,
    href: String,
}

impl<'a> QuoteView<'a> {
    /// The quote of a token at `now_ms`, in milliseconds since the epoch.
    pub(crate) fn of(
        token: &'a str,
        quote: &'a Quote,
        confirmation: Option<&Confirmation>,
        now_ms: i64,
    ) -> Self {
        let status = match confirmation {
            Some(_) => "confirmed",
            None if now_ms < quote.expires_at => "valid",
            None => "expired",
        };
        let money = |amount| Money::of(quote.currency, amount);
        let item = |(item, amount): (equilibrium_domain::quote::fare_lines::FareItem, i64)| Item {
            item: item.as_str(),
            amount: money(amount),
        };
        Self {
            quote_id: token,
            status,
            city: quote.city.as_str(),
            product: quote.product.as_str(),
            cell: quote.cell,
            fare: money(quote.lines.total()),
            breakdown: quote.lines.items().map(item).collect(),
            multiplier: quote.multiplier,
            distance_m: quote.ride.distance_m,
            duration_s: quote.ride.duration_s,
            mode: quote.mode,
            feed: quote.feed,
            as_of: quote.as_of.and_then(Timestamp::from_ms),
            age_ms: quote.age_ms,
            issued_at: Timestamp::from_ms(quote.issued_at),
            expires_at: Timestamp::from_ms(quote.expires_at),
            confirmed_at: confirmation.and_then(|confirmed| Timestamp::from_ms(confirmed.confirmed_at)),
            requires_ack: quote.requires_ack,
            policy_version: quote.policy_version,
            map_version: quote.map_version,
            explanation: Explanation { reason: quote.reason.as_str(), href: href(quote) },
        }
    }
}

impl Money {
    fn of(currency: Currency, amount: i64) -> Self {
        Self { amount: currency.format_signed(amount), currency: currency.code() }
    }
}

/// The path of the explanation of the multiplier.
fn href(quote: &Quote) -> String {
    let Quote { city, cell, product, .. } = quote;
    // The characters of an id need no escape in a query (RFC 3986 §3.4).
    let path = format!("/v1/cities/{city}/surge/{cell}/explain?product={product}");
    match quote.as_of.and_then(Timestamp::from_ms) {
        Some(as_of) => format!("{path}&at={as_of}"),
        None => path,
    }
}
