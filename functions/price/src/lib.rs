//! `price`: the cities' prices over HTTP, from the maps in memory (CONTRACT §5, `GET` of cities, map and
//! price).
//!
//! Past the age of the map's own prices its cells stay as they were, with the multiplier that the ladder
//! of CONTRACT §6 gives each: `as_of` and `age_ms` say of when the counts are.

mod cities;
mod json;
mod map;
mod price;

use std::sync::Arc;

use equilibrium_app::policy::policy_set::{CityConfig, PolicySet};
use equilibrium_app::price::city_map::CityMap;
use equilibrium_app::price::map_reader::{MapReader, Timer};
use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::city_pricing::PricingConfig;
use equilibrium_domain::surge::fallback::Fallback;
use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::{ApiGatewayError, ApiGatewayRequest, encode_response};

/// Handles one invocation at `now`, in milliseconds since the epoch: a request as API Gateway hands it
/// over in, the answer for it out. What it came to, [`MapReader::take_metrics`] says.
///
/// # Errors
/// [`ApiGatewayError`] where the payload is no request.
pub async fn handle_event<M, K, T>(
    maps: &MapReader<M, K, T>,
    payload: &[u8],
    book: &PolicySet,
    now: i64,
) -> Result<Vec<u8>, ApiGatewayError>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    let payload = ApiGatewayRequest::read(payload)?;
    Ok(encode_response(&respond(maps, &payload.request(), book, now).await))
}

/// Answers one request at `now`, in milliseconds since the epoch.
pub async fn respond<M, K, T>(
    maps: &MapReader<M, K, T>,
    request: &Request<'_>,
    book: &PolicySet,
    now: i64,
) -> Response
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    let desk = PriceApi { maps, book, now };
    let mut response = desk.route(request).await.unwrap_or_else(Response::from);
    if request.method == "HEAD" {
        response.body.clear();
    }
    response
}

/// What every answer is made of.
struct PriceApi<'a, M, K, T> {
    maps: &'a MapReader<M, K, T>,
    book: &'a PolicySet,
    now: i64,
}

/// A city at one moment.
struct CityView {
    terms: Arc<PricingConfig>,
    map: Option<Arc<CityMap>>,
    now: i64,
}

impl<M, K, T> PriceApi<'_, M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    async fn route(&self, request: &Request<'_>) -> Result<Response, Problem> {
        // The longest path known has four segments.
        let Some((segments, count)) = request.segments::<4>()? else { return Err(Problem::not_found()) };
        let names: [&str; 4] = segments.each_ref().map(AsRef::as_ref);
        let path = &names[..count];
        if !matches!(path, ["v1", "price" | "cities"] | ["v1", "cities", _] | ["v1", "cities", _, "surge"]) {
            return Err(Problem::not_found());
        }
        if !matches!(request.method, "GET" | "HEAD") {
            return Err(Problem::method_not_allowed("GET, HEAD"));
        }
        match path {
            ["v1", "cities", city, "surge"] => self.surge_map(request, city).await,
            ["v1", "cities", city] => self.one_city(city).await,
            ["v1", "cities"] => self.all_cities(request).await,
            _ => self.price(request).await,
        }
    }

    fn city(&self, city: &str) -> Result<CityConfig, Problem> {
        let unknown = || Problem::new(404, "unknown_city", "there is no such city");
        self.book.city(city).ok_or_else(unknown)
    }

    async fn view(&self, book: &CityConfig) -> CityView {
        let terms = Arc::clone(&book.pricing);
        let map = self.maps.map(&terms.policy.city, terms.policy.clock, self.now).await;
        CityView { terms, map, now: self.now }
    }
}

impl CityView {
    fn policy(&self) -> &Policy {
        &self.terms.policy
    }

    fn as_of(&self) -> Option<i64> {
        self.map.as_ref().map(|map| map.head().as_of)
    }

    fn ladder(&self) -> Fallback<'_> {
        Fallback::new(self.policy(), self.as_of(), self.now)
    }

    /// The place of a product among the policy's: the one named, or the first.
    fn product(&self, named: Option<&str>) -> Result<usize, Problem> {
        let Some(named) = named else { return Ok(0) };
        let at = self.policy().products.iter().position(|product| product.id.as_str() == named);
        let unknown =
            || Problem::new(422, "unknown_product", "the city has no such product").for_parameter("product");
        at.ok_or_else(unknown)
    }
}

/// An answer that holds for this moment: whoever keeps it asks again before using it.
fn with_no_cache(response: Response) -> Response {
    response.with("cache-control", "no-cache")
}
