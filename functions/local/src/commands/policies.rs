//! `equilibrium policies`: a city file saved where a deployment's functions read their policies.

use std::path::Path;

use aws_config::BehaviorVersion;
use equilibrium_app::policy::ports::{PolicyStore, ReplaceError};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Connection, Policies, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use thiserror::Error;

use crate::commands::replay::{ReplayError, read_policies};

/// Why policies were not saved.
#[derive(Debug, Error)]
pub enum PoliciesError {
    /// The city file cannot be used; nothing was saved.
    #[error(transparent)]
    File(#[from] ReplayError),
    /// The store does not answer.
    #[error("policies of {deployment}: {cause}")]
    Unread {
        /// The deployment.
        deployment: String,
        /// Why.
        cause: Unavailable,
    },
    /// A city's policy was not saved; those before it were.
    #[error("{city}: {cause}")]
    Unsaved {
        /// The city.
        city: CityId,
        /// Why.
        cause: ReplaceError,
    },
}

/// Saves the policies of a city file, or the simulated city's, over those that the deployment has of the
/// same cities; each city and the version it is in now.
///
/// # Errors
/// [`PoliciesError`].
pub async fn save(deployment: &str, file: Option<&Path>) -> Result<Vec<(CityId, u64)>, PoliciesError> {
    let policies = match file {
        Some(file) => read_policies(file)?,
        None => vec![equilibrium_simulator::city::policy::policy()],
    };
    let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let connection = Connection::new(&sdk, RetryPolicy::default());
    let store = Policies::new(&connection, &Tables::named(deployment));
    save_in(&store, &policies, deployment).await
}

async fn save_in(
    store: &impl PolicyStore,
    policies: &[Policy],
    deployment: &str,
) -> Result<Vec<(CityId, u64)>, PoliciesError> {
    let unread = |cause| PoliciesError::Unread { deployment: deployment.to_owned(), cause };
    let kept = store.all().await.map_err(unread)?;
    let mut saved = Vec::with_capacity(policies.len());
    for policy in policies {
        let city = policy.city.clone();
        let after = kept.iter().find(|kept| kept.city == city).map(|kept| kept.version);
        let version = store.save(&city, &policy.to_json().to_string(), after).await;
        match version {
            Ok(version) => saved.push((city, version)),
            Err(cause) => return Err(PoliciesError::Unsaved { city, cause }),
        }
    }
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use equilibrium_app::memory::MemoryPolicies;

    use super::*;
    use equilibrium_simulator::city::policy::policy;

    #[tokio::test]
    async fn a_city_that_has_a_policy_gets_its_next_version() {
        let store = MemoryPolicies::default();
        for version in 1..=3 {
            let saved = save_in(&store, &[policy()], "test").await.unwrap();
            assert_eq!(saved, [(policy().city, version)]);
        }
        let kept = store.all().await.unwrap();
        assert_eq!(kept.len(), 1);
        let document = serde_json::from_str(&kept[0].document).unwrap();
        assert_eq!(Policy::from_json(&document).unwrap(), policy());
    }
}
