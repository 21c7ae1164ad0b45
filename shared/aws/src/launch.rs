//! Asynchronous invocations of `recover`: by itself, once a recovery is started, and beside an answer from an overdue map.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use equilibrium_app::recover::trigger::TriggerPace;
use equilibrium_app::unavailable::Unavailable;

/// Limit of handing an invocation over to Lambda.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Invokes the function `recover` of a deployment.
#[derive(Debug)]
pub struct RecoverInvoker {
    client: Client,
    name: String,
    pace: TriggerPace,
}

impl RecoverInvoker {
    /// The function of the deployment with this name.
    #[must_use]
    pub fn new(sdk: &SdkConfig, deployment: &str) -> Self {
        let pace = TriggerPace::default();
        Self { client: Client::new(sdk), name: format!("{deployment}-recover"), pace }
    }

    /// Has a recovery that was started go on.
    ///
    /// # Errors
    /// [`Unavailable`]: the schedule has it go on.
    pub async fn go_on(&self) -> Result<(), Unavailable> {
        self.invoke(b"{}").await
    }

    /// Has the pipeline looked at if a price was answered from a map that `is_overdue`, once a second at most.
    pub async fn answered(&self, is_overdue: bool, now_ms: i64) {
        if is_overdue && self.pace.admits(now_ms) {
            // The schedule looks, too.
            self.invoke(br#"{"reason":"a price is overdue by two ticks"}"#).await.ok();
        }
    }

    async fn invoke(&self, payload: &[u8]) -> Result<(), Unavailable> {
        let call = self.client.invoke().function_name(&self.name).invocation_type(InvocationType::Event);
        let call = call.payload(Blob::new(payload)).send();
        let answer = tokio::time::timeout(TIMEOUT, call).await.map_err(|_| Unavailable)?;
        answer.map(drop).map_err(|error| {
            tracing::warn!(error = DisplayErrorContext(&error).to_string(), "recover not invoked");
            Unavailable
        })
    }
}
