//! `GET /v1/cities` and `/v1/cities/{city}`: the cities, with mode and age of their prices.

use std::iter;

use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::fallback::{Fallback, Mode};
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, page_token, parameters};
use serde::Serialize;
use serde_json::Value;

use crate::event_source::SourceView;
use crate::{PriceApi, with_no_cache};

/// Cities of a page if the client does not give a limit: more than most deployments have.
const DEFAULT_PAGE_SIZE: usize = 100;

/// The most cities of a page, for the head of each one's map may have to be read.
const MAX_PAGE_SIZE: usize = 1_000;

#[derive(Serialize)]
struct CitySummary<'a> {
    city: &'a str,
    name: &'a str,
    products: Vec<&'a str>,
    mode: Mode,
    as_of: Option<Timestamp>,
    age_ms: Option<i64>,
}

/// What a reader needs to draw a city and to explain its prices, in the policy's form.
#[derive(Serialize)]
struct CityDetails<'a> {
    #[serde(flatten)]
    summary: CitySummary<'a>,
    resolution: u8,
    boundary: Value,
    currency: Value,
    timezone: Value,
    zones: Value,
    tick_ms: i64,
    lateness_ms: i64,
    source: SourceView,
    surge: Value,
    limits: Value,
}

#[derive(Serialize)]
struct Page<'a> {
    cities: Vec<CitySummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<M, K, T, P> PriceApi<'_, M, K, T, P>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn one_city(&self, request: &Request<'_>, city: &str) -> Result<Response, Problem> {
        let config = self.city(city)?;
        let policy = &config.pricing.policy;
        let ages = self.maps.ages(iter::once((&policy.city, policy.clock)), self.now_ms).await;
        let summary = CitySummary::of(policy, ages.into_iter().next().flatten(), self.now_ms);
        let details = CityDetails::of(summary, policy, self.source.of(&policy.city));
        let response = with_no_cache(Response::of(200, "application/json", &details));
        Ok(compressed(response, request))
    }

    pub(crate) async fn all_cities(&self, request: &Request<'_>) -> Result<Response, Problem> {
        let [limit, next] = request.parameters(["limit", "next"])?;
        let limit =
            parameters::count("limit", limit.as_deref(), 1..=MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
        let after =
            next.as_deref().map(|token| page_token::decode("next", token, CityId::new)).transpose()?;

        let mut rest = self.policies.cities(after.as_ref().map(CityId::as_str));
        let configs: Vec<&CityConfig> = rest.by_ref().take(limit).collect();
        let last = configs.last().filter(|_| rest.next().is_some());
        // The age of a city's prices is in the head of its map: no chunk is read, and the heads are read together.
        let policies = || configs.iter().map(|city| &city.pricing.policy);
        let ages = policies().map(|policy| (&policy.city, policy.clock));
        let ages = policies().zip(self.maps.ages(ages, self.now_ms).await);
        let page = Page {
            cities: ages.map(|(policy, as_of_ms)| CitySummary::of(policy, as_of_ms, self.now_ms)).collect(),
            next: last.map(|city| page_token::encode(city.pricing.policy.city.as_str())),
        };
        let response = with_no_cache(Response::of(200, "application/json", &page));
        Ok(compressed(response, request))
    }
}

fn compressed(response: Response, request: &Request<'_>) -> Response {
    response.with("vary", "accept-encoding").compressed_for(request.header("accept-encoding"))
}

impl<'a> CitySummary<'a> {
    fn of(policy: &'a Policy, as_of_ms: Option<i64>, now_ms: i64) -> Self {
        let fallback = Fallback::new(policy, as_of_ms, now_ms);
        Self {
            city: policy.city.as_str(),
            name: &policy.name,
            products: policy.products.iter().map(|product| product.id.as_str()).collect(),
            mode: fallback.mode,
            as_of: as_of_ms.and_then(Timestamp::from_ms),
            age_ms: fallback.age_ms,
        }
    }
}

impl<'a> CityDetails<'a> {
    fn of(summary: CitySummary<'a>, policy: &Policy, source: SourceView) -> Self {
        let mut document = policy.to_json();
        let mut take = |member: &str| document[member].take();
        Self {
            summary,
            resolution: policy.resolution,
            boundary: take("boundary"),
            currency: take("currency"),
            timezone: take("timezone"),
            zones: take("zones"),
            tick_ms: policy.clock.tick_ms,
            lateness_ms: policy.clock.lateness_ms,
            source,
            surge: take("surge"),
            limits: take("limits"),
        }
    }
}
