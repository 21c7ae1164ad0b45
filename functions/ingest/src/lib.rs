//! `ingest`: `POST /v1/events` puts market events into the log (CONTRACT §5).
//!
//! The answer 202 says that every accepted event is in the log, 503 that nobody can say which are. The
//! same body sent again is then the way on: an event that is in the log twice is the same sighting twice
//! and counts once (CONTRACT §3).

mod answer;
mod body;
mod problem;

use std::sync::Arc;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use equilibrium_app::book::PolicyBook;
use equilibrium_app::ingesting::Ingester;
use equilibrium_app::ports::EventLog;
use equilibrium_domain::event::Refusal;
use http::Method;

pub use crate::answer::{LISTED_BYTES, Tally};
pub use crate::body::BODY_BYTES;

use crate::answer::Answer;
use crate::body::{Coding, Format};
use crate::problem::Problem;

const PATH: &str = "/v1/events";

/// Handles one request at `now_ms`, the receiver's clock in milliseconds since the epoch: an API Gateway
/// HTTP API payload, version 2.0, in; its answer and what to measure out.
pub async fn handle<L: EventLog>(
    ingester: &Ingester<L>,
    request: &ApiGatewayV2httpRequest,
    book: &Arc<PolicyBook>,
    now_ms: i64,
) -> (ApiGatewayV2httpResponse, Tally) {
    match take(ingester, request, book, now_ms).await {
        Ok(answer) => answer.into_response(),
        Err(problem) => (problem.into_response(), Tally::default()),
    }
}

async fn take<L: EventLog>(
    ingester: &Ingester<L>,
    request: &ApiGatewayV2httpRequest,
    book: &Arc<PolicyBook>,
    now_ms: i64,
) -> Result<Answer, Problem> {
    if request.raw_path.as_deref() != Some(PATH) {
        return Err(Problem::NotFound);
    }
    if request.request_context.http.method != Method::POST {
        return Err(Problem::MethodNotAllowed);
    }
    let format = Format::of(&request.headers)?;
    let coding = Coding::of(&request.headers)?;
    let body = body::read(request.body.as_deref().unwrap_or_default(), request.is_base64_encoded, coding)?;

    let mut intake = ingester.intake(book, now_ms);
    let mut answer = Answer::default();
    body::each_event(&body, format, |line: &[u8]| {
        let taken: Result<(), Refusal> = intake.line(line);
        answer.note(taken);
    })?;
    ingester.put(intake).await.map_err(|_| Problem::Unavailable)?;
    Ok(answer)
}
