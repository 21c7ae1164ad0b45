//! `ingest`: `POST /v1/events` puts market events into the event log (CONTRACT §5).
//!
//! 202 means that every accepted event is in the log; 503 means that it is unknown which events are. The client
//! then sends the same body again: an event that is in the log twice is the same sighting twice and counts once
//! (CONTRACT §3).

mod body;
mod receipt;

use std::future::poll_fn;
use std::task::Poll;

use equilibrium_admission::{Admit, Caller, handle};
use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::ports::{EventLog, Timer, WatermarkBoard};
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_http::body::{ContentCoding, decode};
use equilibrium_http::routes::{self, Function};
use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::ApiGatewayError;
use thiserror::Error;

pub use equilibrium_http::body::MAX_BODY_BYTES;

pub use crate::receipt::{IngestMetrics, MAX_LISTED, MAX_LISTED_BYTES};

use crate::body::BodyFormat;
use crate::receipt::Receipt;

/// Events that are read without a pause: less than a tenth of a millisecond. A body of 1 MiB can have half a million.
const TURN_EVENTS: usize = 256;

/// Why an invocation fails.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The payload is not a request of API Gateway.
    #[error(transparent)]
    Payload(#[from] ApiGatewayError),
}

/// Handles one invocation at `now_ms`, the receiver's clock in milliseconds since the epoch: takes API Gateway's
/// payload, returns the response for API Gateway and the metrics.
///
/// Nothing runs after the response of an invocation, so one whose events make a tick due, and whose turn it is to announce
/// it, waits for that turn: half a second as a rule, a second at most, and over all instances one invocation at a time.
///
/// # Errors
/// [`IngestError`]. A body that is not the Base64 that the payload says is the client's fault and is answered
/// with 400.
pub async fn handle_event<L: EventLog, B: WatermarkBoard, T: Timer>(
    admission: &impl Admit,
    ingester: &Ingester<L, B, T>,
    payload: &[u8],
    policies: &impl PolicySource,
    now_ms: i64,
) -> Result<(Vec<u8>, IngestMetrics), IngestError> {
    // The caller ends here: an event names the people of the market alone.
    let answer = async |request: &Request<'_>, _: &Caller| respond(ingester, request, policies, now_ms).await;
    let handled = handle(admission, payload, now_ms, answer).await?;
    ingester.settle().await;
    Ok(handled)
}

/// Answers one request at `now_ms`, the receiver's clock in milliseconds since the epoch, and returns the metrics
/// with the response. The host then calls [`Ingester::settle`].
pub async fn respond<L: EventLog, B: WatermarkBoard, T: Timer>(
    ingester: &Ingester<L, B, T>,
    request: &Request<'_>,
    policies: &impl PolicySource,
    now_ms: i64,
) -> (Response, IngestMetrics) {
    let result = accept_events(ingester, request, policies, now_ms).await;
    let metrics = result.as_ref().map(Receipt::metrics).unwrap_or_default();
    (request.respond(result.map(Receipt::into_response)), metrics)
}

async fn accept_events<L: EventLog, B: WatermarkBoard, T: Timer>(
    ingester: &Ingester<L, B, T>,
    request: &Request<'_>,
    policies: &impl PolicySource,
    now_ms: i64,
) -> Result<Receipt, Problem> {
    let (format, coding) = read_head(request)?;
    let lines = body::into_lines(decode(request.body, coding)?, format)?;

    let mut batch = ingester.begin(policies, now_ms).await.map_err(policies_unavailable)?;
    let mut receipt = Receipt::default();
    for (number, event) in body::events(&lines).enumerate() {
        if number % TURN_EVENTS == TURN_EVENTS - 1 {
            end_turn().await;
        }
        receipt.record(&batch.line(event));
    }
    receipt.unknown(batch.unknown());
    ingester.commit(batch).await.map_err(log_unavailable)?;
    Ok(receipt)
}

/// Lets other tasks of the thread go on, such as those that answer requests for prices.
async fn end_turn() {
    let mut is_next = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_next, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Checks everything but the body, which is not read.
///
/// # Errors
/// The problem that [`respond`] would answer with, whatever the body.
pub fn check_head(request: &Request<'_>) -> Result<(), Problem> {
    read_head(request).map(drop)
}

fn read_head(request: &Request<'_>) -> Result<(BodyFormat, ContentCoding), Problem> {
    let route = routes::find(request.path).filter(|route| route.function == Function::Ingest);
    request.require_method(route.ok_or_else(Problem::not_found)?.method)?;
    request.require_coding()?;
    Ok((BodyFormat::of(request)?, ContentCoding::of(request)?))
}

fn policies_unavailable(_: Unavailable) -> Problem {
    let detail = "the policies cannot be read; nothing was accepted";
    Problem::new(503, "unavailable", detail).with("retry-after", "1")
}

fn log_unavailable(_: Unavailable) -> Problem {
    let detail = "the log may not contain every event; send the same body again, repeated events count once";
    Problem::new(503, "unavailable", detail).with("retry-after", "1")
}
