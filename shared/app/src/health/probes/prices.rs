//! A price of the city of probes: whatever its mode, there is one.

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::health::probe::{PLACE, PRODUCT};
use equilibrium_domain::id::PROBE_CITY;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{ProbeError, call, read, since};
use crate::health::ports::{Api, ApiRequest};
use crate::health::prober::{Found, Probe, Stopwatch};

const TARGET: &str = "price";

/// A price, as far as a probe reads it.
#[derive(Debug, Deserialize)]
pub(super) struct Price {
    city: String,
    multiplier: f64,
    pub(super) mode: String,
    age_ms: Option<i64>,
}

/// Asks for the price at the place of the probes.
pub(super) async fn price(api: &impl Api) -> Result<Price, ProbeError> {
    let (lat, lng) = (PLACE.lat, PLACE.lng);
    let query = format!("city={PROBE_CITY}&product={PRODUCT}&lat={lat}&lng={lng}");
    let body = call(api, (TARGET, 200), ApiRequest::get("price", "/v1/price", query)).await?;
    let price: Price = read(TARGET, &body)?;
    let wrong = |fact| ProbeError::Wrong { target: TARGET, fact };
    if price.city != PROBE_CITY {
        return Err(wrong("the price of another city"));
    }
    if !(0.01..=100.0).contains(&price.multiplier) {
        return Err(wrong("an impossible multiplier"));
    }
    if price.age_ms.is_some_and(|age_ms| age_ms < 0) {
        return Err(wrong("a negative age"));
    }
    Ok(price)
}

/// A probe of `GET /v1/price`.
#[derive(Clone, Debug)]
pub struct PriceProbe<A> {
    /// The functions.
    pub api: A,
    /// The time.
    pub stopwatch: Stopwatch,
}

impl<A: Api> Probe for PriceProbe<A> {
    fn component(&self) -> Component {
        Component::Pricing
    }

    fn look(&self, _now_ms: i64) -> BoxFuture<'_, Found> {
        async move {
            let began_ms = (self.stopwatch)();
            let price = price(&self.api).await;
            let took_ms = since((self.stopwatch)(), began_ms);
            price.map_or_else(|error| Look::bad(&error.to_string()), |_| Look::good(took_ms)).into()
        }
        .boxed()
    }
}
