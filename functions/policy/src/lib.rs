//! `policy`: the policies of cities over HTTP: read, tried, and saved as new versions (CONTRACT §5 and §7).
//!
//! A policy is read from the store at each request, so that a client reads its own writes; the functions that price follow
//! within five seconds. It also answers the descriptions of the API, for it has the schema of policies.

mod dry_run;
mod overrides;
mod put;
mod versions;

use equilibrium_admission::{Admit, Caller, handle};
use equilibrium_app::laws::ports::BoundStore;
use equilibrium_app::policy::ports::{PolicyStore, StoredPolicy};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::{Fault, schema};
use equilibrium_http::{FieldError, Problem, Request, Response, etag_matches};
use equilibrium_lambda::api_gateway::ApiGatewayError;
use equilibrium_openapi::Served;

pub use crate::dry_run::MAX_LISTED_CELLS;

/// The media type of a JSON Schema (JSON Schema 2020-12, section 14).
const SCHEMA_JSON: &str = "application/schema+json";

const JSON: &str = "application/json";

/// Handles one invocation at `now_ms`, in milliseconds since the epoch: takes API Gateway's payload, returns the
/// response for API Gateway.
///
/// # Errors
/// As [`handle`].
pub async fn handle_event<S, B, M, K, T>(
    admission: &impl Admit,
    stores: (&S, &B, &MapReader<M, K, T>),
    payload: &[u8],
    now_ms: i64,
) -> Result<Vec<u8>, ApiGatewayError>
where
    S: PolicyStore,
    B: BoundStore,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    let answer = async |request: &Request<'_>, caller: &Caller| {
        (respond(stores, (request, caller.author()), now_ms).await, ())
    };
    let (response, ()) = handle(admission, payload, now_ms, answer).await?;
    Ok(response)
}

/// Answers one request at `now_ms`, in milliseconds since the epoch, from the store of the policies and, for what a version
/// would change, from the newest maps. With the request comes the author of what it saves.
pub async fn respond<S, B, M, K, T>(
    (store, bounds, maps): (&S, &B, &MapReader<M, K, T>),
    (request, author): (&Request<'_>, &str),
    now_ms: i64,
) -> Response
where
    S: PolicyStore,
    B: BoundStore,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    request.respond(PolicyApi { store, bounds, maps, author, now_ms }.answer(request).await)
}

/// Whether the request has a body that is read; what can be refused without it is refused.
///
/// # Errors
/// The problem that [`respond`] would answer with, whatever the body.
pub fn check_head(request: &Request<'_>) -> Result<bool, Problem> {
    let Some((segments, count)) = request.segments::<MAX_SEGMENTS>()? else { return Ok(false) };
    let segments: [&str; MAX_SEGMENTS] = segments.each_ref().map(AsRef::as_ref);
    match Route::of(&segments[..count]) {
        Some(Route::Policy(_)) if request.method == "PUT" => put::read_head(request).map(|_| true),
        Some(Route::Overrides(_)) if request.method == "POST" => overrides::read_head(request).map(|_| true),
        _ => Ok(false),
    }
}

/// The longest path is `/v1/cities/{city}/policy/versions/{version}`.
const MAX_SEGMENTS: usize = 6;

