//! `GET /v1/cities` and `/v1/cities/{city}`: the cities, with mode and age of their prices.

use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::price::map_reader::Timer;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, page_token, parameters};
use futures_util::future::join_all;
use serde::Serialize;

use crate::city_view::CityView;
use crate::json::{self, AsDisplay};
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
    mode: AsDisplay<Mode>,
    as_of: Option<AsDisplay<Timestamp>>,
    age_ms: Option<i64>,
}

#[derive(Serialize)]
struct Page<'a> {
    cities: Vec<CitySummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<M, K, T> PriceApi<'_, M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn one_city(&self, city: &str) -> Result<Response, Problem> {
        let config = self.city(city)?;
        let view = self.view(&config).await;
        Ok(with_no_cache(Response::of(200, "application/json", &CitySummary::of(&view))))
    }

    pub(crate) async fn all_cities(&self, request: &Request<'_>) -> Result<Response, Problem> {
        let [limit, next] = request.parameters(["limit", "next"])?;
        let limit =
            parameters::count("limit", limit.as_deref(), 1..=MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
        let after =
            next.as_deref().map(|token| page_token::decode("next", token, CityId::new)).transpose()?;

        let mut rest = self.policies.cities(after.as_ref().map(CityId::as_str));
        let configs: Vec<&CityConfig> = rest.by_ref().take(limit).collect();
        let views = join_all(configs.iter().map(|config| self.view(config))).await;
        let last = views.last().filter(|_| rest.next().is_some());
        let page = Page {
            cities: views.iter().map(CitySummary::of).collect(),
            next: last.map(|view| page_token::encode(view.policy.city.as_str())),
        };
        let response = with_no_cache(Response::of(200, "application/json", &page));
        Ok(response.with("vary", "accept-encoding").compressed_for(request.header("accept-encoding")))
    }
}

impl<'a> CitySummary<'a> {
    fn of(view: &CityView<'a>) -> Self {
        let policy = view.policy;
        Self {
            city: policy.city.as_str(),
            name: &policy.name,
            products: policy.products.iter().map(|product| product.id.as_str()).collect(),
            mode: json::mode(view.fallback.mode),
            as_of: json::time(view.as_of_ms()),
            age_ms: view.fallback.age_ms,
        }
    }
}
