//! `price`: the cities' prices over HTTP, from maps in memory and their past from logs and histories (CONTRACT §5, §10).
//!
//! When a map is too old, its cells stay listed as of their tick, with the multiplier of the fallback of CONTRACT §6:
//! `as_of` and `age_ms` give the time of the counts.

mod cities;
mod event_source;
mod explanation;
mod history;
mod map;
mod price;
mod rendered_maps;

use std::sync::Arc;

use equilibrium_admission::{Admit, Caller, handle};
use equilibrium_app::history::ports::PastStores;
use equilibrium_app::policy::policy_set::{CityConfig, PolicySet};
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::city_view::{CityView, ProductIndex};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::ProductId;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::explain::is_cell_of;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::ApiGatewayError;

pub use crate::event_source::{EventFeed, EventSource};
pub use crate::rendered_maps::RenderedMaps;

/// Reads the policies and the maps of all cities at `now_ms`, in milliseconds since the epoch, before the first request.
/// What cannot be read now is read when a request needs it.
pub async fn read_at_start<M, K, T>(maps: &MapReader<M, K, T>, policies: &impl PolicySource, now_ms: i64)
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    let Ok(policies) = policies.policies(now_ms).await else { return };
    let policies = policies.cities(None).map(|city| &city.pricing.policy);
    maps.read_all(policies.map(|policy| (&policy.city, policy.clock)), now_ms).await;
}

/// Handles one invocation at `now_ms`, in milliseconds since the epoch: takes API Gateway's payload, returns the
/// response for API Gateway. Its metrics are those of [`MapReader::take_metrics`].
///
/// # Errors
/// As [`handle`].
pub async fn handle_event<M, K, T, P>(
    admission: &impl Admit,
    (maps, rendered, past): (&MapReader<M, K, T>, &RenderedMaps, &P),
    payload: &[u8],
    policies: &impl PolicySource,
    now_ms: i64,
) -> Result<Vec<u8>, ApiGatewayError>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
    P: PastStores,
{
    // The caller ends here: no price depends on a person.
    let answer = async |request: &Request<'_>, _: &Caller| {
        let reading = (maps, rendered, &EventSource::DEPLOYED, past);
        (respond(reading, request, policies, now_ms).await, ())
    };
    let (response, ()) = handle(admission, payload, now_ms, answer).await?;
    Ok(response)
}

/// Answers one request at `now_ms`, in milliseconds since the epoch, with the newest maps, what was written of them for
/// earlier requests, the source of their events, and the past.
pub async fn respond<M, K, T, P>(
    (maps, rendered, source, past): (&MapReader<M, K, T>, &RenderedMaps, &EventSource, &P),
    request: &Request<'_>,
    policies: &impl PolicySource,
    now_ms: i64,
) -> Response
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
    P: PastStores,
{
    let result = match policies.policies(now_ms).await {
        Ok(policies) => PriceApi { maps, rendered, source, past, policies, now_ms }.answer(request).await,
        Err(Unavailable) => Err(policies_unavailable()),
    };
    request.respond(result)
}

