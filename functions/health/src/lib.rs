//! `health`: verdicts on services and dependencies (CONTRACT §6). A schedule has it look at them; a request has it read what
//! is known, and probes nothing.

mod view;

use equilibrium_admission::{Admit, Caller, handle};
use equilibrium_app::health::metrics::HealthMetrics;
use equilibrium_app::health::ports::VerdictStore;
use equilibrium_app::health::reader::HealthReader;
use equilibrium_app::health::run::{HealthRun, LOOKS};
use equilibrium_app::timer::Timer;
use equilibrium_domain::health::component::Component;
use equilibrium_http::routes::Scope;
use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::ApiGatewayError;
use equilibrium_lambda::schedule::{self, is_scheduled};

pub use crate::view::{ComponentView, OverallView};

/// The longest path is `/v1/health/{component}`.
const MAX_SEGMENTS: usize = 3;

/// Handles one invocation: the event of the schedule by a run of looks, by the time of `now_ms` in milliseconds since the
/// epoch; the payload of API Gateway by the response for it. Returns the metrics of each look as well.
///
/// # Errors
/// As [`handle`].
pub async fn handle_event<S: VerdictStore, T: Timer>(
    admission: &impl Admit,
    (reader, run): (&HealthReader<S, T>, &HealthRun<S, T>),
    payload: &[u8],
    now_ms: impl Fn() -> i64,
) -> Result<(Vec<u8>, Vec<HealthMetrics>), ApiGatewayError> {
    if is_scheduled(payload) {
        let mut metrics = Vec::new();
        run.run(LOOKS, now_ms, |judged| metrics.push(run.take_metrics(judged))).await;
        return Ok((schedule::RESPONSE.to_vec(), metrics));
    }
    let at_ms = now_ms();
    let answer = async |request: &Request<'_>, caller: &Caller| {
        (respond(reader, (request, caller), at_ms).await, Vec::new())
    };
    handle(admission, payload, at_ms, answer).await
}

/// Answers one request of a caller at `now_ms`, in milliseconds since the epoch.
pub async fn respond<S: VerdictStore, T: Timer>(
    reader: &HealthReader<S, T>,
    (request, caller): (&Request<'_>, &Caller),
    now_ms: i64,
) -> Response {
    request.respond(answer(reader, (request, caller), now_ms).await)
}

async fn answer<S: VerdictStore, T: Timer>(
    reader: &HealthReader<S, T>,
    (request, caller): (&Request<'_>, &Caller),
    now_ms: i64,
) -> Result<Response, Problem> {
    let Some((segments, count)) = request.segments::<MAX_SEGMENTS>()? else {
        return Err(Problem::not_found());
    };
    let segments: [&str; MAX_SEGMENTS] = segments.each_ref().map(AsRef::as_ref);
    match segments[..count] {
        ["v1", "health"] => {
            request.require_method("GET")?;
            let report = reader.report(now_ms).await;
            Ok(answered(&OverallView::of(&report, caller.may(Scope::PricesRead))))
        }
        ["v1", "health", name] => {
            request.require_method("GET")?;
            let unknown = || Problem::new(404, "unknown_component", "no such component");
            let component = Component::parse(name).ok_or_else(unknown)?;
            let report = reader.report(now_ms).await;
            Ok(answered(&ComponentView::of(report.verdict(component))))
        }
        _ => Err(Problem::not_found()),
    }
}

fn answered(view: &impl serde::Serialize) -> Response {
    Response::of(200, "application/json", view).with("cache-control", "no-store")
}
