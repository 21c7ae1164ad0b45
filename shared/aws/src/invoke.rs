//! Invocations through Lambda's Invoke API: in an account, on an emulator, or under `cargo lambda watch`.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::error::{DisplayErrorContext, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError as LambdaError;
use aws_sdk_lambda::primitives::Blob;
use equilibrium_event_source::poller::{InvokeError, Target};

/// Limit of connecting; a function that cannot be reached within it was not invoked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Invokes one function synchronously.
#[derive(Clone, Debug)]
pub struct LambdaInvoker {
    client: Client,
    name: String,
}

impl LambdaInvoker {
    /// The function called `name`, which must respond within `timeout`, at `endpoint` or else at the endpoint of
    /// `config`. Invocations are not retried here: the event source mapping decides about retries.
    #[must_use]
    pub fn new(config: &SdkConfig, endpoint: Option<&str>, name: String, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(timeout);
        let mut builder =
            Builder::from(config).retry_config(RetryConfig::disabled()).timeout_config(timeouts.build());
        if let Some(endpoint) = endpoint {
            // Set on the client, because the environment's endpoint has precedence over that of `config`.
            builder.set_endpoint_url(Some(endpoint.to_owned()));
        }
        Self { client: Client::from_conf(builder.build()), name }
    }
}

impl Target for LambdaInvoker {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let call = self.client.invoke().function_name(&self.name).payload(Blob::new(payload));
        let response = call.send().await.map_err(|error| {
            let (function, reason) = (&self.name, DisplayErrorContext(&error).to_string());
            tracing::warn!(function, reason, "invocation not answered");
            invoke_error(&error)
        })?;
        let payload = response.payload.map(Blob::into_inner).unwrap_or_default();
        if let Some(error) = response.function_error {
            let (function, reason) = (&self.name, String::from_utf8_lossy(&payload).into_owned());
            tracing::warn!(function, error, reason, "function failed");
            return Err(InvokeError::Failed);
        }
        Ok(payload)
    }
}

/// Whether the function may have run; if that is unknown, the invocation counts as an attempt.
fn invoke_error(error: &SdkError<LambdaError>) -> InvokeError {
    match error {
        SdkError::ConstructionFailure(_) => InvokeError::Refused,
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(|error| !error.is_other()) =>
        {
            InvokeError::Refused
        }
        SdkError::ServiceError(error) if !matches!(error.err(), LambdaError::ServiceException(_)) => {
            // Throttled, not found or being created: Lambda refused before the function ran.
            InvokeError::Refused
        }
        _ => InvokeError::Failed,
    }
}