/// A request's path, with its parameters decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Cities,
    City(&'a str),
    SurgeMap(&'a str),
    Explanation(&'a str, &'a str),
    History(&'a str),
    Price,
}

impl<'a> Route<'a> {
    /// The route of a path's decoded segments.
    fn of(segments: &[&'a str]) -> Option<Self> {
        match *segments {
            ["v1", "cities"] => Some(Self::Cities),
            ["v1", "cities", city] => Some(Self::City(city)),
            ["v1", "cities", city, "surge"] => Some(Self::SurgeMap(city)),
            ["v1", "cities", city, "surge", cell, "explain"] => Some(Self::Explanation(city, cell)),
            ["v1", "cities", city, "history"] => Some(Self::History(city)),
            ["v1", "price"] => Some(Self::Price),
            _ => None,
        }
    }
}

/// The API at one moment.
struct PriceApi<'a, M, K, T, P> {
    maps: &'a MapReader<M, K, T>,
    rendered: &'a RenderedMaps,
    source: &'a EventSource,
    past: &'a P,
    policies: Arc<PolicySet>,
    now_ms: i64,
}

impl<M, K, T, P> PriceApi<'_, M, K, T, P>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
    P: PastStores,
{
    async fn answer(&self, request: &Request<'_>) -> Result<Response, Problem> {
        // The longest path has six segments.
        let Some((segments, count)) = request.segments::<6>()? else { return Err(Problem::not_found()) };
        let segments: [&str; 6] = segments.each_ref().map(AsRef::as_ref);
        let route = Route::of(&segments[..count]).ok_or_else(Problem::not_found)?;
        request.require_method("GET")?;
        request.require_coding()?;
        match route {
            Route::Cities => self.all_cities(request).await,
            Route::City(city) => self.one_city(request, city).await,
            Route::SurgeMap(city) => self.surge_map(request, city).await,
            Route::Explanation(city, cell) => self.explanation(request, city, cell).await,
            Route::History(city) => self.history(request, city).await,
            Route::Price => self.price(request).await,
        }
    }
}

impl<M, K, T, P> PriceApi<'_, M, K, T, P>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    fn city(&self, city: &str) -> Result<CityConfig, Problem> {
        self.policies.city(city).ok_or_else(|| Problem::new(404, "unknown_city", "no such city"))
    }

    async fn view<'c>(&self, city: &'c CityConfig) -> CityView<'c> {
        CityView::read(city, self.maps, self.now_ms).await
    }
}

/// The product of a view called `id`.
fn product<'a>(view: &CityView<'a>, id: &str) -> Result<ProductIndex<'a>, Problem> {
    view.product(id).ok_or_else(unknown_product)
}

/// The cell of a request, of the resolution of the city's policy.
fn cell_of(policy: &Policy, text: &str, parameter: Option<&'static str>) -> Result<Cell, Problem> {
    let cell = Cell::parse(text).filter(|cell| is_cell_of(policy, *cell));
    let detail = || format!("not an H3 cell of resolution {}, in hexadecimal", policy.resolution);
    cell.ok_or_else(|| Problem { parameter, ..Problem::new(422, "invalid_cell", detail()) })
}

/// The id of a product of the policy.
fn product_of(policy: &Policy, id: &str) -> Result<ProductId, Problem> {
    let known = policy.products.iter().find(|product| product.id.as_str() == id);
    known.map(|product| product.id.clone()).ok_or_else(unknown_product)
}

fn unknown_product() -> Problem {
    Problem { parameter: Some("product"), ..Problem::new(422, "unknown_product", "no such product") }
}

/// The instant of a query parameter, in milliseconds since the epoch.
fn instant(name: &'static str, text: &str) -> Result<i64, Problem> {
    let malformed = || {
        let detail = "must be a time of RFC 3339, such as 2026-11-23T18:00:00Z";
        Problem::new(400, "malformed_parameter", detail).for_parameter(name)
    };
    Timestamp::parse(text.as_bytes()).map(Timestamp::ms).ok_or_else(malformed)
}

fn past_unavailable(_: Unavailable) -> Problem {
    Problem::new(503, "unavailable", "the past cannot be read").with("retry-after", "1")
}

/// A response that caches may store but must revalidate before each use.
fn with_no_cache(response: Response) -> Response {
    response.with("cache-control", "no-cache")
}

fn policies_unavailable() -> Problem {
    Problem::new(503, "unavailable", "the policies cannot be read").with("retry-after", "1")
}

#[cfg(test)]
mod tests {
    use equilibrium_http::routes::{Function, ROUTES};

    use super::*;

    #[test]
    fn the_routes_of_this_function_are_those_of_the_route_table() {
        let mut routes = Vec::new();
        for table in ROUTES {
            let segments: Vec<&str> = table.path.split('/').skip(1).collect();
            let route = Route::of(&segments);
            assert_eq!(route.is_some(), table.function == Function::Price, "{}", table.path);
            assert!(route.is_none() || table.method == "GET", "{}", table.path);
            routes.extend(route);
        }
        let all = [
            Route::Cities,
            Route::City("{city}"),
            Route::SurgeMap("{city}"),
            Route::Explanation("{city}", "{cell}"),
            Route::History("{city}"),
            Route::Price,
        ];
        assert_eq!(routes, all);
    }
}
