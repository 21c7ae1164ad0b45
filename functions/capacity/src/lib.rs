//! `capacity`: the bottlenecks and the cost at a multiple of today's load, over HTTP and each day as metrics (CONTRACT §12).

use equilibrium_admission::{Admit, Caller, handle};
use equilibrium_app::capacity::ports::LoadSource;
use equilibrium_app::capacity::{CapacityMetrics, capacity};
use equilibrium_app::telemetry::emf::{Measurements, ToMeasurements};
use equilibrium_domain::capacity::decimal::Decimal;
use equilibrium_domain::capacity::growth::Scale;
use equilibrium_domain::capacity::system::Settings;
use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::ApiGatewayError;
use equilibrium_lambda::schedule::{self, is_scheduled};

/// The only path of this function.
const PATH: &str = "/v1/capacity";

/// Handles one invocation at `now_ms`, in milliseconds since the epoch: answers a request that API Gateway passes on, or
/// measures the capacity when a schedule asks for it.
///
/// # Errors
/// [`ApiGatewayError`] if the payload is neither.
pub async fn handle_event(
    admission: &impl Admit,
    (source, settings): (&impl LoadSource, Settings),
    payload: &[u8],
    now_ms: i64,
) -> Result<(Vec<u8>, Measurements), ApiGatewayError> {
    if is_scheduled(payload) {
        let metrics = CapacityMetrics::of(&capacity(source, settings, now_ms).await);
        return Ok((schedule::RESPONSE.to_vec(), metrics.measures()));
    }
    let answer = async |request: &Request<'_>, _: &Caller| {
        (respond((source, settings), request, now_ms).await, Measurements::default())
    };
    handle(admission, payload, now_ms, answer).await
}

/// Answers one request at `now_ms`, in milliseconds since the epoch.
pub async fn respond(system: (&impl LoadSource, Settings), request: &Request<'_>, now_ms: i64) -> Response {
    request.respond(answer(system, request, now_ms).await)
}

async fn answer(
    (source, settings): (&impl LoadSource, Settings),
    request: &Request<'_>,
    now_ms: i64,
) -> Result<Response, Problem> {
    if request.path != PATH {
        return Err(Problem::not_found());
    }
    request.require_method("GET")?;
    request.require_coding()?;
    let [scale] = request.parameters(["scale"])?;
    let scale = scale.as_deref().map_or(Ok(Scale::TEN), parse_scale)?;
    let capacity = capacity(source, settings, now_ms).await;
    let document = capacity.document(scale);
    let response = Response::of(200, "application/json", &capacity.report(&document, scale));
    let response = response.with("cache-control", "no-store").with("vary", "accept-encoding");
    Ok(response.compressed_for(request.header("accept-encoding")))
}

/// A number below 1 is out of range, as one beyond the greatest scale is; anything else is no number.
fn parse_scale(text: &str) -> Result<Scale, Problem> {
    Scale::parse(text).map_err(|error| {
        let is_number = Decimal::parse(text.strip_prefix('-').unwrap_or(text)).is_some();
        let (status, code) = if is_number { (422, "out_of_range") } else { (400, "malformed_parameter") };
        Problem::new(status, code, error.to_string()).for_parameter("scale")
    })
}
