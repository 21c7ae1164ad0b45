//! How the functions read their streams, from `infra/deployment.json`, which the infrastructure stack reads, too.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::settings::Settings;

const JSON: &str = include_str!("../../../infra/deployment.json");

#[derive(Deserialize)]
struct Deployment {
    mappings: BTreeMap<String, MappingConfig>,
}

/// How one function reads a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingConfig {
    /// The stream's short name, as `events`.
    pub stream: String,
    /// Maximum records of a batch.
    pub batch_size: usize,
    /// How long records are gathered, in seconds.
    pub batching_window_seconds: i64,
    /// Whether a failed batch is halved (bisected).
    pub bisect_on_error: bool,
    /// Whether the function's `batchItemFailures` apply.
    pub report_batch_item_failures: bool,
    /// The age in seconds above which records are discarded.
    pub maximum_record_age_seconds: i64,
    /// The short name of the on-failure destination, a queue.
    pub on_failure: String,
}

impl MappingConfig {
    /// The settings of this mapping with an idle poll interval of `poll_ms`.
    #[must_use]
    pub fn settings(&self, poll_ms: i64) -> Settings {
        Settings {
            batch_size: self.batch_size,
            batching_window_ms: self.batching_window_seconds * 1_000,
            bisect_on_error: self.bisect_on_error,
            report_batch_item_failures: self.report_batch_item_failures,
            max_record_age_ms: Some(self.maximum_record_age_seconds * 1_000),
            poll_ms,
            ..Settings::default()
        }
    }
}

/// The mappings, by the function's short name.
///
/// # Panics
/// Never: the file is part of the program, and a test parses it.
#[must_use]
pub fn mappings() -> BTreeMap<String, MappingConfig> {
    let deployment: Deployment =
        serde_json::from_str(JSON).expect("infra/deployment.json holds the mappings");
    deployment.mappings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_reads_events_and_surge_reads_counts_within_lambdas_limits() {
        let mappings = mappings();
        let streams: Vec<_> =
            mappings.iter().map(|(name, mapping)| (&name[..], &mapping.stream[..])).collect();
        assert_eq!(streams, [("count", "events"), ("surge", "counts")]);
        for mapping in mappings.values() {
            let settings = mapping.settings(1_000);
            assert_eq!(settings.checked(), Ok(settings));
            assert!(
                settings.report_batch_item_failures,
                "a store that is unavailable fails records, not batches"
            );
        }
    }
}
