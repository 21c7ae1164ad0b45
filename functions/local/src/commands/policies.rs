//! `equilibrium policies`: saves a city file where the functions of a deployment read their policies.

use std::path::Path;

use aws_config::BehaviorVersion;
use equilibrium_app::policy::ports::{PolicyStore, ReplaceError};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Connection, Policies, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use thiserror::Error;

use crate::commands::city_file::{self, CityFileError};

/// Why policies were not saved.
#[derive(Debug, Error)]
pub enum PoliciesError {
    /// The city file cannot be used; nothing was saved.
    #[error(transparent)]
    File(#[from] CityFileError),
    /// The store cannot be read; nothing was saved.
    #[error("policies of {deployment}: {cause}")]
    Unread {
        /// The deployment.
        deployment: String,
        /// The store's error.
        cause: Unavailable,
    },
    /// The policy of a city was not saved; those before it were.
    #[error("{city}: {cause}")]
    Unsaved {
        /// The city.
        city: CityId,
        /// The store's error.
        cause: ReplaceError,
    },
}

/// Saves the policies of a city file, or the simulated city's, and prints the new version of each city. Policies of
/// other cities are not changed.
///
/// # Errors
/// [`PoliciesError`].
pub async fn run(deployment: &str, file: Option<&Path>, print: impl Fn(&str)) -> Result<(), PoliciesError> {
    let policies = match file {
        Some(file) => city_file::read_policies(file)?,
        None => vec![equilibrium_simulator::city::policy::policy()],
    };
    let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let connection = Connection::new(&sdk, RetryPolicy::default());
    let store = Policies::new(&connection, &Tables::named(deployment));
    for (city, version) in save(&store, &policies, deployment).await? {
        print(&format!("{city}: version {version}\n"));
    }
    Ok(())
}

async fn save(
    store: &impl PolicyStore,
    policies: &[Policy],
    deployment: &str,
) -> Result<Vec<(CityId, u64)>, PoliciesError> {
    let unread = |cause| PoliciesError::Unread { deployment: deployment.to_owned(), cause };
    let stored = store.all().await.map_err(unread)?;
    let mut saved = Vec::with_capacity(policies.len());
    for policy in policies {
        let city = policy.city.clone();
        let current = stored.iter().find(|stored| stored.city == city).map(|stored| stored.version);
        match store.save(&city, &policy.to_json().to_string(), current).await {
            Ok(version) => saved.push((city, version)),
            Err(cause) => return Err(PoliciesError::Unsaved { city, cause }),
        }
    }
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use equilibrium_app::memory::MemoryPolicies;
    use equilibrium_simulator::city::policy::policy;

    use super::*;

    #[tokio::test]
    async fn a_saved_policy_replaces_the_stored_one_as_its_next_version() {
        let store = MemoryPolicies::default();
        for version in 1..=3 {
            let saved = save(&store, &[policy()], "test").await.unwrap();
            assert_eq!(saved, [(policy().city, version)]);
        }
        let stored = store.all().await.unwrap();
        assert_eq!(stored.len(), 1);
        let document = serde_json::from_str(&stored[0].document).unwrap();
        assert_eq!(Policy::from_json(&document).unwrap(), policy());
    }
}
