//! Creation of tables and streams for tests and emulators; in production the infrastructure creates them.

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{sleep, timeout};

/// Pause between two checks of a resource that is being created.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A table or an on-demand stream is active within about ten seconds.
const PROVISION_TIMEOUT: Duration = Duration::from_mins(1);

/// A table or a stream could not be created or deleted.
#[derive(Debug, Error)]
#[error("{name}: {reason}")]
pub struct ProvisionError {
    /// Name of the table or stream.
    pub name: String,
    /// The service's error, or the timeout.
    pub reason: String,
}

impl ProvisionError {
    pub(crate) fn new(name: &str, reason: impl Display) -> Self {
        Self { name: name.into(), reason: reason.to_string() }
    }
}

/// Polls until `is_done`, within [`PROVISION_TIMEOUT`].
pub(crate) async fn wait_until(
    name: &str,
    is_done: impl AsyncFn() -> Result<bool, ProvisionError>,
) -> Result<(), ProvisionError> {
    let poll = async {
        while !is_done().await? {
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    };
    let late = || ProvisionError::new(name, format_args!("not done after {} s", PROVISION_TIMEOUT.as_secs()));
    timeout(PROVISION_TIMEOUT, poll).await.unwrap_or_else(|_| Err(late()))
}
