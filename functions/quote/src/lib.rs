//! `quote`: quotes over HTTP: issued, read and confirmed (CONTRACT §8).
//!
//! A quote is in its token, which the client keeps; what is stored is that one was confirmed.

mod body;
mod view;

use equilibrium_admission::{Admit, Caller, handle};
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::city_view::CityView;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::quote::confirm::{Acceptance, ConfirmError, FindError, Found};
use equilibrium_app::quote::issue::{IssueError, Trust, issue};
use equilibrium_app::quote::ports::{QuoteKeySource, QuoteStore};
use equilibrium_app::quote::service::QuoteService;
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::policy::Fault;
use equilibrium_domain::quote::quote_request::QuoteRequest;
use equilibrium_domain::quote::ride::RideError;
use equilibrium_http::routes::Scope;
use equilibrium_http::{FieldError, Problem, Request, Response};
use equilibrium_lambda::api_gateway::ApiGatewayError;

use crate::view::QuoteView;

/// What quotes are issued from and kept in.
#[derive(Debug)]
pub struct Quoting<'a, Q, S, L, M, K, T> {
    /// Keys, store and log.
    pub service: &'a QuoteService<Q, S, L>,
    /// The newest maps.
    pub maps: &'a MapReader<M, K, T>,
}

impl<Q, S, L, M, K, T> Clone for Quoting<'_, Q, S, L, M, K, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q, S, L, M, K, T> Copy for Quoting<'_, Q, S, L, M, K, T> {}

/// Handles one invocation at `now_ms`, in milliseconds since the epoch: takes API Gateway's payload, returns the
/// response for API Gateway. Its metrics are those of [`QuoteService::take_metrics`].
///
/// # Errors
/// As [`handle`].
pub async fn handle_event<Q, S, L, M, K, T>(
    admission: &impl Admit,
    quoting: Quoting<'_, Q, S, L, M, K, T>,
    payload: &[u8],
    policies: &impl PolicySource,
    now_ms: i64,
) -> Result<Vec<u8>, ApiGatewayError>
where
    Q: QuoteStore,
    S: QuoteKeySource,
    L: EventLog,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    let answer = async |request: &Request<'_>, caller: &Caller| {
        (respond(quoting, (request, trust(caller)), policies, now_ms).await, ())
    };
    let (response, ()) = handle(admission, payload, now_ms, answer).await?;
    Ok(response)
}

/// The trust in what a caller gives as the length of a ride (CONTRACT §8). Nothing else of the caller reaches a quote.
#[must_use]
pub fn trust(caller: &Caller) -> Trust {
    if caller.has(Scope::QuotesTrusted) { Trust::Trusted } else { Trust::Untrusted }
}

/// Answers one request of a client that is trusted or not, at `now_ms`, in milliseconds since the epoch.
pub async fn respond<Q, S, L, M, K, T>(
    quoting: Quoting<'_, Q, S, L, M, K, T>,
    (request, trust): (&Request<'_>, Trust),
    policies: &impl PolicySource,
    now_ms: i64,
) -> Response
where
    Q: QuoteStore,
    S: QuoteKeySource,
    L: EventLog,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    let Quoting { service, maps } = quoting;
    request.respond(QuoteApi { service, maps, trust, now_ms }.answer(request, policies).await)
}

/// Whether the request has a body that is read; what can be refused without it is refused.
///
/// # Errors
/// The problem that [`respond`] would answer with, whatever the body.
pub fn check_head(request: &Request<'_>) -> Result<bool, Problem> {
    let Some((segments, count)) = request.segments::<MAX_SEGMENTS>()? else { return Ok(false) };
    let segments: [&str; MAX_SEGMENTS] = segments.each_ref().map(AsRef::as_ref);
    match Route::of(&segments[..count]) {
        Some(Route::Quotes | Route::Confirmation(_)) if request.method == "POST" => {
            body::read_head(request).map(|_| true)
        }
        _ => Ok(false),
    }
}

/// The longest path is `/v1/quotes/{id}/confirm`.
const MAX_SEGMENTS: usize = 4;