/// A request's path, with its parameters decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Policy(&'a str),
    Versions(&'a str),
    Version(&'a str, &'a str),
    Overrides(&'a str),
    Override(&'a str, &'a str),
    OpenApi,
    Schema(&'a str),
}

impl<'a> Route<'a> {
    /// The route of a path's decoded segments.
    fn of(segments: &[&'a str]) -> Option<Self> {
        match *segments {
            ["v1", "cities", city, "policy"] => Some(Self::Policy(city)),
            ["v1", "cities", city, "policy", "versions"] => Some(Self::Versions(city)),
            ["v1", "cities", city, "policy", "versions", version] => Some(Self::Version(city, version)),
            ["v1", "cities", city, "overrides"] => Some(Self::Overrides(city)),
            ["v1", "cities", city, "overrides", id] => Some(Self::Override(city, id)),
            ["v1", "openapi.json"] => Some(Self::OpenApi),
            ["v1", "schemas", name] => Some(Self::Schema(name)),
            _ => None,
        }
    }
}

/// The API at one moment.
struct PolicyApi<'a, S, B, M, K, T> {
    store: &'a S,
    bounds: &'a B,
    maps: &'a MapReader<M, K, T>,
    author: &'a str,
    now_ms: i64,
}

impl<S, B, M, K, T> PolicyApi<'_, S, B, M, K, T>
where
    S: PolicyStore,
    B: BoundStore,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    async fn answer(&self, request: &Request<'_>) -> Result<Response, Problem> {
        let Some((segments, count)) = request.segments::<MAX_SEGMENTS>()? else {
            return Err(Problem::not_found());
        };
        let segments: [&str; MAX_SEGMENTS] = segments.each_ref().map(AsRef::as_ref);
        let route = Route::of(&segments[..count]).ok_or_else(Problem::not_found)?;
        match (route, request.method) {
            (Route::Policy(city), "PUT") => return self.put(request, city).await,
            (Route::Policy(_) | Route::Overrides(_) | Route::Override(..), "GET" | "HEAD") => {}
            (Route::Policy(_), _) => return Err(Problem::method_not_allowed("GET, HEAD, PUT")),
            (Route::Overrides(city), "POST") => return self.create_override(request, city).await,
            (Route::Overrides(_), _) => return Err(Problem::method_not_allowed("GET, HEAD, POST")),
            (Route::Override(city, id), "DELETE") => {
                request.require_coding()?;
                return self.end_override(city, id).await;
            }
            (Route::Override(..), _) => return Err(Problem::method_not_allowed("DELETE, GET, HEAD")),
            _ => request.require_method("GET")?,
        }
        request.require_coding()?;
        match route {
            Route::Policy(city) => {
                let stored = self.stored(city).await?.ok_or_else(unknown_city)?;
                Ok(document(request, stored))
            }
            Route::Versions(city) => self.versions(request, city).await,
            Route::Version(city, version) => self.version(request, city, version).await,
            Route::Overrides(city) => self.list_overrides(request, city).await,
            Route::Override(city, id) => self.one_override(city, id).await,
            Route::OpenApi => Ok(description(request)),
            Route::Schema("policy.json") => {
                let response = Response::of(200, SCHEMA_JSON, &schema::policy());
                Ok(compressed(response.with("cache-control", "no-cache"), request))
            }
            Route::Schema(_) => Err(Problem::not_found()),
        }
    }

    /// The newest policy of a city, of a version that every policy saved before has reached.
    async fn stored(&self, city: &str) -> Result<Option<StoredPolicy>, Problem> {
        let Some(city) = CityId::new(city) else { return Ok(None) };
        let versions = self.store.versions().await.map_err(unavailable)?;
        let wanted: Vec<(CityId, u64)> = versions.into_iter().filter(|(other, _)| *other == city).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let stored = self.store.read(&wanted).await.map_err(unavailable)?;
        // The store has a version of this city.
        stored.into_iter().next().map(Some).ok_or_else(|| unavailable(Unavailable))
    }
}

/// A policy's document, whose entity tag is its version.
fn document(request: &Request<'_>, stored: StoredPolicy) -> Response {
    let tag = stored.version.to_string();
    let tagged = |response: Response| {
        response
            .with("etag", format!("\"{tag}\""))
            .with("cache-control", "no-cache")
            .with("vary", "accept-encoding")
    };
    if request.header("if-none-match").is_some_and(|tags| etag_matches(tags, &tag)) {
        return tagged(Response::empty(304));
    }
    tagged(written(200, stored.document)).compressed_for(request.header("accept-encoding"))
}

/// The description of the API.
fn description(request: &Request<'_>) -> Response {
    let Served { json, tag } = equilibrium_openapi::served();
    let tagged = |response: Response| {
        // Weak: the compressed content has other bytes.
        let response = response.with("etag", format!("W/\"{tag}\"")).with("cache-control", "no-cache");
        response.with("vary", "accept-encoding")
    };
    if request.header("if-none-match").is_some_and(|tags| etag_matches(tags, tag)) {
        return tagged(Response::empty(304));
    }
    let response = Response::empty(200).with("content-type", JSON);
    let response = Response { body: json.clone().into(), ..response };
    tagged(response).compressed_for(request.header("accept-encoding"))
}

/// A response whose content is a document as it is stored.
fn written(status: u16, document: String) -> Response {
    let response = Response::empty(status).with("content-type", JSON);
    Response { body: document.into_bytes().into(), ..response }
}

fn compressed(response: Response, request: &Request<'_>) -> Response {
    response.with("vary", "accept-encoding").compressed_for(request.header("accept-encoding"))
}

fn field_error(fault: Fault) -> FieldError {
    FieldError { pointer: fault.pointer, message: fault.message }
}

fn unknown_city() -> Problem {
    Problem::new(404, "unknown_city", "no such city")
}

fn unavailable(_: Unavailable) -> Problem {
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
            assert_eq!(route.is_some(), table.function == Function::Policy, "{}", table.path);
            routes.extend(route.map(|route| (table.method, route)));
        }
        let all = [
            ("GET", Route::Policy("{city}")),
            ("PUT", Route::Policy("{city}")),
            ("GET", Route::Versions("{city}")),
            ("GET", Route::Version("{city}", "{version}")),
            ("POST", Route::Overrides("{city}")),
            ("GET", Route::Overrides("{city}")),
            ("GET", Route::Override("{city}", "{id}")),
            ("DELETE", Route::Override("{city}", "{id}")),
            ("GET", Route::OpenApi),
            ("GET", Route::Schema("{name}")),
        ];
        assert_eq!(routes, all);
    }
}
