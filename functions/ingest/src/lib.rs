//! `ingest`: `POST /v1/events` puts market events into the log (CONTRACT §5).
//!
//! The answer 202 says that every accepted event is in the log, 503 that nobody can say which are. The
//! same body sent again is then the way on: an event that is in the log twice is the same sighting twice
//! and counts once (CONTRACT §3).

mod body;
mod receipt;

use std::sync::Arc;

use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::{ApiGatewayError, ApiGatewayRequest, encode_response};

pub use crate::body::MAX_BODY_BYTES;
pub use crate::receipt::{IngestMetrics, MAX_LISTED_BYTES};

use crate::body::{BodyFormat, ContentEncoding};
use crate::receipt::Receipt;

const PATH: &str = "/v1/events";

/// Handles one invocation at `now_ms`, the receiver's clock in milliseconds since the epoch: a request as
/// API Gateway hands it over in; the answer for it, and what to measure, out.
///
/// # Errors
/// [`ApiGatewayError`] where the payload is no request. A body that is not in base 64, as it says, is the
/// request's own fault and answered by 400.
pub async fn handle_event<L: EventLog>(
    ingester: &Ingester<L>,
    payload: &[u8],
    book: &Arc<PolicySet>,
    now_ms: i64,
) -> Result<(Vec<u8>, IngestMetrics), ApiGatewayError> {
    let (response, tally) = match ApiGatewayRequest::read(payload) {
        Ok(payload) => respond(ingester, &payload.request(), book, now_ms).await,
        Err(ApiGatewayError::Body) => (malformed_base64().into(), IngestMetrics::default()),
        Err(error) => return Err(error),
    };
    Ok((encode_response(&response), tally))
}

/// Answers one request at `now_ms`, the receiver's clock in milliseconds since the epoch; says what to
/// measure, too.
pub async fn respond<L: EventLog>(
    ingester: &Ingester<L>,
    request: &Request<'_>,
    book: &Arc<PolicySet>,
    now_ms: i64,
) -> (Response, IngestMetrics) {
    let (mut response, tally) = match accept_events(ingester, request, book, now_ms).await {
        Ok(receipt) => receipt.into_response(),
        Err(problem) => (problem.into(), IngestMetrics::default()),
    };
    if request.method == "HEAD" {
        response.body.clear();
    }
    (response, tally)
}

async fn accept_events<L: EventLog>(
    ingester: &Ingester<L>,
    request: &Request<'_>,
    book: &Arc<PolicySet>,
    now_ms: i64,
) -> Result<Receipt, Problem> {
    if request.path != PATH {
        return Err(not_found());
    }
    if request.method != "POST" {
        return Err(method_not_allowed());
    }
    let format = BodyFormat::of(request)?;
    let coding = ContentEncoding::of(request)?;
    let body = body::read(request.body, coding)?;

    let mut intake = ingester.begin(book, now_ms);
    let mut receipt = Receipt::default();
    body::each_event(&body, format, |line| receipt.note(intake.line(line)))?;
    ingester.commit(intake).await.map_err(|_| unavailable())?;
    Ok(receipt)
}

fn malformed_base64() -> Problem {
    Problem::new(400, "malformed_base64", "the body is no Base64; nothing was accepted")
}

fn not_found() -> Problem {
    Problem::new(404, "not_found", "there is nothing here; events are posted to /v1/events")
}

fn method_not_allowed() -> Problem {
    Problem { detail: "events are posted".into(), ..Problem::method_not_allowed("POST") }
}

fn unavailable() -> Problem {
    let detail = "the log did not take every event; send the same again: what it has counts once";
    Problem::new(503, "unavailable", detail).with("retry-after", "1")
}