/// A request's path, with its parameters decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Quotes,
    Quote(&'a str),
    Confirmation(&'a str),
}

impl<'a> Route<'a> {
    /// The route of a path's decoded segments.
    fn of(segments: &[&'a str]) -> Option<Self> {
        match *segments {
            ["v1", "quotes"] => Some(Self::Quotes),
            ["v1", "quotes", id] => Some(Self::Quote(id)),
            ["v1", "quotes", id, "confirm"] => Some(Self::Confirmation(id)),
            _ => None,
        }
    }
}

/// The API at one moment.
struct QuoteApi<'a, Q, S, L, M, K, T> {
    service: &'a QuoteService<Q, S, L>,
    maps: &'a MapReader<M, K, T>,
    trust: Trust,
    now_ms: i64,
}

impl<Q, S, L, M, K, T> QuoteApi<'_, Q, S, L, M, K, T>
where
    Q: QuoteStore,
    S: QuoteKeySource,
    L: EventLog,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    async fn answer(&self, request: &Request<'_>, policies: &impl PolicySource) -> Result<Response, Problem> {
        let Some((segments, count)) = request.segments::<MAX_SEGMENTS>()? else {
            return Err(Problem::not_found());
        };
        let segments: [&str; MAX_SEGMENTS] = segments.each_ref().map(AsRef::as_ref);
        match Route::of(&segments[..count]).ok_or_else(Problem::not_found)? {
            Route::Quotes => {
                request.require_method("POST")?;
                self.issue(request, policies).await
            }
            Route::Quote(token) => {
                request.require_method("GET")?;
                request.require_coding()?;
                let found = self.find(token).await?;
                Ok(answered(
                    200,
                    &QuoteView::of(token, &found.quote, found.confirmation.as_ref(), self.now_ms),
                ))
            }
            Route::Confirmation(token) => {
                request.require_method("POST")?;
                self.confirm(request, token).await
            }
        }
    }

    async fn issue(&self, request: &Request<'_>, policies: &impl PolicySource) -> Result<Response, Problem> {
        let body = body::read(request)?;
        let QuoteRequest { ride, product } = QuoteRequest::read(body::required(&body)?).map_err(invalid)?;
        let unavailable = |Unavailable| unavailable("the policies cannot be read");
        let policies = policies.policies(self.now_ms).await.map_err(unavailable)?;
        let outside = || Problem::new(404, "outside_service_area", "no city serves the pickup");
        let city: &CityConfig = policies.city_around(ride.pickup).ok_or_else(outside)?;
        let view = CityView::read(city, self.maps, self.now_ms).await;
        let product = match &product {
            None => view.default_product(),
            Some(id) => view.product(id.as_str()).ok_or_else(|| {
                let detail = "the city has no such product";
                Problem::new(422, "unknown_product", detail).with_errors([error_at("/product", detail)])
            })?,
        };
        let quote = issue(&view, product, (&ride, self.trust), self.now_ms).map_err(not_issued)?;
        let signed = self.service.ring().sign(&quote, self.now_ms).await;
        let token = signed.map_err(|Unavailable| self::unavailable("no key can be read to sign with"))?;
        self.service.count(|metrics| metrics.issued += 1);
        let response = answered(201, &QuoteView::of(&token, &quote, None, self.now_ms));
        Ok(response.with("location", format!("/v1/quotes/{token}")))
    }

    async fn confirm(&self, request: &Request<'_>, token: &str) -> Result<Response, Problem> {
        body::read_head(request)?;
        let idempotency_key = body::idempotency_key(request)?;
        let found = self.find(token).await?;
        let ack = body::acknowledgement(&body::read(request)?)?;
        let acceptance = Acceptance { idempotency_key, ack };
        let confirmed = self.service.confirm((token, &found), acceptance, self.now_ms).await;
        let confirmed = confirmed.map_err(|error| not_confirmed(error, &found))?;
        Ok(answered(200, &QuoteView::of(token, &found.quote, Some(&confirmed), self.now_ms)))
    }

    async fn find(&self, token: &str) -> Result<Found, Problem> {
        self.service.find(token, self.now_ms).await.map_err(|error| match error {
            FindError::Unknown => Problem::new(404, "unknown_quote", "no such quote"),
            FindError::Unavailable(Unavailable) => unavailable("quotes cannot be read"),
        })
    }
}

/// A response that no cache keeps: a quote changes when it is confirmed and when it expires.
fn answered(status: u16, view: &QuoteView<'_>) -> Response {
    Response::of(status, "application/json", view).with("cache-control", "no-store")
}

fn unavailable(detail: &'static str) -> Problem {
    Problem::new(503, "unavailable", detail).with("retry-after", "1")
}

fn error_at(pointer: &str, message: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.to_owned(), message: message.into() }
}

fn invalid(faults: Vec<Fault>) -> Problem {
    let errors = faults.into_iter().map(|fault| error_at(&fault.pointer, fault.message));
    Problem::new(422, "invalid_quote_request", "the request has invalid fields").with_errors(errors)
}

fn not_issued(error: IssueError) -> Problem {
    let (code, pointer) = match error {
        IssueError::NoFare => ("no_fare", "/product"),
        IssueError::Ride(RideError::TooFar { .. }) => ("too_far", "/dropoff"),
        IssueError::Ride(RideError::Implausible { .. }) => ("implausible_distance", "/distance_m"),
    };
    Problem::new(422, code, error.to_string()).with_errors([error_at(pointer, error.to_string())])
}

fn not_confirmed(error: ConfirmError, found: &Found) -> Problem {
    match error {
        ConfirmError::AlreadyConfirmed => Problem::new(409, "already_confirmed", error.to_string()),
        ConfirmError::Expired => Problem::new(410, "expired", error.to_string()),
        ConfirmError::AckRequired => {
            let multiplier = f64::from(found.quote.multiplier);
            let detail = format!("ack_multiplier must be the multiplier of the quote, {multiplier}");
            Problem::new(422, "ack_required", detail.clone())
                .with_errors([error_at("/ack_multiplier", detail)])
        }
        ConfirmError::Unavailable(Unavailable) => unavailable(
            "it is unknown whether the quote was confirmed: repeat the request with the same Idempotency-Key",
        ),
    }
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
            assert_eq!(route.is_some(), table.function == Function::Quote, "{}", table.path);
            routes.extend(route.map(|route| (table.method, route)));
        }
        let all =
            [("POST", Route::Quotes), ("GET", Route::Quote("{id}")), ("POST", Route::Confirmation("{id}"))];
        assert_eq!(routes, all);
    }
}
