//! Admission of requests that API Gateway passes to a function. The gateway has checked their tokens by the same table; what
//! it routes by default, and what invokes the function past it, is checked here alone.

use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::{ApiGatewayError, ApiGatewayRequest, encode_response};

use crate::{Admit, Caller};

/// Handles one invocation at `now_ms`, in milliseconds since the epoch: takes API Gateway's payload, has `respond` answer the
/// request if it is admitted, and returns the response for API Gateway, with the metrics of the answer.
///
/// # Errors
/// [`ApiGatewayError`] if the payload is not a request of API Gateway. A body that is not the Base64 that the payload says
/// is the client's fault and is answered with 400.
pub async fn handle<M: Default>(
    admission: &impl Admit,
    payload: &[u8],
    now_ms: i64,
    respond: impl AsyncFnOnce(&Request<'_>, &Caller) -> (Response, M),
) -> Result<(Vec<u8>, M), ApiGatewayError> {
    let payload = match ApiGatewayRequest::read(payload) {
        Ok(payload) => payload,
        Err(ApiGatewayError::Body) => {
            let problem =
                Problem::new(400, "malformed_base64", "the body is not valid Base64; nothing was done");
            return Ok((encode_response(&problem.into()), M::default()));
        }
        Err(error) => return Err(error),
    };
    let request = payload.request();
    let (response, metrics) = match admission.admit(&request, payload.address(), now_ms).await {
        Ok(caller) => respond(&request, &caller).await,
        Err(problem) => (request.respond(Err(problem)), M::default()),
    };
    Ok((encode_response(&response), metrics))
}
