//! The deployment's secrets in AWS Secrets Manager.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use equilibrium_app::quote::keys::{QuoteKey, QuoteKeys};
use equilibrium_app::quote::ports::QuoteKeySource;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::pseudonym::PseudonymKey;
use futures_util::future::try_join;
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

/// The key of the pseudonyms of the deployment called `prefix`: 32 hexadecimal digits.
///
/// # Errors
/// [`SecretError`] if the secret cannot be read within `deadline`, or holds no key.
pub async fn pseudonym_key(
    config: &SdkConfig,
    prefix: &str,
    deadline: Duration,
) -> Result<PseudonymKey, SecretError> {
    let secret = Secret { client: Client::new(config), name: pseudonym_key_name(prefix), deadline };
    let value = secret.read(CURRENT).await?;
    let key = value.as_deref().and_then(PseudonymKey::from_hex);
    key.ok_or_else(|| secret.failed("its value is not 32 hexadecimal digits"))
}

/// The name of the secret that holds the key which signs the quotes of the deployment called `prefix`.
#[must_use]
pub fn quote_key_name(prefix: &str) -> String {
    format!("{prefix}-quote-key")
}

/// The keys of a deployment's quotes: 64 hexadecimal digits, the version before a rotation among them.
#[derive(Debug)]
pub struct QuoteKeySecret(Secret);

impl QuoteKeySecret {
    /// The secret of the deployment called `prefix`, read within `deadline`.
    #[must_use]
    pub fn new(config: &SdkConfig, prefix: &str, deadline: Duration) -> Self {
        Self(Secret { client: Client::new(config), name: quote_key_name(prefix), deadline })
    }

    /// The keys now.
    ///
    /// # Errors
    /// [`SecretError`] if the secret cannot be read, or holds no key.
    pub async fn read(&self) -> Result<QuoteKeys, SecretError> {
        let (current, previous) = try_join(self.0.read(CURRENT), self.0.read(PREVIOUS)).await?;
        let key = |digits: String| {
            let key = QuoteKey::from_hex(&digits);
            key.ok_or_else(|| self.0.failed("its value is not 64 hexadecimal digits"))
        };
        let current = current.ok_or_else(|| self.0.failed("it has no value"))?;
        Ok(QuoteKeys { current: key(current)?, previous: previous.map(key).transpose()? })
    }
}

impl QuoteKeySource for QuoteKeySecret {
    async fn keys(&self) -> Result<QuoteKeys, Unavailable> {
        self.read().await.map_err(|error| {
            tracing::error!(%error, "no key of quotes");
            Unavailable
        })
    }
}

/// The stages of a secret's versions (AWS Secrets Manager user guide, "Secret version").
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

#[derive(Debug)]
struct Secret {
    client: Client,
    name: String,
    deadline: Duration,
}

impl Secret {
    /// The value of a version (`GetSecretValue`, AWS Secrets Manager API reference); `None` if there is none.
    async fn read(&self, stage: &str) -> Result<Option<String>, SecretError> {
        let call = self.client.get_secret_value().secret_id(&self.name).version_stage(stage).send();
        match timeout(self.deadline, call).await.map_err(|_| self.failed("not read in time"))? {
            Ok(value) => Ok(value.secret_string),
            Err(error)
                if stage == PREVIOUS
                    && error
                        .as_service_error()
                        .is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed(&DisplayErrorContext(&error))),
        }
    }

    fn failed(&self, reason: &(impl ToString + ?Sized)) -> SecretError {
        SecretError { name: self.name.clone(), reason: reason.to_string() }
    }
}
