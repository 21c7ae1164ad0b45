//! The deployment's resources that a function uses, read from its environment variables.

#[cfg(any(feature = "cache", feature = "sqs"))]
use std::time::Duration;

use equilibrium_app::config::Variables;

#[cfg(feature = "cache")]
use crate::cache::{CacheSettings, Credentials, Layout};

/// Limit of a call to the cache. A reader waits less and then reads the store.
#[cfg(feature = "cache")]
const CACHE_CALL_TIMEOUT: Duration = Duration::from_millis(100);

/// Limit of sending the dead letters of a batch; it delays the batch's other events.
#[cfg(feature = "sqs")]
pub const DEAD_LETTER_TIMEOUT: Duration = Duration::from_secs(2);

/// The deployment's name in `EQUILIBRIUM_DEPLOYMENT`, which prefixes the names of its tables and streams.
pub fn deployment(variables: &mut Variables<impl Fn(&str) -> Option<String>>) -> String {
    variables.text("EQUILIBRIUM_DEPLOYMENT")
}

/// The cache at `EQUILIBRIUM_CACHE_URLS` (separated by commas), a cluster if `EQUILIBRIUM_CACHE_CLUSTER` is
/// `true`; `EQUILIBRIUM_CACHE_USER` and `EQUILIBRIUM_CACHE_PASSWORD` are credentials, if it requires them.
#[cfg(feature = "cache")]
pub fn cache(variables: &mut Variables<impl Fn(&str) -> Option<String>>) -> CacheSettings {
    let urls = variables.text("EQUILIBRIUM_CACHE_URLS");
    let user = variables.optional("EQUILIBRIUM_CACHE_USER");
    let password = variables.optional("EQUILIBRIUM_CACHE_PASSWORD");
    CacheSettings {
        endpoints: urls.split(',').map(|url| url.trim().to_owned()).collect(),
        layout: if variables.flag("EQUILIBRIUM_CACHE_CLUSTER") { Layout::Cluster } else { Layout::Single },
        credentials: password.map(|password| Credentials { user, password }),
        roots: None,
        deadline: CACHE_CALL_TIMEOUT,
    }
}
