//! Functions invoked through Lambda's Invoke API: in an account, on an emulator, or under
//! `cargo lambda watch`.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::error::{DisplayErrorContext, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError as Refusal;
use aws_sdk_lambda::primitives::Blob;
use equilibrium_event_source::poller::{InvokeError, Target};

/// A connection is made within this, or the function is out of reach.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A function by its name, invoked synchronously.
#[derive(Clone, Debug)]
pub struct LambdaInvoker {
    client: Client,
    name: String,
}

impl LambdaInvoker {
    /// The function called `name`, which has `timeout` to answer; at `endpoint`, or where `config` leads. An
    /// invocation is never repeated here: whoever invokes decides about that.
    #[must_use]
    pub fn new(config: &SdkConfig, endpoint: Option<&str>, name: String, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(timeout);
        let mut builder =
            Builder::from(config).retry_config(RetryConfig::disabled()).timeout_config(timeouts.build());
        if let Some(endpoint) = endpoint {
            // Said here, for what the environment says stands over an endpoint of `config`.
            builder.set_endpoint_url(Some(endpoint.to_owned()));
        }
        Self { client: Client::from_conf(builder.build()), name }
    }
}

impl Target for LambdaInvoker {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let call = self.client.invoke().function_name(&self.name).payload(Blob::new(payload));
        let answer = call.send().await.map_err(|error| {
            let (function, reason) = (&self.name, DisplayErrorContext(&error).to_string());
            tracing::warn!(function, reason, "an invocation was not answered");
            refused(&error)
        })?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if let Some(error) = answer.function_error {
            let (function, reason) = (&self.name, String::from_utf8_lossy(&payload).into_owned());
            tracing::warn!(function, error, reason, "a function failed");
            return Err(InvokeError::Failed);
        }
        Ok(payload)
    }
}

/// Whether the function can have run: where nobody can say, it counts as if it had.
fn refused(error: &SdkError<Refusal>) -> InvokeError {
    match error {
        SdkError::ConstructionFailure(_) => InvokeError::Refused,
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(|error| !error.is_other()) =>
        {
            InvokeError::Refused
        }
        SdkError::ServiceError(error) if !matches!(error.err(), Refusal::ServiceException(_)) => {
            // Throttled, unknown, being made: Lambda refused before it began.
            InvokeError::Refused
        }
        _ => InvokeError::Failed,
    }
}
