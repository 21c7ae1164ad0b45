//! Issuing a quote: the fare of a ride at a moment.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use equilibrium_domain::quote::fare_lines::FareLines;
use equilibrium_domain::quote::ride::{RideError, RideRequest};
use equilibrium_domain::quote::{Quote, QuoteId, Reason};
use thiserror::Error;

use crate::price::city_view::{CityView, ProductIndex};

/// Why no quote is issued.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum IssueError {
    /// The product has no fare.
    #[error("the product has no fare in this city's currency")]
    NoFare,
    /// The ride is not quoted.
    #[error(transparent)]
    Ride(#[from] RideError),
}

/// Whether a client may give any distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It may.
    Trusted,
    /// Distances are compared with the great circle.
    Untrusted,
}

/// The quote of a ride in a city at `now_ms`, in milliseconds since the epoch. Nothing is written.
///
/// # Errors
/// [`IssueError`].
pub fn issue(
    view: &CityView<'_>,
    product: ProductIndex<'_>,
    (request, trust): (&RideRequest, Trust),
    now_ms: i64,
) -> Result<Quote, IssueError> {
    let policy = view.policy;
    let of_policy = &policy.products[product.at];
    let fare = of_policy.fare.ok_or(IssueError::NoFare)?;
    let ride = request.ride(&policy.quote, trust == Trust::Trusted)?;
    let cell = policy.cell_at(request.pickup);
    let fare = match view.bounds.bounds().zone(cell) {
        Some(zone) => fare.replaced(&policy.zones[zone].fare),
        None => fare,
    };
    let reported = view.reported(product, cell);
    let multiplier = reported.multiplier;
    Ok(Quote {
        id: new_id(),
        city: policy.city.clone(),
        product: of_policy.id.clone(),
        cell,
        currency: policy.currency,
        lines: FareLines::new(&fare, policy.surge.form, multiplier, ride),
        multiplier,
        ride,
        mode: view.fallback.mode,
        feed: view.feed(),
        as_of: view.as_of_ms(),
        age_ms: view.fallback.age_ms,
        issued_at: now_ms,
        expires_at: now_ms + policy.quote.ttl_ms,
        requires_ack: multiplier > policy.quote.ack_above,
        policy_version: view.policy_version,
        map_version: view.version(),
        reason: Reason::of(view.fallback.mode, view.feed(), (multiplier, reported.decided)),
    })
}

/// An id that no other quote has.
fn new_id() -> QuoteId {
    // The standard library's hasher takes its keys from the operating system's random numbers.
    let random = RandomState::new();
    let half = |half: u8| u128::from(random.hash_one(half));
    QuoteId(half(0) << 64 | half(1))
}
