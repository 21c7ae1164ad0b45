//! `equilibrium policies`: saves a city file where the functions of a deployment read their policies.

use std::path::PathBuf;

use aws_config::BehaviorVersion;
use clap::Args;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::policy::ports::{LOCAL_AUTHOR, NewVersion, PolicyStore, ReplaceError};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Connection, Policies, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use thiserror::Error;

use crate::commands::city_file::{self, CityFileError};

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct PoliciesCommand {
    /// Prefix of the names of tables.
    #[arg(long, default_value = "equilibrium", value_name = "NAME", env = "EQUILIBRIUM_DEPLOYMENT")]
    deployment: String,
    /// City file: one policy, or an array of policies. Default: the simulated city's.
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
}

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

impl PoliciesCommand {
    /// Saves the policies and prints the new version of each city. Policies of other cities are not changed.
    ///
    /// # Errors
    /// [`PoliciesError`].
    pub async fn run(self, print: impl Fn(&str)) -> Result<(), PoliciesError> {
        let policies = match &self.city {
            Some(file) => city_file::read_policies(file)?,
            None => vec![equilibrium_simulator::city::policy::policy()],
        };
        let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let connection = Connection::new(&sdk, RetryPolicy::default());
        let store = Policies::new(&connection, &Tables::named(&self.deployment));
        for (city, version) in save(&store, &policies, &self.deployment).await? {
            print(&format!("{city}: version {version}\n"));
        }
        Ok(())
    }
}

/// Saves each policy as the next version of the stored one; returns the new versions.
///
/// # Errors
/// [`PoliciesError`]; the policies before the one that failed are saved.
pub async fn save(
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
        let document = policy.to_json().to_string();
        let new = NewVersion { document: &document, author: LOCAL_AUTHOR, saved_at_ms: system_now_ms() };
        match store.save(&city, new, current).await {
            Ok(version) => saved.push((city, version)),
            Err(cause) => return Err(PoliciesError::Unsaved { city, cause }),
        }
    }
    Ok(saved)
}
