//! Creating what the infrastructure creates in production, for tests and for an emulator.

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{sleep, timeout};

/// How often something that is being created is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A table or a stream on demand is there within about ten seconds.
const PROVISION_TIMEOUT: Duration = Duration::from_mins(1);

/// A table or a stream could not be created or deleted.
#[derive(Debug, Error)]
#[error("{name}: {reason}")]
pub struct ProvisionError {
    /// Of the table or the stream.
    pub name: String,
    /// What the service said.
    pub reason: String,
}

impl ProvisionError {
    pub(crate) fn new(name: &str, reason: impl Display) -> Self {
        Self { name: name.into(), reason: reason.to_string() }
    }
}

/// Looks at `name` until it is as it should be.
pub(crate) async fn wait_until(
    name: &str,
    is_done: impl AsyncFn() -> Result<bool, ProvisionError>,
) -> Result<(), ProvisionError> {
    let wait = async {
        while !is_done().await? {
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    };
    let late = || ProvisionError::new(name, format_args!("not done after {} s", PROVISION_TIMEOUT.as_secs()));
    timeout(PROVISION_TIMEOUT, wait).await.unwrap_or_else(|_| Err(late()))
}
