//! The deployment's secrets in AWS Secrets Manager.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use equilibrium_domain::pseudonym::PseudonymKey;
use thiserror::Error;
use tokio::time::timeout;

/// Limit of reading a secret, with all attempts: half of the time that Lambda gives a function to start.
pub const SECRET_TIMEOUT: Duration = Duration::from_secs(5);

/// A secret that cannot be used.
#[derive(Debug, Error)]
#[error("secret {name}: {reason}")]
pub struct SecretError {
    /// Name of the secret.
    pub name: String,
    /// The service's error, or what the value is not; never the value.
    pub reason: String,
}

/// The name of the secret that holds the key of the pseudonyms of the deployment called `prefix`.
#[must_use]
pub fn pseudonym_key_name(prefix: &str) -> String {
    format!("{prefix}-pseudonym-key")
}

/// The key of the pseudonyms of the deployment called `prefix`: 32 hexadecimal digits (`GetSecretValue`, AWS Secrets
/// Manager API reference).
///
/// # Errors
/// [`SecretError`] if the secret cannot be read within `deadline`, or holds no key.
pub async fn pseudonym_key(
    config: &SdkConfig,
    prefix: &str,
    deadline: Duration,
) -> Result<PseudonymKey, SecretError> {
    let name = pseudonym_key_name(prefix);
    let failed = |reason| SecretError { name: name.clone(), reason };
    let call = Client::new(config).get_secret_value().secret_id(&name).send();
    let value = timeout(deadline, call).await.map_err(|_| failed("not read in time".to_owned()))?;
    let value = value.map_err(|error| failed(DisplayErrorContext(&error).to_string()))?;
    let key = value.secret_string().and_then(PseudonymKey::from_hex);
    key.ok_or_else(|| failed("its value is not 32 hexadecimal digits".to_owned()))
}
