//! Requests of the API that one function of the deployment sends to another, past API Gateway.

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::primitives::Blob;
use equilibrium_app::health::ports::{Api, ApiAnswer, ApiRequest};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_lambda::api_gateway::{DirectRequest, decode_response, encode_direct_request};

use crate::retry::RetryPolicy;

/// The functions of a deployment, which are invoked by their names.
#[derive(Clone, Debug)]
pub struct DirectApi {
    client: Client,
    deployment: String,
}

impl DirectApi {
    /// The functions of the deployment with this name. `retry_policy` replaces the retries and timeouts of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, deployment: &str, retry_policy: RetryPolicy) -> Self {
        Self { client: Client::new(&retry_policy.apply_to(config)), deployment: deployment.to_owned() }
    }
}

impl Api for DirectApi {
    async fn send(&self, request: ApiRequest) -> Result<ApiAnswer, Unavailable> {
        let ApiRequest { function, method, path, query, content_type, body } = request;
        let sent = DirectRequest { method, path: &path, query: &query, content_type, body: &body };
        let name = format!("{}-{function}", self.deployment);
        let call = self.client.invoke().function_name(name).payload(Blob::new(encode_direct_request(&sent)));
        let response = call.send().await.map_err(|error| {
            let reason = DisplayErrorContext(&error).to_string();
            tracing::warn!(function, reason, "invocation not answered");
            Unavailable
        })?;
        let payload = response.payload.map(Blob::into_inner).unwrap_or_default();
        if let Some(error) = response.function_error {
            tracing::warn!(function, error, "function failed");
            return Err(Unavailable);
        }
        let (status, body) = decode_response(&payload).ok_or(Unavailable)?;
        Ok(ApiAnswer { status, body })
    }
}
