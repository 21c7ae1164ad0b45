//! Which tables, streams, queue and cache a function works with, as its environment names them.

use std::time::Duration;

use equilibrium_app::config::Variables;

use crate::cache::{CacheSettings, Credentials, Layout};
use crate::dynamodb::Tables;
use crate::kinesis::Streams;

/// How long a call to the cache may take. A reader waits less, and asks the store then.
const CACHE_CALL_TIMEOUT: Duration = Duration::from_millis(100);

/// How long refused events may take into their queue: what they cost, the batch's events pay.
pub const DEAD_LETTER_TIMEOUT: Duration = Duration::from_secs(2);

/// The tables and streams of the deployment that `EQUILIBRIUM_DEPLOYMENT` names.
pub fn names(variables: &mut Variables<impl Fn(&str) -> Option<String>>) -> (Tables, Streams) {
    let deployment = variables.text("EQUILIBRIUM_DEPLOYMENT");
    (Tables::named(&deployment), Streams::named(&deployment))
}

/// The cache at `EQUILIBRIUM_CACHE_URLS` (separated by commas), a cluster where `EQUILIBRIUM_CACHE_CLUSTER`
/// is `true`; `EQUILIBRIUM_CACHE_USER` and `EQUILIBRIUM_CACHE_PASSWORD` say who asks, where it wants to know.
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
