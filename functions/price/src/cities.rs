//! `GET /v1/cities` and `/v1/cities/{city}`: who is served, and how well their prices are known.

use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::price::map_reader::Timer;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response};
use futures_util::future::join_all;
use serde::Serialize;

use crate::json::{self, AsDisplay};
use crate::{CityView, PriceApi, with_no_cache};
use equilibrium_http::parameters;

/// Cities of a page where a client does not say: more than most houses have.
const DEFAULT_PAGE_SIZE: usize = 100;

/// Most cities of a page: a look at the head of each is waited for.
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
        let view = self.view(&self.city(city)?).await;
        Ok(with_no_cache(Response::of(200, "application/json", &CitySummary::of(&view))))
    }

    pub(crate) async fn all_cities(&self, request: &Request<'_>) -> Result<Response, Problem> {
        let [limit, next] = request.parameters(["limit", "next"])?;
        let limit =
            parameters::count("limit", limit.as_deref(), 1..=MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
        let after = next.as_deref().map(decode_page_token).transpose()?;

        let mut rest = self.book.cities(after.as_ref().map(CityId::as_str));
        let books: Vec<&CityConfig> = rest.by_ref().take(limit).collect();
        let views = join_all(books.iter().map(|book| self.view(book))).await;
        let last = views.last().filter(|_| rest.next().is_some());
        let page = Page {
            cities: views.iter().map(CitySummary::of).collect(),
            next: last.map(|view| encode_page_token(&view.policy().city)),
        };
        let response =
            with_no_cache(Response::of(200, "application/json", &page)).with("vary", "accept-encoding");
        Ok(response.compressed_for(request))
    }
}

impl<'a> CitySummary<'a> {
    fn of(view: &'a CityView) -> Self {
        let policy = view.policy();
        let ladder = view.ladder();
        Self {
            city: policy.city.as_str(),
            name: &policy.name,
            products: policy.products.iter().map(|product| product.id.as_str()).collect(),
            mode: json::mode(ladder.mode),
            as_of: json::time(view.as_of()),
            age_ms: ladder.age_ms,
        }
    }
}

/// What stands for the page behind a city: its id, encoded so that nobody builds upon it.
fn encode_page_token(last: &CityId) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(last.as_str())
}

fn decode_page_token(next: &str) -> Result<CityId, Problem> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(next).ok();
    let city = bytes.and_then(|bytes| CityId::new(std::str::from_utf8(&bytes).ok()?));
    city.ok_or_else(|| {
        Problem::new(400, "malformed_parameter", "is not from an earlier page").for_parameter("next")
    })
}
