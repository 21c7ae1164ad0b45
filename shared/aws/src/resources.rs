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

/// The retention of a stream that is not told another ("Change the data retention period", Amazon Kinesis Data Streams
/// developer guide).
pub const DEFAULT_RETENTION_HOURS: u32 = 24;

/// The deployment's name in `EQUILIBRIUM_DEPLOYMENT`, which prefixes the names of its tables and streams.
pub fn deployment(variables: &mut Variables<impl Fn(&str) -> Option<String>>) -> String {
    variables.text("EQUILIBRIUM_DEPLOYMENT")
}

/// The cache at `EQUILIBRIUM_CACHE_URLS` (separated by commas), a cluster if `EQUILIBRIUM_CACHE_CLUSTER` is
/// `true`; `EQUILIBRIUM_CACHE_USER` and `EQUILIBRIUM_CACHE_PASSWORD` are credentials, if it requires them. Without URLs
/// the deployment has no cache.
#[cfg(feature = "cache")]
pub fn cache(variables: &mut Variables<impl Fn(&str) -> Option<String>>) -> Option<CacheSettings> {
    let urls = variables.optional("EQUILIBRIUM_CACHE_URLS");
    let user = variables.optional("EQUILIBRIUM_CACHE_USER");
    let password = variables.optional("EQUILIBRIUM_CACHE_PASSWORD");
    let layout = if variables.flag("EQUILIBRIUM_CACHE_CLUSTER") { Layout::Cluster } else { Layout::Single };
    let urls = urls.iter().flat_map(|urls| urls.split(',')).map(str::trim);
    let endpoints: Vec<String> = urls.filter(|url| !url.is_empty()).map(str::to_owned).collect();
    let credentials = password.map(|password| Credentials { user, password });
    let settings =
        CacheSettings { endpoints, layout, credentials, roots: None, deadline: CACHE_CALL_TIMEOUT };
    Some(settings).filter(|settings| !settings.endpoints.is_empty())
}

/// How long the event streams keep a record, in hours: `EQUILIBRIUM_RETENTION_HOURS`. Checkpoint entries outlive it.
pub fn retention_hours(variables: &mut Variables<impl Fn(&str) -> Option<String>>) -> u32 {
    variables.number("EQUILIBRIUM_RETENTION_HOURS", DEFAULT_RETENTION_HOURS, 24..=8_760)
}

#[cfg(all(test, feature = "cache"))]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_without_urls_has_no_cache() {
        for (urls, endpoints) in [
            (None, None),
            (Some(""), None),
            (Some(" , "), None),
            (
                Some("redis://a:1, redis://b:2,"),
                Some(vec!["redis://a:1".to_owned(), "redis://b:2".to_owned()]),
            ),
        ] {
            let mut variables = Variables::new(|name: &str| {
                urls.filter(|_| name == "EQUILIBRIUM_CACHE_URLS").map(str::to_owned)
            });
            assert_eq!(cache(&mut variables).map(|settings| settings.endpoints), endpoints, "{urls:?}");
            assert_eq!(variables.finish(), Ok(()));
        }
    }
}
